//! A few label-sorted shards per client.

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Partition, TrainingRows, shuffled_rows_by_class};
use crate::data::PartitionError;
use crate::registry::Problem;
use crate::seed::Stream;

/// Shards of label-sorted rows (McMahan et al. 2017, arXiv 1602.05629).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShardsConfig {
    /// Shards that each client gets, >= 1; at most about this many labels per client.
    pub shards_per_client: usize,
}

impl Partition for ShardsConfig {
    fn problems(&self) -> Vec<Problem> {
        if self.shards_per_client == 0 {
            return vec![Problem::new("shards_per_client", "must be at least 1")];
        }
        Vec::new()
    }

    /// Sizes of shards differ by one at most.
    fn split(
        &self,
        rows: &TrainingRows<'_>,
        n_clients: usize,
        rng: &mut Stream,
    ) -> Result<Vec<Vec<u32>>, PartitionError> {
        let n_shards = n_clients.saturating_mul(self.shards_per_client);
        if n_shards > rows.labels.len() {
            return Err(PartitionError::TooFewRows {
                n_rows: rows.labels.len(),
                n_clients,
                rows_per_client: self.shards_per_client,
                settings: "clients.total or shards_per_client",
            });
        }
        let sorted: Vec<u32> = shuffled_rows_by_class(rows, rng).into_iter().flatten().collect();
        let cut = |shard: usize| shard * sorted.len() / n_shards;
        let mut shards: Vec<&[u32]> = (0..n_shards).map(|shard| &sorted[cut(shard)..cut(shard + 1)]).collect();
        shards.shuffle(rng);
        Ok(shards.chunks(self.shards_per_client).map(<[_]>::concat).collect())
    }

    fn remedy(&self) -> &'static str {
        "lower clients.total"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::partition::testing::{balanced_labels, deal, rng};

    #[test]
    fn a_client_sees_few_labels() {
        let labels = balanced_labels(2000, 10);
        let shards = deal(&ShardsConfig { shards_per_client: 2 }, &labels, 10, 50, &mut rng(1)).expect("fits");
        for shard in &shards {
            let mut seen: Vec<u32> = shard.iter().map(|&row| labels[row as usize]).collect();
            seen.sort_unstable();
            seen.dedup();
            // 100 shards of 20 rows cut 200 rows per class evenly: a shard holds one label.
            assert!(seen.len() <= 2, "{seen:?}");
            assert_eq!(shard.len(), 40);
        }
    }

    #[test]
    fn more_shards_than_rows_is_refused() {
        let error = deal(&ShardsConfig { shards_per_client: 3 }, &[0, 1, 0, 1], 2, 2, &mut rng(1)).expect_err("6 > 4");
        assert!(matches!(error, PartitionError::TooFewRows { n_rows: 4, n_clients: 2, rows_per_client: 3, .. }));
    }
}
