//! `trace.json`: the timeline for Perfetto and `chrome://tracing`, in microseconds of simulated time.
//!
//! Two processes: the *server* with a track of its rounds, one of what happens at a moment, one of the updates that arrive, and
//! its counters (clients at work, bytes in flight, version of the model); the *clients* with a track each, on which a task
//! holds its download, training and upload. Arrows lead from the server's round to the download of a task and from the
//! upload to the update's arrival.
//!
//! The form is that of the [Trace Event Format]: slices are pairs of `B` and `E` that nest on their track, arrows pairs of
//! `s` and `f`, and times never go back. Perfetto draws an arrow from the slice that starts first to the other one, whatever
//! is written: an update cannot point at the round that waits for it, but must have a slice of its own.
//! `tests/browser/perfetto.mjs` compares what Perfetto reads with the timeline.
//!
//! [Trace Event Format]: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU

mod trace_events;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use self::trace_events::{Place, TraceEvents};
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
    let mut trace = Trace::open();
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
        if let Some(text) = trace.events.take() {
            file.write(&text)?;
        }
    }
    file.write(&trace.close())?;
    file.finish().map(Some)
}

/// The processes.
const SERVER: u32 = 1;
const CLIENTS: u32 = 2;
/// The server's tracks.
const ROUNDS: Place = (SERVER, 1);
const EVENTS: Place = (SERVER, 2);
const UPDATES: Place = (SERVER, 3);

/// A client's track.
fn of_client(client_id: u32) -> Place {
    (CLIENTS, u64::from(client_id) + 1)
}

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

struct Trace {
    events: TraceEvents,
    tasks: BTreeMap<u64, OpenTask>,
    named: BTreeSet<u32>,
    round_is_open: bool,
    now: SimTime,
    counters: Counters,
    /// As written last.
    shown: Option<Counters>,
}

impl Trace {
    fn open() -> Self {
        let mut events = TraceEvents::open(&[(SERVER, "server"), (CLIENTS, "clients")]);
        for (track, name) in [(ROUNDS, "rounds"), (EVENTS, "events"), (UPDATES, "updates")] {
            events.name_track(track, name);
        }
        Self {
            events,
            tasks: BTreeMap::new(),
            named: BTreeSet::new(),
            round_is_open: false,
            now: SimTime::ZERO,
            counters: Counters::default(),
            shown: None,
        }
    }

    /// Ends what is open, as after a run that was killed.
    fn close(mut self) -> Vec<u8> {
        let (time, tasks) = (micros(self.now), std::mem::take(&mut self.tasks));
        for task in tasks.into_values() {
            for _ in 0..=u8::from(task.has_stage) {
                self.events.slice_end(time, of_client(task.client_id));
            }
            self.counters.at_work -= 1;
            self.counters.in_flight -= task.in_flight.get();
        }
        if self.round_is_open {
            self.events.slice_end(time, ROUNDS);
        }
        self.count(time);
        self.events.close()
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
                self.events.slice_begin(time, ROUNDS, &format!("round {round}"), "");
                self.round_is_open = true;
            }
            EventKind::RoundEnd => {
                if std::mem::take(&mut self.round_is_open) {
                    self.events.slice_end(time, ROUNDS);
                }
            }
            EventKind::Aggregate
            | EventKind::Deadline
            | EventKind::Eval
            | EventKind::Checkpoint
            | EventKind::RunStart
            | EventKind::RunEnd
            | EventKind::Online
            | EventKind::Offline
            | EventKind::ServerDown
            | EventKind::ServerUp => {
                if let (EventKind::Aggregate, Some(version)) = (record.event, record.model_version) {
                    self.counters.version = version.into();
                }
                self.events.instant(time, EVENTS, record.event.as_str());
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
        let (time, track) = (micros(record.time), of_client(client_id));
        if record.event == EventKind::Selected {
            self.name_client(client_id);
            let round = record.round.unwrap_or_default();
            let version = record.model_version.unwrap_or_default();
            let args = format!("\"task\":{task_id},\"round\":{round},\"model_version\":{version}");
            self.events.slice_begin(time, track, &format!("task {task_id}"), &args);
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
                // In between rounds nothing is open that it could come from.
                if self.round_is_open {
                    self.events.arrow_end("s", time, 2 * task_id, ROUNDS, "model");
                    self.events.arrow_end("f", time, 2 * task_id, track, "model");
                }
            }
            EventKind::TrainStart => self.begin_stage(&mut task, record, "training"),
            EventKind::UploadStart => self.begin_stage(&mut task, record, "upload"),
            EventKind::DownloadEnd | EventKind::TrainEnd | EventKind::Interrupted => self.end_stage(&mut task, time),
            EventKind::UploadEnd => {
                let args = format!("\"task\":{task_id}");
                self.events.arrow_end("s", time, 2 * task_id + 1, track, "update");
                self.events.slice_begin(time, UPDATES, &format!("of client {client_id}"), &args);
                self.events.arrow_end("f", time, 2 * task_id + 1, UPDATES, "update");
                self.events.slice_end(time, UPDATES);
                is_over = true;
            }
            EventKind::Rejected | EventKind::Dropout => {
                let reason = record.reason.map_or("", |reason| reason.as_str());
                self.events.instant(time, track, &format!("{}: {reason}", record.event.as_str()));
                is_over = true;
            }
            EventKind::Selected
            | EventKind::Accepted
            | EventKind::RunStart
            | EventKind::RoundStart
            | EventKind::Online
            | EventKind::Offline
            | EventKind::ServerDown
            | EventKind::ServerUp
            | EventKind::Deadline
            | EventKind::Aggregate
            | EventKind::Eval
            | EventKind::Checkpoint
            | EventKind::RoundEnd
            | EventKind::RunEnd => {}
        }
        if is_over {
            self.end_stage(&mut task, time);
            self.events.slice_end(time, track);
            self.counters.at_work -= 1;
        } else {
            self.tasks.insert(task_id, task);
        }
    }

    fn begin_stage(&mut self, task: &mut OpenTask, record: &Record, name: &str) {
        let time = micros(record.time);
        self.end_stage(task, time);
        let args = record.bytes.map_or_else(String::new, |bytes| format!("\"bytes\":{}", bytes.get()));
        self.events.slice_begin(time, of_client(task.client_id), name, &args);
        task.has_stage = true;
        task.in_flight = record.bytes.unwrap_or_default();
        self.counters.in_flight += task.in_flight.get();
    }

    fn end_stage(&mut self, task: &mut OpenTask, time: u64) {
        if std::mem::take(&mut task.has_stage) {
            self.events.slice_end(time, of_client(task.client_id));
        }
        self.counters.in_flight -= std::mem::take(&mut task.in_flight).get();
    }

    /// Writes the counters if they have changed.
    fn count(&mut self, time: u64) {
        let now = self.counters;
        let before = self.shown.replace(now);
        let values = |counters: Counters| {
            [
                ("clients", "at work", counters.at_work),
                ("bytes", "in flight", counters.in_flight),
                ("model", "version", counters.version),
            ]
        };
        for (index, (name, part, value)) in values(now).into_iter().enumerate() {
            if before.is_none_or(|before| values(before)[index].2 != value) {
                self.events.counter(time, SERVER, (name, part), value);
            }
        }
    }

    fn name_client(&mut self, client_id: u32) {
        if self.named.insert(client_id) {
            self.events.name_track(of_client(client_id), &format!("client {client_id}"));
        }
    }
}

