//! How the server turns updates into the next global model.

mod fedavg;

pub use fedavg::{FedAvgConfig, Weighting};

use crate::one_of;
use crate::params::Params;
use crate::registry::Problem;
use crate::units::SimDuration;

/// A rule for combining updates.
///
/// A round of aggregation is a [`Fold`]: begun when the first value is at hand, fed in simulated arrival order (ties by
/// client id), finished once. Values are added in `f32` in that order, so the bytes of the result depend on nothing else.
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
    fn begin(&self, global: &Params) -> Box<dyn Fold>;
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
        /// Updates of older models are refused; a model's own next version has staleness 1.
        max_staleness: Option<u32>,
    },
    /// Semi-synchronously: `concurrency` clients are kept at work, and what has arrived makes a model every `period`.
    Period {
        /// Time between two models.
        period: SimDuration,
        /// Clients at work at any time.
        concurrency: usize,
        /// Updates of older models are refused.
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
    }
}

impl Default for StrategyConfig {
    fn default() -> Self {
        Self::FedAvg(FedAvgConfig::default())
    }
}
