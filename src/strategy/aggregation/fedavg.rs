//! FedAvg (McMahan et al. 2017, arXiv 1602.05629): `w = sum_k p_k w_k`, with `p_k = n_k / sum n` or `1 / K`.
//!
//! An update of an older model, which a server may fold in late, stands for the model that its change would make of the
//! current one: `global + (w_k - start_k)`, with `p_k` multiplied by the weight that the server gives it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Contribution, Fold, Strategy, Weighting};
use crate::params::Params;

/// Settings of FedAvg.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FedAvgConfig {
    /// What an update counts for.
    pub weighting: Weighting,
}

impl Strategy for FedAvgConfig {
    fn begin(&self, global: &Arc<Params>) -> Box<dyn Fold> {
        Box::new(WeightedMean {
            weighting: self.weighting,
            global: global.clone(),
            sum: Params::zeros(global.layout().clone()),
            total_weight: 0.0,
        })
    }
}

struct WeightedMean {
    weighting: Weighting,
    global: Arc<Params>,
    sum: Params,
    total_weight: f32,
}

impl Fold for WeightedMean {
    fn add(&mut self, contribution: &Contribution<'_>) {
        let weight = self.weighting.of(contribution) * contribution.weight;
        self.total_weight += weight;
        let values = contribution.values.values();
        if contribution.staleness == 0 {
            for (sum, value) in self.sum.values_mut().iter_mut().zip(values) {
                *sum += weight * value;
            }
        } else {
            let bases = self.global.values().iter().zip(contribution.start.values());
            for ((sum, value), (global, start)) in self.sum.values_mut().iter_mut().zip(values).zip(bases) {
                *sum += weight * (global + (value - start));
            }
        }
    }

    fn finish(mut self: Box<Self>) -> Params {
        let total_weight = self.total_weight;
        for sum in self.sum.values_mut() {
            *sum /= total_weight;
        }
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::super::staleness::PolynomialStaleness;
    use super::super::testing::{Arrival, fold};
    use super::*;
    use crate::strategy::StalenessConfig;

    fn mean_of(weighting: Weighting, updates: &[(f32, usize)]) -> f32 {
        let arrivals: Vec<_> =
            updates.iter().map(|&(value, num_examples)| Arrival::fresh(0.0, value, num_examples)).collect();
        fold(&FedAvgConfig { weighting }, 0.0, &arrivals)
    }

    #[test]
    fn sample_weights_and_uniform_weights_give_their_closed_forms() {
        // (1 x 30 + 5 x 10) / 40 = 2 and (1 + 5) / 2 = 3; all terms are exact in f32.
        assert_eq!(mean_of(Weighting::NumSamples, &[(1.0, 30), (5.0, 10)]), 2.0);
        assert_eq!(mean_of(Weighting::Uniform, &[(1.0, 30), (5.0, 10)]), 3.0);
    }

    #[test]
    fn the_mean_of_one_update_is_that_update() {
        assert_eq!(mean_of(Weighting::NumSamples, &[(0.75, 64)]), 0.75);
    }

    #[test]
    fn a_late_update_moves_the_current_model_with_its_weight() {
        // 20 examples arrive at 4; 40 examples, one model late at weight 1/2, changed 1 to 7, which makes of the current
        // model 10 + 6 = 16: (20 x 4 + 20 x 16) / 40 = 10. By number: (4 + 0.5 x 16) / 1.5 = 8.
        let arrivals = [Arrival::fresh(10.0, 4.0, 20), Arrival { weight: 0.5, ..Arrival::stale(1.0, 7.0, 40, 1) }];
        let mean = |weighting| fold(&FedAvgConfig { weighting }, 10.0, &arrivals);
        assert_eq!((mean(Weighting::NumSamples), mean(Weighting::Uniform)), (10.0, 8.0));
    }

    #[test]
    fn updates_that_are_all_very_stale_have_a_mean() {
        // Equal weights, however small: the mean of 2 + (5 - 1) and 2 + (3 - 1). All terms are powers of two times small
        // whole numbers, exact in f32.
        let weight = StalenessConfig::Polynomial(PolynomialStaleness { a: 200.0 }).weight(1);
        let arrivals = [5.0, 3.0].map(|value| Arrival { weight, ..Arrival::stale(1.0, value, 16, 1) });
        assert_eq!(fold(&FedAvgConfig::default(), 2.0, &arrivals), 5.0);
    }

    #[test]
    fn a_fresh_update_is_not_rebased() {
        // 0.1 + (0.3 - 0.1) is not 0.3 in f32: a round without late updates must not go that way.
        let value = fold(&FedAvgConfig::default(), 0.1, &[Arrival::fresh(0.1, 0.3, 1)]);
        assert_eq!(value.to_bits(), 0.3f32.to_bits());
    }
}
