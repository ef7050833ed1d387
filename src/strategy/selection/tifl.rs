//! TiFL (Chai et al., HPDC 2020, arXiv 2001.09249): clients in tiers of like speed, and a round takes one tier.

mod looks;

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use self::looks::Looks;
use self::looks::chances_and_credits;
use super::draws::{by_weight, proposed_uniformly};
use super::{Candidates, Selection};
use crate::registry::Problem;
use crate::seed::Stream;

/// TiFL.
///
/// All registered clients are ranked by the time that they state for a task and cut into tiers of equal size (the paper
/// profiles them by test tasks first). A round draws a tier by the policy and its clients uniformly, so that nobody waits
/// for a much slower one. Tiers without an available client are not drawn; a tier that has too few is filled up from its
/// neighbours in speed. Made for rounds: with an asynchronous strategy every request
/// draws a tier, and credits count model versions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TiflConfig {
    /// Tiers, 1 to 1,000. 1 is uniform selection. Default: 5, as in the paper.
    pub tiers: u32,
    /// How a round's tier is drawn.
    pub policy: TierPolicy,
    /// Rounds that a tier can have, >= 1; when all that could be drawn have had theirs, credits count no more.
    /// None: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits: Option<u32>,
    /// Rounds after which `adaptive_by_loss` looks again, >= 1. Default: 10.
    pub interval: u32,
}

/// How a round's tier is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TierPolicy {
    /// Each tier with the same chance.
    #[default]
    Uniform,
    /// The paper's adaptive policy (its algorithm 2) with losses for accuracies: every `interval` rounds, unless the tier
    /// of the last round has improved, chances are dealt out anew by rank, the more the worse a tier does and none to the
    /// best. How a tier does is the mean of the training losses that its clients reported last, in place of the paper's
    /// accuracy on test data of each tier. A tier that has reported nothing counts as the worst. Where no losses are
    /// told, as in timing-only runs, chances stay equal.
    AdaptiveByLoss,
}

/// Each selection goes through all tiers.
const TIERS_MAX: u32 = 1000;

impl Default for TiflConfig {
    fn default() -> Self {
        Self { tiers: 5, policy: TierPolicy::default(), credits: None, interval: 10 }
    }
}

impl Selection for TiflConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.tiers == 0 {
            problems.push(Problem::new("tiers", "clients must be in one").help("write at least 1"));
        }
        if self.tiers > TIERS_MAX {
            let message = format!("{} tiers are more than {TIERS_MAX}", self.tiers);
            problems.push(Problem::new("tiers", message).help("the paper has 5; a tier is to hold many clients"));
        }
        if self.credits == Some(0) {
            let message = "no tier could ever be drawn";
            problems.push(Problem::new("credits", message).help("leave it out for no limit"));
        }
        if self.interval == 0 {
            problems.push(Problem::new("interval", "must be at least 1").help("1 looks after each round"));
        }
        problems
    }

    fn without_effect(&self, _: Option<usize>, learns: bool) -> Vec<Problem> {
        match self.policy {
            TierPolicy::AdaptiveByLoss if !learns => {
                let message = "no losses are told in a timing-only run, so each tier has the same chance";
                vec![Problem::new("policy", message).help("`policy: uniform` is the same here")]
            }
            TierPolicy::Uniform if self.interval != Self::default().interval => {
                let message = "chances are dealt out anew by `policy: adaptive_by_loss` alone";
                vec![Problem::new("interval", message).help("leave it out, or write `policy: adaptive_by_loss`")]
            }
            TierPolicy::AdaptiveByLoss | TierPolicy::Uniform => Vec::new(),
        }
    }

    fn select(&self, n: usize, candidates: &Candidates<'_>, stream: &mut Stream) -> Vec<u32> {
        let clients_of = |tier: u32| &candidates.ranking().clients[self.ranks_of(tier, candidates)];
        let (chances, credits) = chances_and_credits(self, candidates);
        let is_there = |tier: &u32| clients_of(*tier).iter().any(|client_id| (candidates.is_available)(*client_id));
        let mut drawable: Vec<u32> = (0..self.tiers).filter(is_there).collect();
        if drawable.iter().any(|&tier| credits[tier as usize] > 0) {
            drawable.retain(|&tier| credits[tier as usize] > 0);
        }
        let weighted = drawable.into_iter().map(|tier| (tier, chances[tier as usize]));
        let Some(&tier) = by_weight(1, weighted, stream).first() else { return Vec::new() };

        let mut by_distance: Vec<u32> = (0..self.tiers).collect();
        by_distance.sort_by_key(|&other| (other.abs_diff(tier), other));
        let mut chosen = Vec::with_capacity(n);
        for tier in by_distance {
            let n_wanted = n - chosen.len();
            chosen.extend(proposed_uniformly(n_wanted, clients_of(tier), candidates.is_available, stream));
        }
        chosen
    }
}

impl TiflConfig {
    /// The tier of a client; 0 is the fastest.
    fn tier_of(&self, client_id: u32, candidates: &Candidates<'_>) -> usize {
        let rank = candidates.ranking().ranks[client_id as usize] as usize;
        rank * self.tiers as usize / candidates.n_clients as usize
    }

