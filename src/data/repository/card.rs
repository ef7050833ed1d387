//! What the head of a data set's README says.

use serde_json::Value;

/// The YAML between `---` at the top of a README; empty when there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Card {
    head: Value,
}

/// One config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CardConfig {
    /// Its name; `default` where the card gives none.
    pub(super) name: String,
    /// Where its files are.
    pub(super) files: CardFiles,
}

/// Where the files of a config are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CardFiles {
    /// Splits and the patterns of their files (`data_files`).
    Patterns(Vec<(String, Vec<String>)>),
    /// Below a folder, where their names tell the split (`data_dir` alone). Empty for the whole repository.
    Below(String),
}

impl Card {
    /// Reads a README. A head that is no YAML is as good as none: the names of the files decide then.
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        let head = text.strip_prefix("---").and_then(|rest| rest.split_once("\n---")).map(|(head, _)| head);
        Self { head: head.and_then(|head| serde_saphyr::from_str(head).ok()).unwrap_or_default() }
    }

    /// The config of this name; without a name, the only one, or the one called `default` or marked as such. `None` when
    /// the card lists no configs with files.
    pub(super) fn config(&self, name: Option<&str>) -> Result<Option<CardConfig>, String> {
        let listed: Vec<&Value> = self.head["configs"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|config| !config["data_files"].is_null() || folder(config).is_some())
            .collect();
        if listed.is_empty() {
            return Ok(None);
        }
        let name_of = |config: &Value| config["config_name"].as_str().unwrap_or("default").to_string();
        let names = || listed.iter().map(|config| name_of(config)).collect::<Vec<_>>().join(", ");
        let found = match name {
            Some(name) => listed.iter().find(|config| name_of(config) == name),
            None if listed.len() == 1 => listed.first(),
            None => listed.iter().find(|config| name_of(config) == "default" || config["default"] == true),
        };
        match (found, name) {
            (Some(config), _) => Ok(Some(CardConfig { name: name_of(config), files: files(config) })),
            (None, Some(name)) => Err(format!("no config `{name}`; there are: {}", names())),
            (None, None) => Err(format!("it has several configs; set dataset.config to one of {}", names())),
        }
    }

    /// How many rows a split of this config has.
    pub(super) fn num_examples(&self, config: Option<&str>, split: &str) -> Option<u64> {
        let splits = self.info(config)?["splits"].as_array()?;
        splits.iter().find(|entry| entry["name"] == split)?["num_examples"].as_u64()
    }

    /// What the card tells about the rows of a config.
    fn info(&self, config: Option<&str>) -> Option<&Value> {
        let infos = match &self.head["dataset_info"] {
            Value::Array(all) => all.as_slice(),
            other => std::slice::from_ref(other),
        };
        infos.iter().find(|info| config.is_none_or(|config| info["config_name"].as_str().unwrap_or(config) == config))
    }

    /// The names of the classes of a column in this config, by number.
    pub(super) fn labels(&self, config: Option<&str>, column: &str) -> Option<Vec<String>> {
        let feature = self.info(config)?["features"].as_array()?.iter().find(|feature| feature["name"] == column)?;
        let names = &feature["dtype"]["class_label"]["names"];
        match names {
            Value::Array(names) => names.iter().map(text).collect(),
            Value::Object(names) => {
                let mut numbered: Vec<(usize, String)> = names
                    .iter()
                    .map(|(number, name)| Some((number.parse().ok()?, text(name)?)))
                    .collect::<Option<_>>()?;
                numbered.sort_unstable();
                let is_gapless = numbered.iter().enumerate().all(|(i, (number, _))| i == *number);
                is_gapless.then(|| numbered.into_iter().map(|(_, name)| name).collect())
            }
            _ => None,
        }
    }
}

/// YAML may take a name such as `1` or `yes` for something else than text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn files(config: &Value) -> CardFiles {
    let folder = folder(config).unwrap_or_default();
    if config["data_files"].is_null() {
        return CardFiles::Below(folder);
    }
    CardFiles::Patterns(patterns(&config["data_files"], &folder))
}

