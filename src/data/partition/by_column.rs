//! Natural clients: rows that share a value of a column stay together.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Partition, TrainingRows};
use crate::data::PartitionError;
use crate::registry::Problem;
use crate::seed::Stream;

/// The data's own partition, as in LEAF (arXiv 1812.01097) and FedScale (arXiv 2105.11367): rows with the same value in a
/// column of the training files belong to one natural client.
///
/// Natural clients are never cut. Where there are more of them than clients, the largest are dealt first, each to the client
/// that holds the fewest rows so far; which of several equally large ones comes first, and which client holds which share,
/// is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ByColumnConfig {
    /// The column of the training files that names the natural client of a row, such as `user_id`.
    pub column: String,
}

impl Partition for ByColumnConfig {
    fn problems(&self) -> Vec<Problem> {
        if self.column.trim().is_empty() {
            return vec![Problem::new("column", "the name is empty").help("write a column of the training files")];
        }
        Vec::new()
    }

    fn split(
        &self,
        rows: &TrainingRows<'_>,
        n_clients: usize,
        rng: &mut Stream,
    ) -> Result<Vec<Vec<u32>>, PartitionError> {
        let column = || self.column.clone();
        let groups = rows.origins.groups().ok_or_else(|| PartitionError::NoColumn { column: column() })?;
        let n_groups = groups.n_groups();
        if n_groups < n_clients {
            return Err(PartitionError::TooFewGroups { column: column(), n_groups, n_clients });
        }
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); n_groups];
        (0u32..).zip(groups.of_row()).for_each(|(row, &group)| members[group as usize].push(row));
        members.shuffle(rng);
        members.sort_by_key(|rows| Reverse(rows.len()));

        let mut shards: Vec<Vec<u32>> = vec![Vec::new(); n_clients];
        let mut poorest: BinaryHeap<_> = (0..n_clients).map(|client| Reverse((0, client))).collect();
        for rows in members {
            let Reverse((_, client)) = poorest.pop().expect("there is at least one client");
            shards[client].extend(rows);
            poorest.push(Reverse((shards[client].len(), client)));
        }
        shards.shuffle(rng);
        Ok(shards)
    }

    fn remedy(&self) -> &'static str {
        "lower clients.total"
    }

    fn column(&self) -> Option<&str> {
        Some(&self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::RowOrigins;
    use crate::data::partition::testing::rng;

    /// Rows of clients `0, 1, ...` with these sizes, dealt in turn as long as they last.
    fn origins(sizes: &[usize]) -> RowOrigins {
        let mut names = Vec::new();
        for turn in 0..sizes.iter().copied().max().unwrap_or(0) {
            names.extend((0..sizes.len()).filter(|&group| turn < sizes[group]).map(|group| format!("user {group}")));
        }
        RowOrigins::new((0..names.len() as u32).collect(), names.len(), Some(&names))
    }

    fn deal(origins: &RowOrigins, n_clients: usize, seed: u64) -> Result<Vec<Vec<u32>>, PartitionError> {
        let labels = vec![0; origins.numbers().len()];
        let rows = TrainingRows::of(&labels, 1, origins);
        ByColumnConfig { column: "user".into() }.deal(&rows, n_clients, &mut rng(seed))
    }

    #[test]
    fn natural_clients_are_dealt_whole_and_evenly() {
        // 100 + 60 + 50 + 40 + 30 + 20 = 300 rows. The largest first, each to the poorest of three: 100 | 60 | 50, then 40
        // to 50 (90), 30 to 60 (90), and 20 to one of the two with 90: 100, 110, 90.
        let origins = origins(&[100, 60, 50, 40, 30, 20]);
        let groups = origins.groups().expect("grouped").of_row();
        let shards = deal(&origins, 3, 1).expect("enough");
        let mut sizes: Vec<usize> = shards.iter().map(Vec::len).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [90, 100, 110]);
        for group in 0..6 {
            let holds = |shard: &&Vec<u32>| shard.iter().any(|&row| groups[row as usize] == group);
            assert_eq!(shards.iter().filter(holds).count(), 1, "group {group} is cut");
        }
    }

    #[test]
    fn the_seed_decides_who_gets_what() {
        let origins = origins(&[5; 40]);
        assert_eq!(deal(&origins, 10, 1), deal(&origins, 10, 1));
        assert_ne!(deal(&origins, 10, 1), deal(&origins, 10, 2));
        // 40 groups of 5 rows over 10 clients: four each.
        assert!(deal(&origins, 10, 1).expect("enough").iter().all(|shard| shard.len() == 20));
        // As many clients as groups: one each, whatever the sizes.
        let shards = deal(&self::origins(&[9, 1, 4]), 3, 1).expect("enough");
        let mut sizes: Vec<usize> = shards.iter().map(Vec::len).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 4, 9]);
    }

    #[test]
    fn more_clients_than_natural_ones_is_refused_with_the_numbers() {
        let error = deal(&origins(&[5, 5, 5]), 4, 1).expect_err("4 > 3").to_string();
        assert_eq!(
            error,
            "the training rows have 3 different values in column `user`, and there are 4 clients: natural clients are \
             never cut; lower clients.total to 3 or less"
        );
    }
}
