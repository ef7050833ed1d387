//! From a checked scenario to a [`Plan`]: loads the model and the data, deals the shards, counts what a task costs.

mod dataset;
mod doubts;
mod error;
mod lock;
mod memory;
mod plan;
mod rates;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::error::SetupError;
use self::lock::{check_lock, check_locked, recording_hashes};
pub use self::memory::RunMemory;
use self::plan::plan;
use super::inputs::Inputs;
use super::plan::{Learning, Plan, SampleCosts, ShardSizes};
use super::trainer::{LearningError, Trained, Trainer};
use crate::data::{self, CacheUse, EncodedDataset, PartitionTable, RowOrigins, TrainingRows};
use crate::model::{self, Backbone, EncoderConfig, HostDevice, Preprocessor};
use crate::params::{Layout, Params};
use crate::petuning::{TuningConfig, trainable_tensors, travelling_tensors};
use crate::registry::Problem;
use crate::scenario::{Examples, Mode, Scenario, ShardSizeConfig};
use crate::seed::Purpose;
use crate::strategy::CodecConfig;
use crate::training::{
    Cancel, Evaluation, Learner, Split, TrainJob, TrainingError, TrainingMemory, training_flops, training_memory,
};

/// Idle client actors that stay alive, so that clients who are asked often need not be brought to life each time. A
/// resident actor takes about 7 kB.
const IDLE_CLIENTS_MAX: usize = 1024;

/// A scenario that is ready to run.
pub struct Setup {
    /// The inputs of the world.
    pub plan: Plan,
    /// What a run that learns takes of this machine's memory.
    pub memory: RunMemory,
    /// The learner, unless the run is timing-only.
    pub learner: Option<Arc<Learner>>,
    /// SHA-256 of the backbone, when weights were loaded.
    pub model_hash: Option<String>,
    /// SHA-256 of the encoder's configuration with what prepares its inputs.
    pub model_settings_hash: String,
    /// SHA-256 of the data set, when one was loaded.
    pub dataset_hash: Option<String>,
    /// SHA-256 of the deal, when a file or a column decides it.
    pub partition_hash: Option<String>,
    /// SHA-256 of the values that the run starts from, when they came from `init`.
    pub init_hash: Option<String>,
    /// SHA-256 of each recording that the simulated world follows, by its path.
    pub recording_hashes: BTreeMap<String, String>,
    /// What the user should know and cannot be an error.
    pub notes: Vec<String>,
    /// What is right and probably not meant, with the paths of the settings; see [`Scenario::warnings_of`].
    pub doubts: Vec<(&'static str, Problem)>,
    /// Whether the token ids were kept from an earlier run.
    pub tokens: CacheUse,
    /// What the clients got, when there is a data set.
    pub partition: Option<PartitionTable>,
    /// Tensors of the checkpoint that the encoder does not use.
    pub unused_tensors: Vec<String>,
    /// Numbers that a client trains.
    pub n_trainable: usize,
    /// What the model works on.
    pub workload: Workload,
}

/// What a tuning method's costs depend on beside its settings.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The shape of the model.
    pub encoder: EncoderConfig,
    /// Number of labels; decides the size of the head.
    pub n_labels: usize,
    /// Tokens of each training example; one entry where all have the same.
    pub lengths: Vec<usize>,
}

impl Setup {
    /// Whether a run of it would stay within the `compute.memory_limit` of its scenario. What only looks at a setup, and
    /// runs no workers, need not ask.
    ///
    /// # Errors
    /// [`Memory`](SetupError::Memory) when it would not.
    pub fn check_memory_limit(&self, scenario: &Scenario) -> Result<(), SetupError> {
        let (Some(learning), Some(limit)) = (&self.plan.learning, scenario.memory_limit()) else { return Ok(()) };
        let (workers, memory) = (learning.workers, self.memory);
        match memory.with(workers) > limit {
            true => Err(SetupError::Memory { workers, memory, limit }),
            false => Ok(()),
        }
    }

    /// Whether the examples fit the encoder with what another method puts in front of them.
    ///
    /// # Errors
    /// [`TooLong`](TrainingError::TooLong) when one does not.
    pub fn check_examples(&self, tuning: &TuningConfig) -> Result<(), TrainingError> {
        let Workload { encoder, lengths, .. } = &self.workload;
        match &self.learner {
            Some(learner) => learner.check_examples(tuning),
            None => lengths.iter().try_for_each(|&length| check_length(tuning, encoder, length)),
        }
    }
}

