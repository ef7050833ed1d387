//! Reading the CSV files of a run back, for figures, comparisons and tests.

use std::path::Path;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use super::rows::{CLIENT_COLUMNS, ROUND_COLUMNS, parse_seconds};
use super::timeline::TIMELINE_COLUMNS;
use super::{ClientRow, Record, ReportError, RoundRow};
use crate::units::{Bytes, SimDuration, SimTime};

/// What `rounds.csv` holds.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundsFile {
    /// Name of the metric in the last column.
    pub metric: String,
    /// Its rows.
    pub rows: Vec<RoundRow>,
}

/// A row of `timeline.csv`; times are to the microsecond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimelineRow {
    /// Its number, from 0.
    pub seq: u64,
    /// What it says.
    pub record: Record,
}

/// Reads `rounds.csv`.
///
/// # Errors
/// When the file cannot be read, or a row is not what it should be.
pub fn read_rounds(path: &Path) -> Result<RoundsFile, ReportError> {
    let (header, rows) = read_table(path)?;
    let metric = header.last().and_then(|column| column.strip_prefix("eval_")).unwrap_or_default().to_owned();
    check_header(path, &header[..header.len().saturating_sub(1)], &ROUND_COLUMNS)?;
    Ok(RoundsFile { metric, rows })
}

/// Reads `clients.csv`.
///
/// # Errors
/// When the file cannot be read, or a row is not what it should be.
pub fn read_clients(path: &Path) -> Result<Vec<ClientRow>, ReportError> {
    let (header, rows) = read_table(path)?;
    check_header(path, &header, &CLIENT_COLUMNS)?;
    Ok(rows)
}

/// Reads `timeline.csv`.
///
/// # Errors
/// When the file cannot be read, or a row is not what it should be.
pub fn read_timeline(path: &Path) -> Result<Vec<TimelineRow>, ReportError> {
    let mut reader = open(path, true)?;
    let header = header(path, &mut reader)?;
    check_header(path, &header, &TIMELINE_COLUMNS)?;
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| malformed(path, &error))? {
        let line = record.position().map_or(0, csv::Position::line);
        let row = timeline_row(&record);
        rows.push(row.map_err(|message| ReportError::Malformed { path: path.into(), line, message })?);
    }
    Ok(rows)
}

fn timeline_row(record: &csv::StringRecord) -> Result<TimelineRow, String> {
    let [seq, time, event, client_id, round, task_id, model_version, staleness, bytes, duration, reason] =
        std::array::from_fn(|column| record.get(column).unwrap_or_default());
    Ok(TimelineRow {
        seq: field("seq", seq)?.ok_or("`seq` is empty")?,
        record: Record {
            time: seconds("sim_time_s", time)?.map(SimTime::from_nanos).ok_or("`sim_time_s` is empty")?,
            event: event.parse()?,
            client_id: field("client_id", client_id)?,
            round: field("round", round)?,
            task_id: field("task_id", task_id)?,
            model_version: field("model_version", model_version)?,
            staleness: field("staleness", staleness)?,
            bytes: field("bytes", bytes)?.map(Bytes::new),
            duration: seconds("duration_s", duration)?.map(SimDuration::from_nanos),
            reason: if reason.is_empty() { None } else { Some(reason.parse()?) },
        },
    })
}

fn field<T: FromStr>(column: &str, text: &str) -> Result<Option<T>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("`{text}` is no value of `{column}`"))
}

fn seconds(column: &str, text: &str) -> Result<Option<u64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    parse_seconds(text).map(Some).ok_or_else(|| format!("`{text}` is no value of `{column}`"))
}

type Reader = csv::Reader<std::fs::File>;

fn open(path: &Path, has_headers: bool) -> Result<Reader, ReportError> {
    let file = std::fs::File::open(path).map_err(ReportError::read(path))?;
    Ok(csv::ReaderBuilder::new().has_headers(has_headers).from_reader(file))
}

fn header(path: &Path, reader: &mut Reader) -> Result<Vec<String>, ReportError> {
    let header = reader.headers().map_err(|error| malformed(path, &error))?;
    Ok(header.iter().map(str::to_owned).collect())
}

/// Header and rows; the rows are taken by position, as the name of the metric's column varies.
fn read_table<T: DeserializeOwned>(path: &Path) -> Result<(Vec<String>, Vec<T>), ReportError> {
    let mut reader = open(path, true)?;
    let header = header(path, &mut reader)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| malformed(path, &error))?;
        rows.push(record.deserialize(None).map_err(|error| malformed(path, &error))?);
    }
    Ok((header, rows))
}

fn check_header(path: &Path, found: &[String], expected: &[&str]) -> Result<(), ReportError> {
    if found == expected {
        return Ok(());
    }
    let message = format!("the columns are `{}`, not `{}`", found.join(","), expected.join(","));
    Err(ReportError::Malformed { path: path.into(), line: 1, message })
}

fn malformed(path: &Path, error: &csv::Error) -> ReportError {
    let line = error.position().map_or(0, csv::Position::line);
    ReportError::Malformed { path: path.into(), line, message: error.to_string() }
}
