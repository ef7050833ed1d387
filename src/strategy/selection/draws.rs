//! Draws that the policies share.

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};

use rand::RngExt;
use rand_distr::Exp1;

use super::census::Chances;
use crate::collections::IdSet;
use crate::seed::Stream;

/// Clients proposed for each wanted one, besides one for 32 of all, before those who are left are listed one by one.
pub(super) const PROPOSALS_PER_CLIENT: usize = 8;
/// So many clients are looked through one by one.
const FEW: usize = 16;

/// Draws up to `n` of the clients that are `wanted` without replacement, as [`by_weight`] does, but looks at few of them
/// where most are wanted: clients are proposed by their chances, and who is not wanted, or drawn already, is passed over.
/// When the proposals run out, those who are left are listed.
pub(super) fn proposed_by_weight(
    n: usize,
    chances: &Chances,
    weight: impl Fn(u32) -> f64,
    wanted: impl Fn(u32) -> bool,
    stream: &mut Stream,
) -> Vec<u32> {
    let propose = |stream: &mut Stream| chances.client_at(stream.random());
    let mut chosen = accepted(n, chances.len(), propose, &wanted, stream);
    if chosen.len() < n {
        let drawn: BTreeSet<u32> = chosen.iter().copied().collect();
        let left = (0..chances.len() as u32).filter(|client_id| !drawn.contains(client_id) && wanted(*client_id));
        let weighted = left.map(|client_id| (client_id, weight(client_id)));
        chosen.extend(by_weight(n - chosen.len(), weighted, stream));
    }
    chosen
}

/// Draws up to `n` of those of `clients` that are `wanted` without replacement, each with the same chance; looks at few
/// where most are wanted.
pub(super) fn proposed_uniformly(
    n: usize,
    clients: &[u32],
    wanted: impl Fn(u32) -> bool,
    stream: &mut Stream,
) -> Vec<u32> {
    let propose = |stream: &mut Stream| Some(clients[stream.random_range(0..clients.len())]);
    let mut chosen = accepted(n, clients.len(), propose, &wanted, stream);
    if chosen.len() < n {
        let drawn: BTreeSet<u32> = chosen.iter().copied().collect();
        let left = clients.iter().copied().filter(|client_id| !drawn.contains(client_id) && wanted(*client_id));
        chosen.extend(uniformly(n - chosen.len(), left, stream));
    }
    chosen
}

/// As [`proposed`], but none where listing all clients is no more work.
fn accepted(
    n: usize,
    n_clients: usize,
    propose: impl Fn(&mut Stream) -> Option<u32>,
    wanted: impl Fn(u32) -> bool,
    stream: &mut Stream,
) -> Vec<u32> {
    match n_clients <= PROPOSALS_PER_CLIENT * n {
        true => Vec::new(),
        false => proposed(n, n_clients, propose, wanted, stream),
    }
}

/// Those proposed who are wanted, each once, until there are `n` or the proposals have run out.
pub(super) fn proposed(
    n: usize,
    n_clients: usize,
    propose: impl Fn(&mut Stream) -> Option<u32>,
    wanted: impl Fn(u32) -> bool,
    stream: &mut Stream,
) -> Vec<u32> {
    let mut chosen: Vec<u32> = Vec::with_capacity(n);
    // A few are found as quickly as the set, which takes a bit for each client, is made.
    let mut drawn = (n > FEW).then(IdSet::new);
    for _ in 0..PROPOSALS_PER_CLIENT * n + n_clients / 32 {
        if chosen.len() == n {
            break;
        }
        let Some(client_id) = propose(stream) else { break };
        let is_drawn = drawn.as_ref().map_or_else(|| chosen.contains(&client_id), |drawn| drawn.contains(client_id));
        if !is_drawn && wanted(client_id) {
            drawn.as_mut().map(|drawn| drawn.insert(client_id));
            chosen.push(client_id);
        }
    }
    chosen
}

