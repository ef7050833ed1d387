//! `timeline.csv`: one row for each thing that happened.
//!
//! A busy run makes hundreds of thousands of records in a second. The run only collects them; a thread of the writer's
//! makes rows of them and brings these to the file, in order.

mod rows;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use serde::{Deserialize, Serialize};

use self::rows::TimelineRows;
use super::row_file::FileMark;
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

/// Records that go to the thread together.
const BATCH: usize = 2048;
/// Batches that may wait for the thread; a run that is faster than the disk then waits too.
const WAITING_MAX: usize = 4;

/// What the thread is to do.
enum Order {
    /// Append rows.
    Write(Vec<Record>),
    /// Write all rows to the file, and answer.
    Flush(SyncSender<()>),
    /// Write all rows to the disk, and answer with the mark.
    Mark(SyncSender<TimelineMark>),
}

/// The thread that writes, and the way to it.
#[derive(Debug)]
struct Scribe {
    orders: SyncSender<Order>,
    /// Batches that were written come back empty, so that none is allocated anew.
    emptied: Receiver<Vec<Record>>,
    thread: JoinHandle<Result<(), ReportError>>,
}

/// Writes `timeline.csv`.
///
/// An error of the file comes back from one of the next calls, and at the latest from [`flush`](Self::flush). Records
/// that are not flushed when the writer is dropped are written all the same, but nobody learns whether that went well.
#[derive(Debug)]
pub struct TimelineWriter {
    path: PathBuf,
    /// Records that the thread has not got yet.
    batch: Vec<Record>,
    n_rows: u64,
    /// None once it has failed.
    scribe: Option<Scribe>,
}

