//! `index.csv` of a sweep's folder: one row for each cell and seed that has ended.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::super::results::write_whole;
use super::super::{ReportError, Summary};
use crate::units::{Bytes, SimTime};

/// The index in a sweep's folder.
pub const INDEX_FILE: &str = "index.csv";

/// The sweep as it was resolved, in a sweep's folder; what makes it one.
pub const SWEEP_LOCK_FILE: &str = "sweep.lock.yaml";

/// Columns before the settings and after them.
const FIRST: [&str; 2] = ["cell", "seed"];
const LAST: [&str; 22] = [
    "status",
    "exit",
    "message",
    "rounds",
    "sim_time_s",
    "best_round",
    "best_validation",
    "final_validation",
    "test",
    "target",
    "target_round",
    "target_time_s",
    "target_bytes",
    "selected",
    "aggregated",
    "late",
    "dropped",
    "rejected",
    "bytes_up",
    "bytes_down",
    "bytes_wasted",
    "energy_j",
];
/// Of the last columns, those that come from the summary.
const N_FIGURES: usize = LAST.len() - 3;

/// How a cell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellStatus {
    /// It was run to its end.
    Ok,
    /// It was run to its end, and an `assert` of the scenario does not hold.
    AssertUnmet,
    /// It could not be run to its end.
    Failed,
}

impl CellStatus {
    const ALL: [Self; 3] = [Self::Ok, Self::AssertUnmet, Self::Failed];

    /// As `index.csv` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::AssertUnmet => "assert_unmet",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for CellStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CellStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is not one of ok, assert_unmet, failed"))
    }
}

/// A row of `index.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexRow {
    /// Name of the cell, also of its folder.
    pub cell: String,
    /// The seed.
    pub seed: u64,
    /// The cell's values of [`SweepIndex::settings`]; empty where it leaves one as it is.
    pub settings: Vec<String>,
    /// How it ended.
    pub status: CellStatus,
    /// The exit code that the run alone would have had.
    pub exit: u8,
    /// Why it failed, or which conditions are unmet; one line.
    pub message: String,
    /// The columns that come from the summary, as written.
    figures: [String; N_FIGURES],
}

impl IndexRow {
    /// A row of a cell that has ended.
    pub fn new(
        (cell, seed): (&str, u64),
        settings: Vec<String>,
        (status, exit, message): (CellStatus, u8, &str),
        summary: Option<&Summary>,
    ) -> Self {
        let figures = summary.map_or_else(Default::default, figures);
        // One line, so that the file stays easy to read.
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { cell: cell.into(), seed, settings, status, exit, message, figures }
    }

    /// The folder of its run inside the sweep's.
    pub fn folder(&self) -> PathBuf {
        run_folder(&self.cell, self.seed)
    }
}

/// The folder of a run inside the sweep's: `cells/<cell>/seed-<n>`.
pub fn run_folder(cell: &str, seed: u64) -> PathBuf {
    Path::new("cells").join(cell).join(format!("seed-{seed}"))
}

fn figures(summary: &Summary) -> [String; N_FIGURES] {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(String::new, |value| value.to_string())
    }
    let seconds = |time: SimTime| format!("{:.6}", (time.as_nanos() as f64 / 1e3).round() / 1e6);
    let (validation, target, updates) = (&summary.validation, &summary.target, &summary.updates);
    [
        summary.rounds.to_string(),
        seconds(summary.sim_time),
        text(validation.as_ref().map(|found| found.best_round)),
        text(validation.as_ref().map(|found| found.best)),
        text(validation.as_ref().map(|found| found.last)),
        text(summary.test.as_ref().map(|test| test.value)),
        text(target.as_ref().map(|target| target.value)),
        text(target.as_ref().and_then(|target| target.reached_round)),
        text(target.as_ref().and_then(|target| target.sim_time).map(seconds)),
        text(target.as_ref().and_then(|target| target.bytes).map(Bytes::get)),
        updates.selected.to_string(),
        updates.aggregated.to_string(),
        updates.late.to_string(),
        updates.n_dropped().to_string(),
        updates.n_rejected().to_string(),
        summary.bytes.up.get().to_string(),
        summary.bytes.down.get().to_string(),
        summary.bytes.wasted.get().to_string(),
        text(summary.energy.map(|energy| energy.total)),
    ]
}

/// What `index.csv` holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SweepIndex {
    /// Dotted paths of the settings that the cells differ in.
    pub settings: Vec<String>,
    /// The rows, in the order of the cells.
    pub rows: Vec<IndexRow>,
}

