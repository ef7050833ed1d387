//! How the server turns updates into the next global model.

mod concurrency;
mod fedasync;
mod fedavg;
mod fedbuff;
mod semi_sync;
mod staleness;
#[cfg(test)]
mod testing;
mod weighting;

pub use fedasync::FedAsyncConfig;
pub use fedavg::FedAvgConfig;
pub use fedbuff::FedBuffConfig;
pub use semi_sync::SemiSyncConfig;
pub use staleness::{ConstantStaleness, HingeStaleness, PolynomialStaleness, Staleness, StalenessConfig};
pub use weighting::Weighting;

use std::sync::Arc;

use crate::one_of;
use crate::params::Params;
use crate::registry::Problem;
use crate::units::SimDuration;

/// A rule for combining updates.
///
/// A round of aggregation is a [`Fold`]: begun when the first value is at hand, fed in simulated arrival order (those of
/// one instant in the order in which they were asked), finished once. Values are added in `f32` in that order, so the bytes of the result depend on nothing else.
pub trait Strategy: Send + Sync {
    /// Settings out of range.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// When updates become the next model.
    fn pace(&self) -> Pace {
        Pace::Rounds
    }

    /// Begins to combine updates into the successor of `global`.
    fn begin(&self, global: &Arc<Params>) -> Box<dyn Fold>;
}

/// When updates become the next model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// In rounds: a cohort is asked, and the server waits for it.
    Rounds,
    /// Asynchronously: `concurrency` clients are kept at work, and every `buffer_size` updates make a model.
    Buffer {
        /// Updates per model, in `1..=concurrency`.
        buffer_size: usize,
        /// Clients at work at any time.
        concurrency: usize,
        /// Largest staleness of an update that is used; older ones are refused. None: any is used.
        max_staleness: Option<u32>,
    },
    /// Semi-synchronously: clients are asked until `concurrency` are at work, and what has arrived makes a model, every
    /// `period`.
    Period {
        /// Time between two models.
        period: SimDuration,
        /// Clients at work at the start of a period.
        concurrency: usize,
        /// Largest staleness of an update that is used; older ones are refused. None: any is used.
        max_staleness: Option<u32>,
    },
}

/// A client's update, as a fold receives it.
#[derive(Debug, Clone, Copy)]
pub struct Contribution<'a> {
    /// The trained values.
    pub values: &'a Params,
    /// The values that training started from.
    pub start: &'a Params,
    /// Examples that it was made from.
    pub num_examples: usize,
    /// Models that have come out since `start` did; 0 when `start` is the global model.
    pub staleness: u32,
    /// What the server lets it count for beside what the strategy makes of it, in (0, 1]: 1 but for updates that it folds
    /// in late.
    pub weight: f32,
}

impl Contribution<'_> {
    /// Adds `weight` times the change that training made.
    fn add_change(&self, weight: f32, sum: &mut Params) {
        let changes = self.values.values().iter().zip(self.start.values());
        for (sum, (value, start)) in sum.values_mut().iter_mut().zip(changes) {
            *sum += weight * (value - start);
        }
    }
}

/// One aggregation in progress.
pub trait Fold: Send {
    /// Adds a client's update.
    fn add(&mut self, contribution: &Contribution<'_>);

    /// The next global model. Call only after at least one `add`.
    fn finish(self: Box<Self>) -> Params;
}

one_of! {
    /// How updates become the next global model: `server.strategy`.
    pub enum StrategyConfig: dyn Strategy, setting "server.strategy" {
        "fedavg" => FedAvg(FedAvgConfig), "mean of the updates, weighted by samples or uniform (arXiv 1602.05629)";
        "fedasync" => FedAsync(FedAsyncConfig), "asynchronous: each update is mixed in as it arrives (arXiv 1903.03934)";
        "fedbuff" => FedBuff(FedBuffConfig), "asynchronous: every so many updates make a model (arXiv 2106.06639)";
        "semi_sync" => SemiSync(SemiSyncConfig), "what has arrived makes a model every so often; nobody is waited for";
    }
}

impl Default for StrategyConfig {
    fn default() -> Self {
        Self::FedAvg(FedAvgConfig::default())
    }
}
