//! What can go wrong with the files of a run.

use std::io;
use std::path::PathBuf;

/// A file of the results that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A directory or file cannot be made or written.
    #[error("cannot write `{}`: {}; {}", path.display(), plain(source), remedy(source))]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A name that is no plain directory name.
    #[error("`{name}` cannot be the name of a results directory: {reason}")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be opened or read.
    #[error("cannot read `{}`: {}", path.display(), plain(source))]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of a run that was altered or cut since its state was saved.
    #[error("`{}` is not as the checkpoint found it: it was altered or cut since", path.display())]
    Altered {
        /// Which one.
        path: PathBuf,
    },
    /// Another program writes to a folder of results.
    #[error("this {what} is still under way: another straggler writes to `{}`", folder.display())]
    UnderWay {
        /// `run` or `sweep`.
        what: &'static str,
        /// Its folder.
        folder: PathBuf,
    },
    /// A checkpoint that cannot be used.
    #[error("checkpoint `{}`: {problem}", path.display())]
    Checkpoint {
        /// Its folder.
        path: PathBuf,
        /// What is wrong with it, with the name of the file.
        problem: String,
    },
    /// A file does not hold what it should.
    #[error("{}:{line}: {message}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Its line, from 1.
        line: u64,
        /// What is wrong there.
        message: String,
    },
}

impl ReportError {
    pub(super) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }

    pub(super) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }
}

/// The system's words, lower case and without its error number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn remedy(error: &io::Error) -> &'static str {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space or choose another place",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "choose a directory that can be written",
        _ => "check the path, or choose another place",
    }
}
