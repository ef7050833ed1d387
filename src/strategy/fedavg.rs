//! FedAvg (McMahan et al. 2017, arXiv 1602.05629): `w = sum_k p_k w_k`, with `p_k = n_k / sum n` or `1 / K`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Strategy;

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

impl Strategy for FedAvgConfig {}
