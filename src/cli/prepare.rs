//! Loads what a scenario names; what does not fit is shown with file and line of the setting.

use super::estimate::flags_that_fit;
use super::{CliError, Console};
use crate::actors::inputs::Inputs;
use crate::actors::setup::{self, Setup, SetupError};
use crate::hub::{HubError, RepoKind};
use crate::model::ModelError;
use crate::report::human_bytes;
use crate::scenario::Scenario;
use crate::training::TrainingError;

/// [`setup::prepare`], with errors that name the place of the setting that is to be changed.
pub(super) fn prepare(scenario: &Scenario, inputs: &Inputs) -> Result<Setup, CliError> {
    setup::prepare(scenario, inputs).map_err(|error| placed(scenario, error))
}

/// Tells of device classes of which no client has the memory to train: it is asked all the same, again and again.
pub(super) fn tell_of_memory(scenario: &Scenario, setup: &Setup, console: &Console) {
    let population = &*setup.plan.population;
    let need = human_bytes(population.training_memory);
    for (class, n, most) in population.classes_that_cannot_train() {
        let path = format!("clients.devices.{}.memory", population.devices[class].name);
        let message = format!(
            "`{path}`: none of the class's {n} clients can train, which takes {need} where they have {}; each that is asked \
             fails after its download",
            human_bytes(most)
        );
        let help = "raise it, lower `clients.train.per_device_train_batch_size`, or leave the class out".into();
        console.warn(&scenario.warning("memory", &path, message, help));
    }
}

/// The error with file and line of the setting that is to be changed, where one decides about it.
pub(super) fn placed(scenario: &Scenario, error: SetupError) -> CliError {
    match setting_of(&error) {
        Some((code, path)) => {
            let path = path.to_owned();
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
fn setting_of(error: &SetupError) -> Option<(&'static str, &str)> {
    match error {
        SetupError::Rate { setting, .. } => Some(("out-of-range", setting)),
        SetupError::Model(ModelError::Device { .. }) => Some(("device", "compute.device")),
        SetupError::Model(_) => Some(("model", "model.name")),
        SetupError::Data(_) | SetupError::TextsForImages { .. } | SetupError::ImagesForTexts { .. } => {
            Some(("dataset", "dataset"))
        }
        // Where the network or the disk is at fault, no setting is.
        SetupError::Hub { error, .. } if error.is_environment() => None,
        SetupError::Hub { kind, error } => Some(("hub", hub_setting(*kind, error))),
        SetupError::Partition(_) => Some(("partition", "dataset.partition")),
        SetupError::Metric { .. } => Some(("metric", "evaluation.metric")),
        SetupError::Tuning(_) => Some(("tuning", "tuning")),
        SetupError::Training(TrainingError::TooLong { .. }) => Some(("training", "dataset.max_seq_length")),
        SetupError::Memory { .. } => Some(("memory", "compute.memory_limit")),
        _ => None,
    }
}
