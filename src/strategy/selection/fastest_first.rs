//! The fastest first, by what clients state themselves; after FedCS (Nishio and Yonetani 2019, arXiv 1804.08333).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draws::{PROPOSALS_PER_CLIENT, proposed_uniformly};
use super::{Candidates, Selection, UniformConfig};
use crate::registry::Problem;
use crate::seed::Stream;

/// Selection of the fastest.
///
/// As in FedCS, some clients drawn at random state how long a task would take them, and the fastest of them are asked.
/// FedCS fills a round of given length and schedules the uploads one after the other; here the number is given, and each
/// client states the time that it would take alone. The same slow clients are never asked, so what they hold is never
/// learnt: that is the price that this policy is there to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FastestFirstConfig {
    /// Available clients, drawn uniformly, that state their time, >= 1; at least as many as are wanted do, and no more than
    /// there are. None: all available clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<u32>,
}

impl Selection for FastestFirstConfig {
    fn problems(&self) -> Vec<Problem> {
        let is_none = self.candidates == Some(0);
        let problem = || Problem::new("candidates", "nobody would be asked for its time").help("leave it out for all");
        is_none.then(problem).into_iter().collect()
    }

    fn without_effect(&self, n_asked: Option<usize>, _: bool) -> Vec<Problem> {
        let Some((n, count)) = n_asked.zip(self.candidates).filter(|(n, count)| *count as usize <= *n) else {
            return Vec::new();
        };
        let message = format!("{n} clients are asked at a time, so all of {count} candidates are, fast or slow");
        vec![
            Problem::new("candidates", message).help(format!("write more, such as {}, or leave it out for all", 2 * n)),
        ]
    }

    /// Clients that state the same time have the same chance.
    fn select(&self, n: usize, candidates: &Candidates<'_>, stream: &mut Stream) -> Vec<u32> {
        let Some(count) = self.candidates else { return fastest_of_all(n, candidates, stream) };
        let n_drawn = n.max(count as usize).min(candidates.n_clients as usize);
        let drawn = UniformConfig {}.select(n_drawn, candidates, stream);
        let mut stated: Vec<(f64, u32)> =
            drawn.into_iter().map(|client_id| ((candidates.stated_seconds)(client_id), client_id)).collect();
        // A stable sort: those of equal time stay in the random order in which they were drawn.
        stated.sort_by(|a, b| a.0.total_cmp(&b.0));
        stated.into_iter().take(n).map(|(_, client_id)| client_id).collect()
    }
}

/// Goes through the ranking, past those at work, and draws among those who state the same time.
fn fastest_of_all(n: usize, candidates: &Candidates<'_>, stream: &mut Stream) -> Vec<u32> {
    let ranking = candidates.ranking();
    candidates.with_ranks_at_work(|at_work| {
        let (mut chosen, mut group) = (Vec::with_capacity(n), 0);
        while chosen.len() < n {
            let missing = n - chosen.len();
            let Some(next) = ranking.next_group(group, PROPOSALS_PER_CLIENT * missing, at_work) else { break };
            chosen.extend(proposed_uniformly(missing, ranking.alike(next), candidates.is_available, stream));
            group = next + 1;
        }
        chosen
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Clients;
    use super::*;

    #[test]
    fn the_fastest_of_the_available_are_asked_in_order_of_speed() {
        let mut clients = Clients { stated_seconds: vec![5.0, 1.0, 4.0, 2.0, 3.0], ..Clients::of(5) };
        clients.away.insert(3);
        assert_eq!(clients.select(&FastestFirstConfig::default(), 3, 1), [1, 4, 2]);
    }

    #[test]
    fn who_is_at_work_is_passed_over_without_a_look() {
        // 50,000 of 100,000 clients are at work, the fastest first, and one of them comes back; those of odd numbers are away.
        let mut clients = Clients {
            stated_seconds: (0..100_000).map(f64::from).collect(),
            away: (0..100_000).filter(|client_id| client_id % 2 == 1).collect(),
            ..Clients::of(100_000)
        };
        (0..50_000).for_each(|client_id| clients.at_work.insert(client_id));
        let next = |clients: &Clients| clients.select(&FastestFirstConfig::default(), 1, 1);
        assert_eq!(next(&clients), [50_000]);
        clients.at_work.insert(50_000);
        clients.at_work.remove(17_000);
        assert_eq!(next(&clients), [17_000]);
        clients.at_work.insert(17_000);
        assert_eq!(next(&clients), [50_002]);
        assert_eq!(clients.looks.get(), 1 + 1 + 2);
    }

    #[test]
    fn the_fastest_of_a_random_few_leave_the_others_a_chance() {
        // 2 of 4 drawn of 100: client 0, the fastest, is asked whenever it is drawn: 4 in 100 of 5,000 rounds, 200, with a
        // standard deviation of sqrt(5000 x 0.04 x 0.96) = 13.9; five of them are 70.
        let clients = Clients { stated_seconds: (0..100).map(f64::from).collect(), ..Clients::of(100) };
        let few = FastestFirstConfig { candidates: Some(4) };
        let chosen: Vec<_> = (0..5000).map(|round| clients.select(&few, 2, round)).collect();
        let of_first = chosen.iter().filter(|cohort| cohort.contains(&0)).count();
        assert!(of_first.abs_diff(200) < 70, "{of_first}");
        assert!(chosen.iter().all(|cohort| cohort.len() == 2 && cohort[0] < cohort[1]));
        // Three of the four are slower than the first: number 96 is the slowest that can be first.
        assert!(chosen.iter().all(|cohort| cohort[0] <= 96));
    }

    #[test]
    fn equal_clients_have_equal_chances() {
        // 1 of 4 alike: each in 500 of 2,000 rounds, with a standard deviation of sqrt(2000 x 3/16) = 19.4; five are 97.
        let clients = Clients::of(4);
        let mut counts = [0u32; 4];
        (0..2000).for_each(|round| counts[clients.select(&FastestFirstConfig::default(), 1, round)[0] as usize] += 1);
        assert!(counts.iter().all(|count| count.abs_diff(500) < 97), "{counts:?}");
    }

    #[test]
    fn more_candidates_than_clients_are_all_of_them() {
        // Room for what is written, and 8 draws for each, would be 16 GiB and 34 thousand million draws.
        let clients = Clients { stated_seconds: vec![5.0, 1.0, 4.0, 2.0, 3.0], ..Clients::of(5) };
        let all = FastestFirstConfig { candidates: Some(u32::MAX) };
        assert_eq!(clients.select(&all, 3, 1), [1, 3, 4]);
        assert_eq!(clients.select(&all, u32::MAX as usize, 1), [1, 3, 4, 2, 0]);
        assert_eq!(clients.select(&UniformConfig {}, u32::MAX as usize, 1).len(), 5);
    }

    #[test]
    fn nobody_to_ask_for_its_time_is_a_problem() {
        assert_eq!(FastestFirstConfig { candidates: Some(0) }.problems()[0].path, "candidates");
        assert!(FastestFirstConfig::default().problems().is_empty());
    }
}
