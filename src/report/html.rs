//! `report.html`: everything about a run on one page, which needs no network, no other file and, to be read, no script.
//!
//! | file | part |
//! |---|---|
//! | `html/head.rs` | what came out: headline figures and what stands out |
//! | `html/rounds.rs` | why each round took so long |
//! | `html/page.rs` | the other sections, and how they are put together |
//! | `html/sweep.rs`, `html/links.rs` | the page of a sweep, and its links to those of its runs |
//! | `html/words.rs` | numbers, durations and sizes for reading |
//!
//! The page is made of the files in the run's folder alone, and of nothing that the host's clock says: the same run gives
//! the same bytes. Its figures are those of [`figures`].

mod head;
mod links;
mod page;
mod rounds;
mod sweep;
mod words;

use std::path::{Path, PathBuf};

pub use sweep::{is_sweep, write_sweep};

use super::ReportError;
use super::figures;
use super::results::write_whole;
use super::story::Story;

/// Writes `report.html` into the folder of a run and returns its path. A run that was killed gets one too, which says so.
///
/// # Errors
/// When a file of the run cannot be read, or the page cannot be written.
pub fn write(directory: &Path) -> Result<PathBuf, ReportError> {
    write_to(directory, &directory.join("report.html"))
}

/// The same, into a file of one's own choice.
///
/// # Errors
/// As [`write()`].
pub fn write_to(directory: &Path, file: &Path) -> Result<PathBuf, ReportError> {
    write_whole(file, page::page(&Story::read(directory)?).as_bytes())?;
    Ok(file.to_owned())
}

/// Draws all figures of a run and writes its `report.html`: the same as [`figures::write_all`] and [`write()`], but the
/// files are read once.
///
/// # Errors
/// When a file of the run cannot be read, or one cannot be written.
pub fn write_with_figures(directory: &Path) -> Result<PathBuf, ReportError> {
    let story = Story::read(directory)?;
    figures::write(&story, directory)?;
    let file = directory.join("report.html");
    write_whole(&file, page::page(&story).as_bytes())?;
    Ok(file)
}

#[cfg(test)]
mod tests;