/// The set of matrix kernels that this machine runs. Results of different sets differ in their last bits.
pub fn kernel(device: HostDevice) -> &'static str {
    match device {
        HostDevice::Cpu => cpu_kernel(),
        HostDevice::Cuda => "cuda",
    }
}

fn cpu_kernel() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "avx512";
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return "avx2";
        }
    }
    std::env::consts::ARCH
}

/// Loads and resolves what a scenario names; `inputs` say where that lies. Who goes on to run it asks
/// [`Setup::check_memory_limit`] first.
///
/// # Errors
/// See [`SetupError`].
pub fn prepare(scenario: &Scenario, inputs: &Inputs) -> Result<Setup, SetupError> {
    match scenario.examples() {
        Examples::Dataset(config) => from_dataset(scenario, inputs, config),
        Examples::Synthetic(synthetic) => {
            let encoder = model::load_config(&inputs.model, scenario.base_dir())?;
            let model_settings_hash = model::settings_hash(&encoder, None);
            check_lock(scenario, None, &model_settings_hash, None)?;
            let sizes = match synthetic.num_examples {
                ShardSizeConfig::Fixed(size) => ShardSizes::Fixed(size),
                ShardSizeConfig::Drawn(drawn) => {
                    ShardSizes::Lognormal { median: drawn.lognormal.median, sigma: drawn.lognormal.sigma }
                }
            };
            let length = synthetic.sequence_length;
            check_length(scenario.tuning(), &encoder, length)?;
            let flops = training_flops(&encoder, scenario.tuning(), synthetic.num_labels, length)?;
            let costs = SampleCosts::Same {
                per_sample: flops.per_example.total(),
                per_batch: flops.per_batch.total(),
                batch_size: scenario.train().per_device_train_batch_size as u64,
            };
            let layout = layout_of(scenario, &encoder, synthetic.num_labels)?;
            let memory = memory_of(scenario, &encoder, synthetic.num_labels, length)?;
            let plan = plan(scenario, sizes, costs, memory, &layout)?;
            let doubts = doubts::memory(&plan.population);
            Ok(Setup {
                plan,
                memory: RunMemory::new(memory, memory.batch_size, &layout),
                learner: None,
                model_hash: None,
                model_settings_hash,
                dataset_hash: None,
                partition_hash: None,
                init_hash: None,
                recording_hashes: recording_hashes(scenario)?,
                notes: Vec::new(),
                doubts,
                tokens: CacheUse::Unused,
                partition: None,
                unused_tensors: Vec::new(),
                n_trainable: n_trainable(scenario, &encoder, synthetic.num_labels)?,
                workload: Workload { encoder, n_labels: synthetic.num_labels, lengths: vec![length] },
            })
        }
    }
}

