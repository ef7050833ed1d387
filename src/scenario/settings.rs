//! Settings that belong to the run as a whole rather than to one room.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::HostDevice;
use crate::registry::Entry;
use crate::strategy::CodecConfig;
use crate::training::Evaluation;
use crate::units::Bytes;

/// How payloads are encoded: `compression`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionConfig {
    /// Updates from the clients.
    pub uplink: CodecConfig,
    /// The global model to the clients.
    pub downlink: CodecConfig,
}

/// How the global model is evaluated: `evaluation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// Rounds between evaluations, >= 1. The last round is always evaluated.
    pub every: u32,
    /// The rows that the best round is chosen on. Test rows never select anything.
    pub split: EvaluationSplit,
    /// The number that rounds are compared by. Default: the custom of the data set (GLUE tasks), else accuracy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// Value of the metric whose first reaching is reported with its round, time and traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self { every: 1, split: EvaluationSplit::Validation, metric: None, target: None }
    }
}

/// The rows that rounds are compared on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationSplit {
    /// Rows held back by the server.
    Validation,
}

/// A number by which a classifier is judged; larger is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Fraction of rows labelled right, in [0, 1].
    Accuracy,
    /// F1 score of class 1 of two, in [0, 1].
    F1,
    /// Mean of the classes' F1 scores, in [0, 1].
    MacroF1,
    /// Matthews correlation coefficient, in [-1, 1]; 0 is chance.
    Mcc,
}

impl Metric {
    /// All metrics, as `straggler list` shows them.
    pub const ENTRIES: &'static [Entry] = &[
        Entry { setting: "evaluation.metric", key: "accuracy", summary: "fraction of rows labelled right, in [0, 1]" },
        Entry { setting: "evaluation.metric", key: "f1", summary: "F1 score of class 1 of two, in [0, 1]" },
        Entry { setting: "evaluation.metric", key: "macro_f1", summary: "mean of the classes' F1 scores, in [0, 1]" },
        Entry {
            setting: "evaluation.metric",
            key: "mcc",
            summary: "Matthews correlation coefficient, in [-1, 1]; 0 is chance",
        },
    ];

    /// Every metric, in the order of [`Metric::ENTRIES`].
    pub const ALL: [Metric; 4] = [Metric::Accuracy, Metric::F1, Metric::MacroF1, Metric::Mcc];

    /// The YAML key, also used in column names.
    pub fn key(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::MacroF1 => "macro_f1",
            Self::Mcc => "mcc",
        }
    }

    /// The metric with this key.
    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.key() == key)
    }

    /// True when it means something for this many classes.
    pub fn fits(self, n_labels: usize) -> bool {
        self != Self::F1 || n_labels == 2
    }

    /// This metric of an evaluation.
    pub fn of(self, evaluation: &Evaluation) -> f64 {
        match self {
            Self::Accuracy => evaluation.accuracy,
            Self::F1 => evaluation.f1,
            Self::MacroF1 => evaluation.macro_f1,
            Self::Mcc => evaluation.mcc,
        }
    }

    /// Smallest and largest value.
    pub fn range(self) -> (f64, f64) {
        match self {
            Self::Accuracy | Self::F1 | Self::MacroF1 => (0.0, 1.0),
            Self::Mcc => (-1.0, 1.0),
        }
    }
}

/// How the simulation itself is carried out: `compute`. Decides nothing that is written to the results.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutionConfig {
    /// Whether models are trained.
    pub mode: Mode,
    /// Training threads.
    pub workers: Workers,
    /// What trains and evaluates.
    pub device: HostDevice,
    /// Memory that the whole process may use. None: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<Bytes>,
}

/// Whether models are trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Clients train for real.
    #[default]
    Real,
    /// Time, traffic and failures only: no metric is computed.
    TimingOnly,
}

/// Number of training threads: `auto` (one per core; one for a GPU) or a number >= 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Workers {
    /// One per core.
    #[default]
    Auto,
    /// That many.
    Count(usize),
}

impl Workers {
    /// The number of threads for a device of a machine with `n_cores`.
    pub fn on(self, device: HostDevice, n_cores: usize) -> usize {
        match self {
            Self::Auto => device.workers(n_cores),
            Self::Count(n) => n,
        }
    }
}

impl Serialize for Workers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Count(n) => serializer.serialize_u64(*n as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Workers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AutoOrCount;
        impl serde::de::Visitor<'_> for AutoOrCount {
            type Value = Workers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`auto` or a number of threads")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Workers, E> {
                match text {
                    "auto" => Ok(Workers::Auto),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Workers, E> {
                usize::try_from(n).map(Workers::Count).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(AutoOrCount)
    }
}

impl JsonSchema for Workers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Workers".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "`auto` (one per core) or a number of training threads",
            "anyOf": [{ "type": "string", "enum": ["auto"] }, { "type": "integer", "format": "uint", "minimum": 0 }],
        })
    }
}

/// Where results go: `output`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// The folder that holds `<name>/<time>-<hash>/`, relative to the working directory.
    pub dir: String,
    /// The state of the run is saved after every so many rounds, >= 1, so that `straggler resume` can go on from there; the
    /// last two are kept. None: only when the run is interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub checkpoint_every: Option<u32>,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { dir: "results".into(), checkpoint_every: None }
    }
}

/// Examples per client where no data set is loaded: a number for all, or a distribution over clients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ShardSizeConfig {
    /// The same for each client, >= 1.
    Fixed(u32),
    /// Drawn once for each client.
    Drawn(DrawnShardSize),
}

/// A distribution of examples over clients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrawnShardSize {
    /// Log-normal, rounded, at least 1.
    pub lognormal: LognormalSize,
}

/// Parameters of a log-normal number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LognormalSize {
    /// Half of the clients hold fewer; >= 1.
    pub median: f64,
    /// Standard deviation of the logarithm, >= 0. 0 is no spread.
    pub sigma: f64,
}