impl SweepIndex {
    /// Reads `index.csv` of a sweep's folder.
    ///
    /// # Errors
    /// When it cannot be read, or a row is not what it should be.
    pub fn read(folder: &Path) -> Result<Self, ReportError> {
        let path = folder.join(INDEX_FILE);
        let file = std::fs::File::open(&path).map_err(ReportError::read(&path))?;
        let mut reader = csv::Reader::from_reader(file);
        let malformed = |line, message: String| ReportError::Malformed { path: path.clone(), line, message };
        let header = reader.headers().map_err(|error| malformed(1, error.to_string()))?.clone();
        let columns: Vec<&str> = header.iter().collect();
        let n_settings = columns.len().checked_sub(FIRST.len() + LAST.len());
        let n_settings = n_settings.filter(|_| columns.starts_with(&FIRST) && columns.ends_with(&LAST));
        let n_settings =
            n_settings.ok_or_else(|| malformed(1, "the columns are not those of a sweep's index".into()))?;
        let settings = columns[FIRST.len()..][..n_settings].iter().map(|&column| column.into()).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let line_of = |position: Option<&csv::Position>| position.map_or(0, csv::Position::line);
            let record = record.map_err(|error| malformed(line_of(error.position()), error.to_string()))?;
            let row = row(&record, n_settings).map_err(|message| malformed(line_of(record.position()), message))?;
            rows.push(row);
        }
        Ok(Self { settings, rows })
    }

    /// Writes `index.csv` into a sweep's folder, whole: a reader finds the old one or the new one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ReportError> {
        let path = folder.join(INDEX_FILE);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let settings = self.settings.iter().map(String::as_str);
        let mut written = writer.write_record(FIRST.iter().copied().chain(settings).chain(LAST));
        for row in &self.rows {
            let first = [row.cell.clone(), row.seed.to_string()].into_iter();
            let ending = [row.status.to_string(), row.exit.to_string(), row.message.clone()];
            let fields = first.chain(row.settings.clone()).chain(ending).chain(row.figures.clone());
            written = written.and_then(|()| writer.write_record(fields));
        }
        written.map_err(|error| ReportError::write(&path)(error.into()))?;
        let text = writer.into_inner().map_err(|error| ReportError::write(&path)(error.into_error()))?;
        write_whole(&path, &text)
    }
}

fn row(record: &csv::StringRecord, n_settings: usize) -> Result<IndexRow, String> {
    let text = |column: usize| record.get(column).unwrap_or_default();
    let last = FIRST.len() + n_settings;
    let number = |column: &str, text: &str| format!("`{text}` is no value of `{column}`");
    Ok(IndexRow {
        cell: text(0).into(),
        seed: text(1).parse().map_err(|_| number("seed", text(1)))?,
        settings: (FIRST.len()..last).map(|column| text(column).into()).collect(),
        status: text(last).parse()?,
        exit: text(last + 1).parse().map_err(|_| number("exit", text(last + 1)))?,
        message: text(last + 2).into(),
        figures: std::array::from_fn(|figure| text(last + 3 + figure).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;

    #[test]
    fn an_index_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let summary = fixture::run().summary;
        let ok = (CellStatus::Ok, 0, "");
        let failed = (CellStatus::Failed, 1, "no round ended\n  for 30 d, \"at all\"");
        let rows = vec![
            IndexRow::new(("rate=0.1", 7), vec!["0.1".into(), "10 min".into()], ok, Some(&summary)),
            IndexRow::new(("rate=0.2", 8), vec!["0.2".into(), String::new()], failed, None),
        ];
        let index = SweepIndex { settings: vec!["clients.rate".into(), "server.deadline".into()], rows };
        index.write(folder.path()).unwrap();
        assert_eq!(SweepIndex::read(folder.path()).unwrap(), index);
        let text = std::fs::read_to_string(folder.path().join(INDEX_FILE)).unwrap();
        assert!(text.starts_with("cell,seed,clients.rate,server.deadline,status,exit,message,rounds,"), "{text}");
        assert!(text.contains("\nrate=0.1,7,0.1,10 min,ok,0,,8,"), "{text}");
        assert!(text.contains(r#""no round ended for 30 d, ""at all""",,"#), "{text}");
        assert_eq!(index.rows[1].folder(), Path::new("cells/rate=0.2/seed-8"));
    }

    #[test]
    fn a_damaged_index_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(INDEX_FILE);
        let read = || SweepIndex::read(folder.path()).unwrap_err().to_string();
        assert!(read().contains("index.csv`: no such file"));
        std::fs::write(&path, "a,b\n").unwrap();
        assert!(read().contains("index.csv:1: the columns are not those of a sweep's index"));
        let header = FIRST.iter().chain(&LAST).copied().collect::<Vec<_>>().join(",");
        std::fs::write(&path, format!("{header}\na,x,ok,0{}\n", ",".repeat(LAST.len() - 2))).unwrap();
        assert!(read().contains("index.csv:2: `x` is no value of `seed`"), "{}", read());
    }
}
