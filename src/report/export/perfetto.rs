//! `trace.json`: the timeline for Perfetto and `chrome://tracing`, in microseconds of simulated time.
//!
//! Two processes: the *server* with a track of its rounds, its counters (clients at work, bytes in flight, version of the
//! model) and what happens to it at one moment; the *clients* with a track each, on which a task holds its download,
//! training and upload. Arrows lead from the server's round to the download of a task and from the upload back.
//!
//! The form is that of the [Trace Event Format]: slices are pairs of `B` and `E` that nest on their track, arrows pairs of
//! `s` and `f`, and times never go back.
//!
//! [Trace Event Format]: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{GrowingFile, tail_of};
use crate::report::read::timeline_rows;
use crate::report::{EventKind, Record, ReportError};
use crate::units::{Bytes, SimTime};

/// Writes `trace.json` into the folder of a run, and returns its path.
///
/// # Errors
/// When the timeline cannot be read or the file cannot be written.
pub fn write(directory: &Path) -> Result<PathBuf, ReportError> {
    write_to(directory, &directory.join("trace.json"))
}

/// Rows of a timeline beyond which a run does not write a trace by itself: at about 150 bytes a row it would be a large
/// file that few look at. `straggler export --perfetto` writes it all the same.
pub const ROWS_MAX: u64 = 200_000;

/// Writes `trace.json` into the folder of a run, unless its timeline has more than [`ROWS_MAX`] rows. `None` then.
///
/// # Errors
/// As [`write()`].
pub fn write_unless_long(directory: &Path) -> Result<Option<PathBuf>, ReportError> {
    write_rows(directory, &directory.join("trace.json"), ROWS_MAX)
}

/// The same as [`write()`], into a file of one's own choice.
///
/// # Errors
/// As [`write()`].
pub fn write_to(directory: &Path, file: &Path) -> Result<PathBuf, ReportError> {
    write_rows(directory, file, u64::MAX).map(|written| written.expect("no timeline has that many rows"))
}

/// Gives up after `rows_max` rows, and leaves no file then.
fn write_rows(directory: &Path, file: &Path, rows_max: u64) -> Result<Option<PathBuf>, ReportError> {
    let timeline = timeline_rows(&directory.join("timeline.csv"), tail_of(directory))?;
    let mut file = GrowingFile::create(file)?;
    let mut trace = Trace::default();
    trace.open();
    for row in timeline {
        match row {
            Ok(row) if row.seq >= rows_max => {
                file.discard();
                return Ok(None);
            }
            Ok(row) => trace.on(&row.record),
            Err(error) => {
                file.discard();
                return Err(error);
            }
        }
        if trace.text.len() > 1 << 16 {
            file.write(&trace.text)?;
            trace.text.clear();
        }
    }
    trace.close();
    file.write(&trace.text)?;
    file.finish().map(Some)
}

const SERVER: u32 = 1;
const CLIENTS: u32 = 2;
/// The track of the rounds; a client's is its number and one more.
const ROUNDS: u64 = 1;

/// What a task under way has open on its client's track.
struct OpenTask {
    client_id: u32,
    /// A stage is open within the task.
    has_stage: bool,
    /// Bytes of the transfer under way.
    in_flight: Bytes,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counters {
    at_work: u64,
    in_flight: u64,
    version: u64,
}

#[derive(Default)]
struct Trace {
    text: Vec<u8>,
    has_events: bool,
    tasks: BTreeMap<u64, OpenTask>,
    named: BTreeSet<u32>,
    round_is_open: bool,
    now: SimTime,
    counters: Counters,
    /// As written last.
    shown: Option<Counters>,
}

impl Trace {
    fn open(&mut self) {
        self.text.extend_from_slice(
            b"{\"displayTimeUnit\":\"ms\",\"otherData\":{\"clock\":\"simulated time\"},\"traceEvents\":[\n",
        );
        for (process, name) in [(SERVER, "server"), (CLIENTS, "clients")] {
            self.event(format_args!(
                "\"ph\":\"M\",\"pid\":{process},\"tid\":0,\"name\":\"process_name\",\"args\":{{\"name\":\"{name}\"}}"
            ));
        }
        self.event(format_args!(
            "\"ph\":\"M\",\"pid\":{SERVER},\"tid\":{ROUNDS},\"name\":\"thread_name\",\"args\":{{\"name\":\"rounds\"}}"
        ));
    }

