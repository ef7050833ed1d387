//! Parquet files of the CSVs: the same columns with their types, empty fields as nulls, seconds as doubles.
//!
//! Written column by column in groups of rows, through the low-level writer of the `parquet` crate and without Arrow.

mod columns;

use std::path::{Path, PathBuf};

use self::columns::{Cell, Column, Kind, columns, write_table};
use super::tail_of;
use crate::report::read::{client_rows, rounds_file, timeline_rows};
use crate::report::{ClientRow, ReportError, RoundRow, TimelineRow};

/// Writes `timeline.parquet`, `rounds.parquet` and `clients.parquet` of the run in `directory` into the folder `to`, those
/// whose CSV file is there, and returns their paths.
///
/// # Errors
/// When a file of the run cannot be read or one cannot be written.
pub fn write(directory: &Path, to: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let tail = tail_of(directory);
    let has_rows = |name: &str| directory.join(name).metadata().is_ok_and(|file| file.len() > 0);
    let mut written = Vec::new();
    if has_rows("timeline.csv") {
        let rows = timeline_rows(&directory.join("timeline.csv"), tail)?;
        written.push(write_table(&to.join("timeline.parquet"), &timeline_columns(), rows, timeline_cells)?);
    }
    let rounds = rounds_file(&directory.join("rounds.csv"), tail)?;
    let columns = round_columns(&rounds.metric);
    written.push(write_table(&to.join("rounds.parquet"), &columns, rounds.rows.iter().map(Ok), round_cells)?);
    if has_rows("clients.csv") {
        let mut rows = client_rows(&directory.join("clients.csv"), tail)?.peekable();
        let has_regions = rows.peek().is_some_and(|row| row.as_ref().is_ok_and(|row| row.region.is_some()));
        let columns = client_columns(has_regions);
        written.push(write_table(&to.join("clients.parquet"), &columns, rows, client_cells)?);
    }
    Ok(written)
}

fn timeline_columns() -> Vec<Column> {
    columns(
        &[("seq", Kind::U64), ("sim_time_s", Kind::Real), ("event", Kind::Text)],
        &[
            ("client_id", Kind::U32),
            ("round", Kind::U32),
            ("task_id", Kind::U64),
            ("model_version", Kind::U32),
            ("staleness", Kind::U32),
            ("bytes", Kind::U64),
            ("duration_s", Kind::Real),
            ("reason", Kind::Text),
        ],
    )
}

fn timeline_cells(row: TimelineRow) -> Vec<Cell> {
    let record = row.record;
    vec![
        Cell::Whole(row.seq),
        Cell::seconds(record.time.as_nanos()),
        Cell::text(record.event.as_str()),
        Cell::whole(record.client_id),
        Cell::whole(record.round),
        Cell::whole(record.task_id),
        Cell::whole(record.model_version),
        Cell::whole(record.staleness),
        Cell::whole(record.bytes.map(|bytes| bytes.get())),
        record.duration.map_or(Cell::Null, |duration| Cell::seconds(duration.as_nanos())),
        record.reason.map_or(Cell::Null, |reason| Cell::text(reason.as_str())),
    ]
}

fn round_columns(metric: &str) -> Vec<Column> {
    let mut all = columns(
        &[
            ("round", Kind::U32),
            ("model_version", Kind::U32),
            ("sim_start_s", Kind::Real),
            ("sim_end_s", Kind::Real),
            ("selected", Kind::U32),
            ("completed", Kind::U32),
            ("dropped", Kind::U32),
            ("late", Kind::U32),
            ("stale", Kind::U32),
            ("rejected", Kind::U32),
            ("aggregated", Kind::U32),
        ],
        &[("staleness_mean", Kind::Real)],
    );
    let bytes = ["bytes_down", "bytes_up", "bytes_wasted", "cum_bytes"].map(|name| (name, Kind::U64));
    let eval = format!("eval_{metric}");
    let reals = ["energy_j", "train_loss", "eval_loss", &eval].map(|name| (name, Kind::Real));
    all.extend(columns(&bytes, &reals));
    all
}

fn round_cells(row: &RoundRow) -> Vec<Cell> {
    let counts = [row.selected, row.completed, row.dropped, row.late, row.stale, row.rejected, row.aggregated];
    let bytes = [row.bytes_down, row.bytes_up, row.bytes_wasted, row.cum_bytes];
    let mut cells = vec![
        Cell::Whole(row.round.into()),
        Cell::Whole(row.model_version.into()),
        Cell::seconds(row.sim_start.as_nanos()),
        Cell::seconds(row.sim_end.as_nanos()),
    ];
    cells.extend(counts.map(|n| Cell::Whole(n.into())));
    cells.push(Cell::real(row.staleness_mean));
    cells.extend(bytes.map(|bytes| Cell::Whole(bytes.get())));
    cells.extend([row.energy_j, row.train_loss, row.eval_loss, row.eval_metric].map(Cell::real));
    cells
}

