//! FedBuff (Nguyen et al. 2022, arXiv 2106.06639): updates are collected in a buffer, and every `K` of them make a model,
//! `w <- w + eta_g / K sum_k s(tau_k) (w_k - start_k)` (algorithm 1, with the paper's
//! scaling by staleness).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::concurrency::concurrency_problem;
use super::{Contribution, Fold, Pace, StalenessConfig, Strategy};
use crate::params::Params;
use crate::registry::Problem;

/// Settings of FedBuff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FedBuffConfig {
    /// Updates that make a model, in 1..=`concurrency`. The paper finds 10 good. 1 makes a model of each.
    pub buffer_size: u32,
    /// Clients at work at any time, >= 1.
    pub concurrency: u32,
    /// How the weight of an update falls with its staleness. Default: `polynomial: { a: 0.5 }`, as in the paper.
    #[serde(default)]
    pub staleness: StalenessConfig,
    /// Largest staleness of an update that is used; older ones are refused. None: any is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_staleness: Option<u32>,
    /// `eta_g`, what the mean change is multiplied by, > 0. Default: 1.
    #[serde(default = "default_server_learning_rate")]
    pub server_learning_rate: f64,
}

fn default_server_learning_rate() -> f64 {
    1.0
}

impl Strategy for FedBuffConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = concurrency_problem(self.concurrency).into_iter().collect();
        if self.buffer_size == 0 {
            let message = "a model cannot be made of no update";
            problems.push(Problem::new("buffer_size", message).help("1 makes a model of each update"));
        } else if self.concurrency > 0 && self.buffer_size > self.concurrency {
            let message = format!(
                "an update of every client at work would not fill the buffer: {} are at work, {} fill it",
                self.concurrency, self.buffer_size
            );
            let help = format!("lower buffer_size to at most {}, or raise concurrency", self.concurrency);
            problems.push(Problem::new("buffer_size", message).help(help));
        }
        if !(self.server_learning_rate > 0.0 && self.server_learning_rate.is_finite()) {
            let message = format!("{} must be above 0", self.server_learning_rate);
            problems.push(Problem::new("server_learning_rate", message).help("1 takes the mean change as it is"));
        }
        problems.extend(self.staleness.problems_at("staleness"));
        problems
    }

    fn pace(&self) -> Pace {
        Pace::Buffer {
            buffer_size: self.buffer_size as usize,
            concurrency: self.concurrency as usize,
            max_staleness: self.max_staleness,
        }
    }

    fn begin(&self, global: &Arc<Params>) -> Box<dyn Fold> {
        Box::new(Buffer {
            learning_rate: self.server_learning_rate as f32,
            staleness: self.staleness.clone(),
            global: global.clone(),
            sum: Params::zeros(global.layout().clone()),
            n_updates: 0,
        })
    }
}

struct Buffer {
    learning_rate: f32,
    staleness: StalenessConfig,
    global: Arc<Params>,
    sum: Params,
    n_updates: u32,
}

impl Fold for Buffer {
    fn add(&mut self, contribution: &Contribution<'_>) {
        let weight = self.staleness.weight(contribution.staleness) * contribution.weight;
        contribution.add_change(weight, &mut self.sum);
        self.n_updates += 1;
    }

    /// Divides by the number of updates and not by their weights: a buffer of stale updates makes a smaller step.
    fn finish(mut self: Box<Self>) -> Params {
        let step = self.learning_rate / self.n_updates as f32;
        for (sum, global) in self.sum.values_mut().iter_mut().zip(self.global.values()) {
            *sum = global + step * *sum;
        }
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Arrival, fold, parse, paths_of_problems};
    use super::*;

    #[test]
    fn the_mean_change_is_scaled_by_staleness_and_learning_rate() {
        let strategy: FedBuffConfig =
            parse(serde_json::json!({ "buffer_size": 2, "concurrency": 2, "server_learning_rate": 0.5 }));
        // Changes +6 (fresh) and +8 (staleness 3, weight 1/2): 10 + 0.5 / 2 x (6 + 4) = 12.5; examples count for nothing.
        let arrivals = [Arrival::fresh(10.0, 16.0, 1), Arrival::stale(2.0, 10.0, 500, 3)];
        assert_eq!(fold(&strategy, 10.0, &arrivals), 12.5);
    }

    #[test]
    fn a_buffer_of_stale_updates_makes_a_smaller_step() {
        let strategy: FedBuffConfig = parse(serde_json::json!({ "buffer_size": 2, "concurrency": 2 }));
        // Both weigh 1/2: 10 + (4 + 4) / 2 x 1/2 = 12, where fresh ones would give 14.
        let stale = [Arrival::stale(0.0, 4.0, 1, 3), Arrival::stale(0.0, 4.0, 1, 3)];
        assert_eq!(fold(&strategy, 10.0, &stale), 12.0);
        let fresh = [Arrival::fresh(10.0, 14.0, 1), Arrival::fresh(10.0, 14.0, 1)];
        assert_eq!(fold(&strategy, 10.0, &fresh), 14.0);
    }

    #[test]
    fn fresh_updates_make_their_plain_mean() {
        let strategy: FedBuffConfig = parse(serde_json::json!({ "buffer_size": 4, "concurrency": 8 }));
        let arrivals = [2.0, 4.0, 6.0, 12.0].map(|value| Arrival::fresh(1.0, value, 3));
        assert_eq!(fold(&strategy, 1.0, &arrivals), 6.0);
    }

    #[test]
    fn its_pace_is_its_buffer() {
        let strategy: FedBuffConfig =
            parse(serde_json::json!({ "buffer_size": 10, "concurrency": 20, "max_staleness": 20 }));
        assert_eq!(strategy.pace(), Pace::Buffer { buffer_size: 10, concurrency: 20, max_staleness: Some(20) });
        assert!(strategy.problems().is_empty());
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let problems = |json| paths_of_problems(&parse::<FedBuffConfig>(json));
        assert_eq!(
            problems(serde_json::json!({ "buffer_size": 0, "concurrency": 0, "server_learning_rate": 0.0 })),
            ["concurrency", "buffer_size", "server_learning_rate"]
        );
        let too_large = parse::<FedBuffConfig>(serde_json::json!({ "buffer_size": 11, "concurrency": 10 })).problems();
        assert!(too_large[0].message.contains("would not fill the buffer"), "{too_large:?}");
        assert!(too_large[0].help.as_ref().unwrap().contains("at most 10"));
    }
}