/// `data_dir`, without dots and slashes around it.
fn folder(config: &Value) -> Option<String> {
    let folder = config["data_dir"].as_str()?.trim_start_matches("./").trim_matches('/');
    Some(if folder == "." { String::new() } else { folder.to_string() })
}

/// `data_files` in any of its forms: a pattern or a list of them (all of it is `train`), splits by name, or a list of
/// `split` and `path`. `folder` is the one that patterns start from.
fn patterns(data_files: &Value, folder: &str) -> Vec<(String, Vec<String>)> {
    let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let paths = |value: &Value| -> Vec<String> {
        let list = match value {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect::<Vec<_>>(),
        };
        list.into_iter().map(|path| format!("{folder}{}", path.trim_start_matches("./"))).collect()
    };
    match data_files {
        Value::Object(splits) => splits.iter().map(|(split, value)| (split.clone(), paths(value))).collect(),
        Value::Array(list) if list.iter().any(Value::is_object) => {
            let entry = |entry: &Value| (entry["split"].as_str().unwrap_or("train").to_string(), paths(&entry["path"]));
            list.iter().map(entry).collect()
        }
        other => vec![("train".into(), paths(other))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(yaml: &str, name: Option<&str>) -> Result<Vec<(String, Vec<String>)>, String> {
        let card = Card::read(&format!("---\n{yaml}\n---\ntext\n"));
        match card.config(name)?.map(|config| config.files) {
            Some(CardFiles::Patterns(patterns)) => Ok(patterns),
            Some(CardFiles::Below(folder)) => panic!("below `{folder}`"),
            None => Ok(Vec::new()),
        }
    }

    #[test]
    fn every_form_of_data_files_is_read() {
        let one = |split: &str, path: &str| vec![(split.to_string(), vec![path.to_string()])];
        assert_eq!(files("configs:\n- data_files: all.csv", None).unwrap(), one("train", "all.csv"));
        let list = "configs:\n- config_name: a\n  data_files:\n  - split: test\n    path: [x.csv, y.csv]";
        assert_eq!(files(list, Some("a")).unwrap(), [("test".to_string(), vec!["x.csv".into(), "y.csv".into()])]);
        let map = "configs:\n- config_name: a\n  data_dir: d\n  data_files: { train: x.csv }";
        assert_eq!(files(map, None).unwrap(), one("train", "d/x.csv"));
        assert_eq!(files("license: mit", Some("any")).unwrap(), []);
        assert_eq!(files("[not: {a map", None).unwrap(), []);
    }

    #[test]
    fn a_folder_alone_makes_a_config() {
        let yaml = "configs:\n- { config_name: en, data_dir: ./text/en/ }\n- { config_name: all, data_dir: . }";
        let card = Card::read(&format!("---\n{yaml}\n---\n"));
        let files = |name| card.config(Some(name)).unwrap().unwrap().files;
        assert_eq!(files("en"), CardFiles::Below("text/en".into()));
        assert_eq!(files("all"), CardFiles::Below(String::new()));
        assert!(card.config(Some("fr")).unwrap_err().ends_with("there are: en, all"));
    }

    #[test]
    fn rows_of_splits_are_told_by_config() {
        let yaml = "dataset_info:\n- config_name: a\n  splits:\n  - { name: train, num_examples: 7 }\n\
                    - config_name: b\n  splits:\n  - { name: train, num_bytes: 9, num_examples: 8 }";
        let card = Card::read(&format!("---\n{yaml}\n---\n"));
        assert_eq!((card.num_examples(Some("a"), "train"), card.num_examples(Some("b"), "train")), (Some(7), Some(8)));
        assert_eq!((card.num_examples(Some("c"), "train"), card.num_examples(Some("a"), "test")), (None, None));
    }

    #[test]
    fn one_of_several_configs_must_be_named_unless_one_is_the_default() {
        let two = "configs:\n- config_name: a\n  data_files: a.csv\n- config_name: b\n  data_files: b.csv";
        assert!(files(two, None).unwrap_err().ends_with("one of a, b"));
        assert_eq!(files(&format!("{two}\n  default: true"), None).unwrap()[0].1, ["b.csv"]);
    }
}
