//! FedAsync (Xie et al. 2019, arXiv 1903.03934): every update is mixed into the model as it arrives,
//! `w <- (1 - alpha_t) w + alpha_t w_k` with `alpha_t = alpha s(tau_k)` (algorithm 1).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::concurrency::concurrency_problem;
use super::{Contribution, Fold, Pace, StalenessConfig, Strategy};
use crate::params::Params;
use crate::registry::Problem;

/// Settings of FedAsync.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FedAsyncConfig {
    /// Clients at work at any time, >= 1.
    pub concurrency: u32,
    /// How much of a fresh update goes into the model, in (0, 1]. 1 replaces the model by the update. Default: 0.6.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// How the weight of an update falls with its staleness. Default: `polynomial: { a: 0.5 }`.
    #[serde(default)]
    pub staleness: StalenessConfig,
    /// Largest staleness of an update that is used; older ones are refused. None: any is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_staleness: Option<u32>,
}

fn default_alpha() -> f64 {
    0.6
}

impl Strategy for FedAsyncConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = concurrency_problem(self.concurrency).into_iter().collect();
        if !(self.alpha > 0.0 && self.alpha <= 1.0) {
            let message = format!("{} is not in (0, 1]", self.alpha);
            problems.push(Problem::new("alpha", message).help("0.6 keeps 40 % of the model as it was"));
        }
        problems.extend(self.staleness.problems_at("staleness"));
        problems
    }

    fn pace(&self) -> Pace {
        Pace::Buffer { buffer_size: 1, concurrency: self.concurrency as usize, max_staleness: self.max_staleness }
    }

    fn begin(&self, global: &Arc<Params>) -> Box<dyn Fold> {
        Box::new(Mixture { alpha: self.alpha as f32, staleness: self.staleness.clone(), model: Params::clone(global) })
    }
}

struct Mixture {
    alpha: f32,
    staleness: StalenessConfig,
    model: Params,
}

impl Fold for Mixture {
    fn add(&mut self, contribution: &Contribution<'_>) {
        let alpha = self.alpha * self.staleness.weight(contribution.staleness) * contribution.weight;
        for (value, new) in self.model.values_mut().iter_mut().zip(contribution.values.values()) {
            *value = (1.0 - alpha) * *value + alpha * new;
        }
    }

    fn finish(self: Box<Self>) -> Params {
        self.model
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Arrival, fold, parse, paths_of_problems};
    use super::*;

    #[test]
    fn an_update_is_mixed_in_by_alpha_and_staleness() {
        let strategy: FedAsyncConfig = parse(serde_json::json!({ "concurrency": 4, "alpha": 0.5 }));
        // Fresh: 0.5 x 8 + 0.5 x 16 = 12. Three models late: alpha = 0.5 x (1 + 3)^-0.5 = 0.25, 0.75 x 8 + 0.25 x 16 = 10.
        assert_eq!(fold(&strategy, 8.0, &[Arrival::fresh(8.0, 16.0, 5)]), 12.0);
        assert_eq!(fold(&strategy, 8.0, &[Arrival::stale(2.0, 16.0, 5, 3)]), 10.0);
    }

    #[test]
    fn updates_of_one_model_are_mixed_in_one_after_the_other() {
        let strategy: FedAsyncConfig =
            parse(serde_json::json!({ "concurrency": 4, "alpha": 0.5, "staleness": "constant" }));
        // 0.5 x 8 + 0.5 x 16 = 12, then 0.5 x 12 + 0.5 x 4 = 8: examples count for nothing.
        assert_eq!(fold(&strategy, 8.0, &[Arrival::fresh(8.0, 16.0, 5), Arrival::stale(0.0, 4.0, 500, 9)]), 8.0);
    }

    #[test]
    fn an_alpha_of_one_replaces_the_model() {
        let strategy: FedAsyncConfig = parse(serde_json::json!({ "concurrency": 1, "alpha": 1.0 }));
        assert_eq!(fold(&strategy, 8.0, &[Arrival::fresh(8.0, 16.0, 5)]), 16.0);
    }

    #[test]
    fn every_update_makes_a_model() {
        let strategy: FedAsyncConfig = parse(serde_json::json!({ "concurrency": 7, "max_staleness": 3 }));
        assert_eq!(strategy.pace(), Pace::Buffer { buffer_size: 1, concurrency: 7, max_staleness: Some(3) });
        assert_eq!(strategy.alpha, 0.6);
        assert!(strategy.problems().is_empty());
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let all = serde_json::json!({ "concurrency": 0, "alpha": 0.0, "staleness": { "polynomial": { "a": -1.0 } } });
        assert_eq!(
            paths_of_problems(&parse::<FedAsyncConfig>(all)),
            ["concurrency", "alpha", "staleness.polynomial.a"]
        );
        for alpha in [-0.1, 1.1] {
            let one = serde_json::json!({ "concurrency": 1, "alpha": alpha });
            assert_eq!(paths_of_problems(&parse::<FedAsyncConfig>(one)), ["alpha"]);
        }
    }
}