fn micros(time: SimTime) -> u64 {
    time.as_nanos() / 1000
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::fixture::run;
    use crate::report::read_timeline;

    fn trace(records: impl IntoIterator<Item = Record>) -> Vec<Value> {
        let (mut trace, mut text) = (Trace::open(), Vec::new());
        for record in records {
            trace.on(&record);
            text.extend(trace.events.take().into_iter().flatten());
        }
        text.extend(trace.close());
        let parsed: Value = serde_json::from_slice(&text).unwrap();
        parsed["traceEvents"].as_array().unwrap().clone()
    }

    /// What the format asks for: known phases with their fields, times that never go back, slices that nest, arrows that
    /// start before they end and lie on slices, of which the second does not start before the first, tracks that have names.
    fn check(events: &[Value]) {
        let mut open: BTreeMap<(u64, u64), Vec<u64>> = BTreeMap::new();
        let mut arrows: BTreeMap<u64, (u64, bool)> = BTreeMap::new();
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
                let values = event["args"].as_object().unwrap();
                assert!(values.len() == 1 && values.values().all(Value::is_u64), "{event}");
                continue;
            }
            let place = (process, event["tid"].as_u64().unwrap());
            assert!(named.contains(&place), "{event}");
            let stack = open.entry(place).or_default();
            match phase {
                "B" => stack.push(time),
                "E" => assert!(stack.pop().is_some(), "{event}"),
                "i" => assert_eq!(event["s"], "t"),
                "s" => {
                    let from = (*stack.last().unwrap(), false);
                    assert!(arrows.insert(event["id"].as_u64().unwrap(), from).is_none(), "{event}");
                }
                "f" => {
                    let (from, ends) = arrows.get_mut(&event["id"].as_u64().unwrap()).unwrap();
                    assert!(event["bp"] == "e" && *stack.last().unwrap() >= *from, "{event}");
                    assert!(!std::mem::replace(ends, true), "{event}");
                }
                _ => panic!("{event}"),
            }
            assert!(stack.len() <= 2, "{event}: {stack:?}");
        }
        assert!(open.values().all(Vec::is_empty), "{open:?}");
        assert!(arrows.values().all(|(_, ends)| *ends));
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
        for (name, part) in [("clients", "at work"), ("bytes", "in flight")] {
            let last = events.iter().rev().find(|event| event["ph"] == "C" && event["name"] == name).unwrap();
            assert_eq!(last["args"][part], 0, "{name}");
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