fn client_columns(has_regions: bool) -> Vec<Column> {
    let mut all = columns(
        &[
            ("client_id", Kind::U32),
            ("device_class", Kind::Text),
            ("network_class", Kind::Text),
            ("num_examples", Kind::U64),
            ("selected", Kind::U32),
            ("completed", Kind::U32),
            ("dropped", Kind::U32),
            ("late", Kind::U32),
            ("download_s", Kind::Real),
            ("train_s", Kind::Real),
            ("upload_s", Kind::Real),
            ("bytes_down", Kind::U64),
            ("bytes_up", Kind::U64),
        ],
        &[("energy_j", Kind::Real), ("availability", Kind::Real)],
    );
    if has_regions {
        all.extend(columns(&[("region", Kind::Text)], &[]));
    }
    all
}

fn client_cells(row: ClientRow) -> Vec<Cell> {
    let mut cells = vec![
        Cell::Whole(row.client_id.into()),
        Cell::text(&row.device_class),
        Cell::text(&row.network_class),
        Cell::Whole(row.num_examples),
        Cell::Whole(row.selected.into()),
        Cell::Whole(row.completed.into()),
        Cell::Whole(row.dropped.into()),
        Cell::Whole(row.late.into()),
        Cell::seconds(row.download.as_nanos()),
        Cell::seconds(row.train.as_nanos()),
        Cell::seconds(row.upload.as_nanos()),
        Cell::Whole(row.bytes_down.get()),
        Cell::Whole(row.bytes_up.get()),
        Cell::real(row.energy_j),
        Cell::real(row.availability),
    ];
    cells.extend(row.region.as_deref().map(Cell::text));
    cells
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{Field, Row};

    use super::*;
    use crate::report::ResultsWriter;
    use crate::report::fixture::run;

    /// The rows of a Parquet file as a CSV file has them.
    fn as_csv(path: &Path) -> Vec<Vec<String>> {
        let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
        let text = |field: &Field| match field {
            Field::Null => String::new(),
            Field::UInt(value) => value.to_string(),
            Field::ULong(value) => value.to_string(),
            Field::Double(value) => value.to_string(),
            Field::Str(value) => value.clone(),
            other => panic!("{other:?}"),
        };
        let row = |row: Row| row.get_column_iter().map(|(_, field)| text(field)).collect();
        let header = reader.metadata().file_metadata().schema().get_fields().iter().map(|f| f.name().to_owned());
        let mut rows = vec![header.collect()];
        rows.extend(reader.get_row_iter(None).unwrap().map(|found| row(found.unwrap())));
        rows
    }

    #[test]
    fn the_files_hold_what_the_csv_files_hold() {
        let out = tempfile::tempdir().unwrap();
        let mut writer = ResultsWriter::create(out.path(), "demo", "abcd", "macro_f1").unwrap();
        let run = run();
        run.timeline.iter().for_each(|row| writer.record(&row.record).unwrap());
        run.rounds.iter().for_each(|row| writer.round(row).unwrap());
        run.clients.iter().for_each(|row| writer.client(row).unwrap());
        writer.flush().unwrap();
        let paths = write(writer.directory(), &out.path().join("parquet")).unwrap();
        assert_eq!(paths.len(), 3);
        for path in paths {
            let csv = writer.directory().join(path.with_extension("csv").file_name().unwrap());
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(&csv).unwrap();
            let expected: Vec<Vec<String>> =
                reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
            let found = as_csv(&path);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(expected) {
                    // Numbers are compared as numbers: 1.500000 is 1.5.
                    let is_same = match (found.parse::<f64>(), expected.parse::<f64>()) {
                        (Ok(found), Ok(expected)) => found == expected,
                        _ => found == expected,
                    };
                    assert!(is_same, "{}: {found} is not {expected}", path.display());
                }
            }
        }
    }

    #[test]
    fn a_run_that_cannot_be_read_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let header = "seq,sim_time_s,event,client_id,round,task_id,model_version,staleness,bytes,duration_s,reason";
        std::fs::write(directory.path().join("timeline.csv"), format!("{header}\n0,x,run_start,,,,,,,,\n")).unwrap();
        let message = write(directory.path(), directory.path()).unwrap_err().to_string();
        assert!(message.contains("timeline.csv:2: `x` is no value of `sim_time_s`"), "{message}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
