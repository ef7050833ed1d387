//! A data set in the layout of the hub: which of its files hold which split.
//!
//! The rules are those of the `datasets` library: what `configs` in the head of `README.md` says; else files named for a
//! split, or in a folder named for one, below the folder of the config.

mod card;
mod conventions;
mod glob;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::card::Card;
use super::known;
use super::{DataError, DatasetConfig};
use crate::hub::{Repo, RepoKind};
use crate::registry::Problem;

/// The file that may say which files hold what.
pub const CARD: &str = "README.md";

/// The text of the card in a folder, if there is one. Bytes that are no text do not hide the rest.
///
/// # Errors
/// When it cannot be read.
pub fn read_card(folder: &Path) -> Result<Option<String>, DataError> {
    let path = folder.join(CARD);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DataError::Unreadable { path, reason: error.to_string() }),
    }
}

/// Which splits of a data set on the hub serve for what: `dataset.splits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitsConfig {
    /// The split that is dealt to the clients.
    #[serde(default = "default_train")]
    pub train: String,
    /// The split that rounds are judged on. Carved out of the training rows when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// The split that is looked at once, at the end. No test result when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
}

fn default_train() -> String {
    "train".into()
}

impl SplitsConfig {
    fn problems(&self) -> Vec<Problem> {
        let splits =
            [("train", Some(&self.train)), ("validation", self.validation.as_ref()), ("test", self.test.as_ref())];
        let mut problems = Vec::new();
        for (i, (key, name)) in splits.iter().enumerate() {
            let Some(name) = name else { continue };
            if name.trim().is_empty() {
                problems.push(Problem::new(format!("splits.{key}"), "the name is empty"));
            } else if let Some((earlier, _)) = splits[..i].iter().find(|(_, other)| *other == Some(name)) {
                problems.push(Problem::new(
                    format!("splits.{key}"),
                    format!("`{name}` is already the split of `{earlier}`"),
                ));
            }
        }
        problems
    }
}

/// Where a data set comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatasetSource {
    /// Part of the program.
    Builtin,
    /// The files that the scenario lists.
    Files,
    /// A folder laid out as on the hub, as written in the scenario.
    Directory(PathBuf),
    /// On the hub.
    Hub(Repo),
}

impl DatasetConfig {
    /// Where the data set comes from. A name that is a directory below `base_dir`, the scenario's directory, is that
    /// directory; else one that can be a name on the hub is one.
    pub fn source(&self, base_dir: &Path) -> DatasetSource {
        match &self.name {
            None => DatasetSource::Files,
            Some(name) if name.starts_with("builtin:") => DatasetSource::Builtin,
            Some(name) if base_dir.join(name).is_dir() || Repo::id_problem(name).is_some() => {
                DatasetSource::Directory(name.into())
            }
            Some(name) => {
                let revision = self.revision.clone().unwrap_or_else(|| "main".into());
                DatasetSource::Hub(Repo::new(RepoKind::Dataset, name, revision))
            }
        }
    }

    /// Problems of the settings of a data set on the hub.
    pub(super) fn repository_problems(&self, name: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        if name.trim().is_empty() {
            problems.push(Problem::new("name", "the name is empty").help("write `name: builtin:intents`"));
        }
        let configs = known::configs(name);
        let listed = configs.join(", ");
        match &self.config {
            None if !configs.is_empty() => {
                let problem = Problem::new("name", format!("`{name}` has several parts, and none is chosen"));
                problems.push(problem.help(format!("add `config:` with one of {listed}")));
            }
            Some(config) if !configs.is_empty() && !configs.contains(&config.as_str()) => {
                problems.push(Problem::new("config", format!("`{name}` has no part `{config}` (there are: {listed})")));
            }
            Some(config) if config.trim().is_empty() => problems.push(Problem::new("config", "the name is empty")),
            _ => {}
        }
        if let Some(reason) = self.known().and_then(|known| known.refused) {
            let config = self.config.as_deref().unwrap_or_default();
            problems.push(Problem::new("config", format!("`{config}` cannot be used: {reason}")));
        }
        if let Some(message) = self.revision.as_ref().and_then(|revision| Repo::revision_problem(revision)) {
            problems.push(Problem::new("revision", message));
        }
        problems.extend(self.splits.iter().flat_map(SplitsConfig::problems));
        if self.num_examples.is_some() {
            let problem = Problem::new("num_examples", "only a generated data set has a chosen number of rows");
            problems.push(problem.help("remove num_examples, or use a built-in data set"));
        }
        problems
    }

