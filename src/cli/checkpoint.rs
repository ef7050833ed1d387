//! What a checkpoint of a run holds beside the state of the world: how far the files had come, the best model so far.
//!
//! | file | content |
//! |---|---|
//! | `run.json` | [`RunState`] |
//! | `world.json` | clock, calendar, actors, tasks, books |
//! | `network.json` | transfers in flight |
//! | `model-<version>.safetensors` | the versions of the global model that are still needed |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::CliError;
use crate::actors::world::Snapshot;
use crate::params::{Layout, Params};
use crate::report::{CheckpointFiles, ReportError, ResultsMark, read_checkpoint, write_checkpoint};
use crate::strategy::{CodecConfig, CodecError};
use crate::training::Evaluation;
use crate::units::{Bytes, SimTime};

/// An evaluated model.
#[derive(Debug, Clone)]
pub(super) struct Evaluated {
    pub(super) round: u32,
    pub(super) model_version: u32,
    pub(super) evaluation: Evaluation,
    pub(super) params: Arc<Params>,
}

/// When the target was first met.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reached {
    pub(super) round: u32,
    pub(super) at: SimTime,
    pub(super) bytes: Bytes,
}

/// What the program had made of a run when its state was saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunState {
    /// Version of the program.
    pub(super) straggler: String,
    /// SHA-256 of the run's `scenario.lock.yaml`.
    pub(super) scenario: String,
    /// The round that had ended last.
    pub(super) round: u32,
    /// Simulated time.
    pub(super) at: SimTime,
    pub(super) files: ResultsMark,
    best: Option<EvaluatedState>,
    last: Option<EvaluatedState>,
    pub(super) reached: Option<Reached>,
    /// Versions of the model, and whether they have values.
    models: BTreeMap<u32, bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvaluatedState {
    round: u32,
    model_version: u32,
    evaluation: Evaluation,
}

/// Everything that a run goes on from.
pub(super) struct Saved {
    pub(super) state: RunState,
    pub(super) snapshot: Snapshot,
    pub(super) best: Option<Evaluated>,
    pub(super) last: Option<Evaluated>,
}

/// What the recorder of a run knows when its state is saved.
pub(super) struct Progress<'a> {
    pub(super) scenario: &'a str,
    pub(super) files: ResultsMark,
    pub(super) best: Option<&'a Evaluated>,
    pub(super) last: Option<&'a Evaluated>,
    pub(super) reached: Option<Reached>,
}

fn model_file(version: u32) -> String {
    format!("model-{version:06}.safetensors")
}

/// Saves the state of the run in a folder; gives the checkpoint's folder.
pub(super) fn save(run: &Path, snapshot: &Snapshot, progress: &Progress<'_>) -> Result<PathBuf, ReportError> {
    let state_of = |evaluated: &Evaluated| {
        let Evaluated { round, model_version, evaluation, .. } = *evaluated;
        EvaluatedState { round, model_version, evaluation }
    };
    let mut models: BTreeMap<u32, Option<&Arc<Params>>> =
        snapshot.models.iter().map(|(version, params)| (*version, params.as_ref())).collect();
    for evaluated in progress.best.iter().chain(&progress.last) {
        models.insert(evaluated.model_version, Some(&evaluated.params));
    }
    let state = RunState {
        straggler: env!("CARGO_PKG_VERSION").into(),
        scenario: progress.scenario.into(),
        round: snapshot.round,
        at: snapshot.at,
        files: progress.files,
        best: progress.best.map(state_of),
        last: progress.last.map(state_of),
        reached: progress.reached,
        models: models.iter().map(|(version, params)| (*version, params.is_some())).collect(),
    };
    let mut files = CheckpointFiles::new();
    let codec = CodecConfig::default();
    for (version, params) in models {
        if let Some(params) = params {
            let encoded = codec.implementation().encode(params);
            files.insert(model_file(version), encoded.expect("values that a run holds can be encoded"));
        }
    }
    let run_json = serde_json::to_vec_pretty(&state).expect("texts and numbers are what JSON can hold");
    files.insert("run.json".into(), run_json);
    files.insert("world.json".into(), snapshot.state.clone().into_bytes());
    files.insert("network.json".into(), snapshot.network.clone().into_bytes());
    // The numbers rise with time.
    write_checkpoint(run, &format!("round-{:06}-row-{:09}", snapshot.round, progress.files.n_rows()), &files)
}

/// A checkpoint that was read and found whole.
pub(super) struct Opened {
    path: PathBuf,
    files: CheckpointFiles,
    pub(super) state: RunState,
}

/// Reads a checkpoint.
pub(super) fn open(path: &Path) -> Result<Opened, CliError> {
    let files = read_checkpoint(path)?;
    let run_json = files.get("run.json").map(Vec::as_slice).unwrap_or_default();
    let state = serde_json::from_slice(run_json).map_err(|error| bad(path, format!("`run.json`: {error}")))?;
    Ok(Opened { path: path.into(), files, state })
}

fn bad(path: &Path, problem: impl std::fmt::Display) -> CliError {
    ReportError::Checkpoint { path: path.into(), problem: problem.to_string() }.into()
}

impl Opened {
    /// The checkpoint's folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Decodes the models, whose tensors must be those of `layout`.
    pub(super) fn decode(mut self, layout: Option<&Arc<Layout>>) -> Result<Saved, CliError> {
        let codec = CodecConfig::default();
        let mut models = BTreeMap::new();
        for (version, has_values) in &self.state.models {
            let params = match (has_values, layout) {
                (false, _) => None,
                (true, None) => return Err(bad(&self.path, "it has models, and the scenario trains nothing")),
                (true, Some(layout)) => {
                    let name = model_file(*version);
                    let file = self.files.remove(&name).ok_or_else(|| bad(&self.path, format!("no `{name}`")))?;
                    let decoded = codec.implementation().decode(layout, &file);
                    let misfit = |error: CodecError| bad(&self.path, format!("`{name}`: {error}"));
                    Some(Arc::new(decoded.map_err(misfit)?))
                }
            };
            models.insert(*version, params);
        }
        let evaluated = |state: &Option<EvaluatedState>| {
            let Some(EvaluatedState { round, model_version, evaluation }) = *state else {
                return Ok::<_, CliError>(None);
            };
            let params = models.get(&model_version).cloned().flatten();
            let params = params.ok_or_else(|| bad(&self.path, format!("no values of model {model_version}")))?;
            Ok(Some(Evaluated { round, model_version, evaluation, params }))
        };
        let (best, last) = (evaluated(&self.state.best)?, evaluated(&self.state.last)?);
        let mut text = |name: &str| {
            let content = self.files.remove(name).ok_or_else(|| bad(&self.path, format!("no `{name}`")))?;
            String::from_utf8(content).map_err(|error| bad(&self.path, format!("`{name}`: {error}")))
        };
        let (state, network) = (text("world.json")?, text("network.json")?);
        let snapshot = Snapshot { round: self.state.round, at: self.state.at, state, network, models };
        Ok(Saved { state: self.state, snapshot, best, last })
    }
}
