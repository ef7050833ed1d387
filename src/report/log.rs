//! `log.jsonl`: what became of a run on this machine, one JSON object a line.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::hold::hold;
use super::perf::{Stopwatch, utc_now};
use super::{ReportError, Status};

/// Something that whoever looks at a run the next morning wants to know.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LogEntry {
    /// The run begins, or goes on from a checkpoint.
    Start {
        /// Version of the program.
        straggler: String,
        /// Name of the scenario.
        scenario: String,
        /// SHA-256 of `scenario.lock.yaml`.
        scenario_sha256: String,
        /// Root of every random stream.
        seed: u64,
        /// Training threads; 0 where nothing is trained.
        workers: u32,
        /// Instructions of the matrix product; none where nothing is trained.
        kernel: Option<String>,
        /// Rounds that the run is to have.
        rounds: u32,
        /// The checkpoint that the run goes on from.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<LogCheckpoint>,
    },
    /// What is right and probably not meant, or worth knowing of the inputs.
    Warning {
        /// In words.
        message: String,
    },
    /// The clock has passed the end of a round.
    Round {
        /// The round, from 1.
        round: u32,
        /// Simulated seconds at its end.
        sim_time_s: f64,
        /// Seconds of the host's clock since the round before it ended, or since the run began.
        host_s: f64,
    },
    /// The model that a round made is evaluated, which may be rounds later.
    Evaluation {
        /// The round that made the model.
        round: u32,
        /// Name of the metric.
        metric: String,
        /// Its value on the validation split.
        value: f64,
    },
    /// The state was saved.
    Checkpoint(LogCheckpoint),
    /// The run ended, in good order or not. A run that was killed has none.
    End {
        /// How.
        status: Status,
        /// The exit code of the program, were this its only run.
        exit: u8,
        /// What was wrong, if something was.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
}

/// A saved state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogCheckpoint {
    /// Name of its folder in `checkpoints`.
    pub checkpoint: String,
    /// The round that had ended last.
    pub round: u32,
    /// Simulated seconds.
    pub sim_time_s: f64,
}

/// Appends to the `log.jsonl` of a run, as its clones do. Each entry goes to the file at once. Host time is in this file and in `perf.csv`
/// only.
#[derive(Debug, Clone)]
pub struct RunLog {
    path: PathBuf,
    file: Arc<File>,
    since_start: Stopwatch,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    /// Since this program began or went on with the run.
    elapsed_s: f64,
    #[serde(flatten)]
    entry: &'a LogEntry,
}

impl RunLog {
    /// Opens the log in a run's folder, and begins it where there is none. A line that was cut off is removed. As long as the
    /// log or a clone of it lives, no other program can open it, which keeps two from writing the files of one run.
    ///
    /// # Errors
    /// When it cannot be read or written, or another program has it open: the run is still under way.
    pub fn open(directory: &Path) -> Result<Self, ReportError> {
        let path = directory.join("log.jsonl");
        let opened = File::options().read(true).append(true).create(true).open(&path);
        let mut file = opened.map_err(ReportError::write(&path))?;
        hold(&file, "run", directory)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(ReportError::read(&path))?;
        let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        if whole < content.len() {
            file.set_len(whole as u64).map_err(ReportError::write(&path))?;
        }
        file.seek(SeekFrom::End(0)).map_err(ReportError::write(&path))?;
        Ok(Self { path, file: Arc::new(file), since_start: Stopwatch::start() })
    }

    /// Appends an entry, with date and time.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, entry: &LogEntry) -> Result<(), ReportError> {
        let elapsed_s = (self.since_start.seconds() * 1e3).round() / 1e3;
        let line = Line { time: utc_now(), elapsed_s, entry };
        let mut text = serde_json::to_string(&line).expect("an entry is made of what JSON can hold");
        text.push('\n');
        (&*self.file).write_all(text.as_bytes()).map_err(ReportError::write(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lines(directory: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(directory.join("log.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn entries_are_objects_with_the_time_that_go_on_after_a_line_that_was_cut_off() {
        let run = tempfile::tempdir().unwrap();
        let log = RunLog::open(run.path()).unwrap();
        log.write(&LogEntry::Warning { message: "a \"word\"\nand more".into() }).unwrap();
        let saved = LogCheckpoint { checkpoint: "round-00002".into(), round: 2, sim_time_s: 1.5 };
        log.write(&LogEntry::Checkpoint(saved)).unwrap();
        drop(log);
        let path = run.path().join("log.jsonl");
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{{\"time\":\"2026-")).unwrap();
        let end = LogEntry::End { status: Status::Failed, exit: 1, message: Some("why".into()) };
        RunLog::open(run.path()).unwrap().write(&end).unwrap();

        let lines = lines(run.path());
        assert_eq!(lines.len(), 3);
        for line in &lines {
            let time: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
            assert!(time.as_second() > 1_700_000_000 && line["elapsed_s"].as_f64().unwrap() >= 0.0, "{line}");
        }
        assert_eq!(lines[0]["message"], "a \"word\"\nand more");
        assert_eq!((&lines[1]["event"], &lines[1]["checkpoint"]), (&json!("checkpoint"), &json!("round-00002")));
        assert_eq!((&lines[2]["status"], &lines[2]["exit"]), (&json!("failed"), &json!(1)));
    }

    #[test]
    fn a_log_that_is_open_cannot_be_opened_again() {
        let run = tempfile::tempdir().unwrap();
        let log = RunLog::open(run.path()).unwrap();
        let again = log.clone();
        drop(log);
        let refusal = RunLog::open(run.path()).unwrap_err().to_string();
        assert!(refusal.starts_with("this run is still under way: another straggler writes to `"), "{refusal}");
        drop(again);
        RunLog::open(run.path()).unwrap();
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let end = LogEntry::End { status: Status::Completed, exit: 0, message: None };
        let value = serde_json::to_value(&end).unwrap();
        assert_eq!(value, json!({ "event": "end", "status": "completed", "exit": 0 }));
    }
}
