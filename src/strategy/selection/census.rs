//! What does not change about the clients and the past of a run, found when it is first asked for and kept.

use std::sync::{Mutex, OnceLock};

use super::Candidates;
use super::oort::TaughtByWindow;
use super::tifl::Looks;

/// Rankings and sums over all registered clients, and what policies made of the history. Finding a ranking looks at each
/// client once; policies that need none never pay for any. All follows from the scenario and the history, so it is no part of
/// a checkpoint.
#[derive(Debug, Default)]
pub struct Census {
    ranking: OnceLock<Ranking>,
    by_examples: OnceLock<Chances>,
    by_speed: OnceLock<Chances>,
    pub(super) looks: Mutex<Option<Looks>>,
    pub(super) taught: Mutex<Option<TaughtByWindow>>,
}

/// The clients by the time that they state for a task, 4 bytes each, and the rank of each, 4 more.
#[derive(Debug)]
pub(super) struct Ranking {
    /// The fastest first; by number where they state the same.
    pub(super) clients: Vec<u32>,
    /// Of each client, from 0.
    pub(super) ranks: Vec<u32>,
}

/// Weights of clients as running sums, 8 bytes for each client: a number below the total falls to a client with a chance
/// by its weight. What is no weight, negative or not a number, counts as 0.
#[derive(Debug)]
pub(super) struct Chances {
    sums: Vec<f64>,
}

impl Candidates<'_> {
    /// All registered clients by stated time.
    pub(super) fn ranking(&self) -> &Ranking {
        self.census.ranking.get_or_init(|| {
            let mut by_time: Vec<(f64, u32)> =
                (0..self.n_clients).map(|client_id| ((self.stated_seconds)(client_id), client_id)).collect();
            by_time.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let clients: Vec<u32> = by_time.into_iter().map(|(_, client_id)| client_id).collect();
            let mut ranks = vec![0; clients.len()];
            (0..).zip(&clients).for_each(|(rank, client_id)| ranks[*client_id as usize] = rank);
            Ranking { clients, ranks }
        })
    }

    /// Training examples of a client, as a weight.
    pub(super) fn examples(&self, client_id: u32) -> f64 {
        f64::from((self.num_examples)(client_id))
    }

    /// Stated tasks per second of a client, as a weight.
    pub(super) fn speed(&self, client_id: u32) -> f64 {
        1.0 / (self.stated_seconds)(client_id)
    }

    /// Chances by [`examples`](Self::examples).
    pub(super) fn by_examples(&self) -> &Chances {
        let find = || Chances::new((0..self.n_clients).map(|client_id| self.examples(client_id)));
        self.census.by_examples.get_or_init(find)
    }

    /// Chances by [`speed`](Self::speed).
    pub(super) fn by_speed(&self) -> &Chances {
        let find = || Chances::new((0..self.n_clients).map(|client_id| self.speed(client_id)));
        self.census.by_speed.get_or_init(find)
    }
}

impl Chances {
    pub(super) fn new(weights: impl Iterator<Item = f64>) -> Self {
        let mut total = 0.0;
        let add = |weight: f64| {
            total += weight.max(0.0);
            total
        };
        Self { sums: weights.map(add).collect() }
    }

    /// How many clients there are.
    pub(super) fn len(&self) -> usize {
        self.sums.len()
    }

    /// Whose the number `at` of [0, 1) is; none where nobody has a weight, or one has an infinite one.
    pub(super) fn client_at(&self, at: f64) -> Option<u32> {
        let total = self.sums.last().copied().filter(|total| total.is_finite())?;
        let client = self.sums.partition_point(|sum| *sum <= at * total);
        (client < self.sums.len()).then_some(client as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Clients;
    use super::*;

    #[test]
    fn numbers_fall_to_clients_by_weight_and_never_to_those_without() {
        // Sums 0, 1, 1, 4, 4: a quarter to client 1, the rest to client 3.
        let chances = Chances::new([0.0, 1.0, -2.0, 3.0, f64::NAN].into_iter());
        let clients = [0.0, 0.24, 0.25, 0.5, 0.999].map(|at| chances.client_at(at));
        assert_eq!(clients, [1, 1, 3, 3, 3].map(Some));
        assert_eq!(Chances::new([0.0, 0.0].into_iter()).client_at(0.5), None);
        assert_eq!(Chances::new([1.0, f64::INFINITY].into_iter()).client_at(0.5), None);
        assert_eq!((Chances::new([].into_iter()).client_at(0.5), chances.len()), (None, 5));
    }

    #[test]
    fn the_ranking_is_by_time_and_then_by_number() {
        let clients = Clients { stated_seconds: vec![2.0, 1.0, 2.0, 0.5], ..Clients::of(4) };
        clients.with(1, |candidates| {
            assert_eq!(candidates.ranking().clients, [3, 1, 0, 2]);
            assert_eq!(candidates.ranking().ranks, [2, 1, 3, 0]);
        });
    }
}
