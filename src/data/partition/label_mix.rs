//! Label skew without size skew.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Partition, TrainingRows, alpha_problems, draw, shuffled_rows_by_class};
use crate::data::PartitionError;
use crate::registry::Problem;
use crate::seed::Stream;

/// The split of FedPETuning (arXiv 2212.10025) and FedNLP (arXiv 2104.08815).
///
/// Clients are served in turn. Each draws a label mix from Dir(alpha x prior), where the prior is the share of each
/// label in all rows, and takes `rows / clients` rows in that mix. What a class can no longer give is taken from the
/// other classes in proportion to what they still hold. The rows left over by the division go to the last client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelMixConfig {
    /// Concentration, > 0: small is skewed, large is near iid.
    pub alpha: f64,
}

impl Partition for LabelMixConfig {
    fn problems(&self) -> Vec<Problem> {
        alpha_problems(self.alpha)
    }

    fn split(
        &self,
        rows: &TrainingRows<'_>,
        n_clients: usize,
        rng: &mut Stream,
    ) -> Result<Vec<Vec<u32>>, PartitionError> {
        let mut pools = shuffled_rows_by_class(rows, rng);
        let prior: Vec<f64> = pools.iter().map(|pool| pool.len() as f64 / rows.labels.len() as f64).collect();
        // A product below the smallest normal number would count as an absent class.
        let concentration: Vec<f64> =
            prior.iter().map(|&p| if p > 0.0 { (self.alpha * p).max(f64::MIN_POSITIVE) } else { 0.0 }).collect();
        let size = rows.labels.len() / n_clients;
        let mut shards = Vec::with_capacity(n_clients);
        for _ in 0..n_clients {
            let mix = draw::dirichlet(&concentration, rng);
            shards.push(take(&mut pools, size, &mix));
        }
        let last = shards.last_mut().expect("there is at least one client");
        last.extend(pools.into_iter().flatten());
        Ok(shards)
    }

    fn remedy(&self) -> &'static str {
        "lower clients.total"
    }
}

/// Takes `size` rows out of the pools in the given mix, as far as the pools can give it.
fn take(pools: &mut [Vec<u32>], size: usize, mix: &[f64]) -> Vec<u32> {
    let mut shard = Vec::with_capacity(size);
    let take = |pools: &mut [Vec<u32>], shard: &mut Vec<u32>, counts: Vec<usize>| {
        for (pool, n) in pools.iter_mut().zip(counts) {
            shard.extend(pool.drain(pool.len() - n.min(pool.len())..));
        }
    };
    take(pools, &mut shard, draw::apportion(size, mix));
    // One pass can fall short when rounding asks a pool for more than it holds.
    while shard.len() < size {
        let held: Vec<f64> = pools.iter().map(|pool| pool.len() as f64).collect();
        let missing = size - shard.len();
        take(pools, &mut shard, draw::apportion(missing, &held));
    }
    shard
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::partition::testing::{balanced_labels, deal, rng, total_variation};

    #[test]
    fn clients_are_of_equal_size_and_the_last_gets_the_leftovers() {
        let shards = deal(&LabelMixConfig { alpha: 1.0 }, &balanced_labels(1037, 4), 4, 20, &mut rng(1)).expect("fits");
        // 1037 = 20 x 51 + 17.
        assert!(shards[..19].iter().all(|shard| shard.len() == 51));
        assert_eq!(shards[19].len(), 51 + 17);
    }

    #[test]
    fn alpha_decides_the_skew() {
        let labels = balanced_labels(4000, 4);
        let mean_distance = |alpha| {
            let shards = deal(&LabelMixConfig { alpha }, &labels, 4, 40, &mut rng(2)).expect("fits");
            total_variation(&shards, &labels, 4)
        };
        // With a huge alpha each client holds 25 rows of each class, give or take one; a client of one label is at 0.75.
        assert!(mean_distance(1e8) < 0.02, "{}", mean_distance(1e8));
        assert!(mean_distance(1e-3) > 0.6, "{}", mean_distance(1e-3));
    }

    #[test]
    fn absent_classes_and_a_vanishing_alpha_are_no_trouble() {
        let labels = [0, 0, 0, 2, 2, 2];
        let shards = deal(&LabelMixConfig { alpha: 1e-300 }, &labels, 4, 3, &mut rng(3)).expect("fits");
        assert!(shards.iter().all(|shard| shard.len() == 2));
    }
}
