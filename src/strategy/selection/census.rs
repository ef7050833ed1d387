//! What does not change about the clients and the past of a run, found when it is first asked for and kept.

use std::sync::{Mutex, OnceLock, PoisonError};

use super::Candidates;
use super::draws::PROPOSALS_PER_CLIENT;
use super::oort::{Known, TaughtByWindow};
use super::tifl::Looks;
use crate::collections::IdSet;

/// Rankings and sums over all registered clients, and what policies made of the history. Finding a ranking looks at each
/// client once; policies that need none never pay for any. All follows from the scenario and the history, so it is no part of
/// a checkpoint.
#[derive(Debug, Default)]
pub struct Census {
    ranking: OnceLock<Ranking>,
    by_examples: OnceLock<Chances>,
    by_speed: OnceLock<Chances>,
    ranks_at_work: Mutex<Option<RanksAtWork>>,
    pub(super) known: Mutex<Option<Known>>,
    pub(super) looks: Mutex<Option<Looks>>,
    pub(super) taught: Mutex<Option<TaughtByWindow>>,
}

/// The clients by the time that they state for a task, 4 bytes each, the rank of each, 4 more, and 4 for each time that is
/// stated.
#[derive(Debug)]
pub(super) struct Ranking {
    /// The fastest first; by number where they state the same.
    pub(super) clients: Vec<u32>,
    /// Of each client, from 0.
    pub(super) ranks: Vec<u32>,
    /// The first rank of each group of clients who state the same time.
    groups: Vec<u32>,
    /// The groups, by number, from which clients may be proposed instead of listed, whether there is one to be found or not.
    crowds: Vec<u32>,
}

/// The ranks of the clients at work, one bit for each client.
#[derive(Debug)]
struct RanksAtWork {
    /// How many changes of who is at work are taken in.
    n_read: u64,
    ranks: IdSet,
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
            Ranking::new(&by_time)
        })
    }

    /// The ranks of the clients at work.
    pub(super) fn with_ranks_at_work<T>(&self, look: impl FnOnce(&IdSet) -> T) -> T {
        let ranks = &self.ranking().ranks;
        // A panic elsewhere can leave the ranks half updated behind: they are then found anew.
        let mut kept = self.census.ranks_at_work.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.at_work.changes();
        let mut found = match kept.take() {
            Some(found) if changes.since(found.n_read).is_some() => found,
            _ => {
                let all = self.at_work.clients().iter().map(|client_id| ranks[client_id as usize]);
                RanksAtWork { n_read: changes.count(), ranks: all.collect() }
            }
        };
        for client_id in changes.since(found.n_read).into_iter().flatten() {
            let rank = ranks[client_id as usize];
            match self.at_work.contains(client_id) {
                true => found.ranks.insert(rank),
                false => found.ranks.remove(rank),
            };
        }
        found.n_read = changes.count();
        let answer = look(&found.ranks);
        *kept = Some(found);
        answer
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

impl Ranking {
    fn new(by_time: &[(f64, u32)]) -> Self {
        let clients: Vec<u32> = by_time.iter().map(|(_, client_id)| *client_id).collect();
        let mut ranks = vec![0; clients.len()];
        (0..).zip(&clients).for_each(|(rank, client_id)| ranks[*client_id as usize] = rank);
        let (mut groups, mut crowds) = (Vec::new(), Vec::new());
        for alike in by_time.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            if alike.len() > PROPOSALS_PER_CLIENT {
                crowds.push(groups.len() as u32);
            }
            groups.push(ranks[alike[0].1 as usize]);
        }
        Self { clients, ranks, groups, crowds }
    }

    /// The clients of a group, who all state the same time.
    pub(super) fn alike(&self, group: usize) -> &[u32] {
        let end = self.groups.get(group + 1).map_or(self.clients.len(), |end| *end as usize);
        &self.clients[self.groups[group] as usize..end]
    }

    /// The first group from `group` on that has a client who is not at work, or more than `n_listed` clients.
    pub(super) fn next_group(&self, group: usize, n_listed: usize, ranks_at_work: &IdSet) -> Option<usize> {
        let first = *self.groups.get(group)?;
        let idle = ranks_at_work.next_absent(first);
        let of_idle = match idle == first {
            true => group,
            false if idle as usize >= self.clients.len() => self.groups.len(),
            false => self.groups.partition_point(|first| *first <= idle) - 1,
        };
        let crowds = &self.crowds[self.crowds.partition_point(|crowd| (*crowd as usize) < group)..];
        let mut before_idle = crowds.iter().map(|crowd| *crowd as usize).take_while(|crowd| *crowd < of_idle);
        let crowd = before_idle.find(|crowd| self.alike(*crowd).len() > n_listed);
        crowd.or((of_idle < self.groups.len()).then_some(of_idle))
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
    fn groups_of_which_all_are_at_work_are_passed_over_unless_they_are_crowds() {
        // Ranks 0 to 2 state times of their own, 3 to 12 the same one, 13 and 14 another.
        let stated_seconds =
            (0..15).map(|client_id| [client_id.min(3), 4][usize::from(client_id > 12)].into()).collect();
        let mut clients = Clients { stated_seconds, ..Clients::of(15) };
        let next = |clients: &Clients, group, n_listed| {
            clients.with(1, |candidates| {
                candidates.with_ranks_at_work(|at_work| candidates.ranking().next_group(group, n_listed, at_work))
            })
        };
        assert_eq!(clients.with(1, |candidates| candidates.ranking().alike(3).len()), 10);
        assert_eq!((next(&clients, 0, 8), next(&clients, 2, 8), next(&clients, 5, 8)), (Some(0), Some(2), None));
        (0..13).for_each(|client_id| clients.at_work.insert(client_id));
        assert_eq!((next(&clients, 0, 8), next(&clients, 0, 10), next(&clients, 4, 8)), (Some(3), Some(4), Some(4)));
        clients.at_work.remove(1);
        assert_eq!((next(&clients, 0, 10), next(&clients, 2, 10)), (Some(1), Some(4)));
        [1, 13, 14].into_iter().for_each(|client_id| clients.at_work.insert(client_id));
        assert_eq!((next(&clients, 0, 10), next(&clients, 4, 8)), (None, None));
        clients.at_work.clear();
        assert_eq!(next(&clients, 0, 10), Some(0));
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
