//! One JSON object per line.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Problems, RawRow, bytes};
use crate::data::ColumnsConfig;

/// The rows; bad ones are reported.
pub(super) fn rows(path: &Path, content: &[u8], columns: &ColumnsConfig, problems: &mut Problems) -> Vec<RawRow> {
    let mut rows = Vec::new();
    for (number, line) in bytes::lines(content) {
        match line.and_then(|line| row(number, line, columns)) {
            Ok(row) => rows.push(row),
            Err(what) => problems.of_line(path, number, what),
        }
    }
    rows
}

fn row(number: u64, line: &str, columns: &ColumnsConfig) -> Result<RawRow, String> {
    if line.trim().is_empty() {
        return Err("the line is blank".into());
    }
    let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| match error.column() {
        0 => format!("not a JSON object: {}", reason(&error)),
        column => format!("not a JSON object, see column {column}: {}", reason(&error)),
    })?;
    let value = |setting: &str, key: &str| {
        object.get(key).ok_or_else(|| {
            let keys = object.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("no key `{key}` (there are: {keys}); set dataset.columns.{setting}")
        })
    };
    let text = |setting: &str, key: &str| match value(setting, key)? {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("`{key}` is {other}, not a text")),
    };
    let label = match value("label", &columns.label)? {
        Value::String(label) => label.clone(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        other => return Err(format!("`{}` is {other}, not a label's name or number", columns.label)),
    };
    let text_pair = columns.text_pair.as_ref().map(|key| text("text_pair", key)).transpose()?;
    RawRow::new(number, text("text", &columns.text)?, text_pair, label)
}

/// The parser's words without its position, which counts lines within this line.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_string()
}
