//! Semi-synchronous aggregation: whatever has arrived makes a model every `period`,
//! `w <- w + sum_k p_k s(tau_k) (w_k - start_k) / sum_k p_k`.
//!
//! Between FedAvg, which waits for its cohort, and FedBuff, which waits for a number of updates: here the server waits
//! for nobody. The sum is divided by the weights `p_k` without the staleness factors, so a period of stale updates makes
//! a smaller step; when all updates are fresh, it is FedAvg.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::concurrency::concurrency_problem;
use super::{Contribution, Fold, Pace, StalenessConfig, Strategy, Weighting};
use crate::params::Params;
use crate::registry::Problem;
use crate::units::SimDuration;

/// Settings of semi-synchronous aggregation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SemiSyncConfig {
    /// Time between two models, > 0.
    pub period: SimDuration,
    /// Clients at work at the start of a period, >= 1. Whoever is done before its end is not asked again in it.
    pub concurrency: u32,
    /// What an update counts for. Default: `num_samples`.
    #[serde(default)]
    pub weighting: Weighting,
    /// How the weight of an update falls with its staleness. Default: `polynomial: { a: 0.5 }`.
    #[serde(default)]
    pub staleness: StalenessConfig,
    /// Largest staleness of an update that is used; older ones are refused. None: any is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_staleness: Option<u32>,
}

impl Strategy for SemiSyncConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = concurrency_problem(self.concurrency).into_iter().collect();
        if self.period == SimDuration::ZERO {
            let message = "no update can arrive in no time";
            problems.push(Problem::new("period", message).help("write the time between two models, such as `5 min`"));
        }
        problems.extend(self.staleness.problems_at("staleness"));
        problems
    }

    fn pace(&self) -> Pace {
        Pace::Period { period: self.period, concurrency: self.concurrency as usize, max_staleness: self.max_staleness }
    }

    fn begin(&self, global: &Arc<Params>) -> Box<dyn Fold> {
        Box::new(Changes {
            weighting: self.weighting,
            staleness: self.staleness.clone(),
            global: global.clone(),
            sum: Params::zeros(global.layout().clone()),
            total_weight: 0.0,
        })
    }
}

struct Changes {
    weighting: Weighting,
    staleness: StalenessConfig,
    global: Arc<Params>,
    sum: Params,
    total_weight: f32,
}

impl Fold for Changes {
    fn add(&mut self, contribution: &Contribution<'_>) {
        let weight = self.weighting.of(contribution);
        self.total_weight += weight;
        let reduced = weight * self.staleness.weight(contribution.staleness) * contribution.weight;
        contribution.add_change(reduced, &mut self.sum);
    }

    fn finish(mut self: Box<Self>) -> Params {
        let total_weight = self.total_weight;
        for (sum, global) in self.sum.values_mut().iter_mut().zip(self.global.values()) {
            *sum = global + *sum / total_weight;
        }
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Arrival, fold, parse, paths_of_problems};
    use super::*;

    #[test]
    fn changes_are_weighted_by_samples_and_staleness() {
        let strategy: SemiSyncConfig = parse(serde_json::json!({ "period": "5 min", "concurrency": 4 }));
        // +4 by 30 examples, +8 by 10 examples at weight 1/2: 10 + (30 x 4 + 10 x 0.5 x 8) / (30 + 10) = 14.
        let arrivals = [Arrival::fresh(10.0, 14.0, 30), Arrival::stale(1.0, 9.0, 10, 3)];
        assert_eq!(fold(&strategy, 10.0, &arrivals), 14.0);
    }

    #[test]
    fn uniform_weights_make_each_change_count_alike() {
        let strategy: SemiSyncConfig =
            parse(serde_json::json!({ "period": "5 min", "concurrency": 4, "weighting": "uniform" }));
        // 10 + (4 + 0.5 x 8) / 2 = 14
        let arrivals = [Arrival::fresh(10.0, 14.0, 30), Arrival::stale(1.0, 9.0, 10, 3)];
        assert_eq!(fold(&strategy, 10.0, &arrivals), 14.0);
    }

    #[test]
    fn fresh_updates_make_the_mean_of_fedavg() {
        let strategy: SemiSyncConfig = parse(serde_json::json!({ "period": "1 s", "concurrency": 2 }));
        // (1 x 30 + 5 x 10) / 40 = 2
        assert_eq!(fold(&strategy, 3.0, &[Arrival::fresh(3.0, 1.0, 30), Arrival::fresh(3.0, 5.0, 10)]), 2.0);
    }

    #[test]
    fn its_pace_is_its_period() {
        let strategy: SemiSyncConfig =
            parse(serde_json::json!({ "period": "90 s", "concurrency": 3, "max_staleness": 2 }));
        let period = SimDuration::from_nanos(90_000_000_000);
        assert_eq!(strategy.pace(), Pace::Period { period, concurrency: 3, max_staleness: Some(2) });
        assert!(strategy.problems().is_empty());
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let strategy: SemiSyncConfig = parse(serde_json::json!({ "period": "0 s", "concurrency": 0 }));
        assert_eq!(paths_of_problems(&strategy), ["concurrency", "period"]);
    }
}
