//! Parquet, as the hub keeps data sets.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::Value;

use super::{Problems, RawRow};
use crate::data::ColumnsConfig;

/// The rows, and the names of the labels where the file tells them; bad rows are reported with their number from 1.
pub(super) fn rows(
    path: &Path,
    columns: &ColumnsConfig,
    problems: &mut Problems,
) -> (Vec<RawRow>, Option<Vec<String>>) {
    let opened = File::open(path).map_err(ParquetError::from).and_then(SerializedFileReader::new);
    let reader = match opened {
        Ok(reader) => reader,
        Err(error) => {
            problems.of_file(path, format!("cannot be read as parquet: {error}"));
            return (Vec::new(), None);
        }
    };
    let projection = match projection(&reader, columns) {
        Ok(projection) => projection,
        Err(all) => {
            all.into_iter().for_each(|what| problems.of_file(path, what));
            return (Vec::new(), None);
        }
    };
    let labels = class_labels(&reader, &columns.label);
    let mut rows = Vec::new();
    let found = match reader.get_row_iter(Some(projection)) {
        Ok(found) => found,
        Err(error) => {
            problems.of_file(path, format!("cannot be read as parquet: {error}"));
            return (rows, labels);
        }
    };
    for (number, row) in (1..).zip(found) {
        match row {
            Ok(row) => match raw_row(number, &row, columns) {
                Ok(row) => rows.push(row),
                Err(what) => problems.of_line(path, number, what),
            },
            Err(error) => {
                problems.of_line(path, number, format!("the rest cannot be read, the file is damaged: {error}"));
                break;
            }
        }
    }
    (rows, labels)
}

/// The schema with the wanted columns alone, or what is wrong with them.
fn projection(reader: &SerializedFileReader<File>, columns: &ColumnsConfig) -> Result<Type, Vec<String>> {
    let schema = reader.metadata().file_metadata().schema();
    let names: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
    let wanted =
        [("text", Some(&columns.text)), ("text_pair", columns.text_pair.as_ref()), ("label", Some(&columns.label))];
    let mut problems = Vec::new();
    let mut fields = Vec::new();
    for (setting, name) in wanted.into_iter().filter_map(|(setting, name)| Some((setting, name?))) {
        match schema.get_fields().iter().find(|field| field.name() == name) {
            Some(field) if field.is_primitive() => fields.push(field.clone()),
            Some(_) => problems.push(format!("column `{name}` holds lists or records; set dataset.columns.{setting}")),
            None => {
                let listed = names.join(", ");
                problems.push(format!("no column `{name}` (there are: {listed}); set dataset.columns.{setting}"));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let build = |fields: Vec<Arc<Type>>| Type::group_type_builder(schema.name()).with_fields(fields).build();
    build(fields).map_err(|error| vec![error.to_string()])
}

/// The names of the classes that the `datasets` library wrote into the file's metadata.
fn class_labels(reader: &SerializedFileReader<File>, column: &str) -> Option<Vec<String>> {
    let metadata = reader.metadata().file_metadata().key_value_metadata()?;
    let value = metadata.iter().find(|entry| entry.key == "huggingface")?.value.as_ref()?;
    let value: Value = serde_json::from_str(value).ok()?;
    let feature = &value["info"]["features"][column];
    if feature["_type"] != "ClassLabel" {
        return None;
    }
    feature["names"].as_array()?.iter().map(|name| Some(name.as_str()?.to_string())).collect()
}

fn raw_row(number: u64, row: &Row, columns: &ColumnsConfig) -> Result<RawRow, String> {
    let field = |name: &str| {
        let found = row.get_column_iter().find(|(other, _)| *other == name).map(|(_, field)| field);
        found.ok_or_else(|| format!("no column `{name}`"))
    };
    let text = |name: &str| match field(name)? {
        Field::Str(text) => Ok(text.clone()),
        Field::Bytes(bytes) => Ok(bytes.as_utf8().map_err(|error| error.to_string())?.to_string()),
        Field::Null => Err(format!("`{name}` is null")),
        other => Err(format!("`{name}` is {other}, not a text")),
    };
    let label = match field(&columns.label)? {
        Field::Str(text) => text.clone(),
        Field::Bool(value) => u8::from(*value).to_string(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Null => return Err(format!("`{}` is null", columns.label)),
        other => return Err(format!("`{}` is {other}, not a label's name or number", columns.label)),
    };
    let text_pair = columns.text_pair.as_ref().map(|name| text(name)).transpose()?;
    RawRow::new(number, text(&columns.text)?, text_pair, label)
}
