//! The scenario as it may be written: the types that give the schema and take the values, before anything is checked.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assertion::Assertion;
use super::lock::LockHeader;
use super::settings::{CompressionConfig, EvaluationConfig, ExecutionConfig, Metric, OutputConfig, ShardSizeConfig};
use crate::data::{DatasetConfig, PartitionConfig};
use crate::hub::Repo;
use crate::model::{ModelConfig, ModelSource};
use crate::petuning::{InitialHead, TuningConfig};
use crate::sim::{
    AvailabilityConfig, CrashConfig, DeviceClassConfig, DropoutConfig, NetworkClassConfig, OutageConfig, RegionConfig,
    RestartConfig, ServerNetworkConfig, UploadConfig,
};
use crate::strategy::round::{BelowMinUpdatesConfig, LateUpdatesConfig};
use crate::strategy::{SelectionConfig, StrategyConfig};
use crate::training::TrainConfig;
use crate::units::SimDuration;

/// A scenario that nothing has checked yet: what a file says once its layers are merged, or what a program puts together.
/// [`Draft::check`] makes a [`Scenario`](super::Scenario) of it. The fields are the sections of a file, under the same names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Version of the scenario format: 1.
    pub version: u32,
    /// Name of the scenario and of its folder under `results`.
    pub name: String,
    /// Root of every random stream.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Runs with so many successive seeds, reported as mean, SD and interval; >= 1.
    #[serde(default = "default_repeats")]
    pub repeats: u32,
    /// What produced a lock file; written by `run`, not by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockHeader>,
    /// The frozen encoder.
    pub model: ModelConfig,
    /// The data set. May be absent when only time is simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetConfig>,
    /// What is trained.
    pub tuning: TuningConfig,
    /// Folder with an exported adapter, or one of Hugging Face PEFT, that server and clients start from in place of drawn
    /// values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// Whether the classification head of that adapter is kept, or begun anew for another task.
    #[serde(default, skip_serializing_if = "InitialHead::is_default")]
    pub init_head: InitialHead,
    /// Who trains, on what devices and links.
    pub clients: ClientsConfig,
    /// How rounds are run.
    pub server: ServerConfig,
    /// How payloads are encoded.
    #[serde(default)]
    pub compression: CompressionConfig,
    /// How the global model is evaluated.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
    /// How the simulation itself is carried out.
    #[serde(default)]
    pub compute: ExecutionConfig,
    /// Where results go.
    #[serde(default)]
    pub output: OutputConfig,
    /// What must hold at the end, such as `final.accuracy >= 0.88`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assert: Vec<Assertion>,
}

impl Draft {
    /// Every path to a file or folder that a run reads, with its setting.
    pub(super) fn paths_mut(&mut self) -> Vec<WrittenPath<'_>> {
        fn certain(setting: impl Into<String>, path: &mut String) -> WrittenPath<'_> {
            WrittenPath { setting: setting.into(), path, may_be_on_the_hub: false }
        }
        let mut paths = Vec::new();
        match self.model.name.parse() {
            Ok(ModelSource::Directory(_)) => paths.push(certain("model.name", &mut self.model.name)),
            Ok(ModelSource::Hub(_)) => {
                let path = &mut self.model.name;
                paths.push(WrittenPath { setting: "model.name".into(), path, may_be_on_the_hub: true });
            }
            _ => {}
        }
        paths.extend(self.init.iter_mut().map(|dir| certain("init", dir)));
        for (class, device) in &mut self.clients.devices {
            let files = device.files_mut();
            paths.extend(files.map(|(name, file)| certain(format!("clients.devices.{class}.{name}"), file)));
        }
        for (class, network) in &mut self.clients.networks {
            let files = network.files_mut();
            paths.extend(files.map(|(name, file)| certain(format!("clients.networks.{class}.{name}"), file)));
        }
        if let AvailabilityConfig::Trace(trace) = &mut self.clients.availability {
            let files = trace.files_mut();
            paths.extend(files.map(|(name, file)| certain(format!("clients.availability.trace.{name}"), file)));
        }
        if let Some(dataset) = &mut self.dataset {
            if let Some(name) = dataset.name.as_mut().filter(|name| !name.starts_with("builtin:")) {
                let may_be_on_the_hub = Repo::id_problem(name).is_none();
                paths.push(WrittenPath { setting: "dataset.name".into(), path: name, may_be_on_the_hub });
            }
            if let Some(files) = &mut dataset.files {
                paths.push(certain("dataset.files.train", &mut files.train));
                paths.extend(files.validation.iter_mut().map(|file| certain("dataset.files.validation", file)));
                paths.extend(files.test.iter_mut().map(|file| certain("dataset.files.test", file)));
            }
            if let Some(images) = &mut dataset.images {
                paths.push(certain("dataset.images.train", &mut images.train));
                paths.extend(images.validation.iter_mut().map(|path| certain("dataset.images.validation", path)));
                paths.extend(images.test.iter_mut().map(|path| certain("dataset.images.test", path)));
            }
            if let PartitionConfig::File(file) = &mut dataset.partition {
                paths.push(certain("dataset.partition.file", &mut file.0));
            }
            paths.extend(dataset.labels_file.iter_mut().map(|file| certain("dataset.labels_file", file)));
        }
        paths
    }

    /// The metric that rounds are compared by: as written, else the custom of the data set, else accuracy.
    pub(super) fn metric(&self) -> Metric {
        let custom = || Metric::of_key(self.dataset.as_ref()?.metric()?);
        self.evaluation.metric.or_else(custom).unwrap_or(Metric::Accuracy)
    }
}

