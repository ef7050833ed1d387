//! What the scenario says about the data set.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::columns::ColumnNames;
use super::files::FileFormat;
use super::known::{self, Known};
use super::validation::HeldBack;
use super::{ColumnsConfig, DataError, ImagesConfig, PartitionConfig, SplitsConfig, builtin, paths};
use crate::registry::Problem;

/// The data set: `dataset`. Exactly one of `name`, `files` and `images`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetConfig {
    /// A built-in data set, such as `builtin:intents`; a folder of data files, relative to the scenario file; or a data
    /// set on the Hugging Face hub, such as `nyu-mll/glue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which part of a data set on the hub, such as `sst2` of `nyu-mll/glue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Branch, tag or commit of a data set on the hub. Default: `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Which splits of a data set on the hub serve for what. Default: what the data set is known for, else its splits
    /// `train`, `validation` and `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splits: Option<SplitsConfig>,
    /// Own texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesConfig>,
    /// Own pictures, for an encoder of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImagesConfig>,
    /// Which columns of own files hold what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<ColumnsConfig>,
    /// Names of the labels, in the order of their numbers. Read from `labels_file`, or collected from the training rows
    /// or the folders' names, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// A file with one label name per line, relative to the scenario file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_file: Option<String>,
    /// Longest text in tokens, special tokens included; longer ones are cut.
    #[serde(default = "default_max_seq_length")]
    pub max_seq_length: usize,
    /// Fraction of the training rows, in (0, 1), that the server holds back for validation, drawn from the seed and
    /// stratified by label, when the data set has no validation split of its own. Default: 0.1; of GLUE the very rows that
    /// FedPETuning holds back, whatever the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_fraction: Option<f64>,
    /// How many training rows a generated data set has. Default: what the data set says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_examples: Option<usize>,
    /// How the training rows are dealt to the clients.
    #[serde(default)]
    pub partition: PartitionConfig,
}

