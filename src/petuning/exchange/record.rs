//! `straggler.json`: what an adapter was trained on.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::{TuningConfig, TuningError};
use super::{RECORD, read};
use crate::model::{Backbone, EncoderConfig, ModelDtype};

/// What stands beside exported tensors, so that they cannot be put on something else by mistake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this file's format: 1.
    pub format: u32,
    /// The program's version.
    pub straggler: String,
    /// Family of the encoder, as in its `config.json`.
    pub model_type: String,
    /// SHA-256 of the encoder's tensors.
    pub model_hash: String,
    /// How the encoder was kept, on which the hash depends.
    #[serde(default)]
    pub dtype: ModelDtype,
    /// What was trained.
    pub tuning: TuningConfig,
    /// The classes, in the order of the head's outputs.
    pub labels: Vec<String>,
    /// The file that holds every tensor that travelled.
    pub tensors: String,
}

const FORMAT: u32 = 1;

impl Record {
    pub(super) fn new(tuning: &TuningConfig, backbone: &Backbone, labels: &[String], tensors: &str) -> Self {
        Self {
            format: FORMAT,
            straggler: env!("CARGO_PKG_VERSION").into(),
            model_type: backbone.config().kind.name().into(),
            model_hash: backbone.hash().into(),
            dtype: backbone.dtype(),
            tuning: tuning.clone(),
            labels: labels.to_vec(),
            tensors: tensors.into(),
        }
    }

    /// The record in `dir`; none when there is no such file.
    pub(super) fn read(dir: &Path, config: &EncoderConfig) -> Result<Option<Self>, TuningError> {
        let path = dir.join(RECORD);
        if !path.exists() {
            return Ok(None);
        }
        let refuse = |message: String| TuningError::Adapter { path: path.clone(), message };
        let record: Self = serde_json::from_slice(&read(&path)?).map_err(|error| refuse(error.to_string()))?;
        if record.format != FORMAT {
            return Err(refuse(format!("its format {} is not known; this program reads {FORMAT}", record.format)));
        }
        if record.tensors.contains(['/', '\\']) {
            return Err(refuse(format!("`tensors` is `{}`, which is no file beside it", record.tensors)));
        }
        let family = config.kind.name();
        if record.model_type != family {
            let message = format!("the adapter is for a `{}`, but the model is a `{family}`", record.model_type);
            return Err(refuse(message));
        }
        match record.tuning.implementation().problems().into_iter().next() {
            Some(problem) => Err(refuse(format!("`tuning.{}`: {}", problem.path, problem.message))),
            None => Ok(Some(record)),
        }
    }
}