    /// Settings that only a data set on the hub has.
    pub(super) fn only_for_the_hub(&self, what: &str) -> Vec<Problem> {
        let given = [
            ("config", self.config.is_some()),
            ("revision", self.revision.is_some()),
            ("splits", self.splits.is_some()),
        ];
        let problem = |path| Problem::new(path, format!("does not apply to {what}")).help("remove it");
        given.into_iter().filter(|(_, given)| *given).map(|(path, _)| problem(path)).collect()
    }
}

/// The files of a data set by what they serve for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SplitFiles {
    /// Names in the repository.
    pub(super) train: Vec<String>,
    /// None: carved out of the training rows.
    pub(super) validation: Option<Vec<String>>,
    /// None: no test rows.
    pub(super) test: Option<Vec<String>>,
    /// The names of the labels, where the README tells them.
    pub(super) labels: Option<Vec<String>>,
}

/// The files of a repository that a scenario needs: `names` are those it has, `card` is the text of its README, if any.
///
/// # Errors
/// When there is no such config or split, or the data are in a form that is not read.
pub fn data_files(config: &DatasetConfig, names: &[&str], card: Option<&str>) -> Result<Vec<String>, DataError> {
    let files = split_files(config, names, card)?;
    let mut all = files.train;
    all.extend(files.validation.into_iter().chain(files.test).flatten());
    Ok(all)
}

/// The files by what they serve for.
pub(super) fn split_files(config: &DatasetConfig, names: &[&str], card: Option<&str>) -> Result<SplitFiles, DataError> {
    let name = config.name.as_deref().unwrap_or_default();
    let refuse = |what: String| DataError::BadSettings(format!("data set `{name}`: {what}"));
    let card = card.map(Card::read).unwrap_or_default();
    let chosen = card.config(config.config.as_deref()).map_err(&refuse)?;
    let splits = match &chosen {
        Some(found) => conventions::by_patterns(&found.data_files, names),
        None => conventions::by_names(names, config.config.as_deref()),
    };
    let known: Vec<&str> = splits.iter().map(|(split, _)| split.as_str()).collect();
    let find = |split: &str| {
        let files = splits.iter().find(|(other, _)| other == split).map(|(_, files)| files.clone());
        files.filter(|files| !files.is_empty())
    };
    let wanted = match (&config.splits, config.known()) {
        (Some(splits), _) => splits.clone(),
        (None, Some(known)) => known.splits(),
        (None, None) => {
            let own = |split: &str| find(split).map(|_| split.to_string());
            SplitsConfig { train: default_train(), validation: own("validation"), test: own("test") }
        }
    };
    let get = |setting: &str, split: &String| {
        find(split).ok_or_else(|| {
            let there = if known.is_empty() {
                format!("it has the files {}", conventions::shown(names))
            } else {
                format!("there are: {}; set dataset.splits.{setting}", known.join(", "))
            };
            let config = config.config.as_ref().map_or(String::new(), |config| format!(" in config `{config}`"));
            refuse(format!("no data files of split `{split}`{config}; {there}"))
        })
    };
    let name_of_config = chosen.as_ref().map(|found| found.name.as_str()).or(config.config.as_deref());
    let files = SplitFiles {
        train: get("train", &wanted.train)?,
        validation: wanted.validation.as_ref().map(|split| get("validation", split)).transpose()?,
        test: wanted.test.as_ref().map(|split| get("test", split)).transpose()?,
        labels: card.labels(name_of_config, &config.columns().label),
    };
    files.check_apart().map_err(refuse)?;
    Ok(files)
}

