//! Parquet, as the hub keeps data sets.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::Value;

use super::{Columns, Problems, RawRow, group_named};

/// The rows, and the names of the labels where the file tells them; bad rows are reported with their number from 1.
pub(super) fn rows(path: &Path, columns: &Columns<'_>, problems: &mut Problems) -> (Vec<RawRow>, Option<Vec<String>>) {
    let Some(table) = Table::open(path, problems) else { return (Vec::new(), None) };
    // Each is looked for, so that all that are missing are reported.
    let wanted = columns.wanted().map(|(setting, name)| table.plain_column(setting, name, problems));
    let wanted: Vec<Option<Arc<Type>>> = wanted.collect();
    let mut rows = Vec::new();
    if let Some(wanted) = wanted.into_iter().collect::<Option<Vec<_>>>() {
        table.read(wanted, problems, |number, row| {
            rows.push(raw_row(number, row, columns)?);
            Ok(())
        });
    }
    (rows, table.class_labels(&columns.names.label))
}

/// An open file.
pub(in crate::data) struct Table {
    path: PathBuf,
    reader: SerializedFileReader<File>,
}

impl Table {
    /// Opens a file; `None` with a problem reported when it cannot be.
    pub(in crate::data) fn open(path: &Path, problems: &mut Problems) -> Option<Self> {
        match File::open(path).map_err(ParquetError::from).and_then(SerializedFileReader::new) {
            Ok(reader) => Some(Self { path: path.into(), reader }),
            Err(error) => {
                problems.of_file(path, format!("cannot be read as parquet: {error}"));
                None
            }
        }
    }

    /// The columns.
    pub(in crate::data) fn columns(&self) -> &[Arc<Type>] {
        self.reader.metadata().file_metadata().schema().get_fields()
    }

    /// The column that the setting `dataset.<setting>` names; `None` with a problem reported when there is none.
    pub(in crate::data) fn column(&self, setting: &str, name: &str, problems: &mut Problems) -> Option<Arc<Type>> {
        let found = self.columns().iter().find(|field| field.name() == name).cloned();
        if found.is_none() {
            let listed = self.columns().iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
            let mut what = format!("no column `{name}` (there are: {listed}); set dataset.{setting}");
            let pictures = self.columns().iter().find(|column| holds_pictures(column));
            if let Some(pictures) = pictures.filter(|_| setting == "columns.text") {
                what += &format!(", or name a ViT for the pictures of `{}`", pictures.name());
            }
            problems.of_file(&self.path, what);
        }
        found
    }

    /// Such a column of single values.
    pub(in crate::data) fn plain_column(
        &self,
        setting: &str,
        name: &str,
        problems: &mut Problems,
    ) -> Option<Arc<Type>> {
        let column = self.column(setting, name, problems)?;
        if !column.is_primitive() {
            let what = format!("column `{name}` holds lists or records; set dataset.{setting}");
            problems.of_file(&self.path, what);
            return None;
        }
        Some(column)
    }

    /// The names of the classes that the `datasets` library wrote into the file's metadata.
    pub(in crate::data) fn class_labels(&self, column: &str) -> Option<Vec<String>> {
        let metadata = self.reader.metadata().file_metadata().key_value_metadata()?;
        let value = metadata.iter().find(|entry| entry.key == "huggingface")?.value.as_ref()?;
        let value: Value = serde_json::from_str(value).ok()?;
        let feature = &value["info"]["features"][column];
        if feature["_type"] != "ClassLabel" {
            return None;
        }
        feature["names"].as_array()?.iter().map(|name| Some(name.as_str()?.to_string())).collect()
    }

    /// Gives these columns of every row to `take`, with the row's number from 1; what it refuses is reported.
    pub(in crate::data) fn read(
        &self,
        columns: Vec<Arc<Type>>,
        problems: &mut Problems,
        mut take: impl FnMut(u64, &Row) -> Result<(), String>,
    ) {
        let name = self.reader.metadata().file_metadata().schema().name();
        let mut chosen: Vec<Arc<Type>> = Vec::with_capacity(columns.len());
        for column in columns {
            // One column may serve for two things.
            if chosen.iter().all(|other| other.name() != column.name()) {
                chosen.push(column);
            }
        }
        let chosen = Type::group_type_builder(name).with_fields(chosen).build();
        let rows = match chosen.and_then(|chosen| self.reader.get_row_iter(Some(chosen))) {
            Ok(rows) => rows,
            Err(error) => return problems.of_file(&self.path, format!("cannot be read as parquet: {error}")),
        };
        for (number, row) in (1..).zip(rows) {
            match row.map(|row| take(number, &row)) {
                Ok(Ok(())) => {}
                Ok(Err(what)) => problems.of_line(&self.path, number, what),
                Err(error) => {
                    let what = format!("the rest cannot be read, the file is damaged: {error}");
                    return problems.of_line(&self.path, number, what);
                }
            }
        }
    }
}

/// The child of a column of pictures that holds their files.
pub(in crate::data) const PICTURE_BYTES: &str = "bytes";

/// Whether a column holds pictures as the `datasets` library writes them: records `{bytes, path}`.
pub(in crate::data) fn holds_pictures(column: &Type) -> bool {
    column.is_group() && column.get_fields().iter().any(|child| child.name() == PICTURE_BYTES && child.is_primitive())
}

/// The value of a column.
pub(in crate::data) fn field<'a>(row: &'a Row, name: &str) -> Result<&'a Field, String> {
    let found = row.get_column_iter().find(|(other, _)| *other == name).map(|(_, field)| field);
    found.ok_or_else(|| format!("no column `{name}`"))
}

/// The label in a column, as it is written.
pub(in crate::data) fn label(row: &Row, name: &str) -> Result<String, String> {
    single(row, name, "a label's name or number")
}

/// The natural client in a column.
pub(in crate::data) fn group(row: &Row, name: &str) -> Result<String, String> {
    group_named(name, &single(row, name, "a name or number")?)
}

fn single(row: &Row, name: &str, wanted: &str) -> Result<String, String> {
    match field(row, name)? {
        Field::Str(text) => Ok(text.clone()),
        Field::Bool(value) => Ok(u8::from(*value).to_string()),
        Field::Byte(value) => Ok(value.to_string()),
        Field::Short(value) => Ok(value.to_string()),
        Field::Int(value) => Ok(value.to_string()),
        Field::Long(value) => Ok(value.to_string()),
        Field::UByte(value) => Ok(value.to_string()),
        Field::UShort(value) => Ok(value.to_string()),
        Field::UInt(value) => Ok(value.to_string()),
        Field::ULong(value) => Ok(value.to_string()),
        Field::Null => Err(format!("`{name}` is null")),
        other => Err(format!("`{name}` is {other}, not {wanted}")),
    }
}

fn raw_row(number: u64, row: &Row, columns: &Columns<'_>) -> Result<RawRow, String> {
    let text = |name: &str| match field(row, name)? {
        Field::Str(text) => Ok(text.clone()),
        Field::Bytes(bytes) => Ok(bytes.as_utf8().map_err(|error| error.to_string())?.to_string()),
        Field::Null => Err(format!("`{name}` is null")),
        other => Err(format!("`{name}` is {other}, not a text")),
    };
    let names = columns.names;
    let text_pair = names.text_pair.as_ref().map(|name| text(name)).transpose()?;
    let group = columns.group.map(|name| group(row, name)).transpose()?;
    RawRow::new(number, text(&names.text)?, text_pair, label(row, &names.label)?)?.in_group(columns, group)
}
