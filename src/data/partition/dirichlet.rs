//! Label and size skew: each class is split over the clients by a Dirichlet draw.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Partition, TrainingRows, alpha_problems, draw, shuffled_rows_by_class};
use crate::data::PartitionError;
use crate::registry::Problem;
use crate::seed::Stream;

/// Most draws made in search of one that gives each client `min_samples` rows.
const MAX_ATTEMPTS: usize = 1000;

/// Gamma variates spent on the search, so that many clients and classes cannot make it take minutes.
const MAX_VARIATES: usize = 20_000_000;

/// Per-class Dirichlet split (Yurochkin et al. 2019, arXiv 1905.12022; Hsu et al. 2019, arXiv 1909.06335).
///
/// As in the first of these, a client that already holds its even share of all rows gets none of the classes that
/// follow, which keeps the largest clients near that size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirichletConfig {
    /// Concentration, > 0: small is skewed, large is near iid.
    pub alpha: f64,
    /// Fewest rows that a client may hold; the split is drawn anew until it holds.
    #[serde(default = "default_min_samples")]
    pub min_samples: usize,
}

fn default_min_samples() -> usize {
    1
}

impl Partition for DirichletConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = alpha_problems(self.alpha);
        if self.min_samples == 0 {
            problems.push(Problem::new("min_samples", "must be at least 1: a client without rows cannot train"));
        }
        problems
    }

    fn split(
        &self,
        rows: &TrainingRows<'_>,
        n_clients: usize,
        rng: &mut Stream,
    ) -> Result<Vec<Vec<u32>>, PartitionError> {
        let min_samples = self.min_samples.max(1);
        if n_clients.saturating_mul(min_samples) > rows.labels.len() {
            return Err(PartitionError::TooFewRows {
                n_rows: rows.labels.len(),
                n_clients,
                rows_per_client: min_samples,
                settings: "clients.total or min_samples",
            });
        }
        let pools = shuffled_rows_by_class(rows, rng);
        let attempts = (MAX_VARIATES / (n_clients * rows.n_classes)).clamp(10, MAX_ATTEMPTS);
        let mut best = (0, 0);
        for _ in 0..attempts {
            let counts = self.draw_counts(&pools, rows.labels.len(), n_clients, rng);
            let sizes: Vec<usize> =
                (0..n_clients).map(|client| counts.iter().map(|class| class[client]).sum()).collect();
            let (client, &rows) =
                sizes.iter().enumerate().min_by_key(|(_, rows)| **rows).expect("there is at least one client");
            if rows >= min_samples {
                return Ok(deal_counts(pools, &counts, n_clients));
            }
            if rows >= best.1 {
                best = (client, rows);
            }
        }
        Err(PartitionError::MinSamples { attempts, min_samples, client: best.0, best: best.1 })
    }

    fn remedy(&self) -> &'static str {
        "raise alpha, lower clients.total, or use label_mix"
    }
}

impl DirichletConfig {
    /// How many rows of each class each client gets: `[class][client]`.
    fn draw_counts(&self, pools: &[Vec<u32>], n_rows: usize, n_clients: usize, rng: &mut Stream) -> Vec<Vec<usize>> {
        let mut sizes = vec![0; n_clients];
        let mut counts = Vec::with_capacity(pools.len());
        for pool in pools {
            let mut shares = draw::dirichlet(&vec![self.alpha; n_clients], rng);
            for (share, size) in shares.iter_mut().zip(&sizes) {
                // `size < n_rows / n_clients`, without rounding.
                if size * n_clients >= n_rows {
                    *share = 0.0;
                }
            }
            let class = draw::apportion(pool.len(), &shares);
            sizes.iter_mut().zip(&class).for_each(|(size, rows)| *size += rows);
            counts.push(class);
        }
        counts
    }
}

/// Deals each class's pool out in the drawn numbers.
fn deal_counts(pools: Vec<Vec<u32>>, counts: &[Vec<usize>], n_clients: usize) -> Vec<Vec<u32>> {
    let mut shards = vec![Vec::new(); n_clients];
    for (pool, counts) in pools.into_iter().zip(counts) {
        let mut rows = pool.into_iter();
        for (shard, &n) in shards.iter_mut().zip(counts) {
            shard.extend(rows.by_ref().take(n));
        }
    }
    shards
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::partition::testing::{balanced_labels, deal, rng, total_variation};

    #[test]
    fn a_large_alpha_is_near_iid_and_a_small_one_near_one_label_per_client() {
        let labels = balanced_labels(6000, 10);
        let mean_distance = |alpha| {
            let config = DirichletConfig { alpha, min_samples: 1 };
            let shards = deal(&config, &labels, 10, 20, &mut rng(1)).expect("enough rows");
            total_variation(&shards, &labels, 10)
        };
        // With a huge alpha each client gets 30 of its 300 rows from each class, give or take one; a client of one label
        // is at distance 0.9.
        assert!(mean_distance(1e6) < 0.03, "{}", mean_distance(1e6));
        assert!(mean_distance(0.05) > 0.6, "{}", mean_distance(0.05));
        assert!(mean_distance(0.5) > mean_distance(5.0));
    }

    #[test]
    fn min_samples_holds_or_is_refused_with_the_numbers() {
        let labels = balanced_labels(1000, 5);
        let config = DirichletConfig { alpha: 0.5, min_samples: 10 };
        let shards = deal(&config, &labels, 5, 20, &mut rng(2)).expect("can be met");
        assert!(shards.iter().all(|shard| shard.len() >= 10));

        let config = DirichletConfig { alpha: 0.01, min_samples: 40 };
        let error = deal(&config, &labels, 5, 20, &mut rng(2)).expect_err("cannot be met").to_string();
        assert!(error.contains("min_samples = 40") && error.contains("label_mix"), "{error}");

        let config = DirichletConfig { alpha: 1.0, min_samples: 60 };
        let error = deal(&config, &labels, 5, 20, &mut rng(2)).expect_err("1200 rows wanted").to_string();
        assert_eq!(
            error,
            "1000 training rows cannot give 20 clients at least 60 each; lower clients.total or min_samples"
        );
    }
}