impl SplitFiles {
    /// Refuses a file that serves for two things: what is tested on would also be trained on.
    fn check_apart(&self) -> Result<(), String> {
        let splits =
            [("train", Some(&self.train)), ("validation", self.validation.as_ref()), ("test", self.test.as_ref())];
        for (i, (key, files)) in splits.iter().enumerate() {
            for (earlier, others) in &splits[..i] {
                let shared =
                    files.iter().flat_map(|files| files.iter()).find(|file| others.iter().any(|o| o.contains(file)));
                if let Some(file) = shared {
                    return Err(format!(
                        "`{file}` is among the files of both {earlier} and {key}; choose splits that have none in common \
                         by dataset.splits, or list the files by dataset.files"
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: serde_json::Value) -> DatasetConfig {
        serde_json::from_value(json).expect("well-formed")
    }

    const GLUE_CARD: &str = "\
---
license: other
configs:
- config_name: mnli
  data_files:
  - split: train
    path: mnli/train-*
  - split: validation_matched
    path: mnli/validation_matched-*
- config_name: sst2
  data_files:
  - split: train
    path: sst2/train-*
  - split: validation
    path: sst2/validation-*
  - split: test
    path: sst2/test-*
dataset_info:
- config_name: sst2
  features:
  - name: sentence
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': negative
          '1': positive
---
# GLUE
";

    const GLUE_FILES: [&str; 7] = [
        "README.md",
        "mnli/train-00000-of-00001.parquet",
        "mnli/validation_matched-00000-of-00001.parquet",
        "sst2/test-00000-of-00001.parquet",
        "sst2/train-00000-of-00002.parquet",
        "sst2/train-00001-of-00002.parquet",
        "sst2/validation-00000-of-00001.parquet",
    ];

    #[test]
    fn glue_is_tested_on_its_development_split() {
        let config = config(serde_json::json!({ "name": "nyu-mll/glue", "config": "sst2" }));
        let files = split_files(&config, &GLUE_FILES, Some(GLUE_CARD)).unwrap();
        assert_eq!(files.train, GLUE_FILES[4..6]);
        assert_eq!((files.validation, files.test), (None, Some(vec![GLUE_FILES[6].to_string()])));
        assert_eq!(files.labels, Some(vec!["negative".into(), "positive".into()]));
        // without the card, the folders say the same
        let files = split_files(&config, &GLUE_FILES, None).unwrap();
        assert_eq!(
            (files.train, files.test),
            (GLUE_FILES[4..6].iter().map(ToString::to_string).collect(), Some(vec![GLUE_FILES[6].into()]))
        );
    }

    #[test]
    fn splits_can_be_chosen_and_those_that_are_not_there_are_told() {
        let mut json =
            serde_json::json!({ "name": "org/glue", "config": "sst2", "splits": { "validation": "validation" } });
        let files = split_files(&config(json.clone()), &GLUE_FILES, Some(GLUE_CARD)).unwrap();
        assert_eq!((files.validation, files.test), (Some(vec![GLUE_FILES[6].to_string()]), None));
        json["splits"] = serde_json::json!({ "test": "dev" });
        let message = split_files(&config(json.clone()), &GLUE_FILES, Some(GLUE_CARD)).unwrap_err().to_string();
        assert!(message.contains("no data files of split `dev` in config `sst2`; there are: train, validation, test; set dataset.splits.test"), "{message}");
        json["config"] = "sst3".into();
        let message = split_files(&config(json), &GLUE_FILES, Some(GLUE_CARD)).unwrap_err().to_string();
        assert!(message.contains("no config `sst3`; there are: mnli, sst2"), "{message}");
    }

    #[test]
    fn settings_of_the_hub_are_checked() {
        let paths = |json| config(json).problems().into_iter().map(|problem| problem.path).collect::<Vec<_>>();
        assert_eq!(paths(serde_json::json!({ "name": "nyu-mll/glue", "config": "sst2" })), [""; 0]);
        assert_eq!(paths(serde_json::json!({ "name": "nyu-mll/glue" })), ["name"]);
        assert_eq!(paths(serde_json::json!({ "name": "glue", "config": "sst5" })), ["config"]);
        assert_eq!(paths(serde_json::json!({ "name": "glue", "config": "stsb" })), ["config"]);
        assert_eq!(
            paths(serde_json::json!({
                "name": "org/set", "revision": "a b", "num_examples": 500,
                "splits": { "train": "train", "validation": "train", "test": "" },
            })),
            ["revision", "splits.validation", "splits.test", "num_examples"]
        );
        assert_eq!(
            paths(serde_json::json!({ "files": { "train": "a.tsv" }, "config": "a", "splits": {} })),
            ["config", "splits"]
        );
    }

    #[test]
    fn a_file_in_two_splits_is_refused() {
        let card = "---\nconfigs:\n- data_files:\n  - { split: train, path: '*.csv' }\n  - { split: test, path: test.csv }\n---\n";
        let names = ["README.md", "a.csv", "test.csv"];
        let config = config(serde_json::json!({ "name": "org/set" }));
        let message = split_files(&config, &names, Some(card)).unwrap_err().to_string();
        assert!(message.contains("`test.csv` is among the files of both train and test"), "{message}");
        let only_train = DatasetConfig {
            splits: Some(SplitsConfig { train: "train".into(), validation: None, test: None }),
            ..config
        };
        assert_eq!(split_files(&only_train, &names, Some(card)).unwrap().train, ["a.csv", "test.csv"]);
    }

    #[test]
    fn a_card_that_is_no_text_throughout_still_tells_its_splits() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_card(folder.path()).unwrap(), None);
        std::fs::write(folder.path().join(CARD), b"---\nlicense: mit\n---\ncaf\xe9\n").unwrap();
        assert_eq!(read_card(folder.path()).unwrap().as_deref(), Some("---\nlicense: mit\n---\ncaf\u{fffd}\n"));
        std::fs::remove_file(folder.path().join(CARD)).unwrap();
        std::fs::create_dir(folder.path().join(CARD)).unwrap();
        let message = read_card(folder.path()).unwrap_err().to_string();
        assert!(message.starts_with("cannot read ") && message.contains(CARD), "{message}");
    }

    #[test]
    fn labels_are_those_of_the_config_that_is_taken() {
        let info = |config: &str, names: &str| {
            format!(
                "- config_name: {config}\n  features:\n  - name: label\n    dtype: {{ class_label: {{ names: {names} }} }}\n"
            )
        };
        let head = "configs:\n- { config_name: small, data_files: small.csv }\n- { config_name: default, data_files: all.csv }\n";
        let card =
            format!("---\n{head}dataset_info:\n{}{}---\n", info("small", "[a, b]"), info("default", "[down, up]"));
        let labels = |json| split_files(&config(json), &["all.csv", "small.csv"], Some(&card)).unwrap().labels;
        assert_eq!(labels(serde_json::json!({ "name": "org/set" })), Some(vec!["down".into(), "up".into()]));
        assert_eq!(
            labels(serde_json::json!({ "name": "org/set", "config": "small" })),
            Some(vec!["a".into(), "b".into()])
        );
    }

    #[test]
    fn a_name_is_a_directory_where_there_is_one() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(base.path().join("org/local")).unwrap();
        let source = |name: &str| config(serde_json::json!({ "name": name })).source(base.path());
        assert_eq!(source("org/local"), DatasetSource::Directory("org/local".into()));
        assert_eq!(source("org/other"), DatasetSource::Hub(Repo::new(RepoKind::Dataset, "org/other", "main")));
        assert_eq!(source("./none"), DatasetSource::Directory("./none".into()));
        assert_eq!(source("builtin:intents"), DatasetSource::Builtin);
    }
}
