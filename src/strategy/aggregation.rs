//! How the server turns updates into the next global model.

mod fedavg;

pub use fedavg::{FedAvgConfig, Weighting};

use crate::one_of;
use crate::params::Params;
use crate::registry::Problem;

/// A rule for combining updates.
///
/// A round of aggregation is a [`Fold`]: begun when the first value is at hand, fed in simulated arrival order (ties by
/// client id), finished once. Values are added in `f32` in that order, so the bytes of the result depend on nothing else.
pub trait Strategy: Send + Sync {
    /// Settings out of range.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Begins to combine updates of `global`.
    fn begin(&self, global: &Params) -> Box<dyn Fold>;
}

/// One aggregation in progress.
pub trait Fold: Send {
    /// Adds a client's trained values, made from `num_examples` examples.
    fn add(&mut self, values: &Params, num_examples: usize);

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
