//! Which columns hold what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::known::Known;
use crate::registry::Problem;

/// Names of columns (TSV and CSV header, JSONL keys, columns of parquet files). One that is absent is what the data set is
/// known for, else as each says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnsConfig {
    /// The (first) text. Default: `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The second text of a pair; `""` for none where the data set is known for one. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// The picture, in a data set of pictures on the hub. Default: its only column of pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The label: a name, or its 0-based number. Default: `label`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// The columns that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnNames {
    /// That of the (first) text.
    pub(super) text: String,
    /// That of the second text.
    pub(super) text_pair: Option<String>,
    /// That of the picture; none: the only one that holds pictures.
    pub(super) image: Option<String>,
    /// That of the label.
    pub(super) label: String,
}

impl ColumnNames {
    /// Each as written, else as the data set is known for, else by its default.
    pub(super) fn resolved(written: Option<&ColumnsConfig>, known: Option<&Known>) -> Self {
        let written = written.cloned().unwrap_or_default();
        let of_known = || known.map_or("text", |known| known.text).to_string();
        let text_pair = written.text_pair.or_else(|| known?.text_pair.map(String::from));
        Self {
            text: written.text.unwrap_or_else(of_known),
            text_pair: text_pair.filter(|name| !name.is_empty()),
            image: written.image,
            label: written.label.unwrap_or_else(|| "label".into()),
        }
    }

    /// What is wrong with them, by their settings below `columns`; of those that are `written` also the names.
    pub(super) fn problems(&self, written: &ColumnsConfig) -> Vec<Problem> {
        let columns = [
            ("text", written.text.is_some(), Some(&self.text)),
            ("text_pair", written.text_pair.is_some(), self.text_pair.as_ref()),
            ("image", written.image.is_some(), self.image.as_ref()),
            ("label", written.label.is_some(), Some(&self.label)),
        ];
        let mut problems = Vec::new();
        for (i, (key, is_written, name)) in columns.iter().enumerate() {
            let Some(name) = name else { continue };
            if name.is_empty() {
                problems.push(Problem::new(format!("columns.{key}"), "the name is empty"));
            } else if let Some((earlier, earlier_is_written, _)) =
                columns[..i].iter().find(|(_, _, other)| *other == Some(name))
            {
                // At the one that the scenario has.
                let (at, other) = if *is_written || !earlier_is_written { (key, earlier) } else { (earlier, key) };
                let message = format!("`{name}` is already the column of `{other}`");
                problems.push(Problem::new(format!("columns.{at}"), message));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use crate::data::DatasetConfig;

    fn config(columns: serde_json::Value) -> DatasetConfig {
        let config = serde_json::json!({ "name": "nyu-mll/glue", "config": "rte", "columns": columns });
        serde_json::from_value(config).expect("well-formed")
    }

    #[test]
    fn what_is_not_written_is_as_the_data_set_is_known_for() {
        let names = |columns| {
            let names = config(columns).columns();
            (names.text, names.text_pair, names.label)
        };
        let pair = || Some("sentence2".to_string());
        assert_eq!(names(serde_json::json!({})), ("sentence1".into(), pair(), "label".into()));
        assert_eq!(names(serde_json::json!({ "text": "premise" })), ("premise".into(), pair(), "label".into()));
        assert_eq!(names(serde_json::json!({ "label": "gold" })), ("sentence1".into(), pair(), "gold".into()));
        assert_eq!(names(serde_json::json!({ "text_pair": "" })), ("sentence1".into(), None, "label".into()));
        let files = serde_json::json!({ "files": { "train": "a.tsv" }, "columns": { "label": "y" } });
        let files: DatasetConfig = serde_json::from_value(files).expect("well-formed");
        assert_eq!((files.columns().text, files.columns().text_pair), ("text".into(), None));
    }

    #[test]
    fn one_column_for_two_things_is_told_where_it_is_written() {
        let paths = |columns| -> Vec<String> { config(columns).problems().into_iter().map(|one| one.path).collect() };
        assert_eq!(paths(serde_json::json!({ "text": "sentence1" })), [""; 0]);
        assert_eq!(paths(serde_json::json!({ "text": "sentence2" })), ["columns.text"]);
        assert_eq!(paths(serde_json::json!({ "text": "sentence2", "text_pair": "" })), [""; 0]);
        assert_eq!(
            paths(serde_json::json!({ "text": "", "text_pair": "label" })),
            ["columns.text", "columns.text_pair"]
        );
    }
}
