//! How training rows are dealt to clients.
//!
//! A newcomer writes a config that implements [`Partition`] in a file of its own and adds one line below.

mod by_column;
mod dirichlet;
mod draw;
mod file;
mod iid;
mod label_mix;
mod shards;
mod table;

use std::path::Path;

pub use by_column::ByColumnConfig;
pub use dirichlet::DirichletConfig;
pub use file::FileConfig;
pub use iid::IidConfig;
pub use label_mix::LabelMixConfig;
pub use shards::ShardsConfig;
pub use table::PartitionTable;

use sha2::{Digest, Sha256};

use super::{PartitionError, RowOrigins};
use crate::one_of;
use crate::registry::Problem;
use crate::seed::Stream;

/// The training rows as a partition sees them.
#[derive(Debug, Clone, Copy)]
pub struct TrainingRows<'a> {
    /// The label of every row, below `n_classes`.
    pub labels: &'a [u32],
    /// Number of labels.
    pub n_classes: usize,
    /// Where every row comes from.
    pub origins: &'a RowOrigins,
    /// The folder that names of files start from: the scenario's.
    pub base_dir: &'a Path,
}

#[cfg(test)]
impl<'a> TrainingRows<'a> {
    /// Rows of these labels, in a scenario of the working directory.
    fn of(labels: &'a [u32], n_classes: usize, origins: &'a RowOrigins) -> Self {
        Self { labels, n_classes, origins, base_dir: Path::new(".") }
    }
}

/// Deals rows to clients.
pub trait Partition {
    /// What is wrong with the settings.
    fn problems(&self) -> Vec<Problem>;

    /// The rule itself: which rows (indices into their labels) each of `n_clients` clients gets. Every row goes to exactly
    /// one client. It may assume that there is at least one client and one row per client; it may leave a client empty,
    /// which [`deal`](Self::deal) then refuses with [`remedy`](Self::remedy).
    ///
    /// # Errors
    /// The settings cannot be met with these rows.
    fn split(
        &self,
        rows: &TrainingRows<'_>,
        n_clients: usize,
        rng: &mut Stream,
    ) -> Result<Vec<Vec<u32>>, PartitionError>;

    /// What to change when a client gets nothing.
    fn remedy(&self) -> &'static str;

    /// The column of the training files that the rule goes by; it is read into [`RowOrigins::groups`].
    fn column(&self) -> Option<&str> {
        None
    }

    /// The file that the rule goes by, as the scenario writes it.
    fn file(&self) -> Option<&String> {
        None
    }

    /// The rows (indices into their labels, ascending) of each of `n_clients` clients. Every row goes to exactly one
    /// client, and no client is empty.
    ///
    /// # Errors
    /// There are more clients than rows, a client would be empty, or the settings cannot be met.
    fn deal(
        &self,
        rows: &TrainingRows<'_>,
        n_clients: usize,
        rng: &mut Stream,
    ) -> Result<Vec<Vec<u32>>, PartitionError> {
        let n_rows = rows.labels.len();
        if n_clients > n_rows {
            return Err(PartitionError::TooFewRows {
                n_rows,
                n_clients,
                rows_per_client: 1,
                settings: "clients.total",
            });
        }
        let mut shards = self.split(rows, n_clients, rng)?;
        let n_dealt: usize = shards.iter().map(Vec::len).sum();
        assert!(shards.len() == n_clients && n_dealt == n_rows, "a partition deals every row once");
        if let Some(client) = shards.iter().position(Vec::is_empty) {
            return Err(PartitionError::EmptyShard { client, n_clients, remedy: self.remedy() });
        }
        shards.iter_mut().for_each(|shard| shard.sort_unstable());
        Ok(shards)
    }
}

one_of! {
    /// How training rows are dealt to the clients: `dataset.partition`.
    pub enum PartitionConfig: dyn Partition, setting "dataset.partition" {
        "iid" => Iid(IidConfig), "rows shuffled and dealt in equal numbers";
        "dirichlet" => Dirichlet(DirichletConfig), "each class is split over the clients by Dir(alpha): label and size skew";
        "label_mix" => LabelMix(LabelMixConfig), "equal-size clients whose label mix is drawn from Dir(alpha x prior)";
        "shards" => Shards(ShardsConfig), "rows sorted by label, cut into shards, a few shards per client";
        "by_column" => ByColumn(ByColumnConfig), "rows that share a value of a column, such as a user, stay together";
        "file" => File(FileConfig), "as a CSV file with the columns row and client_id says";
    }
}

impl PartitionConfig {
    /// Whether something decides the deal that is neither a setting nor part of the data set's hash.
    pub fn rests_on_data(&self) -> bool {
        let partition = self.implementation();
        partition.column().is_some() || partition.file().is_some()
    }
}

