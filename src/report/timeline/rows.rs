//! The rows of `timeline.csv`.

use std::io::Write;
use std::path::Path;

use super::{TIMELINE_COLUMNS, TimelineMark};
use crate::report::line::{Line, Piece};
use crate::report::row_file::RowFile;
use crate::report::{EventKind, Reason, Record, ReportError};
use crate::units::Bytes;

/// Writes records as rows. No field needs quotes, since all are numbers and fixed words.
#[derive(Debug)]
pub(super) struct TimelineRows {
    file: RowFile,
    n_rows: u64,
}

/// The words and what stands behind each.
macro_rules! pieces {
    ($words:ty, $end:literal) => {{
        let mut pieces = [Piece::of("", $end); <$words>::ALL.len()];
        let mut i = 0;
        while i < pieces.len() {
            pieces[i] = Piece::of(<$words>::ALL[i].as_str(), $end);
            i += 1;
        }
        pieces
    }};
}

/// In the order of the variants.
const EVENTS: [Piece; EventKind::ALL.len()] = pieces!(EventKind, b',');
const REASONS: [Piece; Reason::ALL.len()] = pieces!(Reason, b'\n');

impl TimelineRows {
    /// Makes the file, which must not exist, and writes its header.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(super) fn create(path: &Path) -> Result<Self, ReportError> {
        let mut file = RowFile::create(path)?;
        writeln!(file, "{}", TIMELINE_COLUMNS.join(",")).map_err(ReportError::write(path))?;
        Ok(Self { file, n_rows: 0 })
    }

    /// Appends a row; `seq` counts from 0.
    ///
    /// # Errors
    /// When the rows collected so far cannot be written.
    pub(super) fn write(&mut self, record: &Record) -> Result<(), ReportError> {
        // Without `..`: a new field must find its column.
        let Record { time, event, client_id, round, task_id, model_version, staleness, bytes, duration, reason } =
            *record;
        let mut row = self.file.row();
        row.push_integer(self.n_rows);
        row.push(b',');
        row.push_seconds(time.as_nanos());
        row.push(b',');
        row.push_piece(&EVENTS[event as usize]);
        push_optional(&mut row, client_id.map(u64::from));
        push_optional(&mut row, round.map(u64::from));
        push_optional(&mut row, task_id);
        push_optional(&mut row, model_version.map(u64::from));
        push_optional(&mut row, staleness.map(u64::from));
        push_optional(&mut row, bytes.map(Bytes::get));
        if let Some(duration) = duration {
            row.push_seconds(duration.as_nanos());
        }
        row.push(b',');
        match reason {
            Some(reason) => row.push_piece(&REASONS[reason as usize]),
            None => row.push(b'\n'),
        }
        let length = row.len();
        self.n_rows += 1;
        self.file.end_row(length)
    }

    /// Writes all rows to the file.
    ///
    /// # Errors
    /// When the file cannot be written, as on a full disk.
    pub(super) fn flush(&mut self) -> Result<(), ReportError> {
        self.file.write_out()
    }

    /// Opens a file that was begun earlier, cuts it back to a mark and goes on from there.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not as it was at the mark.
    pub(super) fn reopen(path: &Path, mark: TimelineMark) -> Result<Self, ReportError> {
        Ok(Self { file: RowFile::reopen(path, mark.file)?, n_rows: mark.rows })
    }

    /// Writes all rows to the disk, and says how far the file has come.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn mark(&mut self) -> Result<TimelineMark, ReportError> {
        self.file.write_out()?;
        Ok(TimelineMark { file: self.file.mark()?, rows: self.n_rows })
    }

    /// How many rows there are.
    pub(super) fn n_rows(&self) -> u64 {
        self.n_rows
    }
}

/// A number or nothing, and the comma after it.
#[inline(always)]
fn push_optional(row: &mut Line<'_>, number: Option<u64>) {
    if let Some(number) = number {
        row.push_integer(number);
    }
    row.push(b',');
}

#[cfg(test)]
impl TimelineRows {
    /// On a file that may exist and is no results file.
    pub(super) fn onto_any_file(path: &Path) -> Self {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        Self { file: RowFile::from_file(path, file), n_rows: 0 }
    }
}
