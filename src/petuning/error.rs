//! What can go wrong with a tuning method.

use std::path::PathBuf;

use crate::model::ModelError;

/// Why a tuning method cannot be applied, exported or imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuningError {
    /// `target_modules` names something that the encoder does not have.
    #[error("`tuning.lora.target_modules`: the encoder has no linear map `{target}`; it has {known}")]
    UnknownTarget {
        /// As written.
        target: String,
        /// What there is.
        known: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An adapter's configuration does not say what is expected.
    #[error("`{}`: {message}", path.display())]
    Adapter {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A weights file is damaged, or a tensor is missing or has the wrong shape.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The arithmetic library refuses.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
