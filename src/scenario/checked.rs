//! The scenario as the run uses it: every value there, typed and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::assertion::Assertion;
use super::check;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::lock::LockHeader;
use super::origins::Origins;
use super::raw::Draft;
use super::settings::{CompressionConfig, EvaluationConfig, Metric, Mode, OutputConfig, ShardSizeConfig, Workers};
use crate::data::DatasetConfig;
use crate::model::{EncoderConfig, HostDevice, ModelConfig, ModelSource};
use crate::petuning::{InitialHead, TuningConfig};
use crate::registry::Problem;
use crate::seed::Seeds;
use crate::sim::{
    AvailabilityConfig, BuildContext, CrashConfig, DeviceClassConfig, DropoutConfig, NetworkClassConfig, OutageConfig,
    RegionConfig, RestartConfig, ServerNetworkConfig, SharingConfig, UploadConfig,
};
use crate::strategy::round::{BelowMinUpdatesConfig, LateUpdatesConfig};
use crate::strategy::{SelectionConfig, StrategyConfig};
use crate::training::TrainConfig;
use crate::units::{Bytes, SimDuration};

/// A checked scenario. [`load`](super::load) is the only way to get one, so what it says can be relied on.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    raw: Draft,
    base_dir: PathBuf,
    server_network: ServerNetworkConfig,
    model_source: ModelSource,
    examples: Examples,
    origins: Origins,
    /// Of a sweep's threads, those of this cell, and all.
    share: Option<(usize, usize)>,
}

/// Where the examples of the clients come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Examples {
    /// From a data set, dealt by its partition.
    Dataset(Box<DatasetConfig>),
    /// No data set is loaded; only their number matters.
    Synthetic(SyntheticExamples),
}

/// Examples that exist only as a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SyntheticExamples {
    /// Examples per client.
    pub num_examples: ShardSizeConfig,
    /// Tokens of each example.
    pub sequence_length: usize,
    /// Number of labels; decides the size of the head.
    pub num_labels: usize,
}

impl Scenario {
    /// Takes over what the checks found to be in order.
    pub(super) fn new(raw: Draft, base_dir: PathBuf, model_source: ModelSource, examples: Examples) -> Self {
        let unlimited = ServerNetworkConfig { uplink: None, downlink: None, sharing: SharingConfig::default() };
        let server_network = raw.server.network.clone().unwrap_or(unlimited);
        let mut raw = raw;
        raw.evaluation.metric = Some(raw.metric());
        Self { raw, base_dir, server_network, model_source, examples, origins: Origins::default(), share: None }
    }

    /// The same, and it knows where its settings were written.
    pub(super) fn with_origins(self, origins: Origins) -> Self {
        Self { origins, ..self }
    }

    pub(super) fn origins(&self) -> &Origins {
        &self.origins
    }

    /// What is right and probably not meant, each with its place. The scenario runs all the same.
    pub fn warnings(&self) -> Diagnostics {
        self.origins.warnings()
    }

    /// The warning that the `sweep` beside the scenario is no part of it, for a run that does not sweep; empty where there is
    /// none.
    pub fn left_out_sweep(&self) -> Diagnostics {
        self.origins.left_out()
    }

    /// A problem of the setting at a dotted path that came to light only with the model and the data at hand, shown like
    /// those that [`load`](super::load) finds.
    pub fn problem(&self, code: &'static str, path: &str, message: String, help: Option<String>) -> Diagnostics {
        let problem = Diagnostic { help, ..Diagnostic::new(code, message, self.origins.locate(path)) };
        self.origins.show(vec![problem])
    }

