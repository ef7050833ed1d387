//! Uniform selection among the available clients, without replacement.

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draws::proposed;
use super::{Candidates, Selection};
use crate::collections::IdSet;
use crate::seed::Stream;

/// Uniform selection. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UniformConfig {}

impl Selection for UniformConfig {
    /// Draws clients at random and keeps those that are available: unless nearly all are offline, this looks at a few
    /// times `n` of them, however many are registered. When the draws run out, the rest is listed and drawn from. Both
    /// ways give each available client the same chance.
    fn select(&self, n: usize, candidates: &Candidates<'_>, stream: &mut Stream) -> Vec<u32> {
        let n = n.min(candidates.n_clients as usize);
        let propose = |stream: &mut Stream| Some(stream.random_range(0..candidates.n_clients));
        let mut chosen = proposed(n, candidates.n_clients as usize, propose, candidates.is_available, stream);
        if chosen.len() == n {
            return chosen;
        }
        let seen: IdSet = chosen.iter().copied().collect();
        let mut rest: Vec<u32> = (0..candidates.n_clients)
            .filter(|client_id| !seen.contains(*client_id) && (candidates.is_available)(*client_id))
            .collect();
        while chosen.len() < n && !rest.is_empty() {
            chosen.push(rest.swap_remove(stream.random_range(0..rest.len())));
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seeds};
    use crate::strategy::History;
    use crate::strategy::{AtWork, Census};

    fn select(n: usize, n_clients: u32, round: u32, is_available: &dyn Fn(u32) -> bool) -> Vec<u32> {
        let mut stream = Seeds::new(7).round(Purpose::Selection, round);
        let candidates = Candidates {
            n_clients,
            is_available,
            at_work: &AtWork::default(),
            num_examples: &|_| 1,
            stated_seconds: &|_| 1.0,
            history: &History::default(),
            census: &Census::default(),
            round,
        };
        UniformConfig {}.select(n, &candidates, &mut stream)
    }

    #[test]
    fn only_available_clients_are_chosen_and_each_once() {
        let mut chosen = select(10, 40, 0, &|client_id| client_id % 3 == 0);
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), 10);
        assert!(chosen.iter().all(|client_id| client_id % 3 == 0));
    }

    #[test]
    fn when_too_few_are_available_all_of_them_are_chosen() {
        let mut chosen = select(10, 10_000, 0, &|client_id| client_id == 77 || client_id == 9_999);
        chosen.sort_unstable();
        assert_eq!(chosen, [77, 9_999]);
    }

    #[test]
    fn each_available_client_has_the_same_chance() {
        // 4 of 20 clients, 12 of them online: each should be chosen in a third of 3,000 rounds. The count is binomial
        // with standard deviation sqrt(3000 x 1/3 x 2/3) = 25.8; five of them are 129.
        let mut counts = [0u32; 20];
        for round in 0..3000 {
            for client_id in select(4, 20, round, &|client_id| client_id < 12) {
                counts[client_id as usize] += 1;
            }
        }
        assert!(counts[..12].iter().all(|&count| count.abs_diff(1000) < 129), "{counts:?}");
        assert!(counts[12..].iter().all(|&count| count == 0));
    }
}
