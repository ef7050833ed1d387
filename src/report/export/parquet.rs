//! Parquet files of the CSVs: the same columns with their types, empty fields as nulls, seconds as doubles.
//!
//! Written column by column in groups of rows, through the low-level writer of the `parquet` crate and without Arrow.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::{GrowingFile, tail_of};
use crate::report::read::{client_rows, rounds_file, timeline_rows};
use crate::report::rows::whole_micros;
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
        let rows = client_rows(&directory.join("clients.csv"), tail)?;
        written.push(write_table(&to.join("clients.parquet"), &client_columns(), rows, client_cells)?);
    }
    Ok(written)
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Whole numbers from 0 below 2^32.
    U32,
    /// Whole numbers from 0.
    U64,
    Real,
    Text,
}

/// A column: its name, what it holds, and whether fields can be empty.
type Column = (String, Kind, Repetition);

/// A field of a row.
enum Cell {
    Null,
    Whole(u64),
    Real(f64),
    Text(ByteArray),
}

impl Cell {
    fn whole(value: Option<impl Into<u64>>) -> Self {
        value.map_or(Self::Null, |value| Self::Whole(value.into()))
    }

    fn real(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Real)
    }

    /// Seconds as the CSV file has them, to the microsecond.
    fn seconds(nanos: u64) -> Self {
        Self::Real(whole_micros(nanos) as f64 / 1e6)
    }

    fn text(text: &str) -> Self {
        Self::Text(text.into())
    }
}

fn columns(required: &[(&str, Kind)], optional: &[(&str, Kind)]) -> Vec<Column> {
    let with = |repetition| move |(name, kind): &(&str, Kind)| ((*name).to_owned(), *kind, repetition);
    let required = required.iter().map(with(Repetition::REQUIRED));
    required.chain(optional.iter().map(with(Repetition::OPTIONAL))).collect()
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

fn client_columns() -> Vec<Column> {
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
        &[("energy_j", Kind::Real)],
    );
    all.extend(columns(&[("availability", Kind::Real)], &[]));
    all
}

fn client_cells(row: ClientRow) -> Vec<Cell> {
    vec![
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
        Cell::Real(row.availability),
    ]
}

/// Rows that are written together.
const GROUP_ROWS: usize = 1 << 17;

fn write_table<T>(
    path: &Path,
    columns: &[Column],
    rows: impl Iterator<Item = Result<T, ReportError>>,
    cells: impl Fn(T) -> Vec<Cell>,
) -> Result<PathBuf, ReportError> {
    let failed = |error: ParquetError| ReportError::write(path)(into_io(error));
    let compression = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let file = GrowingFile::create(path)?;
    let part = file.part.clone();
    let write = || {
        let schema = schema(columns).map_err(failed)?;
        let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        let mut group: Vec<Values> = columns.iter().map(Values::of).collect();
        for row in rows {
            for (values, cell) in group.iter_mut().zip(cells(row?)) {
                values.push(cell);
            }
            if group.first().is_some_and(|values| values.levels.len() >= GROUP_ROWS) {
                write_group(&mut writer, &mut group).map_err(failed)?;
            }
        }
        write_group(&mut writer, &mut group).map_err(failed)?;
        writer.into_inner().map_err(failed)
    };
    let written: Result<GrowingFile, ReportError> = write();
    match written {
        Ok(file) => file.finish(),
        Err(error) => {
            // Best effort: the error that matters is the first one.
            let _ = std::fs::remove_file(part);
            Err(error)
        }
    }
}

fn schema(columns: &[Column]) -> Result<Type, ParquetError> {
    let fields: Result<Vec<_>, ParquetError> = columns
        .iter()
        .map(|(name, kind, repetition)| {
            let (physical, logical) = match kind {
                Kind::U32 => (Physical::INT32, Some(LogicalType::integer(32, false))),
                Kind::U64 => (Physical::INT64, Some(LogicalType::integer(64, false))),
                Kind::Real => (Physical::DOUBLE, None),
                Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            };
            let field = Type::primitive_type_builder(name, physical).with_repetition(*repetition);
            Ok(Arc::new(field.with_logical_type(logical).build()?))
        })
        .collect();
    Type::group_type_builder("schema").with_fields(fields?).build()
}

/// The fields of a column that are not empty, and for each row whether it has one.
struct Values {
    kind: Kind,
    is_optional: bool,
    levels: Vec<i16>,
    whole: Vec<u64>,
    real: Vec<f64>,
    text: Vec<ByteArray>,
}

impl Values {
    fn of((_, kind, repetition): &Column) -> Self {
        let is_optional = *repetition == Repetition::OPTIONAL;
        let (levels, whole, real, text) = Default::default();
        Self { kind: *kind, is_optional, levels, whole, real, text }
    }

    fn push(&mut self, cell: Cell) {
        self.levels.push(i16::from(!matches!(cell, Cell::Null)));
        match cell {
            Cell::Null => assert!(self.is_optional, "only optional columns have empty fields"),
            Cell::Whole(value) => self.whole.push(value),
            Cell::Real(value) => self.real.push(value),
            Cell::Text(value) => self.text.push(value),
        }
    }

    fn clear(&mut self) {
        self.levels.clear();
        self.whole.clear();
        self.real.clear();
        self.text.clear();
    }
}

fn write_group(writer: &mut SerializedFileWriter<GrowingFile>, group: &mut [Values]) -> Result<(), ParquetError> {
    if group.first().is_none_or(|values| values.levels.is_empty()) {
        return Ok(());
    }
    let mut rows = writer.next_row_group()?;
    for values in group.iter_mut() {
        let mut column = rows.next_column()?.expect("there is a column for each of the schema's");
        let levels = values.is_optional.then_some(&values.levels[..]);
        // Numbers without a sign have the bits of those with one.
        match values.kind {
            Kind::U32 => {
                let whole: Vec<i32> = values.whole.iter().map(|value| *value as u32 as i32).collect();
                column.typed::<Int32Type>().write_batch(&whole, levels, None)?
            }
            Kind::U64 => {
                let whole: Vec<i64> = values.whole.iter().map(|value| *value as i64).collect();
                column.typed::<Int64Type>().write_batch(&whole, levels, None)?
            }
            Kind::Real => column.typed::<DoubleType>().write_batch(&values.real, levels, None)?,
            Kind::Text => column.typed::<ByteArrayType>().write_batch(&values.text, levels, None)?,
        };
        column.close()?;
        values.clear();
    }
    rows.close()?;
    Ok(())
}

fn into_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other.to_string()),
    }
}

impl Write for GrowingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
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
