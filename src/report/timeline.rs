//! `timeline.csv`: one row for each thing that happened.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::row_file::{FileMark, RowFile};
use super::rows::push_seconds;
use super::{Record, ReportError};

/// The columns of `timeline.csv`.
pub(super) const TIMELINE_COLUMNS: [&str; 11] = [
    "seq",
    "sim_time_s",
    "event",
    "client_id",
    "round",
    "task_id",
    "model_version",
    "staleness",
    "bytes",
    "duration_s",
    "reason",
];

/// How far a timeline had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimelineMark {
    file: FileMark,
    /// Its rows.
    pub(super) rows: u64,
}

/// Writes `timeline.csv`. Rows are made in place, without allocation: a busy run writes hundreds of thousands in a
/// second. No field needs quotes, since all are numbers and fixed words.
#[derive(Debug)]
pub struct TimelineWriter {
    file: RowFile,
    seq: u64,
}

impl TimelineWriter {
    /// Makes the file, which must not exist, and writes its header.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, ReportError> {
        let mut file = RowFile::create(path)?;
        file.rows().extend_from_slice(TIMELINE_COLUMNS.join(",").as_bytes());
        file.rows().push(b'\n');
        Ok(Self { file, seq: 0 })
    }

    /// Appends a row; `seq` counts from 0.
    ///
    /// # Errors
    /// When the rows collected so far cannot be written.
    pub fn write(&mut self, record: &Record) -> Result<(), ReportError> {
        // Without `..`: a new field must find its column.
        let Record { time, event, client_id, round, task_id, model_version, staleness, bytes, duration, reason } =
            *record;
        let row = self.file.rows();
        push_integer(row, self.seq);
        row.push(b',');
        push_seconds(row, time.as_nanos());
        row.push(b',');
        row.extend_from_slice(event.as_str().as_bytes());
        row.push(b',');
        push_optional(row, client_id.map(u64::from));
        push_optional(row, round.map(u64::from));
        push_optional(row, task_id);
        push_optional(row, model_version.map(u64::from));
        push_optional(row, staleness.map(u64::from));
        push_optional(row, bytes.map(|bytes| bytes.get()));
        if let Some(duration) = duration {
            push_seconds(row, duration.as_nanos());
        }
        row.push(b',');
        if let Some(reason) = reason {
            row.extend_from_slice(reason.as_str().as_bytes());
        }
        row.push(b'\n');
        self.seq += 1;
        self.file.end_row()
    }

    /// Writes all rows to the file.
    ///
    /// # Errors
    /// When the file cannot be written, as on a full disk.
    pub fn flush(&mut self) -> Result<(), ReportError> {
        self.file.write_out()
    }

    /// Opens a file that was begun earlier, cuts it back to a mark and goes on from there.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not as it was at the mark.
    pub fn reopen(path: &Path, mark: TimelineMark) -> Result<Self, ReportError> {
        Ok(Self { file: RowFile::reopen(path, mark.file)?, seq: mark.rows })
    }

    /// Writes all rows to the disk, and says how far the file has come.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn mark(&mut self) -> Result<TimelineMark, ReportError> {
        self.file.write_out()?;
        Ok(TimelineMark { file: self.file.mark()?, rows: self.seq })
    }

    /// How many rows there are.
    pub fn n_rows(&self) -> u64 {
        self.seq
    }
}

fn push_integer(row: &mut Vec<u8>, number: u64) {
    row.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A number or nothing, and the comma after it.
fn push_optional(row: &mut Vec<u8>, number: Option<u64>) {
    if let Some(number) = number {
        push_integer(row, number);
    }
    row.push(b',');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{EventKind, Reason};
    use crate::units::{Bytes, SimDuration, SimTime};

    #[test]
    fn rows_have_the_columns_of_the_format() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("timeline.csv");
        let mut writer = TimelineWriter::create(&path).unwrap();
        let full = Record::new(SimTime::from_nanos(1_234_567_499), EventKind::Dropout)
            .client(7)
            .round(3)
            .task(29)
            .model_version(2)
            .staleness(1)
            .bytes(Bytes::new(4096))
            .duration(SimDuration::from_nanos(1_500))
            .reason(Reason::Network);
        writer.write(&Record::new(SimTime::ZERO, EventKind::RunStart)).unwrap();
        writer.write(&full).unwrap();
        writer.flush().unwrap();
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "seq,sim_time_s,event,client_id,round,task_id,model_version,staleness,bytes,duration_s,reason\n\
             0,0.000000,run_start,,,,,,,,\n\
             1,1.234567,dropout,7,3,29,2,1,4096,0.000002,network\n"
        );
    }
}
