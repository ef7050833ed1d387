//! FedAvg (McMahan et al. 2017, arXiv 1602.05629): `w = sum_k p_k w_k`, with `p_k = n_k / sum n` or `1 / K`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Contribution, Fold, Strategy};
use crate::params::Params;

/// Settings of FedAvg.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FedAvgConfig {
    /// What an update counts for.
    pub weighting: Weighting,
}

/// What an update counts for in the mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// Its client's number of training examples.
    #[default]
    NumSamples,
    /// The same for each.
    Uniform,
}

impl Strategy for FedAvgConfig {
    fn begin(&self, global: &Params) -> Box<dyn Fold> {
        Box::new(WeightedMean {
            weighting: self.weighting,
            sum: Params::zeros(global.layout().clone()),
            total_weight: 0.0,
        })
    }
}

struct WeightedMean {
    weighting: Weighting,
    sum: Params,
    total_weight: f32,
}

impl Fold for WeightedMean {
    fn add(&mut self, contribution: &Contribution<'_>) {
        let weight = match self.weighting {
            Weighting::NumSamples => contribution.num_examples as f32,
            Weighting::Uniform => 1.0,
        };
        self.total_weight += weight;
        for (sum, value) in self.sum.values_mut().iter_mut().zip(contribution.values.values()) {
            *sum += weight * value;
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
    use super::*;
    use crate::params::{Layout, TensorSpec};

    fn mean_of(weighting: Weighting, updates: &[(f32, usize)]) -> f32 {
        let layout = Layout::new(vec![TensorSpec::new("w", [1])]);
        let start = Params::zeros(layout.clone());
        let mut fold = FedAvgConfig { weighting }.begin(&start);
        for &(value, num_examples) in updates {
            let values = Params::new(layout.clone(), vec![value]);
            fold.add(&Contribution { values: &values, start: &start, num_examples, staleness: 0 });
        }
        fold.finish().values()[0]
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
}
