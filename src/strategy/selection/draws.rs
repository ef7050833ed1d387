//! Draws that the policies share.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rand::RngExt;
use rand_distr::Exp1;

use super::Candidates;
use crate::seed::Stream;

/// The available clients, by number. Looks at every registered client.
pub(super) fn available<'c>(candidates: &'c Candidates<'_>) -> impl Iterator<Item = u32> + 'c {
    (0..candidates.n_clients).filter(|client_id| (candidates.is_available)(*client_id))
}

/// Draws up to `n` of the clients without replacement: at each draw a client's chance is its weight's share of the
/// weights that are left. Those of no weight come last, with equal chances. In the order of the draws.
///
/// Each client gets a key, an exponential number divided by its weight, and the `n` smallest win (Efraimidis and
/// Spirakis 2006, whose key is `u^(1/w)`: the same order, as `-ln u` is exponential). One pass, one number per client,
/// room for `n` keys.
pub(super) fn by_weight(n: usize, weighted: impl Iterator<Item = (u32, f64)>, stream: &mut Stream) -> Vec<u32> {
    let mut smallest: BinaryHeap<Key> = BinaryHeap::with_capacity(n + 1);
    for (client_id, weight) in weighted {
        let exponential: f64 = stream.sample(Exp1);
        let has_weight = weight > 0.0;
        let value = if has_weight { exponential / weight } else { exponential };
        let key = Key { is_last: !has_weight, value, client_id };
        if smallest.len() < n {
            smallest.push(key);
        } else if smallest.peek().is_some_and(|largest| key < *largest) {
            smallest.pop();
            smallest.push(key);
        }
    }
    smallest.into_sorted_vec().into_iter().map(|key| key.client_id).collect()
}

/// Draws up to `n` of the clients without replacement, each with the same chance.
pub(super) fn uniformly(n: usize, clients: impl Iterator<Item = u32>, stream: &mut Stream) -> Vec<u32> {
    by_weight(n, clients.map(|client_id| (client_id, 1.0)), stream)
}

struct Key {
    is_last: bool,
    value: f64,
    client_id: u32,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_value = self.value.total_cmp(&other.value);
        self.is_last.cmp(&other.is_last).then(by_value).then(self.client_id.cmp(&other.client_id))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seeds};

    /// How often each of three clients is the first, second and third of `n_draws` drawings.
    fn places(weights: [f64; 3], n_draws: u32) -> [[u32; 3]; 3] {
        let mut counts = [[0; 3]; 3];
        for round in 0..n_draws {
            let mut stream = Seeds::new(11).round(Purpose::Selection, round);
            let clients = (0..3).map(|client_id| (client_id, weights[client_id as usize]));
            for (place, client_id) in by_weight(3, clients, &mut stream).into_iter().enumerate() {
                counts[client_id as usize][place] += 1;
            }
        }
        counts
    }

    #[test]
    fn clients_are_drawn_one_after_the_other_by_the_weights_that_are_left() {
        // Weights 1, 2, 3. First: 1/6, 2/6, 3/6. Last is who is left over by two draws:
        // client 0: 2/6 x 3/4 + 3/6 x 2/3 = 7/12; client 1: 1/6 x 3/5 + 3/6 x 1/3 = 4/15; client 2: 1/6 x 2/5 + 2/6 x 1/4
        // = 3/20. Five standard deviations of a count of 6,000 are at most 5 sqrt(6000) / 2 = 194.
        let counts = places([1.0, 2.0, 3.0], 6000);
        for (client, (first, last)) in [(1000, 3500), (2000, 1600), (3000, 900)].into_iter().enumerate() {
            assert!(counts[client][0].abs_diff(first) < 194 && counts[client][2].abs_diff(last) < 194, "{counts:?}");
        }
    }

    #[test]
    fn clients_without_weight_come_last_with_equal_chances() {
        let counts = places([0.0, 5.0, f64::NAN], 1000);
        assert_eq!(counts[1], [1000, 0, 0]);
        // Half of 1,000, with a standard deviation of sqrt(1000) / 2 = 15.8; five of them are 79.
        assert!(counts[0][1].abs_diff(500) < 79, "{counts:?}");
    }

    #[test]
    fn no_more_are_drawn_than_wanted_or_there() {
        let mut stream = Seeds::new(1).round(Purpose::Selection, 1);
        assert_eq!(uniformly(0, 0..5, &mut stream), Vec::<u32>::new());
        assert_eq!(uniformly(2, 0..5, &mut stream).len(), 2);
        let mut all = uniformly(9, 0..5, &mut stream);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4]);
    }
}
