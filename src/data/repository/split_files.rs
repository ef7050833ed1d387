//! The files of a data set by what they serve for, of those that its repository has.

use super::card::{Card, CardFiles};
use super::conventions::{self, Splits};
use super::{SplitsConfig, default_train, pieces};
use crate::data::{DataError, DatasetConfig};

/// The files of a data set by what they serve for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::data) struct SplitFiles {
    /// Names in the repository.
    pub(in crate::data) train: Vec<String>,
    /// None: carved out of the training rows.
    pub(in crate::data) validation: Option<Vec<String>>,
    /// None: no test rows.
    pub(in crate::data) test: Option<Vec<String>>,
    /// The names of the labels, where the README tells them.
    pub(in crate::data) labels: Option<Vec<String>>,
    /// How many rows the README says that the splits have.
    pub(in crate::data) promised: PromisedRows,
    /// What the reader may want to know.
    pub(in crate::data) notes: Vec<String>,
}

/// How many rows splits should have, where it is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::data) struct PromisedRows {
    pub(in crate::data) train: Option<u64>,
    pub(in crate::data) validation: Option<u64>,
    pub(in crate::data) test: Option<u64>,
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
pub(in crate::data) fn split_files(
    config: &DatasetConfig,
    names: &[&str],
    card: Option<&str>,
) -> Result<SplitFiles, DataError> {
    let name = config.name.as_deref().unwrap_or_default();
    let refuse = |what: String| DataError::BadSettings(format!("data set `{name}`: {what}"));
    let card = card.map(Card::read).unwrap_or_default();
    let chosen = card.config(config.config.as_deref()).map_err(&refuse)?;
    let Splits { files: splits, left_out, told_by } = match chosen.as_ref().map(|found| &found.files) {
        Some(CardFiles::Patterns(patterns)) => conventions::by_patterns(patterns, names),
        Some(CardFiles::Below(folder)) => conventions::below(folder, names),
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
    let promised = |split: &String| card.num_examples(name_of_config, split);
    let files = SplitFiles {
        train: get("train", &wanted.train)?,
        validation: wanted.validation.as_ref().map(|split| get("validation", split)).transpose()?,
        test: wanted.test.as_ref().map(|split| get("test", split)).transpose()?,
        labels: card.labels(name_of_config, &config.columns().label),
        promised: PromisedRows {
            train: promised(&wanted.train),
            validation: wanted.validation.as_ref().and_then(promised),
            test: wanted.test.as_ref().and_then(promised),
        },
        notes: left_out_note(name, &left_out, told_by).into_iter().collect(),
    };
    files.check_apart().map_err(refuse)?;
    files.check_pieces().map_err(refuse)?;
    Ok(files)
}

fn left_out_note(name: &str, left_out: &[String], told_by: &str) -> Option<String> {
    (!left_out.is_empty()).then(|| {
        let shown = conventions::shown(left_out);
        format!("data set `{name}`: not used, since the {told_by} of other files tell their split: {shown}")
    })
}

impl SplitFiles {
    /// Refuses a split of which pieces are missing: the others would pass for the whole.
    fn check_pieces(&self) -> Result<(), String> {
        let files = self.train.iter().chain(self.validation.iter().chain(&self.test).flatten());
        let missing = pieces::missing(files.map(String::as_str));
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!(
            "pieces of its splits are missing: {}; put them beside the others, or run `straggler fetch` where there is a \
             network",
            conventions::shown(&missing)
        ))
    }

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
    fn every_piece_of_a_split_must_be_there() {
        let without = |name: &str| GLUE_FILES.into_iter().filter(|other| *other != name).collect::<Vec<_>>();
        let sst2 = config(serde_json::json!({ "name": "nyu-mll/glue", "config": "sst2" }));
        for card in [Some(GLUE_CARD), None] {
            let message = split_files(&sst2, &without(GLUE_FILES[5]), card).unwrap_err().to_string();
            let expected = "pieces of its splits are missing: sst2/train-00001-of-00002; put them beside the others";
            assert!(message.contains(expected) && message.contains("straggler fetch"), "{message}");
        }
        // Pieces of what is not asked for may be missing.
        let mut others = without("");
        others.push("sst2/other-00001-of-00002.parquet");
        assert!(split_files(&sst2, &others, Some(GLUE_CARD)).is_ok());
    }

    #[test]
    fn a_config_may_be_a_folder_below_which_names_tell_the_split() {
        let card =
            "---\nconfigs:\n- { config_name: en, data_dir: text/en }\n- { config_name: fr, data_dir: text/fr }\n---\n";
        let names = ["README.md", "text/en/test.csv", "text/en/train.csv", "text/fr/train.csv"];
        let config = config(serde_json::json!({ "name": "org/set", "config": "en" }));
        let files = split_files(&config, &names, Some(card)).unwrap();
        assert_eq!((files.train, files.test), (vec![names[2].to_string()], Some(vec![names[1].to_string()])));
    }

    #[test]
    fn files_that_no_split_takes_are_told() {
        let config = config(serde_json::json!({ "name": "org/set" }));
        let files = split_files(&config, &["extra.csv", "train.csv"], None).unwrap();
        assert_eq!(files.train, ["train.csv"]);
        assert_eq!(
            files.notes,
            ["data set `org/set`: not used, since the names of other files tell their split: extra.csv"]
        );
        assert_eq!(split_files(&config, &["extra.csv"], None).unwrap().notes, [""; 0]);
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
}