    /// Ends what is open, as after a run that was killed.
    fn close(&mut self) {
        let (time, tasks) = (micros(self.now), std::mem::take(&mut self.tasks));
        for task in tasks.into_values() {
            for _ in 0..=u8::from(task.has_stage) {
                self.slice_end(time, CLIENTS, track(task.client_id));
            }
            self.counters.at_work -= 1;
            self.counters.in_flight -= task.in_flight.get();
        }
        if self.round_is_open {
            self.slice_end(time, SERVER, ROUNDS);
        }
        self.count(time);
        self.text.extend_from_slice(b"\n]}\n");
    }

    fn on(&mut self, record: &Record) {
        if record.time > self.now {
            self.count(micros(self.now));
        }
        self.now = record.time;
        match (record.task_id, record.client_id) {
            (Some(task_id), Some(client_id)) => self.on_task(record, task_id, client_id),
            _ => self.on_server(record),
        }
    }

    fn on_server(&mut self, record: &Record) {
        let time = micros(record.time);
        match record.event {
            EventKind::RoundStart => {
                let round = record.round.unwrap_or_default();
                self.slice_begin(time, SERVER, ROUNDS, &format!("round {round}"), "");
                self.round_is_open = true;
            }
            EventKind::RoundEnd => {
                if std::mem::take(&mut self.round_is_open) {
                    self.slice_end(time, SERVER, ROUNDS);
                }
            }
            EventKind::Aggregate
            | EventKind::Deadline
            | EventKind::Eval
            | EventKind::Checkpoint
            | EventKind::RunStart
            | EventKind::RunEnd
            | EventKind::Online
            | EventKind::Offline => {
                if let (EventKind::Aggregate, Some(version)) = (record.event, record.model_version) {
                    self.counters.version = version.into();
                }
                self.instant(time, SERVER, ROUNDS, record.event.as_str());
            }
            // Rows about tasks name their task; these do not.
            EventKind::Selected
            | EventKind::DownloadStart
            | EventKind::DownloadEnd
            | EventKind::TrainStart
            | EventKind::TrainEnd
            | EventKind::UploadStart
            | EventKind::UploadEnd
            | EventKind::Accepted
            | EventKind::Rejected
            | EventKind::Interrupted
            | EventKind::Dropout => {}
        }
    }

    fn on_task(&mut self, record: &Record, task_id: u64, client_id: u32) {
        let (time, thread) = (micros(record.time), track(client_id));
        if record.event == EventKind::Selected {
            self.name_client(client_id);
            let round = record.round.unwrap_or_default();
            let version = record.model_version.unwrap_or_default();
            let args = format!("\"task\":{task_id},\"round\":{round},\"model_version\":{version}");
            self.slice_begin(time, CLIENTS, thread, &format!("task {task_id}"), &args);
            self.tasks.insert(task_id, OpenTask { client_id, has_stage: false, in_flight: Bytes::ZERO });
            self.counters.at_work += 1;
            return;
        }
        // A task is over for its client when its update has arrived: what comes of the update is told on the server's track.
        let Some(mut task) = self.tasks.remove(&task_id) else { return };
        let mut is_over = false;
        match record.event {
            EventKind::DownloadStart => {
                self.begin_stage(&mut task, record, "download");
                self.arrow(time, 2 * task_id, (SERVER, ROUNDS), (CLIENTS, thread), "model");
            }
            EventKind::TrainStart => self.begin_stage(&mut task, record, "training"),
            EventKind::UploadStart => self.begin_stage(&mut task, record, "upload"),
            EventKind::DownloadEnd | EventKind::TrainEnd | EventKind::Interrupted => self.end_stage(&mut task, time),
            EventKind::UploadEnd => {
                self.arrow(time, 2 * task_id + 1, (CLIENTS, thread), (SERVER, ROUNDS), "update");
                is_over = true;
            }
            EventKind::Rejected | EventKind::Dropout => {
                let reason = record.reason.map_or("", |reason| reason.as_str());
                self.instant(time, CLIENTS, thread, &format!("{}: {reason}", record.event.as_str()));
                is_over = true;
            }
            EventKind::Selected
            | EventKind::Accepted
            | EventKind::RunStart
            | EventKind::RoundStart
            | EventKind::Online
            | EventKind::Offline
            | EventKind::Deadline
            | EventKind::Aggregate
            | EventKind::Eval
            | EventKind::Checkpoint
            | EventKind::RoundEnd
            | EventKind::RunEnd => {}
        }
        if is_over {
            self.end_stage(&mut task, time);
            self.slice_end(time, CLIENTS, thread);
            self.counters.at_work -= 1;
        } else {
            self.tasks.insert(task_id, task);
        }
    }

