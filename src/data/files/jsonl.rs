//! One JSON object per line.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Columns, GROUP_SETTING, Problems, RawRow, bytes};

/// The rows; bad ones are reported.
pub(super) fn rows(path: &Path, content: &[u8], columns: &Columns<'_>, problems: &mut Problems) -> Vec<RawRow> {
    let mut rows = Vec::new();
    for (number, line) in bytes::lines(content) {
        match line.and_then(|line| row(number, line, columns)) {
            Ok(row) => rows.push(row),
            Err(what) => problems.of_line(path, number, what),
        }
    }
    rows
}

fn row(number: u64, line: &str, columns: &Columns<'_>) -> Result<RawRow, String> {
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
            format!("no key `{key}` (there are: {keys}); set dataset.{setting}")
        })
    };
    let text = |setting: &str, key: &str| match value(setting, key)? {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("`{key}` is {other}, not a text")),
    };
    let names = columns.names;
    let label = match value("columns.label", &names.label)? {
        Value::String(label) => label.clone(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        other => return Err(format!("`{}` is {other}, not a label's name or number", names.label)),
    };
    let text_pair = names.text_pair.as_ref().map(|key| text("columns.text_pair", key)).transpose()?;
    let group = columns.group.map(|key| match value(GROUP_SETTING, key)? {
        Value::String(name) => Ok(name.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("`{key}` is {other}, not a name or number")),
    });
    let row = RawRow::new(number, text("columns.text", &names.text)?, text_pair, label)?;
    row.in_group(columns, group.transpose()?)
}

/// The parser's words without its position, which counts lines within this line.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_string()
}