impl TimelineWriter {
    /// Makes the file, which must not exist, and writes its header.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, ReportError> {
        Self::start(path, TimelineRows::create(path)?)
    }

    /// Opens a file that was begun earlier, cuts it back to a mark and goes on from there.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not as it was at the mark.
    pub fn reopen(path: &Path, mark: TimelineMark) -> Result<Self, ReportError> {
        Self::start(path, TimelineRows::reopen(path, mark)?)
    }

    fn start(path: &Path, rows: TimelineRows) -> Result<Self, ReportError> {
        let n_rows = rows.n_rows();
        let (orders, received) = sync_channel(WAITING_MAX);
        let (give_back, emptied) = channel();
        let thread = Builder::new().name("timeline".into()).spawn(move || carry_out(rows, &received, &give_back));
        let thread = thread.map_err(ReportError::write(path))?;
        let scribe = Some(Scribe { orders, emptied, thread });
        Ok(Self { path: path.into(), batch: Vec::with_capacity(BATCH), n_rows, scribe })
    }

    /// Appends a row; `seq` counts from 0.
    ///
    /// # Errors
    /// When earlier rows could not be written.
    #[inline]
    pub fn write(&mut self, record: &Record) -> Result<(), ReportError> {
        self.batch.push(*record);
        self.n_rows += 1;
        if self.batch.len() < BATCH { Ok(()) } else { self.hand_over() }
    }

    /// Gives what was collected to the thread, which writes it soon.
    ///
    /// # Errors
    /// When earlier rows could not be written.
    pub fn hand_over(&mut self) -> Result<(), ReportError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let empty = self.scribe.as_ref().and_then(|scribe| scribe.emptied.try_recv().ok());
        let batch = std::mem::replace(&mut self.batch, empty.unwrap_or_else(|| Vec::with_capacity(BATCH)));
        self.order(Order::Write(batch))
    }

    /// Writes all rows to the file, and waits until they are there.
    ///
    /// # Errors
    /// When the file cannot be written, as on a full disk.
    pub fn flush(&mut self) -> Result<(), ReportError> {
        self.ask(Order::Flush)
    }

    /// Writes all rows to the disk, and says how far the file has come.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn mark(&mut self) -> Result<TimelineMark, ReportError> {
        self.ask(Order::Mark)
    }

    /// How many rows there are.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Gives an order behind all that was collected, and waits for its answer.
    fn ask<T>(&mut self, order: impl FnOnce(SyncSender<T>) -> Order) -> Result<T, ReportError> {
        self.hand_over()?;
        let (answer, answered) = sync_channel(1);
        self.order(order(answer))?;
        answered.recv().map_err(|_| self.failure())
    }

    fn order(&mut self, order: Order) -> Result<(), ReportError> {
        match &self.scribe {
            Some(scribe) if scribe.orders.send(order).is_ok() => Ok(()),
            Some(_) | None => Err(self.failure()),
        }
    }

    /// Why the thread takes no orders any more.
    fn failure(&mut self) -> ReportError {
        let Some(Scribe { orders, thread, .. }) = self.scribe.take() else {
            return ReportError::write(&self.path)(io::Error::other("an earlier row could not be written"));
        };
        drop(orders);
        match thread.join() {
            Ok(Err(error)) => error,
            Ok(Ok(())) => unreachable!("the thread ends well only when there can be no more orders"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for TimelineWriter {
    fn drop(&mut self) {
        let _ = self.hand_over();
        if let Some(Scribe { orders, thread, .. }) = self.scribe.take() {
            drop(orders);
            let _ = thread.join();
        }
    }
}

/// What the thread does until there can be no more orders, or the file cannot be written.
fn carry_out(
    mut rows: TimelineRows,
    orders: &Receiver<Order>,
    emptied: &Sender<Vec<Record>>,
) -> Result<(), ReportError> {
    // Who asks may be gone by the time of the answer, which is then nobody's business.
    for order in orders {
        match order {
            Order::Write(mut batch) => {
                batch.iter().try_for_each(|record| rows.write(record))?;
                batch.clear();
                let _ = emptied.send(batch);
            }
            Order::Flush(answer) => {
                rows.flush()?;
                let _ = answer.send(());
            }
            Order::Mark(answer) => {
                let mark = rows.mark()?;
                let _ = answer.send(mark);
            }
        }
    }
    rows.flush()
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

    #[test]
    fn all_rows_arrive_in_order_whether_flushed_or_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("timeline.csv");
        let n_rows = 3 * BATCH as u64 + 5;
        let rows_on_disk = || {
            let text = std::fs::read_to_string(&path).unwrap();
            for (seq, line) in text.lines().skip(1).enumerate() {
                assert!(line.starts_with(&format!("{seq},0.000001,selected,,,{seq},")), "{line}");
            }
            text.lines().count() as u64 - 1
        };
        let mut writer = TimelineWriter::create(&path).unwrap();
        let append = |writer: &mut TimelineWriter, from: u64| {
            for task in from..from + n_rows {
                writer.write(&Record::new(SimTime::from_nanos(1000), EventKind::Selected).task(task)).unwrap();
            }
        };
        append(&mut writer, 0);
        let mark = writer.mark().unwrap();
        assert_eq!((mark.rows, rows_on_disk()), (n_rows, n_rows));
        append(&mut writer, n_rows);
        writer.flush().unwrap();
        assert_eq!((writer.n_rows(), rows_on_disk()), (2 * n_rows, 2 * n_rows));
        writer.write(&Record::new(SimTime::from_nanos(1000), EventKind::Selected).task(2 * n_rows)).unwrap();
        drop(writer);
        assert_eq!(rows_on_disk(), 2 * n_rows + 1);
        // Going on from the mark cuts off what came after it.
        let mut writer = TimelineWriter::reopen(&path, mark).unwrap();
        append(&mut writer, n_rows);
        drop(writer);
        assert_eq!(rows_on_disk(), 2 * n_rows);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_once_by_the_disk_and_then_by_the_writer() {
        let path = Path::new("/dev/full");
        let mut writer = TimelineWriter::start(path, TimelineRows::onto_any_file(path)).unwrap();
        writer.write(&Record::new(SimTime::ZERO, EventKind::RunStart)).unwrap();
        let message = writer.flush().expect_err("no space").to_string();
        assert!(message.contains("`/dev/full`: no space left on device"), "{message}");
        let message = writer.flush().expect_err("no more").to_string();
        assert!(message.contains("`/dev/full`: an earlier row could not be written"), "{message}");
        // Neither does a run that goes on without asking wait for ever.
        for _ in 0..(WAITING_MAX + 2) * BATCH {
            let _ = writer.write(&Record::new(SimTime::ZERO, EventKind::RunStart));
        }
    }
}