    /// The same of what is right and probably not meant, by code, where a setting's path is that of the whole scenario.
    pub fn warnings_of(&self, doubts: &[(&'static str, Problem)]) -> Diagnostics {
        let warning = |(code, Problem { path, message, help }): &(&'static str, Problem)| {
            let found = Diagnostic::new(code, format!("`{path}`: {message}"), self.origins.locate(path));
            Diagnostic { is_warning: true, help: help.clone(), ..found }
        };
        self.origins.show(doubts.iter().map(warning).collect())
    }

    /// Checks what [`load`](super::load) does of the model's shape, once a model on the hub has told it.
    ///
    /// # Errors
    /// Every problem found, each with its place.
    pub fn check_shape(&self, encoder: &EncoderConfig) -> Result<(), Diagnostics> {
        let problems = self.origins.problems_of(|root, problems| {
            check::check_shape(&self.raw, root, &self.base_dir, encoder, problems);
        });
        if problems.list().is_empty() { Ok(()) } else { Err(problems) }
    }

    pub(super) fn raw(&self) -> &Draft {
        &self.raw
    }

    /// Name of the scenario: letters, digits, `-`, `_` and `.`.
    pub fn name(&self) -> &str {
        &self.raw.name
    }

    /// The folder that relative paths of the scenario start from: its file's, or the working directory.
    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    /// The root seed.
    pub fn seed(&self) -> u64 {
        self.raw.seed
    }

    /// Runs with successive seeds, >= 1.
    pub fn repeats(&self) -> u32 {
        self.raw.repeats
    }

    /// The same scenario with another seed, as one run.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.raw.seed = seed;
        self.raw.repeats = 1;
        self
    }

    /// The same scenario on so many of a sweep's training threads, with that share of `compute.memory_limit`. What is
    /// written to its lock file stays.
    #[must_use]
    pub fn on_threads(mut self, threads: usize, of: usize) -> Self {
        self.share = Some((threads, of));
        self
    }

    /// What decides the results, for the lock of a sweep: paths are absolute, threads are left open.
    pub(super) fn for_sweep_lock(&self) -> Draft {
        let mut raw = self.raw.clone();
        raw.repeats = 1;
        raw.compute.workers = Workers::Auto;
        for path in raw.paths_mut() {
            path.anchor(&self.base_dir);
        }
        raw
    }

    /// The streams derived from the seed.
    pub fn seeds(&self) -> Seeds {
        Seeds::new(self.raw.seed)
    }

    /// What the models of the simulated world are built from, beside their settings.
    pub fn build_context(&self) -> BuildContext {
        BuildContext { seeds: self.seeds(), n_clients: self.n_clients(), base_dir: self.base_dir.clone() }
    }

    /// What produced this scenario, when it was read from a lock file.
    pub fn lock(&self) -> Option<&LockHeader> {
        self.raw.lock.as_ref()
    }

    /// The frozen encoder.
    pub fn model(&self) -> &ModelConfig {
        &self.raw.model
    }

    /// Where the frozen encoder comes from.
    pub fn model_source(&self) -> &ModelSource {
        &self.model_source
    }

    /// Where the clients' examples come from. Always a data set in [`Mode::Real`].
    pub fn examples(&self) -> &Examples {
        &self.examples
    }

    /// The data set, if one is loaded.
    pub fn dataset(&self) -> Option<&DatasetConfig> {
        match &self.examples {
            Examples::Dataset(dataset) => Some(dataset),
            Examples::Synthetic(_) => None,
        }
    }

    /// What is trained.
    pub fn tuning(&self) -> &TuningConfig {
        &self.raw.tuning
    }

    /// Folder of the adapter that the run starts from, if it does from one.
    pub fn init(&self) -> Option<PathBuf> {
        self.raw.init.as_ref().map(|dir| self.base_dir.join(dir))
    }

    /// Whether the head of that adapter is kept.
    pub fn init_head(&self) -> InitialHead {
        self.raw.init_head
    }

    /// Registered clients, >= 1.
    pub fn n_clients(&self) -> u32 {
        self.raw.clients.total
    }

    /// Local training.
    pub fn train(&self) -> &TrainConfig {
        &self.raw.clients.train
    }

    /// Device classes by name, in alphabetical order; their shares sum to 1.
    pub fn device_classes(&self) -> &BTreeMap<String, DeviceClassConfig> {
        &self.raw.clients.devices
    }

    /// Network classes by name, in alphabetical order; their shares sum to 1.
    pub fn network_classes(&self) -> &BTreeMap<String, NetworkClassConfig> {
        &self.raw.clients.networks
    }

    /// When clients can be reached.
    pub fn availability(&self) -> &AvailabilityConfig {
        &self.raw.clients.availability
    }

    /// Regions by name, in alphabetical order; their shares sum to 1 unless there are none.
    pub fn regions(&self) -> &BTreeMap<String, RegionConfig> {
        &self.raw.clients.regions
    }

    /// How often devices crash at work.
    pub fn crashes(&self) -> Option<&CrashConfig> {
        self.raw.clients.crashes.as_ref()
    }

    /// Windows in which clients are offline together.
    pub fn outages(&self) -> &[OutageConfig] {
        &self.raw.clients.outages
    }

    /// What becomes of uploads that break off.
    pub fn uploads(&self) -> &UploadConfig {
        &self.raw.clients.uploads
    }

    /// When the server goes down, in the order of time.
    pub fn restarts(&self) -> &[RestartConfig] {
        &self.raw.server.restarts
    }

    /// What happens to a round with fewer than [`min_updates`](Self::min_updates).
    pub fn below_min_updates(&self) -> &BelowMinUpdatesConfig {
        &self.raw.server.below_min_updates
    }

    /// What becomes of updates that a round no longer waits for.
    pub fn late_updates(&self) -> &LateUpdatesConfig {
        &self.raw.server.late_updates
    }

    /// A run that makes no model for longer than this is ended with an error; rounds without one do not count.
    pub fn give_up_after(&self) -> SimDuration {
        self.raw.server.give_up_after
    }

    /// How often tasks fail.
    pub fn dropout(&self) -> &DropoutConfig {
        &self.raw.clients.dropout
    }

    /// Rounds to run, >= 1.
    pub fn rounds(&self) -> u32 {
        self.raw.server.rounds
    }

    /// Updates that a round aggregates, >= 1. Means nothing with a strategy that has no rounds.
    pub fn clients_per_round(&self) -> u32 {
        self.raw.server.clients_per_round.unwrap_or(1)
    }

    /// Clients asked in a round: `clients_per_round` x `over_selection`, rounded up; at most [`Scenario::n_clients`].
    pub fn dispatches_per_round(&self) -> u32 {
        dispatches(self.clients_per_round(), self.raw.server.over_selection)
    }

    /// Longest time of a round, if there is a limit.
    pub fn deadline(&self) -> Option<SimDuration> {
        self.raw.server.deadline
    }

    /// Fewest updates with which a round counts; between 1 and `clients_per_round`.
    pub fn min_updates(&self) -> u32 {
        self.raw.server.min_updates
    }

    /// How updates become the next global model.
    pub fn strategy(&self) -> &StrategyConfig {
        &self.raw.server.strategy
    }

    /// Who is asked in a round.
    pub fn selection(&self) -> &SelectionConfig {
        &self.raw.server.selection
    }

    /// The server's own link.
    pub fn server_network(&self) -> &ServerNetworkConfig {
        &self.server_network
    }

    /// How payloads are encoded.
    pub fn compression(&self) -> &CompressionConfig {
        &self.raw.compression
    }

    /// How the global model is evaluated.
    pub fn evaluation(&self) -> &EvaluationConfig {
        &self.raw.evaluation
    }

    /// The number that rounds are compared by: as written, else the custom of the data set, else accuracy.
    pub fn metric(&self) -> Metric {
        self.raw.metric()
    }

    /// Whether models are trained.
    pub fn mode(&self) -> Mode {
        self.raw.compute.mode
    }

    /// Training threads.
    pub fn workers(&self) -> Workers {
        self.share.map_or(self.raw.compute.workers, |(threads, _)| Workers::Count(threads))
    }

    /// What trains and evaluates.
    pub fn device(&self) -> HostDevice {
        self.raw.compute.device
    }

    /// Memory that the process may use, if there is a limit.
    pub fn memory_limit(&self) -> Option<Bytes> {
        let limit = self.raw.compute.memory_limit?;
        let (threads, of) = self.share.unwrap_or((1, 1));
        Some(Bytes::new((u128::from(limit.get()) * threads as u128 / of.max(1) as u128) as u64))
    }

    /// Where results go.
    pub fn output(&self) -> &OutputConfig {
        &self.raw.output
    }

    /// What must hold at the end.
    pub fn assertions(&self) -> &[Assertion] {
        &self.raw.assert
    }
}

/// `clients_per_round` x `over_selection`, rounded up. A product that is whole but for rounding error stays.
pub(super) fn dispatches(clients_per_round: u32, over_selection: f64) -> u32 {
    let wanted = f64::from(clients_per_round) * over_selection;
    (wanted - 1e-9).ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::dispatches;

    #[test]
    fn dispatches_are_rounded_up_once() {
        assert_eq!(dispatches(10, 1.3), 13);
        assert_eq!(dispatches(10, 1.25), 13);
        // 1.1 x 10 is 11.000000000000002 in binary: still 11 clients
        assert_eq!(dispatches(10, 1.1), 11);
        assert_eq!(dispatches(7, 1.0), 7);
    }
}
