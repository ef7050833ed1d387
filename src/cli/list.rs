//! `straggler list`: what is built in.

use clap::Args;
use serde_json::{Value, json};

use super::{CliError, Console, Exit};
use crate::data::PartitionConfig;
use crate::model::SHAPES;
use crate::petuning::TuningConfig;
use crate::registry::Entry;
use crate::scenario::Metric;
use crate::sim::{AvailabilityConfig, SharingConfig};
use crate::strategy::round::{BelowMinUpdatesConfig, LateUpdatesConfig};
use crate::strategy::{CodecConfig, SelectionConfig, StalenessConfig, StrategyConfig};

/// Arguments of `list`.
#[derive(Debug, Clone, Args)]
pub(super) struct ListArgs {
    /// Only this setting, such as `tuning`
    #[arg(value_name = "SETTING")]
    pub(super) setting: Option<String>,
}

const MODELS: &[Entry] = &[
    Entry {
        setting: "model.name",
        key: "builtin:tiny-roberta",
        summary: "RoBERTa of 4 layers and width 128, pretrained by this project",
    },
    Entry {
        setting: "model.name",
        key: "builtin:tiny-roberta-random",
        summary: "the same with random weights, to show what pretraining gives",
    },
    Entry {
        setting: "model.name",
        key: "builtin:tiny-vit",
        summary: "ViT of 4 layers and width 128 for pictures of 32 x 32, pretrained by this project",
    },
    Entry { setting: "model.name", key: "builtin:tiny-vit-random", summary: "the same with random weights" },
];

const DATASETS: &[Entry] = &[
    Entry { setting: "dataset.name", key: "builtin:intents", summary: "short requests by intent, many classes" },
    Entry {
        setting: "dataset.name",
        key: "builtin:sentiment",
        summary: "opinions, two classes, with negation and paraphrase",
    },
    Entry { setting: "dataset.name", key: "builtin:shapes", summary: "small pictures by shape, twelve classes" },
];

/// Everything that can be named in a scenario, by setting.
fn groups() -> [Vec<Entry>; 13] {
    [
        &[MODELS, SHAPES].concat(),
        DATASETS,
        PartitionConfig::ENTRIES,
        TuningConfig::ENTRIES,
        AvailabilityConfig::ENTRIES,
        StrategyConfig::ENTRIES,
        StalenessConfig::ENTRIES,
        LateUpdatesConfig::ENTRIES,
        BelowMinUpdatesConfig::ENTRIES,
        SelectionConfig::ENTRIES,
        SharingConfig::ENTRIES,
        CodecConfig::ENTRIES,
        Metric::ENTRIES,
    ]
    .map(<[Entry]>::to_vec)
}

/// Prints the list.
pub(super) fn execute(args: &ListArgs, console: &Console) -> Result<(), CliError> {
    let wanted = args.setting.as_deref();
    let chosen: Vec<_> =
        groups().into_iter().filter(|group| wanted.is_none_or(|setting| belongs(group[0].setting, setting))).collect();
    if let (Some(setting), true) = (wanted, chosen.is_empty()) {
        let known: Vec<&str> = groups().iter().map(|group| group[0].setting).collect();
        let error = CliError::new(Exit::BadInput, "unknown-setting", format!("nothing is listed under `{setting}`"));
        return Err(error.help(format!("one of {}", known.join(", "))));
    }
    if console.is_json() {
        return console.result(as_json(&chosen));
    }
    console.result(as_table(&chosen))
}

/// `server` and `server.strategy` both choose `server.strategy`.
fn belongs(setting: &str, wanted: &str) -> bool {
    setting == wanted || setting.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
}

fn as_table(groups: &[Vec<Entry>]) -> String {
    let width = groups.iter().flat_map(|group| group.iter()).map(|entry| entry.key.len()).max().unwrap_or(0);
    let tables: Vec<String> = groups
        .iter()
        .map(|group| {
            let rows: Vec<String> =
                group.iter().map(|entry| format!("  {:width$}  {}", entry.key, entry.summary)).collect();
            format!("{}\n{}", group[0].setting, rows.join("\n"))
        })
        .collect();
    tables.join("\n\n")
}

fn as_json(groups: &[Vec<Entry>]) -> Value {
    groups
        .iter()
        .map(|group| {
            let rows: Vec<Value> =
                group.iter().map(|entry| json!({ "key": entry.key, "summary": entry.summary })).collect();
            (group[0].setting.to_string(), Value::Array(rows))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DatasetConfig;
    use crate::model::ModelSource;

    #[test]
    fn every_group_has_one_setting_and_every_key_a_summary() {
        for group in groups() {
            assert!(group.iter().all(|entry| entry.setting == group[0].setting && !entry.summary.is_empty()));
        }
    }

    #[test]
    fn the_built_in_models_and_data_sets_are_those_that_a_scenario_may_name() {
        for entry in MODELS.iter().chain(SHAPES) {
            let source: ModelSource = entry.key.parse().unwrap();
            assert!(!matches!(source, ModelSource::Directory(_)), "{}", entry.key);
        }
        for entry in DATASETS {
            let config: DatasetConfig = serde_json::from_value(json!({ "name": entry.key })).unwrap();
            assert_eq!(config.problems(), []);
        }
    }

    #[test]
    fn a_setting_is_chosen_by_its_name_or_its_section() {
        assert!(belongs("server.strategy", "server.strategy"));
        assert!(belongs("server.strategy", "server"));
        assert!(!belongs("server.strategy", "serv"));
    }
}
