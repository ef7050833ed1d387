//! Reading the CSV files of a run back, for figures, comparisons and tests.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use super::rows::{CLIENT_COLUMNS, REGION_COLUMN, ROUND_COLUMNS, parse_seconds};
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
    rounds_file(path, Tail::Whole)
}

/// `rounds.csv` of a run that may have been killed.
pub(super) fn rounds_file(path: &Path, tail: Tail) -> Result<RoundsFile, ReportError> {
    let mut reader = open(path, tail)?;
    let header = header(path, &mut reader)?;
    let metric = header.last().and_then(|column| column.strip_prefix("eval_")).unwrap_or_default().to_owned();
    check_header(path, &header[..header.len().saturating_sub(1)], &ROUND_COLUMNS)?;
    let rows = rows_by_position(path, reader).collect::<Result<_, _>>()?;
    Ok(RoundsFile { metric, rows })
}

/// Reads `clients.csv`.
///
/// # Errors
/// When the file cannot be read, or a row is not what it should be.
pub fn read_clients(path: &Path) -> Result<Vec<ClientRow>, ReportError> {
    client_rows(path, Tail::Whole)?.collect()
}

/// The rows of `clients.csv` one by one: a run may have a million clients.
pub(super) fn client_rows(
    path: &Path,
    tail: Tail,
) -> Result<impl Iterator<Item = Result<ClientRow, ReportError>> + use<>, ReportError> {
    let mut reader = open(path, tail)?;
    let header = header(path, &mut reader)?;
    let columns = header.strip_suffix(&[REGION_COLUMN.to_owned()]).unwrap_or(&header);
    check_header(path, columns, &CLIENT_COLUMNS)?;
    Ok(rows_by_position(path, reader))
}

/// Reads `timeline.csv`.
///
/// # Errors
/// When the file cannot be read, or a row is not what it should be.
pub fn read_timeline(path: &Path) -> Result<Vec<TimelineRow>, ReportError> {
    timeline_rows(path, Tail::Whole)?.collect()
}

/// The rows of `timeline.csv` one by one, for readers that need only the first of them.
pub(super) fn timeline_rows(
    path: &Path,
    tail: Tail,
) -> Result<impl Iterator<Item = Result<TimelineRow, ReportError>> + use<>, ReportError> {
    let mut reader = open(path, tail)?;
    let header = header(path, &mut reader)?;
    check_header(path, &header, &TIMELINE_COLUMNS)?;
    let path = path.to_owned();
    Ok(reader.into_records().map(move |record| {
        let record = record.map_err(|error| malformed(&path, &error))?;
        let line = record.position().map_or(0, csv::Position::line);
        timeline_row(&record).map_err(|message| ReportError::Malformed { path: path.clone(), line, message })
    }))
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

/// How a file may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// With a whole row.
    Whole,
    /// Within a row, which is then left out: the run was killed while it wrote.
    MayBeCut,
}

type Reader = csv::Reader<std::io::Take<std::fs::File>>;

fn open(path: &Path, tail: Tail) -> Result<Reader, ReportError> {
    let open = || {
        let mut file = std::fs::File::open(path)?;
        let length = match tail {
            Tail::Whole => u64::MAX,
            Tail::MayBeCut => whole_rows(&mut file)?,
        };
        Ok(file.take(length))
    };
    let file = open().map_err(ReportError::read(path))?;
    Ok(csv::ReaderBuilder::new().buffer_capacity(1 << 18).from_reader(file))
}

/// The length of the file up to its last end of a line.
fn whole_rows(file: &mut std::fs::File) -> std::io::Result<u64> {
    const BLOCK: u64 = 4096;
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        file.by_ref().take(end - start).read_to_end(&mut block)?;
        if let Some(position) = block.iter().rposition(|byte| *byte == b'\n') {
            end = start + position as u64 + 1;
            break;
        }
        end = start;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(end)
}

fn header(path: &Path, reader: &mut Reader) -> Result<Vec<String>, ReportError> {
    let header = reader.headers().map_err(|error| malformed(path, &error))?;
    Ok(header.iter().map(str::to_owned).collect())
}

/// The rows, taken by position, as the name of the metric's column varies.
fn rows_by_position<T: DeserializeOwned>(
    path: &Path,
    reader: Reader,
) -> impl Iterator<Item = Result<T, ReportError>> + use<T> {
    let path = path.to_owned();
    reader.into_records().map(move |record| {
        let row = record.and_then(|record| record.deserialize(None));
        row.map_err(|error| malformed(&path, &error))
    })
}

fn check_header(path: &Path, found: &[String], expected: &[&str]) -> Result<(), ReportError> {
    if found == expected {
        return Ok(());
    }
    if found.is_empty() {
        let message = "the file is empty: the run ended before it wrote anything".to_owned();
        return Err(ReportError::Malformed { path: path.into(), line: 1, message });
    }
    let message = format!("the columns are `{}`, not `{}`", found.join(","), expected.join(","));
    Err(ReportError::Malformed { path: path.into(), line: 1, message })
}

