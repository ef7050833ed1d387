//! A data set in the layout of the hub: which of its files hold which split.
//!
//! The rules are those of the `datasets` library: what `configs` in the head of `README.md` says; else files in a folder
//! named for a split, or named for one themselves, below the folder of the config. Of a split in pieces
//! (`train-00000-of-00002`) all must be there.

mod card;
mod conventions;
mod glob;
mod pieces;
mod split_files;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::known;
use super::{DataError, DatasetConfig};
use crate::hub::{Repo, RepoKind};
use crate::registry::Problem;

pub use self::split_files::data_files;
pub(super) use self::split_files::{PromisedRows, split_files};

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

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: serde_json::Value) -> DatasetConfig {
        serde_json::from_value(json).expect("well-formed")
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
