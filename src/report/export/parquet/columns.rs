//! Columns of a Parquet file, and how rows are written into them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use crate::report::ReportError;
use crate::report::export::GrowingFile;
use crate::report::line::whole_micros;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers from 0 below 2^32.
    U32,
    /// Whole numbers from 0.
    U64,
    Real,
    Text,
}

/// A column: its name, what it holds, and whether fields can be empty.
pub(super) type Column = (String, Kind, Repetition);

/// A field of a row.
pub(super) enum Cell {
    Null,
    Whole(u64),
    Real(f64),
    Text(ByteArray),
}

impl Cell {
    pub(super) fn whole(value: Option<impl Into<u64>>) -> Self {
        value.map_or(Self::Null, |value| Self::Whole(value.into()))
    }

    pub(super) fn real(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Real)
    }

    /// Seconds as the CSV file has them, to the microsecond.
    pub(super) fn seconds(nanos: u64) -> Self {
        Self::Real(whole_micros(nanos) as f64 / 1e6)
    }

    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// Columns that always have a value, and then those that may be empty.
pub(super) fn columns(required: &[(&str, Kind)], optional: &[(&str, Kind)]) -> Vec<Column> {
    let with = |repetition| move |(name, kind): &(&str, Kind)| ((*name).to_owned(), *kind, repetition);
    let required = required.iter().map(with(Repetition::REQUIRED));
    required.chain(optional.iter().map(with(Repetition::OPTIONAL))).collect()
}

/// Rows that are written together.
const GROUP_ROWS: usize = 1 << 17;

/// Writes a table under another name and renames it, so that it is whole or absent.
pub(super) fn write_table<T>(
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
