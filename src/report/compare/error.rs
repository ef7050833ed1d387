//! Why folders cannot be compared.

use std::path::PathBuf;

use super::folder::LeftOut;

/// A comparison that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// There is no such folder.
    #[error("`{}` is no folder", .0.display())]
    NoFolder(PathBuf),
    /// A folder with neither a run nor a sweep in it.
    #[error("`{}` holds neither a run (scenario.lock.yaml, rounds.csv) nor a sweep (sweep.lock.yaml)", .0.display())]
    NoRuns(PathBuf),
    /// Nothing of what was found can be compared.
    #[error("no run can be compared{}", list(.0))]
    NothingLeft(Vec<LeftOut>),
    /// A name that is no cell's.
    #[error("no cell is called `{given}`; there is {}", known.join(" · "))]
    UnknownBaseline {
        /// What was given.
        given: String,
        /// The names of the cells.
        known: Vec<String>,
    },
    /// A name that fits several cells.
    #[error("`{given}` is said of several cells: {}", fitting.join(" · "))]
    AmbiguousBaseline {
        /// What was given.
        given: String,
        /// The names of the cells that it fits.
        fitting: Vec<String>,
    },
    /// An index of a sweep that cannot be read.
    #[error("{0}")]
    Index(#[from] super::super::ReportError),
}

fn list(left_out: &[LeftOut]) -> String {
    left_out.iter().map(|out| format!("\n  `{}`: {}", out.folder.display(), out.reason)).collect()
}
