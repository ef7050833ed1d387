//! The best of a fixed number of entrants, kept up to date in O(log n) when one of them changes.

use serde::{Deserialize, Serialize};

/// Entrants with a key each, or none; the largest key wins, the lower number among equals.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tournament<K> {
    keys: Vec<Option<K>>,
    /// Winners of the matches; match `n` is between those of `2 n` and `2 n + 1`, the entrants coming last.
    winners: Vec<usize>,
}

impl<K: Ord + Copy> Tournament<K> {
    /// So many entrants, at least one, without keys.
    pub(super) fn new(n_entrants: usize) -> Self {
        let mut new = Self { keys: vec![None; n_entrants], winners: vec![0; n_entrants] };
        for node in (1..n_entrants).rev() {
            new.play(node);
        }
        new
    }

    /// Gives an entrant a key, or takes it out.
    pub(super) fn set(&mut self, entrant: usize, key: Option<K>) {
        if self.keys[entrant] == key {
            return;
        }
        self.keys[entrant] = key;
        let mut node = (self.keys.len() + entrant) / 2;
        while node > 0 {
            let before = self.winners[node];
            self.play(node);
            if before != entrant && self.winners[node] == before {
                break; // Others have won this match before and now, with the same key.
            }
            node /= 2;
        }
    }

    /// The largest key and whose it is.
    pub(super) fn best(&self) -> Option<(K, usize)> {
        let winner = self.winner(1);
        self.keys[winner].map(|key| (key, winner))
    }

    fn winner(&self, node: usize) -> usize {
        node.checked_sub(self.keys.len()).unwrap_or_else(|| self.winners[node])
    }

    fn play(&mut self, node: usize) {
        if node < self.keys.len() {
            let (a, b) = (self.winner(2 * node), self.winner(2 * node + 1));
            self.winners[node] = match self.keys[a].cmp(&self.keys[b]) {
                std::cmp::Ordering::Less => b,
                std::cmp::Ordering::Equal => a.min(b),
                std::cmp::Ordering::Greater => a,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_largest_key_wins(n in 1usize..12, changes in prop::collection::vec((0usize..12, prop::option::of(0u8..9)), 0..60)) {
            let mut tournament = Tournament::new(n);
            let mut keys = vec![None; n];
            prop_assert_eq!(tournament.best(), None);
            for (entrant, key) in changes {
                tournament.set(entrant % n, key);
                keys[entrant % n] = key;
                let best = (0..n).rev().max_by_key(|entrant| keys[*entrant]).expect("at least one");
                prop_assert_eq!(tournament.best(), keys[best].map(|key| (key, best)));
            }
        }
    }
}
