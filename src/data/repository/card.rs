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
    /// Splits and the patterns of their files.
    pub(super) data_files: Vec<(String, Vec<String>)>,
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
            .filter(|config| !config["data_files"].is_null())
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
            (Some(config), _) => Ok(Some(CardConfig { name: name_of(config), data_files: patterns(config) })),
            (None, Some(name)) => Err(format!("no config `{name}`; there are: {}", names())),
            (None, None) => Err(format!("it has several configs; set dataset.config to one of {}", names())),
        }
    }

    /// The names of the classes of a column in this config, by number.
    pub(super) fn labels(&self, config: Option<&str>, column: &str) -> Option<Vec<String>> {
        let info = &self.head["dataset_info"];
        let infos: Vec<&Value> = match info {
            Value::Array(all) => all.iter().collect(),
            other => vec![other],
        };
        let is_of =
            |info: &&&Value| config.is_none_or(|config| info["config_name"].as_str().unwrap_or(config) == config);
        let info = infos.iter().find(is_of)?;
        let feature = info["features"].as_array()?.iter().find(|feature| feature["name"] == column)?;
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

/// `data_files` in any of its forms: a pattern or a list of them (all of it is `train`), splits by name, or a list of
/// `split` and `path`. `data_dir` is the folder that patterns start from.
fn patterns(config: &Value) -> Vec<(String, Vec<String>)> {
    let folder = config["data_dir"].as_str().map(|folder| format!("{}/", folder.trim_matches('/'))).unwrap_or_default();
    let paths = |value: &Value| -> Vec<String> {
        let list = match value {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect::<Vec<_>>(),
        };
        list.into_iter().map(|path| format!("{folder}{}", path.trim_start_matches("./"))).collect()
    };
    match &config["data_files"] {
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
        Ok(card.config(name)?.map(|config| config.data_files).unwrap_or_default())
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
    fn one_of_several_configs_must_be_named_unless_one_is_the_default() {
        let two = "configs:\n- config_name: a\n  data_files: a.csv\n- config_name: b\n  data_files: b.csv";
        assert!(files(two, None).unwrap_err().ends_with("one of a, b"));
        assert_eq!(files(&format!("{two}\n  default: true"), None).unwrap()[0].1, ["b.csv"]);
    }
}