impl DatasetConfig {
    /// What is wrong with these settings, those of the partition included (as `partition.<key>.<setting>`). Files are
    /// not looked at.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match (&self.name, &self.files, &self.images) {
            (None, None, None) => {
                let help = format!(
                    "write `name: {}`, `files: {{ train: rows.tsv }}` or `images: {{ format: folder, train: DIR }}`",
                    builtin::TEXT_NAMES[0]
                );
                problems.push(Problem::new("", "none of `name`, `files` and `images` is given").help(help));
            }
            (Some(name), None, None) if name.starts_with("builtin:") => {
                problems.extend(builtin_problems(name, self));
                problems.extend(self.without_columns("a built-in data set has no columns"));
            }
            (Some(name), None, None) => problems.extend(self.repository_problems(name)),
            (None, Some(files), None) => {
                problems.extend(files.problems());
                if self.columns.as_ref().is_some_and(|columns| columns.image.is_some()) {
                    problems.push(Problem::new("columns.image", "own files hold texts").help("remove it"));
                }
                problems.extend(self.only_for_the_hub("own files"));
                problems.extend(self.generated_only());
            }
            (None, None, Some(images)) => {
                problems.extend(images.problems());
                problems.extend(self.only_for_the_hub("own pictures"));
                problems.extend(self.generated_only());
                problems.extend(self.without_columns("pictures in files of their own have no columns"));
                if self.columns.is_some() {
                    problems.push(Problem::new("columns", "pictures have no columns").help("remove it"));
                }
            }
            _ => {
                let given = [
                    ("`name`", self.name.is_some()),
                    ("`files`", self.files.is_some()),
                    ("`images`", self.images.is_some()),
                ];
                let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect();
                let message = match given.len() {
                    2 => format!("both {} are given", given.join(" and ")),
                    _ => "`name`, `files` and `images` are all given".into(),
                };
                problems.push(Problem::new("", message).help("keep one of them"));
            }
        }
        problems.extend(self.columns.iter().flat_map(|written| self.columns().problems(written)));
        problems.extend(self.label_problems());
        if self.max_seq_length < 4 {
            problems.push(Problem::new("max_seq_length", format!("{} is below 4", self.max_seq_length)));
        }
        if let Some(fraction) = self.validation_fraction.filter(|fraction| !(*fraction > 0.0 && *fraction < 1.0)) {
            let message = format!("{fraction} is not between 0 and 1 (both excluded)");
            problems.push(Problem::new("validation_fraction", message));
        }
        problems.extend(self.partition.implementation().problems().into_iter().map(|mut problem| {
            let dot = if problem.path.is_empty() { "" } else { "." };
            problem.path = format!("partition.{}{dot}{}", self.partition.key(), problem.path);
            problem
        }));
        problems
    }

    /// Whether the examples are pictures; else they are texts. `None`: only the files tell, as for a data set on the hub.
    pub fn holds_images(&self) -> Option<bool> {
        match self.name.as_deref() {
            None => Some(self.images.is_some()),
            Some(name) if name.starts_with("builtin:") => Some(builtin::IMAGE_NAMES.contains(&name)),
            Some(_) => None,
        }
    }

    /// Whether there are rows to test on.
    pub fn has_test(&self) -> bool {
        let of_files = self.files.as_ref().map(|files| files.test.is_some());
        let of_splits = self.splits.as_ref().map(|splits| splits.test.is_some());
        of_files.or(of_splits).or(self.images.as_ref().map(|images| images.test.is_some())).unwrap_or(true)
    }

    /// Refuses settings with a problem, those of the partition left out.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let Some(problem) = self.problems().into_iter().find(|problem| !problem.path.starts_with("partition")) else {
            return Ok(());
        };
        let dot = if problem.path.is_empty() { "" } else { "." };
        Err(DataError::BadSettings(format!("dataset{dot}{}: {}", problem.path, problem.message)))
    }

    fn generated_only(&self) -> Option<Problem> {
        self.num_examples?;
        let problem = Problem::new("num_examples", "only a generated data set has a chosen number of rows");
        Some(problem.help("remove num_examples, or use a built-in data set"))
    }

    /// Refuses a partition that goes by a column where there is none.
    fn without_columns(&self, reason: &str) -> Option<Problem> {
        self.partition.implementation().column()?;
        let problem = Problem::new(format!("partition.{}", self.partition.key()), reason);
        Some(problem.help("take another partition, such as `dirichlet`, or `file: partition.csv`"))
    }

    /// What this program knows about the data set, if it is one of those on the hub that it knows.
    pub(super) fn known(&self) -> Option<&'static Known> {
        known::find(self.name.as_deref()?, self.config.as_deref())
    }

    /// The metric that results on this data set are reported in, where there is a custom.
    pub fn metric(&self) -> Option<&'static str> {
        self.known().map(|known| known.metric)
    }

    /// Which of the training rows are held back where there is no validation split: a fraction as written, else as the data
    /// set is known for.
    pub(super) fn held_back(&self) -> HeldBack {
        match (self.validation_fraction, self.known()) {
            (Some(fraction), _) => HeldBack::ByLabel { fraction },
            (None, Some(known)) => known.held_back(),
            (None, None) => HeldBack::ByLabel { fraction: 0.1 },
        }
    }

    /// The columns: each as written, else as the data set is known for.
    pub(super) fn columns(&self) -> ColumnNames {
        ColumnNames::resolved(self.columns.as_ref(), self.known())
    }

    fn label_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.labels.is_some() && self.labels_file.is_some() {
            let problem = Problem::new("labels_file", "both `labels` and `labels_file` are given");
            problems.push(problem.help("keep one of them"));
        }
        if let Some(labels) = &self.labels {
            if labels.len() < 2 {
                problems.push(Problem::new("labels", format!("{} given, at least 2 are needed", labels.len())));
            }
            for (i, label) in labels.iter().enumerate() {
                if label.trim().is_empty() {
                    problems.push(Problem::new(format!("labels.{i}"), "the name is empty"));
                } else if labels[..i].contains(label) {
                    problems.push(Problem::new(format!("labels.{i}"), format!("`{label}` is listed twice")));
                }
            }
        }
        problems
    }
}

fn builtin_problems(name: &str, config: &DatasetConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let names = builtin::names();
    if !names.contains(&name) {
        let message = format!("`{name}` is not a built-in data set (there are: {})", names.join(", "));
        let help =
            "for rows of your own, write `files: { train: rows.tsv }` or `images: { format: folder, train: DIR }`";
        problems.push(Problem::new("name", message).help(help));
    }
    if config.num_examples.is_some_and(|n| !(builtin::MIN_EXAMPLES..=builtin::MAX_EXAMPLES).contains(&n)) {
        let message = format!("must be {} to {}", builtin::MIN_EXAMPLES, builtin::MAX_EXAMPLES);
        problems.push(Problem::new("num_examples", message));
    }
    problems.extend(config.only_for_the_hub("a built-in data set"));
    let given = [
        ("columns", config.columns.is_some()),
        ("labels", config.labels.is_some()),
        ("labels_file", config.labels_file.is_some()),
    ];
    for (path, _) in given.into_iter().filter(|(_, given)| *given) {
        problems.push(Problem::new(path, "does not apply to a built-in data set").help("remove it"));
    }
    problems
}

fn default_max_seq_length() -> usize {
    128
}

/// Own files, relative to the scenario file: `.tsv`, `.csv` or `.jsonl`, plain or `.gz`, or `.parquet`.
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

