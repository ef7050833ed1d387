//! What a client that was tried is worth: its statistical and its system utility.

use super::super::Candidates;
use super::OortConfig;
use super::known::{Known, Tried};

/// What it takes to tell the utility of a client that was tried.
pub(super) struct Scores<'a> {
    config: &'a OortConfig,
    candidates: &'a Candidates<'a>,
    known: &'a Known,
    /// Smallest statistical utility, and the one at which they are clipped.
    range: (f64, f64),
    /// `T` in seconds.
    preferred_seconds: f64,
}

impl<'a> Scores<'a> {
    pub(super) fn new(config: &'a OortConfig, known: &'a Known, candidates: &'a Candidates<'a>) -> Self {
        let least = known.utilities.least().unwrap_or(f64::INFINITY);
        let range = (least, known.utilities.quantile(config.clip).unwrap_or(least));
        let at = config.quantile_at(candidates);
        let preferred_seconds = if at < 1.0 { known.seconds.quantile(at) } else { None };
        Self { config, candidates, known, range, preferred_seconds: preferred_seconds.unwrap_or(f64::INFINITY) }
    }

    /// The utility of a client.
    pub(super) fn of(&self, tried: &Tried) -> f64 {
        let system = match tried.seconds > self.preferred_seconds {
            true => (self.preferred_seconds / tried.seconds).powf(self.config.alpha),
            false => 1.0,
        };
        self.without_speed(tried) * system
    }

    fn without_speed(&self, tried: &Tried) -> f64 {
        let (least, clipped) = self.range;
        let statistical = match clipped - least {
            width if width > 0.0 => (tried.utility.min(clipped) - least) / width,
            _ => 1.0,
        };
        statistical + tried.uncertainty
    }

    /// No less than the utility, and quickly found.
    fn at_most(&self, tried: &Tried) -> f64 {
        let ratio = self.preferred_seconds / tried.seconds;
        // A power of 1 or more of what is below 1 is no more than that; the margin is for rounding.
        let system = if self.config.alpha >= 1.0 && ratio < 1.0 { ratio * (1.0 + 1e-9) } else { 1.0 };
        self.without_speed(tried) * system
    }

    /// All who are available and not spent, the best first.
    pub(super) fn ranked(&self) -> Vec<(u32, f64)> {
        let unspent = self.known.tried.iter().filter(|tried| !tried.is_spent);
        let available = unspent.filter(|tried| (self.candidates.is_available)(tried.client_id));
        sorted(available.map(|tried| (tried.client_id, self.of(tried))).collect())
    }

    /// Of [`ranked`](Self::ranked), those who have at least `cut_off` times the utility of number `n` by rank, of the last
    /// when they are fewer. With `n` = 1 only those are ranked and looked at that may be among them.
    pub(super) fn pool(&self, n: usize) -> Vec<(u32, f64)> {
        let cut_off = self.config.cut_off;
        if n == 0 {
            return Vec::new();
        }
        if n > 1 {
            let mut ranked = self.ranked();
            if let Some((_, last)) = ranked.get(n - 1).or(ranked.last()) {
                let least = cut_off * last;
                ranked.retain(|(_, score)| *score >= least);
            }
            return ranked;
        }
        let (mut found, mut least) = (Vec::new(), 0.0);
        for tried in self.known.tried.iter().filter(|tried| !tried.is_spent) {
            if self.at_most(tried) < least {
                continue;
            }
            let score = self.of(tried);
            if score >= least && (self.candidates.is_available)(tried.client_id) {
                found.push((tried.client_id, score));
                least = least.max(cut_off * score);
            }
        }
        found.retain(|(_, score)| *score >= least);
        sorted(found)
    }
}

fn sorted(mut scored: Vec<(u32, f64)>) -> Vec<(u32, f64)> {
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scored
}