    fn begin_stage(&mut self, task: &mut OpenTask, record: &Record, name: &str) {
        let time = micros(record.time);
        self.end_stage(task, time);
        let args = record.bytes.map_or_else(String::new, |bytes| format!("\"bytes\":{}", bytes.get()));
        self.slice_begin(time, CLIENTS, track(task.client_id), name, &args);
        task.has_stage = true;
        task.in_flight = record.bytes.unwrap_or_default();
        self.counters.in_flight += task.in_flight.get();
    }

    fn end_stage(&mut self, task: &mut OpenTask, time: u64) {
        if std::mem::take(&mut task.has_stage) {
            self.slice_end(time, CLIENTS, track(task.client_id));
        }
        self.counters.in_flight -= std::mem::take(&mut task.in_flight).get();
    }

    /// Writes the counters if they have changed.
    fn count(&mut self, time: u64) {
        let now = self.counters;
        let before = self.shown.replace(now);
        let values = |counters: Counters| {
            [
                ("clients at work", counters.at_work),
                ("bytes in flight", counters.in_flight),
                ("model version", counters.version),
            ]
        };
        for (index, (name, value)) in values(now).into_iter().enumerate() {
            if before.is_none_or(|before| values(before)[index].1 != value) {
                self.event(format_args!(
                    "\"ph\":\"C\",\"ts\":{time},\"pid\":{SERVER},\"name\":\"{name}\",\"args\":{{\"value\":{value}}}"
                ));
            }
        }
    }

    fn name_client(&mut self, client_id: u32) {
        if self.named.insert(client_id) {
            let thread = track(client_id);
            self.event(format_args!(
                "\"ph\":\"M\",\"pid\":{CLIENTS},\"tid\":{thread},\"name\":\"thread_name\",\"args\":{{\"name\":\"client \
                 {client_id}\"}}"
            ));
        }
    }

    fn slice_begin(&mut self, time: u64, process: u32, thread: u64, name: &str, args: &str) {
        self.event(format_args!(
            "\"ph\":\"B\",\"ts\":{time},\"pid\":{process},\"tid\":{thread},\"name\":\"{name}\",\"args\":{{{args}}}"
        ));
    }

    fn slice_end(&mut self, time: u64, process: u32, thread: u64) {
        self.event(format_args!("\"ph\":\"E\",\"ts\":{time},\"pid\":{process},\"tid\":{thread}"));
    }

    fn instant(&mut self, time: u64, process: u32, thread: u64, name: &str) {
        self.event(format_args!(
            "\"ph\":\"i\",\"s\":\"t\",\"ts\":{time},\"pid\":{process},\"tid\":{thread},\"name\":\"{name}\""
        ));
    }

    /// An arrow between the slices that are open on two tracks. There is none between rounds, when nothing is open.
    fn arrow(&mut self, time: u64, id: u64, from: (u32, u64), to: (u32, u64), name: &str) {
        if !self.round_is_open {
            return;
        }
        for (phase, (process, thread), binding) in [("s", from, ""), ("f", to, ",\"bp\":\"e\"")] {
            self.event(format_args!(
                "\"ph\":\"{phase}\",\"id\":{id},\"ts\":{time},\"pid\":{process},\"tid\":{thread},\"name\":\"{name}\",\
                 \"cat\":\"transfer\"{binding}"
            ));
        }
    }

