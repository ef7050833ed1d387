//! Loads what a scenario names; what does not fit is shown with file and line of the setting.

use super::CliError;
use super::estimate::flags_that_fit;
use crate::actors::inputs::Inputs;
use crate::actors::setup::{self, Setup, SetupError};
use crate::hub::{HubError, RepoKind};
use crate::model::ModelError;
use crate::petuning::TuningError;
use crate::scenario::Scenario;
use crate::training::TrainingError;

/// [`setup::prepare`], with errors that name the place of the setting that is to be changed.
pub(super) fn prepare(scenario: &Scenario, inputs: &Inputs) -> Result<Setup, CliError> {
    setup::prepare(scenario, inputs).map_err(|error| placed(scenario, error))
}

/// The same for a verb that then runs it: what the run would take of this machine's memory is within
/// `compute.memory_limit`.
pub(super) fn prepare_to_run(scenario: &Scenario, inputs: &Inputs) -> Result<Setup, CliError> {
    let setup = prepare(scenario, inputs)?;
    setup.check_memory_limit(scenario).map_err(|error| placed(scenario, error))?;
    Ok(setup)
}

/// The error with file and line of the setting that is to be changed, where one decides about it.
pub(super) fn placed(scenario: &Scenario, error: SetupError) -> CliError {
    match setting_of(scenario, &error) {
        Some((code, path)) => {
            let fitting = fitting_workers(&error);
            let error = CliError::from(error);
            let error = match fitting {
                Some(workers) => error.help(flags_that_fit(scenario, workers)),
                None => error,
            };
            error.at(scenario, code, &path)
        }
        None => error.into(),
    }
}

/// The setting that names what the hub does not have or give out.
fn hub_setting(kind: RepoKind, error: &HubError) -> &'static str {
    match (kind, error) {
        (RepoKind::Model, HubError::NoRevision { .. }) => "model.revision",
        (RepoKind::Model, _) => "model.name",
        (RepoKind::Dataset, HubError::NoRevision { .. }) => "dataset.revision",
        (RepoKind::Dataset, _) => "dataset.name",
    }
}

/// The workers that would fit into the memory that the scenario allows, for an error of memory; inside none if not even one
/// does.
fn fitting_workers(error: &SetupError) -> Option<Option<usize>> {
    let SetupError::Memory { memory, limit, .. } = error else { return None };
    Some(memory.workers_within(*limit))
}

/// The setting that decides about an error, where one does.
fn setting_of(scenario: &Scenario, error: &SetupError) -> Option<(&'static str, String)> {
    let (code, path) = match error {
        SetupError::Rate { setting, .. } => ("out-of-range", setting.as_str()),
        SetupError::Model(ModelError::Device { .. }) => ("device", "compute.device"),
        SetupError::Model(_) => ("model", "model.name"),
        SetupError::Data(_) | SetupError::TextsForImages { .. } | SetupError::ImagesForTexts { .. } => {
            ("dataset", "dataset")
        }
        // Where the network or the disk is at fault, no setting is.
        SetupError::Hub { error, .. } if error.is_environment() => return None,
        SetupError::Hub { kind, error } => ("hub", hub_setting(*kind, error)),
        SetupError::Partition(_) => ("partition", "dataset.partition"),
        SetupError::Metric { .. } => ("metric", "evaluation.metric"),
        SetupError::Tuning(TuningError::Unfit(problem))
        | SetupError::Training(TrainingError::Tuning(TuningError::Unfit(problem))) => ("tuning", problem.path.as_str()),
        SetupError::Tuning(_) | SetupError::Training(TrainingError::Tuning(_)) => ("tuning", "tuning"),
        SetupError::Training(error) => return training_setting(scenario, error).map(|path| ("training", path)),
        SetupError::Init(_) => ("init", "init"),
        SetupError::Memory { .. } => ("memory", "compute.memory_limit"),
        _ => return None,
    };
    Some((code, path.into()))
}

/// The setting to change when the examples do not go with the model.
fn training_setting(scenario: &Scenario, error: &TrainingError) -> Option<String> {
    match error {
        // A text that fits by itself is told where the tokens before it are asked for.
        TrainingError::TooLong { found, max, .. } if found <= max => scenario.tuning().setting_of_virtual_tokens(),
        TrainingError::TooLong { split: Some(_), .. } => Some("dataset.max_seq_length".into()),
        TrainingError::TooLong { split: None, .. } => Some("clients.sequence_length".into()),
        // Numbers that the model has no row for come from a tokenizer of another one.
        TrainingError::OutsideTable { .. } => Some("model.name".into()),
        _ => None,
    }
}
