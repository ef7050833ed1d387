//! Oort (Lai et al., OSDI 2021, arXiv 2010.06081): clients whose data teach much and who are fast enough, and some that
//! nobody knows yet.

mod known;
mod pacer;
mod utility;

use std::sync::PoisonError;

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use self::known::Known;
pub(super) use self::pacer::TaughtByWindow;
use self::utility::Scores;
use super::draws::{by_weight, proposed_by_weight, uniformly};
use super::{Candidates, Selection};
use crate::collections::IdSet;
use crate::registry::Problem;
use crate::seed::Stream;

/// Oort.
///
/// Of the `n` wanted clients a fraction `epsilon`, which falls from round to round, is drawn from clients that were not tried
/// yet, with chances by stated speed; the others by utility from those that were. The utility of client `i` is
/// `(U_i + sqrt(0.1 ln R / L_i)) (T / t_i)^alpha`, the last factor only where `t_i > T`: `R` is the round, `L_i` the last
/// one that the client answered, `t_i` how long it took, `T` the preferred duration. Candidates are those of at least
/// `cut_off` times the utility of the last one that would be in by rank; they are drawn with chances by utility.
///
/// A client that a round no longer waited for, because its deadline had passed or enough others had arrived, was tried too,
/// and is not explored again and again. As in the authors' code (`round_completion_handler` of FedScale's aggregator) it
/// counts with the mean utility of that round's updates, in the place of what it had before; `L_i` is that round, and `t_i`
/// the time that it states for a task, or that the round waited for it if this is longer. Where the round told no losses, its
/// own examples count, as for any client whose loss is not known. A client whose task fails has not been tried by that.
///
/// Where this differs from the paper:
/// - The paper's statistical utility is `|B_i| sqrt(mean of loss²)` over the client's examples. Clients report their mean
///   loss, so `|B_i| x mean loss` stands in for it: it is never larger, and equal where all examples are alike. As in the
///   authors' code it is clipped at a quantile and brought to `[0, 1]`, so that it can be added to the second term.
/// - The paper's `T` is in seconds; as in the authors' code it is a quantile of the durations of the explored clients,
///   which rises by `pacer_step` when the utility of the last `pacer_window` rounds is below that of as many before.
/// - Clients that took part `max_participation` times are asked only when the others do not suffice.
///
/// Where no losses are told, as in timing-only runs, every loss counts as 1: the utility is the number of examples, and
/// `T` stays where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OortConfig {
    /// `epsilon` in round 1: the fraction of unknown clients, in [0, 1]. Default: 0.9.
    pub exploration: f64,
    /// What `epsilon` is multiplied by after each round, in (0, 1]. Default: 0.98.
    pub exploration_decay: f64,
    /// The least `epsilon`, in [0, 1]. Default: 0.2.
    pub exploration_min: f64,
    /// `alpha`, how hard slow clients are punished, >= 0. 0 ignores speed. Default: 2.
    pub alpha: f64,
    /// `c`, the fraction of the last client's utility that makes a candidate, in [0, 1]. 1 takes the best alone; 0 draws
    /// from all. Default: 0.95.
    pub cut_off: f64,
    /// The quantile of the statistical utilities beyond which they are clipped, in (0, 1]. 1 clips nothing. Default: 0.95.
    pub clip: f64,
    /// The quantile of the durations that `T` starts at, in (0, 1]. 1 prefers no speed. Default: 0.3.
    pub speed_quantile: f64,
    /// How much the quantile rises when the utility falls, in [0, 1]. Default: 0.05.
    pub pacer_step: f64,
    /// Rounds whose utilities are compared, >= 1. Default: 20.
    pub pacer_window: u32,
    /// Tasks after which a client is asked only in want of others, >= 1. The paper's example is 10. None: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_participation: Option<u32>,
}

const FRACTION_HELP: &str = "it is a fraction: 0.9 is nine in ten; leave it out for the paper's";

impl Default for OortConfig {
    fn default() -> Self {
        Self {
            exploration: 0.9,
            exploration_decay: 0.98,
            exploration_min: 0.2,
            alpha: 2.0,
            cut_off: 0.95,
            clip: 0.95,
            speed_quantile: 0.3,
            pacer_step: 0.05,
            pacer_window: 20,
            max_participation: None,
        }
    }
}

