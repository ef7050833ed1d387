//! What the scenario says about the data set.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PartitionConfig;

/// The data set: `dataset`. Exactly one of `name` and `files`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetConfig {
    /// A built-in data set, such as `builtin:intents`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Own files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesConfig>,
    /// Which columns of own files hold what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<ColumnsConfig>,
    /// Names of the labels, in the order of their numbers. Read from `labels_file`, or collected from the training rows,
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// A file with one label name per line, relative to the scenario file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_file: Option<String>,
    /// Longest input in tokens, special tokens included; longer ones are cut.
    #[serde(default = "default_max_seq_length")]
    pub max_seq_length: usize,
    /// Fraction of the training rows, in (0, 1), that the server holds back for validation, stratified by label, when
    /// the data set has no validation split of its own.
    #[serde(default = "default_validation_fraction")]
    pub validation_fraction: f64,
    /// How many training rows a generated data set has. Default: what the data set says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_examples: Option<usize>,
    /// How the training rows are dealt to the clients.
    #[serde(default)]
    pub partition: PartitionConfig,
}

fn default_max_seq_length() -> usize {
    128
}

fn default_validation_fraction() -> f64 {
    0.1
}

/// Own files, relative to the scenario file: `.tsv`, `.csv` or `.jsonl`, plain or `.gz`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// Training rows.
    pub train: String,
    /// Validation rows. Carved out of the training rows when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// Test rows, evaluated once at the end. No test result when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
}

/// Names of columns (TSV and CSV header, JSONL keys).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnsConfig {
    /// The (first) text.
    #[serde(default = "default_text")]
    pub text: String,
    /// The second text of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// The label: a name, or its 0-based number.
    #[serde(default = "default_label")]
    pub label: String,
}

fn default_text() -> String {
    "text".into()
}

fn default_label() -> String {
    "label".into()
}

impl Default for ColumnsConfig {
    fn default() -> Self {
        Self { text: default_text(), text_pair: None, label: default_label() }
    }
}