    fn event(&mut self, fields: std::fmt::Arguments<'_>) {
        let before: &[u8] = if std::mem::replace(&mut self.has_events, true) { b",\n{" } else { b"{" };
        self.text.extend_from_slice(before);
        self.text.write_fmt(fields).expect("a vector takes all");
        self.text.push(b'}');
    }
}

fn micros(time: SimTime) -> u64 {
    time.as_nanos() / 1000
}

fn track(client_id: u32) -> u64 {
    u64::from(client_id) + 1
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::fixture::run;
    use crate::report::read_timeline;

    fn trace(records: impl IntoIterator<Item = Record>) -> Vec<Value> {
        let mut trace = Trace::default();
        trace.open();
        records.into_iter().for_each(|record| trace.on(&record));
        trace.close();
        let parsed: Value = serde_json::from_slice(&trace.text).unwrap();
        parsed["traceEvents"].as_array().unwrap().clone()
    }

    /// What the format asks for: known phases with their fields, times that never go back, slices that nest, arrows that
    /// start before they end and lie on slices, tracks that have names.
    fn check(events: &[Value]) {
        let mut open: BTreeMap<(u64, u64), Vec<String>> = BTreeMap::new();
        let mut arrows: BTreeMap<u64, u32> = BTreeMap::new();
        let (mut last, mut named) = (0, BTreeSet::new());
        for event in events {
            let phase = event["ph"].as_str().unwrap();
            let process = event["pid"].as_u64().unwrap();
            if phase == "M" {
                named.insert((process, event["tid"].as_u64().unwrap()));
                continue;
            }
            let time = event["ts"].as_u64().unwrap();
            assert!(time >= last, "{event}");
            last = time;
            if phase == "C" {
                assert!(event["args"]["value"].is_u64(), "{event}");
                continue;
            }
            let place = (process, event["tid"].as_u64().unwrap());
            assert!(named.contains(&place), "{event}");
            let stack = open.entry(place).or_default();
            match phase {
                "B" => stack.push(event["name"].as_str().unwrap().to_owned()),
                "E" => assert!(stack.pop().is_some(), "{event}"),
                "i" => assert_eq!(event["s"], "t"),
                "s" => {
                    assert!(!stack.is_empty(), "{event}");
                    assert!(arrows.insert(event["id"].as_u64().unwrap(), 1).is_none(), "{event}");
                }
                "f" => {
                    assert!(!stack.is_empty() && event["bp"] == "e", "{event}");
                    *arrows.get_mut(&event["id"].as_u64().unwrap()).unwrap() += 1;
                }
                _ => panic!("{event}"),
            }
            assert!(stack.len() <= 2, "{event}: {stack:?}");
        }
        assert!(open.values().all(Vec::is_empty), "{open:?}");
        assert!(arrows.values().all(|n| *n == 2));
    }

    fn count(events: &[Value], phase: &str, name: &str) -> usize {
        events
            .iter()
            .filter(|event| event["ph"] == phase && event["name"].as_str().unwrap_or("").starts_with(name))
            .count()
    }

    #[test]
    fn a_trace_holds_to_its_format_and_tells_the_whole_run() {
        let run = run();
        let events = trace(run.timeline.iter().map(|row| row.record));
        check(&events);
        let of = |event: EventKind| run.timeline.iter().filter(|row| row.record.event == event).count();
        assert_eq!(count(&events, "B", "round "), run.rounds.len());
        assert_eq!(count(&events, "B", "task "), of(EventKind::Selected));
        assert_eq!(count(&events, "B", "training"), of(EventKind::TrainStart));
        assert_eq!(count(&events, "s", "update"), of(EventKind::UploadEnd));
        assert_eq!(count(&events, "i", "dropout: "), of(EventKind::Dropout));
        // At the end nobody is at work and nothing is in flight.
        for name in ["clients at work", "bytes in flight"] {
            let last = events.iter().rev().find(|event| event["name"] == name).unwrap();
            assert_eq!(last["args"]["value"], 0, "{name}");
        }
    }

    #[test]
    fn a_long_timeline_leaves_no_trace_unless_asked() {
        let run_directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/quickstart");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("trace.json");
        assert_eq!(write_rows(&run_directory, &file, 100).unwrap(), None);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(write_rows(&run_directory, &file, ROWS_MAX).unwrap(), Some(file.clone()));
        assert!(file.exists());
    }

    #[test]
    fn the_trace_of_the_quickstart_holds_to_the_format_wherever_it_is_cut() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/quickstart/timeline.csv");
        let rows = read_timeline(&path).unwrap();
        for n in (0..rows.len()).step_by(97).chain([rows.len()]) {
            check(&trace(rows[..n].iter().map(|row| row.record)));
        }
    }
}
