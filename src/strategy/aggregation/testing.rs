//! One-tensor models for the tests of the strategies.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{Contribution, Strategy};
use crate::params::{Layout, Params, TensorSpec};

/// An update of one number.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) start: f32,
    pub(super) value: f32,
    pub(super) num_examples: usize,
    pub(super) staleness: u32,
    pub(super) weight: f32,
}

impl Arrival {
    pub(super) fn fresh(start: f32, value: f32, num_examples: usize) -> Self {
        Self { start, value, num_examples, staleness: 0, weight: 1.0 }
    }

    pub(super) fn stale(start: f32, value: f32, num_examples: usize, staleness: u32) -> Self {
        Self { staleness, ..Self::fresh(start, value, num_examples) }
    }
}

/// The successor of `global`.
pub(super) fn fold(strategy: &dyn Strategy, global: f32, arrivals: &[Arrival]) -> f32 {
    let layout = Layout::new(vec![TensorSpec::new("w", [1])]);
    let params = |value| Params::new(layout.clone(), vec![value]);
    let mut fold = strategy.begin(&Arc::new(params(global)));
    for arrival in arrivals {
        fold.add(&Contribution {
            values: &params(arrival.value),
            start: &params(arrival.start),
            num_examples: arrival.num_examples,
            staleness: arrival.staleness,
            weight: arrival.weight,
        });
    }
    fold.finish().values()[0]
}

/// Settings as a scenario writes them.
pub(super) fn parse<T: DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).unwrap()
}

/// Which settings are out of range.
pub(super) fn paths_of_problems(strategy: &dyn Strategy) -> Vec<String> {
    strategy.problems().into_iter().map(|problem| problem.path).collect()
}