fn from_dataset(scenario: &Scenario, inputs: &Inputs, config: &data::DatasetConfig) -> Result<Setup, SetupError> {
    let seeds = scenario.seeds();
    let (backbone, preprocessor) = model::load(&inputs.model, scenario.model().dtype, scenario.base_dir(), &seeds)?;
    let backbone = on_device(backbone, scenario)?;
    let dataset::Loaded { encoded, origins, hash, tokens, mut notes } =
        dataset::load(scenario, inputs, config, backbone.config(), &preprocessor)?;
    check_metrics(scenario, encoded.labels.len())?;
    let model_settings_hash = model::settings_hash(backbone.config(), Some(&preprocessor));
    check_lock(scenario, Some(backbone.hash()), &model_settings_hash, Some(&hash))?;
    let encoded = Arc::new(encoded);
    let shards = deal(scenario, config, &encoded, &origins)?;
    let partition_hash = config.partition.rests_on_data().then(|| data::hash_of_shards(&shards));
    check_locked(scenario, "partition", |lock| lock.partition_hash.as_deref(), partition_hash.as_deref())?;
    let mut partition = PartitionTable::new(&shards, encoded.train.labels(), &encoded.labels);
    if let Some(groups) = origins.groups() {
        partition = partition.with_groups(&shards, groups);
    }
    let shards: Vec<Arc<[u32]>> = shards.into_iter().map(Arc::from).collect();
    let sizes = ShardSizes::Dealt(shards.iter().map(|shard| shard.len() as u32).collect());
    let warmup = match scenario.mode() {
        Mode::Real => doubts::warmup(scenario.train(), shards.iter().map(|shard| shard.len())),
        Mode::TimingOnly => None,
    };

    let tokenizer = match &preprocessor {
        Preprocessor::Texts(tokenizer) => Some(tokenizer.as_ref()),
        Preprocessor::Images(_) => None,
    };
    let (tuning, train) = (scenario.tuning().clone(), scenario.train().clone());
    let learner = Learner::new(backbone.clone(), tokenizer, tuning, encoded.clone(), train, seeds)?;
    let (learner, init) = match scenario.init() {
        None => (learner, None),
        Some(dir) => {
            let (learner, init) = learner.starting_from(&dir, scenario.init_head()).map_err(SetupError::Init)?;
            check_locked(scenario, "initial adapter", |lock| lock.init_hash.as_deref(), Some(&init.hash))?;
            (learner, Some(init))
        }
    };
    let (learner, initial) = match scenario.mode() {
        Mode::Real => learner.hand_over(),
        Mode::TimingOnly => (learner, None),
    };
    // The learner's may be lighter now; nothing else keeps what it no longer needs.
    notes.extend(init.iter().flat_map(|init| init.notes.clone()));
    if !backbone.drawn_tensors().is_empty() {
        let names = backbone.drawn_tensors().join(", ");
        notes.push(format!("the checkpoint lacks {names}: drawn at random, as transformers does"));
    }
    if let Some(n) = backbone.head_labels() {
        let (head, labels) = ("the checkpoint has a classification head", if n == 1 { "label" } else { "labels" });
        notes.push(format!(
            "{head} for {n} {labels}; it is left aside: the head of a run begins anew, or at that of `init`"
        ));
    }
    let (model_hash, unused_tensors) = (backbone.hash().to_owned(), backbone.unused_tensors().to_vec());
    drop(backbone);
    let learner = Arc::new(learner);
    let flops = learner.epoch_flops(shards.iter().map(Arc::as_ref))?;
    let costs =
        SampleCosts::ByClient(flops.iter().zip(&shards).map(|(flops, shard)| flops.0 / shard.len() as f64).collect());
    let training = learner.memory()?;
    let layout = learner.layout().clone();
    let largest_shard = shards.iter().map(|shard| shard.len()).max().unwrap_or(0);
    let memory = RunMemory::new(training, largest_shard, &layout);
    let mut plan = plan(scenario, sizes, costs, training, &layout)?;
    if let Some(initial) = initial {
        let workers = workers_of(scenario);
        let uplink = scenario.compression().uplink.clone();
        let trainer = Arc::new(LearnerTrainer { learner: learner.clone(), shards, uplink });
        let downlink = scenario.compression().downlink.implementation();
        let encoded = downlink.encode(&initial)?;
        drop(initial);
        let initial = downlink.decode(&layout, &encoded)?;
        plan.learning = Some(Learning { trainer, initial: Arc::new(initial), workers });
    }
    let memory_doubts = doubts::memory(&plan.population);
    Ok(Setup {
        plan,
        memory,
        n_trainable: n_trainable(scenario, learner.backbone().config(), encoded.labels.len())?,
        workload: Workload {
            encoder: learner.backbone().config().clone(),
            n_labels: encoded.labels.len(),
            lengths: learner.lengths(),
        },
        model_hash: Some(model_hash),
        model_settings_hash,
        dataset_hash: Some(hash),
        partition_hash,
        init_hash: init.as_ref().map(|init| init.hash.clone()),
        recording_hashes: recording_hashes(scenario)?,
        notes,
        doubts: warmup.into_iter().chain(memory_doubts).collect(),
        tokens,
        partition: Some(partition),
        unused_tensors,
        learner: Some(learner),
    })
}

/// The backbone where it will be used. A run that trains nothing needs no device.
fn on_device(backbone: Arc<Backbone>, scenario: &Scenario) -> Result<Arc<Backbone>, SetupError> {
    match (scenario.mode(), scenario.device()) {
        (Mode::TimingOnly, _) | (Mode::Real, HostDevice::Cpu) => Ok(backbone),
        (Mode::Real, device) => Ok(Arc::new(backbone.to_device(&device.open()?)?)),
    }
}

