//! What a scenario asks for and cannot be had.

use super::RunMemory;
use crate::data::{DataError, PartitionError};
use crate::hub::{HubError, RepoKind};
use crate::model::ModelError;
use crate::petuning::TuningError;
use crate::scenario::Diagnostics;
use crate::sim::SimError;
use crate::strategy::CodecError;
use crate::training::TrainingError;
use crate::units::{Bandwidth, Bytes};

/// What the scenario asks for and cannot be had. Nothing has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The hub.
    #[error("{error}")]
    Hub {
        /// What was asked for: the model or the data set.
        kind: RepoKind,
        /// Why it cannot be had.
        error: HubError,
    },
    /// The scenario does not fit the shape of a model on the hub.
    #[error("{0}")]
    Shape(Box<Diagnostics>),
    /// The data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Pictures for an encoder of texts.
    #[error("`dataset` holds pictures, but `model.name: {model}` takes texts; name a ViT, or texts")]
    ImagesForTexts {
        /// The model.
        model: String,
    },
    /// Texts for an encoder of pictures.
    #[error("`dataset` holds texts, but `model.name: {model}` takes pictures; name an encoder of texts, or pictures")]
    TextsForImages {
        /// The model.
        model: String,
    },
    /// The partition.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// A file of traces or of devices.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// A file of traces or of devices, when its contents were to be compared with those of a lock file.
    #[error("cannot read the file of `{setting}`: {source}")]
    Recording {
        /// The setting: its dotted path.
        setting: String,
        /// Why.
        source: std::io::Error,
    },
    /// A link that is too slow.
    #[error(
        "`{setting}`: at {rate} a payload of {payload} takes longer than the 584 years that the simulated clock counts"
    )]
    Rate {
        /// The setting: its dotted path.
        setting: String,
        /// What the link carries.
        rate: Bandwidth,
        /// What it is to carry.
        payload: Bytes,
    },
    /// The tuning method.
    #[error(transparent)]
    Tuning(#[from] TuningError),
    /// Model, method and data do not fit together.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The adapter that the scenario starts from.
    #[error(transparent)]
    Init(TuningError),
    /// A payload.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A metric that the data set has not the labels for.
    #[error(
        "metric `{metric}` is for two labels, and the data set has {n_labels}; use macro_f1, in `evaluation.metric` and \
         `assert`"
    )]
    Metric {
        /// The metric.
        metric: &'static str,
        /// Labels of the data set.
        n_labels: usize,
    },
    /// A run of a lock file that would not repeat the locked run.
    #[error("the lock file was written for another {what}: it says {locked}, here it is {found}")]
    Lock {
        /// What differs.
        what: String,
        /// What the lock file says.
        locked: String,
        /// What is here.
        found: String,
    },
    /// The run would take more memory than the scenario allows.
    #[error("training with {workers} workers takes about {}, but `compute.memory_limit` is {limit}", memory.with(*workers))]
    Memory {
        /// Jobs at a time.
        workers: usize,
        /// The estimate.
        memory: RunMemory,
        /// The limit.
        limit: Bytes,
    },
}
