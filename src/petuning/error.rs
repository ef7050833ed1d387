//! What can go wrong with a tuning method.

use std::path::PathBuf;

use crate::model::ModelError;

/// Why a tuning method cannot be applied, exported or imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuningError {
    /// A list of targets names something that the encoder does not have.
    #[error("`{setting}`: the encoder has no linear map `{target}`; it has {known}")]
    UnknownTarget {
        /// The setting of the list.
        setting: &'static str,
        /// As written.
        target: String,
        /// What there is.
        known: String,
    },
    /// A list of modules names something that the model does not have.
    #[error("`{setting}`: the model has no module `{module}`; it has {known}")]
    UnknownModule {
        /// The setting of the list.
        setting: &'static str,
        /// As written.
        module: String,
        /// What there is.
        known: String,
    },
    /// Two methods of a list train the same tensor.
    #[error("`{first}` and `{second}` both train `{name}`; leave it to one of them")]
    SameTensor {
        /// The method named first.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// The tensor.
        name: String,
    },
    /// A setting asks for something that cannot be had with this encoder.
    #[error("`{setting}`: {message}")]
    Unfit {
        /// The setting.
        setting: &'static str,
        /// What is wrong and what to do.
        message: String,
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