/// Refuses a metric that means nothing for this many labels.
fn check_metrics(scenario: &Scenario, n_labels: usize) -> Result<(), SetupError> {
    let asked = scenario.assertions().iter().map(|assertion| assertion.metric).chain([scenario.metric()]);
    match asked.into_iter().find(|metric| !metric.fits(n_labels)) {
        Some(metric) => Err(SetupError::Metric { metric: metric.key(), n_labels }),
        None => Ok(()),
    }
}

/// Jobs that compute at the same time on this machine.
fn workers_of(scenario: &Scenario) -> usize {
    scenario.workers().on(scenario.device(), std::thread::available_parallelism().map_or(1, usize::from))
}

fn deal(
    scenario: &Scenario,
    config: &data::DatasetConfig,
    encoded: &EncodedDataset,
    origins: &RowOrigins,
) -> Result<Vec<Vec<u32>>, SetupError> {
    let mut stream = scenario.seeds().global(Purpose::Partition);
    let partition = config.partition.implementation();
    let (labels, n_classes) = (encoded.train.labels(), encoded.labels.len());
    let rows = TrainingRows { labels, n_classes, origins, base_dir: scenario.base_dir() };
    Ok(partition.deal(&rows, scenario.n_clients() as usize, &mut stream)?)
}

fn layout_of(scenario: &Scenario, encoder: &EncoderConfig, n_labels: usize) -> Result<Arc<Layout>, SetupError> {
    let tensors = travelling_tensors(scenario.tuning(), encoder, n_labels)?;
    Ok(Layout::new(tensors.into_iter().map(|tensor| tensor.spec).collect()))
}

fn n_trainable(scenario: &Scenario, encoder: &EncoderConfig, n_labels: usize) -> Result<usize, SetupError> {
    let tensors = trainable_tensors(scenario.tuning(), encoder, n_labels)?;
    Ok(tensors.iter().map(|tensor| tensor.spec.n_elements()).sum())
}

/// Refuses texts that do not fit into the position table with what the tuning method puts in front of them.
fn check_length(tuning: &TuningConfig, encoder: &EncoderConfig, found: usize) -> Result<(), TrainingError> {
    let (taken, max) = (tuning.implementation().positions(encoder), encoder.max_tokens());
    match encoder.vision.is_none() && found + taken > max {
        true => Err(TrainingError::TooLong { split: None, found, taken, max }),
        false => Ok(()),
    }
}

fn memory_of(
    scenario: &Scenario,
    encoder: &EncoderConfig,
    n_labels: usize,
    length: usize,
) -> Result<TrainingMemory, SetupError> {
    Ok(training_memory(encoder, scenario.tuning(), n_labels, length, scenario.train(), scenario.model().dtype)?)
}

/// The learner with the clients' shards and the codec through which their updates travel.
struct LearnerTrainer {
    learner: Arc<Learner>,
    shards: Vec<Arc<[u32]>>,
    uplink: CodecConfig,
}

impl Trainer for LearnerTrainer {
    fn train(
        &self,
        start: &Arc<Params>,
        client_id: u32,
        address: u32,
        cancel: &Cancel,
    ) -> Option<Result<Trained, LearningError>> {
        let shard = self.shards[client_id as usize].clone();
        let job = TrainJob { start: start.clone(), client_id, address, shard };
        let mut update = match self.learner.train(&job, cancel) {
            Ok(update) => update,
            Err(TrainingError::Cancelled { .. }) => return None,
            Err(TrainingError::Diverged { .. }) => return Some(Ok(Trained::Diverged)),
            Err(error) => return Some(Err(LearningError(error.to_string()))),
        };
        let codec = self.uplink.implementation();
        let received = codec.encode(&update.params).and_then(|payload| codec.decode(self.learner.layout(), &payload));
        Some(match received {
            Ok(params) => {
                update.params = params;
                Ok(Trained::Update(Box::new(update)))
            }
            Err(error) => Err(LearningError(error.to_string())),
        })
    }

    fn evaluate(&self, params: &Params, cancel: &Cancel) -> Option<Result<Evaluation, LearningError>> {
        let evaluation = self.learner.evaluate_unless_cancelled(params, Split::Validation, cancel);
        evaluation.map_err(|error| LearningError(error.to_string())).transpose()
    }
}
