//! Equal shares of shuffled rows.

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Partition, TrainingRows};
use crate::data::PartitionError;
use crate::registry::Problem;
use crate::seed::Stream;

/// Equal shares of shuffled rows. Has no settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IidConfig {}

impl Partition for IidConfig {
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Sizes differ by one at most.
    fn split(
        &self,
        rows: &TrainingRows<'_>,
        n_clients: usize,
        rng: &mut Stream,
    ) -> Result<Vec<Vec<u32>>, PartitionError> {
        let mut order: Vec<u32> = (0..rows.labels.len() as u32).collect();
        order.shuffle(rng);
        let mut shards = vec![Vec::with_capacity(order.len() / n_clients + 1); n_clients];
        for (i, row) in order.into_iter().enumerate() {
            shards[i % n_clients].push(row);
        }
        Ok(shards)
    }

    fn remedy(&self) -> &'static str {
        "lower clients.total"
    }
}
