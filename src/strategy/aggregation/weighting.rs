//! What an update counts for in a mean.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Contribution;

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

impl Weighting {
    /// `p_k`, before it is divided by the sum.
    pub(super) fn of(self, contribution: &Contribution<'_>) -> f32 {
        match self {
            Self::NumSamples => contribution.num_examples as f32,
            Self::Uniform => 1.0,
        }
    }
}
