//! `timeline.csv`: one row for each thing that happened.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::line::{Counter, Line, Piece, Remembered};
use super::row_file::{FileMark, RowFile};
use super::{EventKind, Record, ReportError};
use crate::units::{Bytes, SimTime};

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

/// Task, client, round and model version of a row.
type Subject = (Option<u32>, Option<u32>, Option<u64>, Option<u32>);

/// Writes `timeline.csv`: a busy run writes hundreds of thousands of rows in a second. No field needs quotes, since all
/// are numbers and fixed words. Much in a row is as in the row before, and is kept as text.
#[derive(Debug)]
pub struct TimelineWriter {
    file: RowFile,
    seq: Counter,
    time: Remembered<SimTime, 32>,
    subject: Remembered<Subject, 64>,
    bytes: Remembered<Option<Bytes>, 24>,
}

/// Columns that are empty, and the end of a row.
const COMMA: Piece<8> = Piece::of("", b',');
const END: Piece<8> = Piece::of("", b'\n');

/// The words between their commas, in the order of the variants.
const EVENTS: [Piece<24>; EventKind::ALL.len()] = {
    let mut pieces = [Piece::EMPTY; EventKind::ALL.len()];
    let mut i = 0;
    while i < pieces.len() {
        pieces[i] = Piece::of(EventKind::ALL[i].as_str(), b',');
        i += 1;
    }
    pieces
};

impl TimelineWriter {
    /// Makes the file, which must not exist, and writes its header.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, ReportError> {
        let mut file = RowFile::create(path)?;
        file.rows().extend_from_slice(TIMELINE_COLUMNS.join(",").as_bytes());
        file.rows().push(b'\n');
        Ok(Self::after(file, 0))
    }

    fn after(file: RowFile, rows: u64) -> Self {
        Self {
            file,
            seq: Counter::new(rows),
            time: Remembered::new(),
            subject: Remembered::new(),
            bytes: Remembered::new(),
        }
    }

    /// Appends a row; `seq` counts from 0.
    ///
    /// # Errors
    /// When the rows collected so far cannot be written.
    pub fn write(&mut self, record: &Record) -> Result<(), ReportError> {
        // Without `..`: a new field must find its column.
        let Record { time, event, client_id, round, task_id, model_version, staleness, bytes, duration, reason } =
            *record;
        let mut line = Line::begin(self.file.rows());
        line.push(self.seq.digits());
        line.push(self.time.get(time, |piece, time| {
            piece.push(b',');
            piece.push_seconds(time.as_nanos());
            piece.push(b',');
        }));
        line.push(&EVENTS[event as usize]);
        line.push(self.subject.get((client_id, round, task_id, model_version), |piece, subject| {
            let (client_id, round, task_id, model_version) = *subject;
            push_optional(piece, client_id.map(u64::from));
            push_optional(piece, round.map(u64::from));
            push_optional(piece, task_id);
            push_optional(piece, model_version.map(u64::from));
        }));
        if let Some(staleness) = staleness {
            let mut piece = Piece::<24>::EMPTY;
            piece.push_integer(u64::from(staleness));
            line.push(&piece);
        }
        line.push(&COMMA);
        line.push(self.bytes.get(bytes, |piece, bytes| push_optional(piece, bytes.map(Bytes::get))));
        if let Some(duration) = duration {
            let mut piece = Piece::<32>::EMPTY;
            piece.push_seconds(duration.as_nanos());
            line.push(&piece);
        }
        line.push(&COMMA);
        if let Some(reason) = reason {
            line.push(&Piece::<24>::of(reason.as_str(), b'\n'));
        } else {
            line.push(&END);
        }
        line.end();
        self.seq.increment();
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
        Ok(Self::after(RowFile::reopen(path, mark.file)?, mark.rows))
    }

    /// Writes all rows to the disk, and says how far the file has come.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn mark(&mut self) -> Result<TimelineMark, ReportError> {
        self.file.write_out()?;
        Ok(TimelineMark { file: self.file.mark()?, rows: self.seq.value() })
    }

    /// How many rows there are.
    pub fn n_rows(&self) -> u64 {
        self.seq.value()
    }
}

/// A number or nothing, and the comma after it.
fn push_optional<const N: usize>(piece: &mut Piece<N>, number: Option<u64>) {
    if let Some(number) = number {
        piece.push_integer(number);
    }
    piece.push(b',');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Reason;
    use crate::units::SimDuration;

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
