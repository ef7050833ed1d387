//! What a client that has answered is worth: its statistical and its system utility.

use super::super::{Candidates, Observed};
use super::OortConfig;

/// What it takes to tell the utility of a client that has answered.
pub(super) struct Scores<'a> {
    config: &'a OortConfig,
    candidates: &'a Candidates<'a>,
    /// Stands in for a loss that was not told: the mean of those that were.
    usual_loss: f64,
    /// Smallest statistical utility, and the one at which they are clipped.
    range: (f64, f64),
    /// `T` in seconds.
    preferred_seconds: f64,
}

impl<'a> Scores<'a> {
    pub(super) fn new(config: &'a OortConfig, candidates: &'a Candidates<'a>) -> Self {
        let answered = || candidates.history.iter().filter(|(_, seen)| seen.last_seconds.is_some());
        let losses: Vec<f64> = answered().filter_map(|(_, seen)| seen.last_loss).collect();
        let usual_loss = if losses.is_empty() { 1.0 } else { losses.iter().sum::<f64>() / losses.len() as f64 };
        let mut scores = Self { config, candidates, usual_loss, range: (0.0, 0.0), preferred_seconds: f64::INFINITY };
        let utilities: Vec<f64> = answered().map(|(client_id, seen)| scores.statistical(client_id, seen)).collect();
        let least = utilities.iter().copied().fold(f64::INFINITY, f64::min);
        scores.range = (least, quantile(utilities, config.clip).unwrap_or(least));
        let at = config.quantile_at(candidates);
        if at < 1.0 {
            let seconds = answered().filter_map(|(_, seen)| seen.last_seconds).collect();
            scores.preferred_seconds = quantile(seconds, at).unwrap_or(f64::INFINITY);
        }
        scores
    }

    fn statistical(&self, client_id: u32, seen: &Observed) -> f64 {
        f64::from((self.candidates.num_examples)(client_id)) * seen.last_loss.unwrap_or(self.usual_loss)
    }

    /// The utility; none for a client that has not answered.
    pub(super) fn of(&self, client_id: u32) -> Option<f64> {
        let seen = self.candidates.history.of(client_id)?;
        let seconds = seen.last_seconds?;
        let (least, clipped) = self.range;
        let statistical = match clipped - least {
            width if width > 0.0 => (self.statistical(client_id, seen).min(clipped) - least) / width,
            _ => 1.0,
        };
        let round = f64::from(self.candidates.round.max(1));
        let uncertainty = (0.1 * round.ln() / f64::from(seen.last_answered_round.max(1))).sqrt();
        let system = match seconds > self.preferred_seconds {
            true => (self.preferred_seconds / seconds).powf(self.config.alpha),
            false => 1.0,
        };
        Some((statistical + uncertainty) * system)
    }
}

/// The value that a fraction `at` of the values lie below.
fn quantile(mut values: Vec<f64>, at: f64) -> Option<f64> {
    let index = ((values.len() as f64 * at) as usize).min(values.len().checked_sub(1)?);
    Some(*values.select_nth_unstable_by(index, f64::total_cmp).1)
}
