//! Who the server asks in a round.

mod at_work;
mod census;
mod draws;
mod fastest_first;
mod history;
mod oort;
mod power_of_choice;
mod round_robin;
#[cfg(test)]
mod testing;
mod tifl;
mod uniform;
mod weighted;

pub use at_work::AtWork;
pub use census::Census;
pub use fastest_first::FastestFirstConfig;
pub use history::{CutOff, History, Learnt, Observed};
pub use oort::OortConfig;
pub use power_of_choice::PowerOfChoiceConfig;
pub use round_robin::RoundRobinConfig;
pub use tifl::{TierPolicy, TiflConfig};
pub use uniform::UniformConfig;
pub use weighted::WeightedConfig;

use crate::one_of;
use crate::registry::Problem;
use crate::seed::Stream;

/// What a selection policy may look at. Queries are pure: asking changes nothing.
#[derive(Clone, Copy)]
pub struct Candidates<'a> {
    /// Registered clients are `0..n_clients`.
    pub n_clients: u32,
    /// Whether a client can be asked now: online, and not at work.
    pub is_available: &'a dyn Fn(u32) -> bool,
    /// Who is at work, and so not available.
    pub at_work: &'a AtWork,
    /// Training examples that a client holds.
    pub num_examples: &'a dyn Fn(u32) -> u32,
    /// Seconds that a client itself would state for a task: its links and its device at their nominal speed, nobody else
    /// on the server's link.
    pub stated_seconds: &'a dyn Fn(u32) -> f64,
    /// What is kept of what does not change about the clients: the same one for all selections of a run.
    pub census: &'a Census,
    /// What the server has seen of its clients so far.
    pub history: &'a History,
    /// The round, from 1; with an asynchronous strategy the model version that is being made.
    pub round: u32,
}

/// A rule for choosing clients.
pub trait Selection: Send + Sync {
    /// Settings out of range.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Settings that do nothing where `n_asked` clients are asked at a time (none: it varies), and where no losses are told
    /// because nothing `learns`.
    fn without_effect(&self, _n_asked: Option<usize>, _learns: bool) -> Vec<Problem> {
        Vec::new()
    }

    /// Chooses up to `n` different available clients; fewer only when fewer are available.
    fn select(&self, n: usize, candidates: &Candidates<'_>, stream: &mut Stream) -> Vec<u32>;
}

one_of! {
    /// Who is asked in a round: `server.selection`.
    pub enum SelectionConfig: dyn Selection, setting "server.selection" {
        "uniform" => Uniform(UniformConfig), "uniform among the available clients, without replacement";
        "weighted" => Weighted(WeightedConfig), "by the number of training examples, without replacement";
        "round_robin" => RoundRobin(RoundRobinConfig), "every client in turn";
        "fastest_first" => FastestFirst(FastestFirstConfig), "those that state the shortest time for a task (after FedCS, arXiv 1804.08333)";
        "oort" => Oort(OortConfig), "by what their data teach and by speed, and some that are unknown (arXiv 2010.06081)";
        "power_of_choice" => PowerOfChoice(PowerOfChoiceConfig), "of d drawn by samples, those of the largest last reported loss (rpow-d of arXiv 2010.01243)";
        "tifl" => Tifl(TiflConfig), "a tier of clients of like speed in each round (arXiv 2001.09249)";
    }
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self::Uniform(UniformConfig {})
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::testing::Clients;
    use super::*;

    fn policies() -> Vec<SelectionConfig> {
        let bare = ["uniform", "weighted", "round_robin", "fastest_first", "oort", "tifl"].map(serde_json::Value::from);
        let with_settings = [
            serde_json::json!({ "power_of_choice": { "d": 6 } }),
            serde_json::json!({ "fastest_first": { "candidates": 6 } }),
            serde_json::json!({ "oort": { "max_participation": 2 } }),
            serde_json::json!({ "tifl": { "policy": "adaptive_by_loss", "interval": 2, "credits": 3 } }),
        ];
        bare.into_iter().chain(with_settings).map(|json| serde_json::from_value(json).unwrap()).collect()
    }

    /// 40 unlike clients of whom more and more is known.
    fn history_of(policy: &SelectionConfig, wanted: usize, keeps_census: bool) -> Vec<Vec<u32>> {
        let mut clients = Clients {
            num_examples: (0..40).map(|client_id| client_id % 7 * 10).collect(),
            stated_seconds: (0..40).map(|client_id| f64::from(client_id * 17 % 40)).collect(),
            ..Clients::of(40)
        };
        (1..=30)
            .map(|round| {
                // A third is away, others every round; in round 20 nobody is there.
                clients.away = (0..40).filter(|client_id| round == 20 || (client_id + round) % 3 == 0).collect();
                if !keeps_census {
                    clients.census = Census::default();
                }
                let chosen = clients.round(policy.implementation(), wanted, round);
                let there = 40 - clients.away.len();
                assert_eq!(chosen.len(), wanted.min(there), "{policy:?}");
                assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), chosen.len(), "{policy:?}: {chosen:?}");
                assert!(chosen.iter().all(|client_id| *client_id < 40 && !clients.away.contains(client_id)));
                for &client_id in chosen.iter().filter(|client_id| *client_id % 5 != 0) {
                    clients.history.answered(client_id, round, f64::from(client_id));
                    clients.history.learnt(client_id, 2.0 / f64::from(round + client_id % 4));
                }
                chosen
            })
            .collect()
    }

    #[test]
    fn every_policy_asks_available_clients_only_each_once_and_as_many_as_there_are() {
        for policy in policies() {
            for wanted in [1, 5, 26, 40] {
                history_of(&policy, wanted, true);
            }
        }
    }

    #[test]
    fn every_policy_repeats_itself_from_the_same_seed_whatever_is_kept() {
        for policy in policies() {
            assert_eq!(history_of(&policy, 2, true), history_of(&policy, 2, false));
            assert_eq!(history_of(&policy, 5, true), history_of(&policy, 5, false));
        }
    }

    #[test]
    fn every_policy_has_a_key_and_sound_defaults() {
        let keys: BTreeSet<_> = policies().iter().map(SelectionConfig::key).collect();
        assert_eq!(keys.len(), SelectionConfig::ENTRIES.len());
        assert!(policies().iter().all(|policy| policy.implementation().problems().is_empty()));
    }

    #[test]
    fn all_look_at_few_of_a_million_clients() {
        let clients = Clients::of(1_000_000);
        for policy in policies() {
            clients.looks.set(0);
            assert_eq!(clients.select(policy.implementation(), 100, 1).len(), 100);
            // One for each that is chosen, and one more for each of TiFL's tiers.
            assert!(clients.looks.get() <= 105, "{policy:?} looked at {}", clients.looks.get());
        }
        // One in ten is online: 1,000 looks on average, with a standard deviation of sqrt(100 x 0.9) / 0.1 = 95; five are 475.
        let away = (0..1_000_000).filter(|client_id| client_id % 10 != 0).collect();
        let clients = Clients { away, ..clients };
        for policy in policies() {
            clients.looks.set(0);
            assert_eq!(clients.select(policy.implementation(), 100, 1).len(), 100);
            assert!(clients.looks.get() <= 1475, "{policy:?} looked at {}", clients.looks.get());
        }
    }
}
