//! Selection by the number of training examples, without replacement.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draws::proposed_by_weight;
use super::{Candidates, Selection};
use crate::seed::Stream;

/// Selection by samples. Has no settings.
///
/// At each draw a client's chance is its share of the examples of the clients that are left. With an aggregation whose
/// weights are uniform, every example then counts about alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedConfig {}

impl Selection for WeightedConfig {
    fn select(&self, n: usize, candidates: &Candidates<'_>, stream: &mut Stream) -> Vec<u32> {
        let weight = |client_id| candidates.examples(client_id);
        proposed_by_weight(n, candidates.by_examples(), weight, candidates.is_available, stream)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Clients;
    use super::*;

    #[test]
    fn a_client_of_three_times_the_examples_is_chosen_three_times_as_often() {
        let clients = Clients { num_examples: vec![10, 30], ..Clients::of(2) };
        // Client 1 in 3/4 of 4,000 rounds, with a standard deviation of sqrt(4000 x 3/16) = 27.4; five of them are 137.
        let chosen = (0..4000).filter(|&round| clients.select(&WeightedConfig {}, 1, round) == [1]).count();
        assert!(chosen.abs_diff(3000) < 137, "{chosen}");
    }
}