    /// The ranks whose clients are in a tier.
    fn ranks_of(&self, tier: u32, candidates: &Candidates<'_>) -> Range<usize> {
        let first_of = |tier: u32| (tier as usize * candidates.n_clients as usize).div_ceil(self.tiers as usize);
        first_of(tier)..first_of(tier + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Clients;
    use super::*;

    /// Clients that are the slower the larger their number.
    fn clients(n_clients: u32) -> Clients {
        Clients { stated_seconds: (0..n_clients).map(f64::from).collect(), ..Clients::of(n_clients) }
    }

    fn sorted(mut chosen: Vec<u32>) -> Vec<u32> {
        chosen.sort_unstable();
        chosen
    }

    #[test]
    fn a_round_takes_clients_of_one_tier_and_each_tier_alike() {
        // Tiers {0..4}, {4..8}, {8..12}. Each in 1,000 of 3,000 rounds, with a standard deviation of 25.8; five are 129.
        let clients = clients(12);
        let config = TiflConfig { tiers: 3, ..TiflConfig::default() };
        let mut counts = [0u32; 3];
        for round in 0..3000 {
            let chosen = clients.select(&config, 2, round);
            assert_eq!(chosen[0] / 4, chosen[1] / 4);
            counts[chosen[0] as usize / 4] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(1000) < 129), "{counts:?}");
    }

    #[test]
    fn a_tier_that_has_too_few_is_filled_up_from_its_neighbours() {
        let mut clients = clients(9);
        // Only the middle tier can be drawn; the faster neighbour comes before the slower.
        let config = TiflConfig { tiers: 3, credits: Some(1), ..TiflConfig::default() };
        clients.history.asked(0, 1);
        clients.history.asked(8, 2);
        assert_eq!(sorted(clients.select(&config, 5, 3))[2..], [3, 4, 5]);
        assert!(clients.select(&config, 5, 3).iter().all(|&client_id| client_id < 6));
        assert_eq!(sorted(clients.select(&config, 9, 3)), (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn tiers_have_as_many_rounds_as_credits() {
        let mut clients = clients(9);
        let config = TiflConfig { tiers: 3, credits: Some(4), ..TiflConfig::default() };
        let mut counts = [0u32; 3];
        for round in 1..=12 {
            counts[clients.round(&config, 2, round)[0] as usize / 3] += 1;
        }
        assert_eq!(counts, [4, 4, 4]);
        // With all of them spent, the rounds go on.
        assert_eq!(clients.round(&config, 2, 13).len(), 2);
    }

    #[test]
    fn the_worse_a_tier_does_the_more_it_is_drawn() {
        let mut clients = clients(6);
        clients.history.asked(0, 1);
        for (client_id, loss) in [(0, 0.1), (1, 0.3), (2, 0.5), (3, 0.7), (4, 1.0)] {
            clients.history.learnt(client_id, loss);
        }
        // Means 0.2, 0.6, 1.0: by rank (3 - i) / 3, 2/3 for the worst, 1/3 and 0.
        let config = TiflConfig { tiers: 3, policy: TierPolicy::AdaptiveByLoss, interval: 2, ..TiflConfig::default() };
        let chances =
            |clients: &Clients, round| clients.with(round, |candidates| chances_and_credits(&config, candidates).0);
        assert_eq!(chances(&clients, 1), [1.0; 3]);
        assert_eq!(chances(&clients, 2), [0.0, 1.0 / 3.0, 2.0 / 3.0]);
        // Round 3 takes tier 2 and it does better, so the next look, in round 4, leaves all as it is.
        clients.history.asked(4, 3);
        clients.history.learnt(4, 0.4);
        assert_eq!(chances(&clients, 4), [0.0, 1.0 / 3.0, 2.0 / 3.0]);
        // Round 5 takes tier 1 and it does worse; means 0.2, 0.8, 0.4.
        clients.history.asked(2, 5);
        clients.history.learnt(2, 0.9);
        assert_eq!(chances(&clients, 6), [0.0, 2.0 / 3.0, 1.0 / 3.0]);
        assert!([6, 7].iter().all(|&round| clients.select(&config, 1, round)[0] / 2 != 0));
    }

    #[test]
    fn without_losses_chances_stay_equal() {
        let mut clients = clients(6);
        let config = TiflConfig { tiers: 3, policy: TierPolicy::AdaptiveByLoss, interval: 1, ..TiflConfig::default() };
        for round in 1..=20 {
            let uniform = TiflConfig { policy: TierPolicy::Uniform, ..config };
            assert_eq!(clients.select(&uniform, 2, round), clients.round(&config, 2, round));
        }
    }

    #[test]
    fn more_tiers_than_clients_leave_some_empty() {
        assert_eq!(clients(3).select(&TiflConfig { tiers: 7, ..TiflConfig::default() }, 2, 1).len(), 2);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let config = TiflConfig { tiers: 0, credits: Some(0), interval: 0, ..TiflConfig::default() };
        let paths: Vec<_> = config.problems().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["tiers", "credits", "interval"]);
        let many = TiflConfig { tiers: 4_000_000_000, ..TiflConfig::default() };
        assert_eq!(many.problems()[0].message, "4000000000 tiers are more than 1000");
        assert!(TiflConfig::default().problems().is_empty());
    }
}
