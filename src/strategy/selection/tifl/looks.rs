//! What the rounds so far have left of the tiers' chances and credits.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::super::Candidates;
use super::{TierPolicy, TiflConfig};

/// The tiers after the looks so far. What was seen before a look does not change once a client was asked in its round or
/// later, so the looks up to there are kept; without them kept, the answers are the same.
#[derive(Debug, Clone)]
pub(in crate::strategy::selection) struct Looks {
    config: TiflConfig,
    n_looks: u32,
    /// Learnings that were taken in.
    n_learnt: usize,
    last_losses: BTreeMap<u32, f64>,
    /// Mean losses at the last look.
    before: Vec<Option<f64>>,
    chances: Vec<f64>,
    /// Rounds that were charged to tiers.
    n_charged: usize,
    /// Rounds that each tier has had.
    spent: Vec<u32>,
}

/// Each tier's chances, and what is left of its credits, before the round of the candidates.
pub(super) fn chances_and_credits(config: &TiflConfig, candidates: &Candidates<'_>) -> (Vec<f64>, Vec<u32>) {
    let n_looks = match config.policy {
        TierPolicy::Uniform => 0,
        TierPolicy::AdaptiveByLoss => candidates.round / config.interval,
    };
    // A panic elsewhere can leave a look half done behind: what was kept is then found anew.
    let mut kept = candidates.census.looks.lock().unwrap_or_else(PoisonError::into_inner);
    let mut looks = kept
        .take()
        .filter(|looks| looks.config == *config && !looks.are_beyond(n_looks, candidates))
        .unwrap_or_else(|| Looks::new(*config));
    let last_asked = candidates.history.first_asked().last().map_or(0, |(round, _)| *round);
    while looks.n_looks < n_looks && looks.next_round() <= last_asked {
        looks.look(candidates);
    }
    let mut ahead = (looks.n_looks < n_looks).then(|| looks.clone());
    while let Some(ahead) = ahead.as_mut().filter(|ahead| ahead.n_looks < n_looks) {
        ahead.look(candidates);
    }
    let chances = ahead.map_or_else(|| looks.chances.clone(), |ahead| ahead.chances);
    looks.charge_until(candidates.round, candidates);
    let credits = looks.credits();
    *kept = Some(looks);
    (chances, credits)
}

impl Looks {
    fn new(config: TiflConfig) -> Self {
        let n_tiers = config.tiers as usize;
        Self {
            config,
            n_looks: 0,
            n_learnt: 0,
            last_losses: BTreeMap::new(),
            before: vec![None; n_tiers],
            chances: vec![1.0; n_tiers],
            n_charged: 0,
            spent: vec![0; n_tiers],
        }
    }

    /// True when they took in what the candidates have not seen.
    fn are_beyond(&self, n_looks: u32, candidates: &Candidates<'_>) -> bool {
        let last_charged = self.n_charged.checked_sub(1);
        let is_charged_later = last_charged.is_some_and(|last| {
            candidates.history.first_asked().get(last).is_none_or(|(round, _)| *round >= candidates.round)
        });
        self.n_looks > n_looks || self.n_learnt > candidates.history.learnings().len() || is_charged_later
    }

    fn next_round(&self) -> u32 {
        (self.n_looks + 1) * self.config.interval
    }

    /// Looks at the tiers before the round of the next look.
    fn look(&mut self, candidates: &Candidates<'_>) {
        let round = self.next_round();
        self.n_looks += 1;
        let unread = &candidates.history.learnings()[self.n_learnt..];
        for learnt in unread.iter().take_while(|learnt| learnt.round < round) {
            self.last_losses.insert(learnt.client_id, learnt.loss);
            self.n_learnt += 1;
        }
        self.charge_until(round, candidates);
        let now = self.mean_losses(candidates);
        let past = self.n_charged.checked_sub(1).map(|last| candidates.history.first_asked()[last].1);
        let current = past.map(|first| self.config.tier_of(first, candidates));
        let has_improved = current.is_some_and(|tier| is_less(now[tier], self.before[tier]));
        if !self.last_losses.is_empty() && !has_improved {
            self.chances = chances_by_rank(&now, &self.credits());
        }
        self.before = now;
    }

    /// Charges the rounds before `round` to the tiers that had them.
    fn charge_until(&mut self, round: u32, candidates: &Candidates<'_>) {
        let uncharged = &candidates.history.first_asked()[self.n_charged..];
        for (_, first) in uncharged.iter().take_while(|(past, _)| *past < round) {
            self.spent[self.config.tier_of(*first, candidates)] += 1;
            self.n_charged += 1;
        }
    }