impl FilesConfig {
    fn problems(&self) -> Vec<Problem> {
        let files = [
            ("files.train", Some(&self.train)),
            ("files.validation", self.validation.as_ref()),
            ("files.test", self.test.as_ref()),
        ];
        let mut problems = Vec::new();
        for (i, (path, file)) in files.iter().enumerate() {
            let Some(file) = file else { continue };
            if FileFormat::of(Path::new(file)).is_none() {
                let message =
                    format!("`{file}` is not named .tsv, .csv or .jsonl, plain or with .gz behind it, or .parquet");
                let problem = Problem::new(*path, message);
                problems.push(match file.to_ascii_lowercase().ends_with(".parquet.gz") {
                    true => problem.help("parquet is packed by itself: unpack the file with gunzip"),
                    false => problem,
                });
            }
            let is_same = |other: &&String| paths::plain(other) == paths::plain(file);
            if let Some((earlier, _)) = files[..i].iter().find(|(_, other)| other.as_ref().is_some_and(is_same)) {
                problems.push(Problem::new(*path, format!("`{file}` is already `{earlier}`")));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths_of(json: serde_json::Value) -> Vec<String> {
        let config: DatasetConfig = serde_json::from_value(json).expect("well-formed");
        config.problems().into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn sound_settings_have_no_problems() {
        assert_eq!(paths_of(serde_json::json!({ "name": "builtin:intents", "num_examples": 500 })), [""; 0]);
        assert_eq!(
            paths_of(serde_json::json!({
                "files": { "train": "a.tsv.gz", "validation": "b.csv", "test": "c.jsonl" },
                "columns": { "text": "text_a", "text_pair": "text_b" },
                "labels": ["no", "yes"],
                "partition": { "dirichlet": { "alpha": 0.5 } },
            })),
            [""; 0]
        );
    }

    #[test]
    fn each_bad_setting_is_reported_at_its_path() {
        assert_eq!(paths_of(serde_json::json!({})), [""]);
        let images = serde_json::json!({ "format": "folder", "train": "pictures" });
        assert_eq!(paths_of(serde_json::json!({ "name": "builtin:intents", "files": { "train": "a.tsv" } })), [""]);
        assert_eq!(paths_of(serde_json::json!({ "name": "builtin:intents", "images": images })), [""]);
        assert_eq!(
            paths_of(serde_json::json!({ "images": images, "columns": {}, "num_examples": 200 })),
            ["num_examples", "columns"]
        );
        assert_eq!(
            paths_of(serde_json::json!({
                "images": { "format": "idx", "train": "images-idx3-ubyte", "validation": "a.bin", "test": " " },
            })),
            ["images.validation", "images.test"]
        );
        assert_eq!(
            paths_of(serde_json::json!({ "images": { "format": "cifar", "train": "a.bin", "test": "a.bin" } })),
            ["images.test"]
        );
        assert_eq!(
            paths_of(serde_json::json!({ "images": { "format": "folder", "train": "a/b", "test": "./a//b/" } })),
            ["images.test"]
        );
        assert_eq!(
            paths_of(serde_json::json!({ "files": { "train": "r.tsv", "test": "x/../r.tsv" } })),
            ["files.test"]
        );
        assert_eq!(paths_of(serde_json::json!({ "files": { "train": "rows.parquet.gz" } })), ["files.train"]);
        // A folder whose name says IDX does not make its files such.
        assert_eq!(
            paths_of(serde_json::json!({ "images": { "format": "idx", "train": "images-idx3/train.bin" } })),
            ["images.train"]
        );
        assert_eq!(
            paths_of(serde_json::json!({
                "name": "builtin:intents", "partition": { "by_column": { "column": "user" } },
            })),
            ["partition.by_column"]
        );
        assert_eq!(
            paths_of(serde_json::json!({ "images": images, "partition": { "by_column": { "column": " " } } })),
            ["partition.by_column", "partition.by_column.column"]
        );
        assert_eq!(
            paths_of(serde_json::json!({ "files": { "train": "a.tsv" }, "partition": { "file": "" } })),
            ["partition.file"]
        );
        assert_eq!(
            paths_of(
                serde_json::json!({ "name": "builtin:glue", "num_examples": 1, "labels": ["a", "b"], "config": "a" })
            ),
            ["name", "num_examples", "config", "labels"]
        );
        assert_eq!(
            paths_of(serde_json::json!({
                "files": { "train": "a.txt", "validation": "b.csv", "test": "b.csv" },
                "columns": { "label": "text" },
                "labels": ["yes", "yes"],
                "labels_file": "labels.txt",
                "max_seq_length": 2,
                "validation_fraction": 1.0,
                "num_examples": 500,
                "partition": { "dirichlet": { "alpha": 0.0 } },
            })),
            [
                "files.train",
                "files.test",
                "num_examples",
                "columns.label",
                "labels_file",
                "labels.1",
                "max_seq_length",
                "validation_fraction",
                "partition.dirichlet.alpha",
            ]
        );
    }
}
