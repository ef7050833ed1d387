//! How fast clients are to be: the quantile of durations that rises when rounds teach less.

use std::sync::PoisonError;

use super::super::Candidates;
use super::OortConfig;

/// What the learnings so far have taught, by windows of rounds. It is kept, so that each learning is counted once; without
/// it kept, the answers are the same.
#[derive(Debug, Default)]
pub(in crate::strategy::selection) struct TaughtByWindow {
    /// Rounds of a window.
    window: u32,
    /// Learnings that were counted.
    n_learnt: usize,
    sums: Vec<f64>,
    /// Of each window, how many up to it taught less than the one before; as far as they were asked for.
    falls: Vec<usize>,
}

impl TaughtByWindow {
    fn add(&mut self, window: usize, utility: f64) {
        if window >= self.sums.len() {
            self.sums.resize(window + 1, 0.0);
        }
        self.sums[window] += utility;
        // What follows from the sum that has changed is found anew.
        self.falls.truncate(window);
    }

    /// How many of the first `n` windows taught less than the one before them.
    fn n_falls(&mut self, n: usize) -> usize {
        // Nothing falls behind the window after the last that has taught anything.
        let n = n.min(self.sums.len() + 1);
        let sum_of = |window: usize| self.sums.get(window).copied().unwrap_or(0.0);
        for window in self.falls.len()..n {
            let is_fall = window > 0 && sum_of(window - 1) > sum_of(window);
            self.falls.push(self.falls.last().copied().unwrap_or(0) + usize::from(is_fall));
        }
        n.checked_sub(1).map_or(0, |last| self.falls[last])
    }
}

impl OortConfig {
    /// The quantile that `T` is at in a round: a step higher for each window of rounds that taught less than the one
    /// before it.
    pub(super) fn quantile_at(&self, candidates: &Candidates<'_>) -> f64 {
        let window_of = |round: u32| (round.saturating_sub(1) / self.pacer_window) as usize;
        let learnings = candidates.history.learnings();
        // A panic elsewhere can leave a sum half done behind: what was kept is then found anew.
        let mut kept = candidates.census.taught.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taught = kept
            .take()
            .filter(|taught| taught.window == self.pacer_window && taught.n_learnt <= learnings.len())
            .unwrap_or_else(|| TaughtByWindow { window: self.pacer_window, ..TaughtByWindow::default() });
        for learnt in &learnings[taught.n_learnt..] {
            let examples = f64::from((candidates.num_examples)(learnt.client_id));
            taught.add(window_of(learnt.round), examples * learnt.loss);
            taught.n_learnt += 1;
        }
        let n_falls = taught.n_falls(window_of(candidates.round));
        *kept = Some(taught);
        self.speed_quantile + self.pacer_step * n_falls as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Clients;
    use super::super::super::{Census, History};
    use super::*;

    #[test]
    fn the_pacer_lets_slower_clients_in_when_the_utility_falls() {
        let config = OortConfig { pacer_window: 2, pacer_step: 0.25, ..OortConfig::default() };
        let mut clients = Clients::of(1);
        // Windows of rounds 1-2, 3-4, 5-6 teach 6 + 6, 5 + 5, 9 + 9: one fall, seen from round 5 on.
        for (round, loss) in (1..).zip([6.0, 6.0, 5.0, 5.0, 9.0, 9.0]) {
            clients.history.asked(0, round);
            clients.history.learnt(0, loss);
        }
        let at = |round| clients.with(round, |candidates| config.quantile_at(candidates));
        assert_eq!([1, 4, 5, 6, 7].map(at), [0.3, 0.3, 0.55, 0.55, 0.55]);
        // Rounds 7-8 taught nothing.
        assert_eq!(at(9), 0.8);
    }

    /// A count of the falls from the sums: after each learning, in whatever window, and up to whatever window.
    #[test]
    fn falls_are_counted_as_from_all_sums() {
        let (mut taught, mut sums) = (TaughtByWindow::default(), [0.0; 40]);
        for step in 0..300usize {
            // Mostly in the newest window, at times in one of those before it.
            let window = (step / 10).saturating_sub(if step % 7 == 0 { step % 4 } else { 0 });
            let utility = (step * 31 % 17) as f64;
            taught.add(window, utility);
            sums[window] += utility;
            for n in [step / 10, step / 20, step / 10 + 5, 40] {
                let n_falls = (1..n).filter(|window| sums[window - 1] > sums[*window]).count();
                assert_eq!(taught.n_falls(n), n_falls, "{n} windows after step {step}");
            }
        }
        // Windows in which nothing was taught take no room.
        assert_eq!(taught.n_falls(usize::MAX), taught.n_falls(40));
        assert_eq!(taught.falls.len(), 31);
    }

    #[test]
    fn each_learning_is_counted_once() {
        let configs = [1, 3].map(|pacer_window| OortConfig { pacer_window, ..OortConfig::default() });
        let mut clients = Clients { num_examples: (1..6).collect(), ..Clients::of(5) };
        for round in 1..=200 {
            clients.history.asked(round % 5, round);
            clients.history.learnt(round * 3 % 5, f64::from(round * 7 % 13));
            let config = &configs[usize::from(round > 100)];
            let kept = clients.with(round + 1, |candidates| config.quantile_at(candidates));
            let census = Census::default();
            let anew = clients
                .with(round + 1, |candidates| config.quantile_at(&Candidates { census: &census, ..*candidates }));
            assert_eq!(kept, anew);
            assert_eq!(
                clients.census.taught.lock().unwrap().as_ref().map(|taught| taught.n_learnt),
                Some(round as usize)
            );
        }
        clients.history = History::default();
        assert_eq!(clients.with(1, |candidates| configs[1].quantile_at(candidates)), 0.3);
    }
}
