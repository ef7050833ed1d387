//! What can go wrong with a tuning method.

use std::path::PathBuf;

use crate::model::ModelError;
use crate::registry::Problem;

/// Why a tuning method cannot be applied, exported or imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuningError {
    /// A setting asks for something that cannot be had with this encoder. Its path begins at the settings of the
    /// [`Method`](super::Method) that found it; what takes a [`TuningConfig`](super::TuningConfig) gives it as it is in a
    /// scenario, such as `tuning.lora.target_modules.1`.
    #[error("{}", in_words(.0))]
    Unfit(Box<Problem>),
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

impl TuningError {
    /// The same error, as settings see it that hold the method's own at `path`.
    pub(super) fn below(self, path: &str) -> Self {
        match self {
            Self::Unfit(problem) => problem.below(path).into(),
            other => other,
        }
    }
}

impl From<Problem> for TuningError {
    fn from(problem: Problem) -> Self {
        Self::Unfit(Box::new(problem))
    }
}

fn in_words(problem: &Problem) -> String {
    let Problem { path, message, help } = problem;
    let remedy = help.as_ref().map_or(String::new(), |help| format!("; {help}"));
    format!("`{path}`: {message}{remedy}")
}