impl Selection for OortConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let from_zero = [
            ("exploration", self.exploration),
            ("exploration_min", self.exploration_min),
            ("cut_off", self.cut_off),
            ("pacer_step", self.pacer_step),
        ];
        for (path, value) in from_zero {
            if !(0.0..=1.0).contains(&value) {
                problems.push(Problem::new(path, format!("{value} is not in [0, 1]")).help(FRACTION_HELP));
            }
        }
        let above_zero = [
            ("exploration_decay", self.exploration_decay),
            ("clip", self.clip),
            ("speed_quantile", self.speed_quantile),
        ];
        for (path, value) in above_zero {
            if !(value > 0.0 && value <= 1.0) {
                problems.push(Problem::new(path, format!("{value} is not in (0, 1]")).help(FRACTION_HELP));
            }
        }
        if !(self.alpha >= 0.0 && self.alpha.is_finite()) {
            let message = format!("{} must be a number of at least 0", self.alpha);
            problems.push(Problem::new("alpha", message).help("0 ignores speed"));
        }
        if self.exploration_min > self.exploration {
            let message =
                format!("{} is above `exploration`, {}, which only falls", self.exploration_min, self.exploration);
            problems.push(Problem::new("exploration_min", message).help("lower exploration_min or raise exploration"));
        }
        if self.pacer_window == 0 {
            problems.push(Problem::new("pacer_window", "no rounds cannot be compared").help("write at least 1"));
        }
        if self.max_participation == Some(0) {
            let message = "nobody could ever take part";
            problems.push(Problem::new("max_participation", message).help("leave it out for no limit"));
        }
        problems
    }

    fn select(&self, n: usize, candidates: &Candidates<'_>, stream: &mut Stream) -> Vec<u32> {
        // A panic elsewhere leaves nothing half done behind: what is known is put back whole.
        let mut kept = candidates.census.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = Known::up_to_date(kept.take(), self, candidates);
        let chosen = self.choose(n, &known, candidates, stream);
        *kept = Some(known);
        chosen
    }
}

impl OortConfig {
    fn choose(&self, n: usize, known: &Known, candidates: &Candidates<'_>, stream: &mut Stream) -> Vec<u32> {
        let scores = Scores::new(self, known, candidates);
        // A share of clients that is not whole is rounded at random, so that it holds on average, for one client too.
        let share = (1.0 - self.exploration_at(candidates.round)) * n as f64;
        let is_up = stream.random::<f64>() < share.fract();
        let n_exploited = share as usize + usize::from(is_up);
        let mut chosen = by_weight(n_exploited, scores.pool(n_exploited).into_iter(), stream);
        let is_unknown = |client_id| {
            let seen = candidates.history.of(client_id);
            seen.is_none_or(|seen| !self.is_known(seen)) && (candidates.is_available)(client_id)
        };
        // With nobody left to explore, nobody is looked for.
        if known.len() < candidates.n_clients as usize {
            let speed = |client_id| candidates.speed(client_id);
            chosen.extend(proposed_by_weight(n - chosen.len(), candidates.by_speed(), speed, is_unknown, stream));
        }
        if chosen.len() < n {
            let drawn: IdSet = chosen.iter().copied().collect();
            let mut ranked = scores.ranked();
            ranked.retain(|(client_id, _)| !drawn.contains(*client_id));
            chosen.extend(by_weight(n - chosen.len(), ranked.into_iter(), stream));
        }
        if chosen.len() < n {
            let spent = known.spent.iter().copied().filter(|client_id| (candidates.is_available)(*client_id));
            chosen.extend(uniformly(n - chosen.len(), spent, stream));
        }
        chosen
    }