/// Draws up to `n` of the clients without replacement: at each draw a client's chance is its weight's share of the
/// weights that are left. Those of no weight come last, with equal chances. In the order of the draws.
///
/// Each client gets a key, an exponential number divided by its weight, and the `n` smallest win (Efraimidis and
/// Spirakis 2006, whose key is `u^(1/w)`: the same order, as `-ln u` is exponential). One pass, one number per client,
/// room for `n` keys.
pub(super) fn by_weight(n: usize, weighted: impl Iterator<Item = (u32, f64)>, stream: &mut Stream) -> Vec<u32> {
    let mut smallest: BinaryHeap<Key> = BinaryHeap::new();
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
    use proptest::prelude::*;

    proptest! {
        /// The same draws done the long way: who a number falls to is found by walking over the weights.
        #[test]
        fn proposals_are_what_a_walk_finds(
            clients in prop::collection::vec((0u32..4, any::<bool>()), 1..120), n in 0usize..6, seed: u64,
        ) {
            let weight = |client_id: u32| f64::from(clients[client_id as usize].0);
            let wanted = |client_id: u32| clients[client_id as usize].1;
            let ids = || 0..clients.len() as u32;
            let mut stream = Seeds::new(seed).global(Purpose::Selection);
            let chances = Chances::new(ids().map(weight));
            let chosen = proposed_by_weight(n, &chances, weight, wanted, &mut stream);

            let mut stream = Seeds::new(seed).global(Purpose::Selection);
            let total: f64 = ids().map(weight).sum();
            let mut walked = Vec::new();
            if clients.len() > 8 * n && total > 0.0 {
                for _ in 0..8 * n + clients.len() / 32 {
                    if walked.len() < n {
                        let mut at = stream.random::<f64>() * total;
                        let mut client_id = 0;
                        while at >= weight(client_id) {
                            at -= weight(client_id);
                            client_id += 1;
                        }
                        if wanted(client_id) && !walked.contains(&client_id) {
                            walked.push(client_id);
                        }
                    }
                }
            }
            let left = ids().filter(|client_id| wanted(*client_id) && !walked.contains(client_id));
            let rest = by_weight(n - walked.len(), left.map(|client_id| (client_id, weight(client_id))), &mut stream);
            walked.extend(rest);
            prop_assert_eq!(chosen, walked);
        }
    }

    #[test]
    fn proposals_have_the_chances_of_draws() {
        // 300 clients, those of a number divisible by 3 away; the others weigh 1 or 3, 100 of each. Three are drawn of
        // 4,000: the first is a heavy one with chance 3/4, so is the second but for what the first has taken,
        // 3/4 x 297/397 + 1/4 x 300/399 = 0.74928. Counts of 4,000 have a standard deviation of at most 27.4; five are 137.
        let weight = |client_id: u32| if client_id % 3 == 1 { 1.0 } else { 3.0 };
        let wanted = |client_id: u32| !client_id.is_multiple_of(3);
        let chances = Chances::new((0..300).map(weight));
        let all: Vec<u32> = (0..300).collect();
        let (mut heavy, mut of_first_half) = ([0u32; 2], 0u32);
        for round in 0..4000 {
            let mut stream = Seeds::new(12).round(Purpose::Selection, round);
            let drawn = proposed_by_weight(3, &chances, weight, wanted, &mut stream);
            (0..2).for_each(|place| heavy[place] += u32::from(drawn[place] % 3 == 2));
            let drawn = proposed_uniformly(1, &all, wanted, &mut stream);
            of_first_half += u32::from(drawn[0] < 150);
        }
        assert!(heavy[0].abs_diff(3000) < 137 && heavy[1].abs_diff(2997) < 137, "{heavy:?}");
        assert!(of_first_half.abs_diff(2000) < 158, "{of_first_half}");
    }

    #[test]
    fn who_is_hard_to_find_is_listed() {
        let all: Vec<u32> = (0..10_000).collect();
        let chances = Chances::new(all.iter().map(|client_id| f64::from(*client_id % 2)));
        let wanted = |client_id| [40, 77, 9_999].contains(&client_id);
        let mut stream = Seeds::new(3).round(Purpose::Selection, 1);
        let mut uniform = proposed_uniformly(5, &all, wanted, &mut stream);
        uniform.sort_unstable();
        assert_eq!(uniform, [40, 77, 9_999]);
        // Client 40 has no weight, so it comes last.
        let weighted = proposed_by_weight(5, &chances, |client_id| f64::from(client_id % 2), wanted, &mut stream);
        assert_eq!((weighted.len(), weighted[2]), (3, 40));
    }

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
