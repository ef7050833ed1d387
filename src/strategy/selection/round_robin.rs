//! Round-robin: every client in turn.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Candidates, Selection};
use crate::seed::Stream;

/// Round-robin. Has no settings.
///
/// Goes on after the client that was asked last, by number, and from the last client to the first. Who is not available
/// when passed misses its turn until the next lap. Looks only at the clients that it passes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoundRobinConfig {}

impl Selection for RoundRobinConfig {
    fn select(&self, n: usize, candidates: &Candidates<'_>, _: &mut Stream) -> Vec<u32> {
        let first = candidates.history.last_asked().map_or(0, |client_id| client_id + 1);
        let lap = (first..candidates.n_clients).chain(0..first.min(candidates.n_clients));
        lap.filter(|client_id| (candidates.is_available)(*client_id)).take(n).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Clients;
    use super::*;

    #[test]
    fn everybody_is_asked_in_turn_and_who_is_away_is_passed_over() {
        let mut clients = Clients::of(7);
        clients.away.insert(4);
        assert_eq!(clients.round(&RoundRobinConfig {}, 3, 1), [0, 1, 2]);
        assert_eq!(clients.round(&RoundRobinConfig {}, 3, 2), [3, 5, 6]);
        assert_eq!(clients.round(&RoundRobinConfig {}, 3, 3), [0, 1, 2]);
        clients.away.clear();
        assert_eq!(clients.round(&RoundRobinConfig {}, 3, 4), [3, 4, 5]);
        assert_eq!(clients.round(&RoundRobinConfig {}, 3, 5), [6, 0, 1]);
        // More than there are: each once.
        assert_eq!(clients.round(&RoundRobinConfig {}, 9, 6), [2, 3, 4, 5, 6, 0, 1]);
    }

    #[test]
    fn only_the_clients_that_are_passed_are_looked_at() {
        let mut clients = Clients::of(1_000_000);
        clients.history.asked(999_990, 1);
        // 9 to the end, of whom 1 is away, and 92 from the start.
        clients.away.insert(999_995);
        assert_eq!(clients.round(&RoundRobinConfig {}, 100, 2).len(), 100);
        assert_eq!(clients.looks.get(), 101);
    }
}