fn malformed(path: &Path, error: &csv::Error) -> ReportError {
    let line = error.position().map_or(0, csv::Position::line);
    ReportError::Malformed { path: path.into(), line, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::run;
    use super::super::{ResultsWriter, check};
    use super::*;

    #[test]
    fn what_is_written_reads_back_to_the_microsecond() {
        let out = tempfile::tempdir().unwrap();
        let mut writer = ResultsWriter::create(out.path(), "demo", "abcd", "accuracy").unwrap();
        let run = run();
        for row in &run.timeline {
            writer.record(&row.record).unwrap();
        }
        for row in &run.rounds {
            writer.round(row).unwrap();
        }
        for row in &run.clients {
            writer.client(row).unwrap();
        }
        writer.flush().unwrap();
        writer.summary(&run.summary).unwrap();
        let directory = writer.directory();

        let micros = |time: SimTime| SimTime::from_nanos((time.as_nanos() + 500) / 1000 * 1000);
        let rounds = read_rounds(&directory.join("rounds.csv")).unwrap();
        assert_eq!(rounds.metric, "accuracy");
        for (read, written) in rounds.rows.iter().zip(&run.rounds) {
            let expected =
                RoundRow { sim_start: micros(written.sim_start), sim_end: micros(written.sim_end), ..written.clone() };
            assert_eq!(*read, expected);
        }
        let timeline = read_timeline(&directory.join("timeline.csv")).unwrap();
        assert_eq!(timeline.len(), run.timeline.len());
        assert_eq!(timeline[9].record.event, run.timeline[9].record.event);
        assert_eq!(timeline[9].record.time, micros(run.timeline[9].record.time));
        let clients = read_clients(&directory.join("clients.csv")).unwrap();
        assert_eq!(clients.len(), run.clients.len());
        assert_eq!(*clients[0].device_class, *"phone, high");
        assert_eq!(check::violations_in(directory).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_columns_are_those_of_the_format() {
        let out = tempfile::tempdir().unwrap();
        let mut writer = ResultsWriter::create(out.path(), "demo", "abcd", "macro_f1").unwrap();
        writer.flush().unwrap();
        let header = |name: &str| std::fs::read_to_string(writer.directory().join(name)).unwrap();
        assert_eq!(
            header("rounds.csv"),
            "round,model_version,sim_start_s,sim_end_s,selected,completed,dropped,late,stale,rejected,aggregated,\
             staleness_mean,bytes_down,bytes_up,bytes_wasted,cum_bytes,energy_j,train_loss,eval_loss,eval_macro_f1\n"
        );
        assert_eq!(
            header("clients.csv"),
            "client_id,device_class,network_class,num_examples,selected,completed,dropped,late,download_s,train_s,\
             upload_s,bytes_down,bytes_up,energy_j,availability\n"
        );
        assert_eq!(
            header("perf.csv"),
            "round,host_s,train_s,eval_s,wait_s,events,events_per_s,workers,jobs,inline_jobs,cancelled_jobs,\
             peak_rss_mib\n"
        );
    }

    #[test]
    fn regions_are_a_last_column_where_there_are_any() {
        let out = tempfile::tempdir().unwrap();
        let mut writer = ResultsWriter::create(out.path(), "demo", "abcd", "accuracy").unwrap();
        writer.add_regions().unwrap();
        let row = &run().clients[0];
        let rows = [(Some(0.5), "north"), (None, "south, far")].map(|(availability, region)| ClientRow {
            availability,
            region: Some(region.into()),
            ..row.clone()
        });
        rows.iter().for_each(|row| writer.client(row).unwrap());
        writer.flush().unwrap();
        let path = writer.directory().join("clients.csv");
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with(",energy_j,availability,region"), "{text}");
        assert!(lines[1].ends_with(",0.5,north") && lines[2].ends_with(",,\"south, far\""), "{text}");
        let told = read_clients(&path).unwrap().into_iter().map(|row| (row.availability, row.region));
        assert!(told.eq(rows.into_iter().map(|row| (row.availability, row.region))), "{text}");
    }

    #[test]
    fn the_last_row_of_a_killed_run_may_be_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("timeline.csv");
        let header = TIMELINE_COLUMNS.join(",");
        std::fs::write(&path, format!("{header}\n0,0.000000,run_start,,,,,,,,\n1,1.0,los")).unwrap();
        assert!(read_timeline(&path).is_err());
        let rows: Vec<_> = timeline_rows(&path, Tail::MayBeCut).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(rows.len(), 1);
        // Longer than the block that is looked at first, and without any end of a line.
        for (text, length) in [(format!("a\n{}", "x".repeat(9000)), 2), ("x".repeat(9000), 0), (String::new(), 0)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(whole_rows(&mut std::fs::File::open(&path).unwrap()).unwrap(), length);
        }
    }

    #[test]
    fn a_broken_file_is_named_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("timeline.csv");
        let header = TIMELINE_COLUMNS.join(",");
        std::fs::write(&path, format!("{header}\n0,0.000000,run_start,,,,,,,,\n1,1.0,lost,,,,,,,,\n")).unwrap();
        let message = read_timeline(&path).unwrap_err().to_string();
        assert!(message.contains("timeline.csv:3: `lost` is not one of run_start"), "{message}");
        std::fs::write(&path, "seq,time\n").unwrap();
        let message = read_timeline(&path).unwrap_err().to_string();
        assert!(message.contains("timeline.csv:1: the columns are `seq,time`, not"), "{message}");
        let message = read_rounds(&directory.path().join("rounds.csv")).unwrap_err().to_string();
        assert!(message.contains("rounds.csv`: no such file"), "{message}");
    }
}
