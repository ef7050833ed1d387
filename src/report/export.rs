//! A run in the formats of other tools.
//!
//! | module | writes | for |
//! |---|---|---|
//! | [`perfetto`] | `trace.json` | <https://ui.perfetto.dev> and `chrome://tracing` |
//! | [`parquet`] | `timeline.parquet`, `rounds.parquet`, `clients.parquet` | pandas, Polars, DuckDB, Spark |
//! | [`tensorboard`] | `events.out.tfevents.…` | TensorBoard, with simulated seconds as wall time |
//!
//! All are made of the files in the run's folder, row by row, and are the same each time. A run without a `summary.json` did
//! not come to its end; a last row of its files that was cut is then left out.

pub mod parquet;
pub mod perfetto;
pub mod tensorboard;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::ReportError;
use super::read::Tail;

/// How the files of a run may end.
fn tail_of(directory: &Path) -> Tail {
    if directory.join("summary.json").exists() { Tail::Whole } else { Tail::MayBeCut }
}

/// A file that grows under another name, and gets its own when it is whole.
struct GrowingFile {
    path: PathBuf,
    part: PathBuf,
    writer: BufWriter<File>,
}

impl GrowingFile {
    fn create(path: &Path) -> Result<Self, ReportError> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(ReportError::write(parent))?;
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(ReportError::write(path))?;
        Ok(Self { path: path.into(), part, writer: BufWriter::with_capacity(1 << 18, file) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ReportError> {
        self.writer.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// The error of a file that could not be written; what there is of it is removed.
    fn failed(&self, source: io::Error) -> ReportError {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&self.part);
        ReportError::Write { path: self.path.clone(), source }
    }

    /// Removes what there is of the file.
    fn discard(self) {
        // Best effort: a part that stays is in nobody's way.
        let _ = fs::remove_file(&self.part);
    }

    fn finish(mut self) -> Result<PathBuf, ReportError> {
        let flushed = self.writer.flush().and_then(|()| self.writer.get_ref().sync_all());
        match flushed.and_then(|()| fs::rename(&self.part, &self.path)) {
            Ok(()) => Ok(self.path),
            Err(source) => Err(self.failed(source)),
        }
    }
}