/// A path as the scenario writes it.
pub(super) struct WrittenPath<'a> {
    /// Its setting.
    pub(super) setting: String,
    /// What is written.
    pub(super) path: &'a mut String,
    /// It can also be a name on the hub, and is one where there is no such folder.
    may_be_on_the_hub: bool,
}

impl WrittenPath<'_> {
    /// Starts the path from `folder`; a name on the hub stays.
    pub(super) fn anchor(self, folder: &Path) {
        let full = folder.join(&*self.path);
        if !self.may_be_on_the_hub || full.is_dir() {
            *self.path = std::path::absolute(&full).unwrap_or(full).to_string_lossy().into_owned();
        }
    }
}

pub(super) fn default_seed() -> u64 {
    42
}

pub(super) fn default_repeats() -> u32 {
    1
}

/// The client side: `clients`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientsConfig {
    /// Registered clients, >= 1.
    pub total: u32,
    /// Local training.
    #[serde(default)]
    pub train: TrainConfig,
    /// Device classes by name.
    pub devices: BTreeMap<String, DeviceClassConfig>,
    /// Network classes by name.
    pub networks: BTreeMap<String, NetworkClassConfig>,
    /// When clients can be reached.
    #[serde(default)]
    pub availability: AvailabilityConfig,
    /// Regions by name, each with a link that its clients share. None: clients are linked to the server directly.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<String, RegionConfig>,
    /// How often tasks fail.
    #[serde(default)]
    pub dropout: DropoutConfig,
    /// How often devices crash at work. None: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crashes: Option<CrashConfig>,
    /// Windows in which clients are offline together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outages: Vec<OutageConfig>,
    /// What becomes of uploads that break off.
    #[serde(default)]
    pub uploads: UploadConfig,
    /// Examples that a client holds, where no data set is loaded (`compute.mode: timing_only`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_examples: Option<ShardSizeConfig>,
    /// Tokens of an example, where no data set is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_length: Option<usize>,
    /// Number of labels, where no data set is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_labels: Option<usize>,
}

/// The server side: `server`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Rounds to run, >= 1.
    pub rounds: u32,
    /// Updates that a round aggregates, >= 1. Asynchronous strategies have no use for it and leave it aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients_per_round: Option<u32>,
    /// Clients asked for each update wanted, >= 1. 1.3 asks 13 clients for 10 updates.
    #[serde(default = "default_over_selection")]
    pub over_selection: f64,
    /// Longest time of a round; updates that arrive later are not used. None: the round waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<SimDuration>,
    /// With fewer updates than this the round is recorded as failed and the model stays; >= 1.
    #[serde(default = "default_min_updates")]
    pub min_updates: u32,
    /// What happens to a round with fewer.
    #[serde(default)]
    pub below_min_updates: BelowMinUpdatesConfig,
    /// What becomes of updates that a round no longer waits for.
    #[serde(default)]
    pub late_updates: LateUpdatesConfig,
    /// A run that makes no model for longer than this is ended with an error, > 0; rounds without one do not count. Default: 30 d.
    #[serde(default = "default_give_up_after")]
    pub give_up_after: SimDuration,
    /// When the server goes down, in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<RestartConfig>,
    /// How updates become the next global model.
    #[serde(default)]
    pub strategy: StrategyConfig,
    /// Who is asked in a round.
    #[serde(default)]
    pub selection: SelectionConfig,
    /// The server's own link. Unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<ServerNetworkConfig>,
}

pub(super) fn default_over_selection() -> f64 {
    1.0
}

pub(super) fn default_give_up_after() -> SimDuration {
    SimDuration::from_nanos(30 * 86_400_000_000_000)
}

pub(super) fn default_min_updates() -> u32 {
    1
}