/// SHA-256, in hex, of which rows each client holds.
pub fn hash_of_shards(shards: &[Vec<u32>]) -> String {
    let mut sha = Sha256::new();
    for shard in shards {
        sha.update((shard.len() as u64).to_le_bytes());
        shard.iter().for_each(|row| sha.update(row.to_le_bytes()));
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Default for PartitionConfig {
    fn default() -> Self {
        Self::Iid(IidConfig {})
    }
}

/// The check of a Dirichlet concentration.
fn alpha_problems(alpha: f64) -> Vec<Problem> {
    if alpha > 0.0 && alpha.is_finite() {
        return Vec::new();
    }
    let help = "0.1 is strong skew, 1.0 moderate, 100 near iid";
    vec![Problem::new("alpha", format!("{alpha} is not a positive number")).help(help)]
}

/// The rows of each class, in random order.
fn shuffled_rows_by_class(rows: &TrainingRows<'_>, rng: &mut Stream) -> Vec<Vec<u32>> {
    use rand::seq::SliceRandom;
    let mut pools: Vec<Vec<u32>> = vec![Vec::new(); rows.n_classes];
    for (row, &label) in (0u32..).zip(rows.labels) {
        pools[label as usize].push(row);
    }
    pools.iter_mut().for_each(|pool| pool.shuffle(rng));
    pools
}

#[cfg(test)]
mod testing {
    //! What the partitions' tests share.

    use super::table::PartitionTable;
    use super::{Partition, TrainingRows};
    use crate::data::{PartitionError, RowOrigins};
    use crate::seed::{Purpose, Seeds, Stream};

    pub(super) fn rng(seed: u64) -> Stream {
        Seeds::new(seed).global(Purpose::Partition)
    }

    /// Deals rows of which only the labels matter.
    pub(super) fn deal(
        partition: &dyn Partition,
        labels: &[u32],
        n_classes: usize,
        n_clients: usize,
        rng: &mut Stream,
    ) -> Result<Vec<Vec<u32>>, PartitionError> {
        let origins = RowOrigins::of_all(labels.len());
        partition.deal(&TrainingRows::of(labels, n_classes, &origins), n_clients, rng)
    }

    pub(super) fn balanced_labels(n_rows: u32, n_classes: u32) -> Vec<u32> {
        (0..n_rows).map(|row| row % n_classes).collect()
    }

    /// Mean distance of the clients' label mixes from the global one.
    pub(super) fn total_variation(shards: &[Vec<u32>], labels: &[u32], n_classes: usize) -> f64 {
        let names: Vec<String> = (0..n_classes).map(|class| class.to_string()).collect();
        PartitionTable::new(shards, labels, &names).mean_distance()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{deal, rng};
    use super::*;
    use proptest::prelude::*;

    fn partition(kind: usize, alpha: f64, shards_per_client: usize) -> PartitionConfig {
        match kind {
            0 => PartitionConfig::Iid(IidConfig {}),
            1 => PartitionConfig::Dirichlet(DirichletConfig { alpha, min_samples: 1 }),
            2 => PartitionConfig::LabelMix(LabelMixConfig { alpha }),
            _ => PartitionConfig::Shards(ShardsConfig { shards_per_client }),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Every row goes to exactly one client and none is empty, or the partition is refused; the same seed deals the
        /// same rows.
        #[test]
        fn rows_are_conserved(
            labels in prop::collection::vec(0u32..7, 1..400),
            n_clients in 1usize..40,
            kind in 0usize..4,
            log_alpha in -3.0f64..4.0,
            shards_per_client in 1usize..4,
            seed in 0u64..1000,
        ) {
            let config = partition(kind, log_alpha.exp(), shards_per_client);
            prop_assert!(config.implementation().problems().is_empty());
            let again = || deal(config.implementation(), &labels, 7, n_clients, &mut rng(seed));
            let dealt = again();
            prop_assert_eq!(&dealt, &again());
            match dealt {
                Ok(shards) => {
                    prop_assert_eq!(shards.len(), n_clients);
                    prop_assert!(shards.iter().all(|shard| !shard.is_empty()));
                    let mut rows: Vec<u32> = shards.concat();
                    rows.sort_unstable();
                    prop_assert_eq!(rows, (0..labels.len() as u32).collect::<Vec<_>>());
                }
                // Only these two can fail while there is a row for each client.
                Err(_) if n_clients <= labels.len() => prop_assert!(kind == 1 || kind == 3),
                Err(error) => {
                    let is_named = matches!(error, PartitionError::TooFewRows { .. });
                    prop_assert!(is_named);
                }
            }
        }
    }

    #[test]
    fn iid_sizes_differ_by_one_at_most() {
        let shards = deal(&IidConfig {}, &[0; 103], 1, 10, &mut rng(1)).expect("fits");
        assert!(shards.iter().all(|shard| shard.len() == 10 || shard.len() == 11));
    }

    #[test]
    fn more_clients_than_rows_is_refused_with_the_numbers() {
        let error = deal(&IidConfig {}, &[0, 1, 0], 2, 5, &mut rng(1)).expect_err("5 > 3").to_string();
        assert_eq!(error, "3 training rows cannot give 5 clients at least 1 each; lower clients.total");
    }

    #[test]
    fn an_empty_shard_is_refused_naming_the_client_and_the_remedy() {
        #[derive(Debug)]
        struct AllToTheFirst;
        impl Partition for AllToTheFirst {
            fn problems(&self) -> Vec<Problem> {
                Vec::new()
            }
            fn split(
                &self,
                rows: &TrainingRows<'_>,
                n_clients: usize,
                _: &mut Stream,
            ) -> Result<Vec<Vec<u32>>, PartitionError> {
                let mut shards = vec![Vec::new(); n_clients];
                shards[0] = (0..rows.labels.len() as u32).collect();
                Ok(shards)
            }
            fn remedy(&self) -> &'static str {
                "be fair"
            }
        }
        let error = deal(&AllToTheFirst, &[0, 1, 0], 2, 2, &mut rng(1)).expect_err("client 1 is empty").to_string();
        assert_eq!(error, "client 1 of 2 got no training rows; be fair");
    }
}