    /// `epsilon` in a round, from 1.
    fn exploration_at(&self, round: u32) -> f64 {
        let decays = f64::from(round.saturating_sub(1));
        (self.exploration * self.exploration_decay.powf(decays)).max(self.exploration_min)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::CutOff;
    use super::super::testing::Clients;
    use super::*;

    /// Clients who have all answered in round 1: seconds and loss of each.
    fn answered(clients: &[(f64, f64)]) -> Clients {
        let mut all = Clients::of(clients.len() as u32);
        for (client_id, &(seconds, loss)) in (0..).zip(clients) {
            all.history.asked(client_id, 1);
            all.history.answered(client_id, 1, seconds);
            all.history.learnt(client_id, loss);
        }
        all
    }

    fn scores(config: &OortConfig, clients: &Clients, round: u32) -> Vec<f64> {
        clients.with(round, |candidates| {
            let known = Known::up_to_date(None, config, candidates);
            let scores = Scores::new(config, &known, candidates);
            known.tried.iter().map(|tried| scores.of(tried)).collect()
        })
    }

    #[test]
    fn utility_is_statistical_and_systematic_with_a_bonus_for_those_not_seen_for_long() {
        // Losses 1, 2, 3 on 10 examples: 0, 1/2, 1 of the range (clip 1). T is the quantile 0.3 of 1, 2, 4 s: number
        // floor(0.9) = 0, 1 s. So client 1 is punished by (1/2)^2 and client 2 by (1/4)^2.
        let clients = Clients { num_examples: vec![10; 3], ..answered(&[(1.0, 1.0), (2.0, 2.0), (4.0, 3.0)]) };
        let config = OortConfig { clip: 1.0, ..OortConfig::default() };
        assert_eq!(scores(&config, &clients, 1), [0.0, 0.5 / 4.0, 1.0 / 16.0]);
        // Round 5, last answered in 1: each gains sqrt(0.1 ln 5).
        let bonus = (0.1 * 5f64.ln()).sqrt();
        assert_eq!(scores(&config, &clients, 5), [bonus, (0.5 + bonus) / 4.0, (1.0 + bonus) / 16.0]);
        // Without a penalty, and clipped at the quantile 0.5, number floor(1.5) = 1 of 10, 20, 30: 20.
        let flat = OortConfig { clip: 0.5, alpha: 0.0, ..config };
        assert_eq!(scores(&flat, &clients, 1), [0.0, 1.0, 1.0]);
    }

    #[test]
    fn exploration_falls_to_its_least() {
        let config = OortConfig::default();
        assert_eq!(config.exploration_at(1), 0.9);
        assert!((config.exploration_at(11) - 0.9 * 0.98f64.powi(10)).abs() < 1e-12);
        assert_eq!(config.exploration_at(500), 0.2);
    }

    #[test]
    fn the_share_of_unknown_clients_is_epsilon() {
        // 50 have answered, 50 have not; 5 are wanted in round 1 with epsilon 0.7: 3.5 unknown ones on average. Each of
        // 2,000 selections has 3 or 4, a fair coin: the mean has a standard deviation of 0.5 / sqrt(2000) = 0.011.
        let mut clients = answered(&[(1.0, 1.0); 50]);
        clients.n_clients = 100;
        let config = OortConfig { exploration: 0.7, exploration_min: 0.7, ..OortConfig::default() };
        let cohorts: Vec<_> = (0..2000).map(|round| clients.select(&config, 5, round)).collect();
        let unknown: usize = cohorts.iter().flatten().filter(|&&client_id| client_id >= 50).count();
        assert!((unknown as f64 / 2000.0 - 3.5).abs() < 0.055, "{unknown}");
        // The one client of an asynchronous server is unknown in 7 of 10 cases: 1,400 with a standard deviation of 20.5.
        let single = (0..2000).filter(|&round| clients.select(&config, 1, round)[0] >= 50).count();
        assert!(single.abs_diff(1400) < 103, "{single}");
    }

    #[test]
    fn unknown_clients_are_drawn_by_speed() {
        // 1 s against 4 s: 4 to 1. The fast one in 3,200 of 4,000 rounds, with a standard deviation of 25.3; five: 127.
        let clients = Clients { stated_seconds: vec![1.0, 4.0], ..Clients::of(2) };
        let fast = (0..4000).filter(|&round| clients.select(&OortConfig::default(), 1, round) == [0]).count();
        assert!(fast.abs_diff(3200) < 127, "{fast}");
    }

    #[test]
    fn the_cut_off_keeps_those_of_little_utility_out() {
        // Utilities 1, 0.97, 0.5, 0 of the range; two are exploited. The cut-off is 0.95 x 0.97, so only these two.
        let clients = answered(&[(1.0, 3.0), (1.0, 2.94), (1.0, 2.0), (1.0, 1.0)]);
        let config = OortConfig { exploration: 0.0, exploration_min: 0.0, clip: 1.0, ..OortConfig::default() };
        let ever_chosen = |config: OortConfig| -> BTreeSet<u32> {
            (1..200).flat_map(|seed| clients.select_with(&config, 2, 1, seed)).collect()
        };
        assert_eq!(ever_chosen(config), BTreeSet::from([0, 1]));
        // With half of that as the cut-off the third has a chance of about 1 in 3 per round; the last has no utility.
        assert_eq!(ever_chosen(OortConfig { cut_off: 0.5, ..config }), BTreeSet::from([0, 1, 2]));
    }

    /// Clients of all kinds, asked one by one as an asynchronous server does: what is kept and updated, and looked through
    /// quickly, is what ranking all of them anew gives.
    #[test]
    fn one_client_at_a_time_is_chosen_as_from_a_ranking_of_all() {
        for alpha in [0.5, 2.0] {
            let config = OortConfig { alpha, cut_off: 0.8, max_participation: Some(6), ..OortConfig::default() };
            let mut clients = Clients {
                num_examples: (0..200).map(|client_id| 1 + client_id * 37 % 101).collect(),
                away: (0..200).filter(|client_id| client_id % 7 == 3).collect(),
                ..Clients::of(200)
            };
            let mut n_pools = 0;
            for step in 0..900u32 {
                let round = 1 + step / 30;
                for client_id in clients.round(&config, 1, round) {
                    clients.at_work.insert(client_id);
                }
                // Whoever has worked longest answers, fails or is cut off.
                if step >= 20 {
                    let client_id = step * 29 % 200;
                    clients.at_work.remove(client_id);
                    let seconds = f64::from(1 + client_id * 53 % 17 + step % 5);
                    match clients.history.of(client_id).map(|_| step % 9) {
                        None | Some(0) => {}
                        Some(1) => {
                            let utility = (step % 2 == 0).then_some(50.0);
                            clients.history.cut_off(client_id, CutOff { round, seconds, utility });
                        }
                        Some(_) => clients.history.answered(client_id, round, seconds),
                    }
                }
                let kept = clients.census.known.lock().unwrap().take();
                let known = clients.with(round, |candidates| {
                    let known = Known::up_to_date(kept, &config, candidates);
                    let anew = Known::up_to_date(None, &config, candidates);
                    assert_eq!((known.len(), &known.spent), (anew.len(), &anew.spent));
                    let scores = Scores::new(&config, &known, candidates);
                    let mut ranked = Scores::new(&config, &anew, candidates).ranked();
                    assert_eq!(scores.ranked(), ranked);
                    let least = ranked.first().map_or(0.0, |(_, best)| 0.8 * best);
                    ranked.retain(|(_, score)| *score >= least);
                    assert_eq!(scores.pool(1), ranked);
                    n_pools += usize::from(ranked.len() > 1);
                    known
                });
                *clients.census.known.lock().unwrap() = Some(known);
            }
            assert!(n_pools > 200, "{n_pools} pools of more than one");
        }
    }

    #[test]
    fn those_who_took_part_often_are_asked_in_want_of_others_only() {
        let mut clients = answered(&[(1.0, 1.0); 4]);
        (2..=3).for_each(|round| clients.history.asked(2, round));
        let config = OortConfig { max_participation: Some(3), ..OortConfig::default() };
        let sorted = |n| {
            let mut chosen = clients.select(&config, n, 4);
            chosen.sort_unstable();
            chosen
        };
        assert_eq!(sorted(3), [0, 1, 3]);
        assert_eq!(sorted(4), [0, 1, 2, 3]);
    }

    #[test]
    fn with_everybody_known_nobody_is_looked_for() {
        // One look for each of those known when the best of them are drawn, and one when the others are, and none for
        // proposals, all of which would be in vain.
        let clients = answered(&[(1.0, 1.0); 300]);
        assert_eq!(clients.select(&OortConfig::default(), 10, 2).len(), 10);
        assert_eq!(clients.looks.get(), 600);
    }

    #[test]
    fn who_was_cut_off_counts_as_tried_with_the_mean_utility_of_the_round() {
        // Utilities 10 and 30 in round 1; clients 2 and 3 were cut off: 20, half of the range, and 10 examples x the mean loss
        // 2, the same. T is the quantile 0.3 of 1, 2, 4 and 4 s: number floor(1.2) = 1, 2 s, so they are punished by (2/4)^2.
        let mut clients = Clients { num_examples: vec![10; 6], ..answered(&[(1.0, 1.0), (2.0, 3.0)]) };
        clients.n_clients = 6;
        for (client_id, utility) in [(2, Some(20.0)), (3, None)] {
            clients.history.asked(client_id, 1);
            clients.history.cut_off(client_id, CutOff { round: 1, seconds: 4.0, utility });
        }
        let config = OortConfig { clip: 1.0, ..OortConfig::default() };
        assert_eq!(scores(&config, &clients, 1), [0.0, 1.0, 0.5 / 4.0, 0.5 / 4.0]);
        // Nobody but clients 4 and 5 is unknown.
        let explorer = OortConfig { exploration: 1.0, exploration_min: 1.0, ..config };
        let explored: BTreeSet<u32> = (1..100).flat_map(|seed| clients.select_with(&explorer, 1, 2, seed)).collect();
        assert_eq!(explored, BTreeSet::from([4, 5]));
        // What a client is known for gives way to its being cut off, and that to its next update. Of 10, 15, 20 and 20, and
        // with T the second of 1, 4, 4 and 8 s, client 1 is worth half of the range and punished by (4/8)^2.
        clients.history.cut_off(1, CutOff { round: 1, seconds: 8.0, utility: Some(15.0) });
        assert_eq!(scores(&config, &clients, 1), [0.0, 0.5 / 4.0, 1.0, 1.0]);
        clients.history.answered(1, 2, 2.0);
        assert_eq!(scores(&config, &clients, 1), [0.0, 1.0, 0.5 / 4.0, 0.5 / 4.0]);
    }

    #[test]
    fn what_is_kept_does_not_grow_with_the_rounds() {
        // In the last round there can be: 4 thousand million numbers would be 32 GiB.
        let clients = answered(&[(1.0, 1.0), (2.0, 2.0)]);
        assert_eq!(clients.select(&OortConfig::default(), 2, u32::MAX).len(), 2);
        // Both gain sqrt(0.1 ln 4,294,967,295), and the slower one is punished by (1/2)^2.
        let bonus = (0.1 * f64::from(u32::MAX).ln()).sqrt();
        let config = OortConfig { clip: 1.0, ..OortConfig::default() };
        assert_eq!(scores(&config, &clients, u32::MAX), [bonus, (1.0 + bonus) / 4.0]);
    }

    #[test]
    fn without_losses_the_number_of_examples_decides() {
        let mut clients = Clients { num_examples: vec![10, 40, 20], ..Clients::of(3) };
        for client_id in 0..3 {
            clients.history.asked(client_id, 1);
            clients.history.answered(client_id, 1, 1.0);
        }
        // 0, 1 and 1/3 of the range from 10 to 40.
        let config = OortConfig { clip: 1.0, ..OortConfig::default() };
        assert_eq!(scores(&config, &clients, 1), [0.0, 1.0, 1.0 / 3.0]);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let config = OortConfig {
            exploration: 0.1,
            exploration_decay: 0.0,
            alpha: f64::NAN,
            cut_off: 1.5,
            pacer_window: 0,
            max_participation: Some(0),
            ..OortConfig::default()
        };
        let paths: Vec<_> = config.problems().into_iter().map(|problem| problem.path).collect();
        let expected =
            ["cut_off", "exploration_decay", "alpha", "exploration_min", "pacer_window", "max_participation"];
        assert_eq!(paths, expected);
        assert!(OortConfig::default().problems().is_empty());
    }
}