    /// What is left of each tier's credits.
    fn credits(&self) -> Vec<u32> {
        let all = self.config.credits.unwrap_or(u32::MAX);
        self.spent.iter().map(|spent| all.saturating_sub(*spent)).collect()
    }

    /// The mean loss of each tier.
    fn mean_losses(&self, candidates: &Candidates<'_>) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0, 0u32); self.config.tiers as usize];
        for (client_id, loss) in &self.last_losses {
            let (sum, count) = &mut sums[self.config.tier_of(*client_id, candidates)];
            *sum += loss;
            *count += 1;
        }
        sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / f64::from(count))).collect()
    }
}

/// `(m - i) / (m (m - 1) / 2)` for the `i`-th worst, from 1, of the `m` tiers that have credits.
fn chances_by_rank(losses: &[Option<f64>], credits: &[u32]) -> Vec<f64> {
    let mut worst_first: Vec<usize> = (0..losses.len()).filter(|&tier| credits[tier] > 0).collect();
    let loss_of = |tier: usize| losses[tier].unwrap_or(f64::INFINITY);
    worst_first.sort_by(|&a, &b| loss_of(b).total_cmp(&loss_of(a)).then(a.cmp(&b)));
    let m = worst_first.len();
    let mut chances = vec![0.0; losses.len()];
    for (i, tier) in worst_first.into_iter().enumerate() {
        chances[tier] = if m == 1 { 1.0 } else { (m - 1 - i) as f64 / (m * (m - 1) / 2) as f64 };
    }
    chances
}

fn is_less(now: Option<f64>, before: Option<f64>) -> bool {
    matches!((now, before), (Some(now), Some(before)) if now < before)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Clients;
    use super::super::super::{Census, History};
    use super::*;

    fn config() -> TiflConfig {
        TiflConfig { tiers: 3, policy: TierPolicy::AdaptiveByLoss, interval: 2, credits: Some(7) }
    }

    /// Nine clients, the slower the larger their number, in whose rounds of one client each loss is of its own.
    fn clients() -> Clients {
        Clients { stated_seconds: (0..9).map(f64::from).collect(), ..Clients::of(9) }
    }

    fn loss(round: u32) -> f64 {
        f64::from(round * 37 % 11) / 10.0
    }

    #[test]
    fn each_round_and_each_loss_is_taken_in_once() {
        let mut clients = clients();
        for round in 1..=1000 {
            clients.history.asked(round * 5 % 9, round);
            clients.history.learnt(round * 5 % 9, loss(round));
            let kept = clients.with(round + 1, |candidates| chances_and_credits(&config(), candidates));
            let census = Census::default();
            let anew = clients.with(round + 1, |candidates| {
                chances_and_credits(&config(), &Candidates { census: &census, ..*candidates })
            });
            assert_eq!(kept, anew, "round {round}");
            let looks = clients.census.looks.lock().unwrap().clone().expect("kept");
            // The look of the next round is not kept before somebody is asked in it.
            assert_eq!((looks.n_looks, looks.n_charged), (round / 2, round as usize));
        }
    }

    #[test]
    fn a_loss_that_comes_before_anybody_is_asked_counts_in_the_look_of_that_round() {
        let mut clients = clients();
        clients.history.asked(0, 1);
        clients.history.learnt(0, 0.5);
        let chances =
            |clients: &Clients, round| clients.with(round, |candidates| chances_and_credits(&config(), candidates).0);
        // Tiers 1 and 2 have told nothing and count as worst: 2/3 and 1/3 by number, none for tier 0.
        assert_eq!(chances(&clients, 2), [0.0, 2.0 / 3.0, 1.0 / 3.0]);
        // Round 2 found nobody; an update of round 1 comes late, and tier 1 is no longer unknown.
        clients.history.learnt(3, 0.7);
        assert_eq!(chances(&clients, 2), [0.0, 1.0 / 3.0, 2.0 / 3.0]);
    }

    #[test]
    fn an_earlier_round_and_another_history_are_looked_at_anew() {
        let mut clients = clients();
        let at =
            |clients: &Clients, round| clients.with(round, |candidates| chances_and_credits(&config(), candidates));
        let fresh = at(&clients, 1);
        for round in 1..=20 {
            clients.history.asked(round % 9, round);
            clients.history.learnt(round % 9, loss(round));
        }
        let (late, early) = (at(&clients, 21), at(&clients, 8));
        assert_ne!(late.1, early.1);
        clients.census = Census::default();
        assert_eq!((at(&clients, 8), at(&clients, 21)), (early, late));
        clients.history = History::default();
        assert_eq!(at(&clients, 1), fresh);
    }
}
