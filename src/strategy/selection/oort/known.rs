//! What a selection needs of the past, kept from one to the next: an asynchronous server chooses for each single client, when
//! little has changed since it chose last.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Candidates, Observed};
use super::OortConfig;

/// With more changes than these since the last selection all is found anew.
const CHANGES_MAX: usize = 64;

/// The clients that are known: that have answered, or that are spent. Without it kept, the answers are the same.
#[derive(Debug, Default)]
pub(in crate::strategy::selection) struct Known {
    config: OortConfig,
    /// How many changes, and how many losses, of the history are taken in.
    n_read: u64,
    n_learnt: usize,
    /// Stands in for a loss that was not told: the mean of those that were.
    usual_loss: f64,
    pub(super) answered: Vec<Answered>,
    /// Where in `answered` each client stands.
    places: BTreeMap<u32, usize>,
    /// Those who took part so often that they are asked in want of others only.
    pub(super) spent: BTreeSet<u32>,
    n_unanswered: usize,
    /// Statistical utilities and seconds of those who have answered.
    pub(super) utilities: Sorted,
    pub(super) seconds: Sorted,
    /// The round of the terms of uncertainty, and what all of them have in common in it.
    round: u32,
    log_term: f64,
}

/// A client that has answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    pub(super) client_id: u32,
    pub(super) last_answered_round: u32,
    /// Its statistical utility, as it is before it is clipped and brought to [0, 1].
    pub(super) utility: f64,
    pub(super) seconds: f64,
    pub(super) is_spent: bool,
    /// What is added to its utility, the more the longer ago it was heard of.
    pub(super) uncertainty: f64,
}

impl Known {
    /// What the candidates' history says, made from what was kept.
    pub(super) fn up_to_date(kept: Option<Self>, config: &OortConfig, candidates: &Candidates<'_>) -> Self {
        let history = candidates.history;
        let n_learnt = history.learnings().len();
        // A loss that is told changes the usual one, and with it the utilities of all who told none.
        let still_holds = |known: &Self| {
            let n_changes = history.changes().since(known.n_read).map(|changes| changes.len());
            let are_few = n_changes.is_some_and(|n_changes| n_changes <= CHANGES_MAX);
            known.config == *config && known.n_learnt == n_learnt && are_few
        };
        let mut known = match kept.filter(still_holds) {
            Some(mut known) => {
                known.enter(candidates.round);
                history.changes().since(known.n_read).into_iter().flatten().for_each(|client_id| {
                    if let Some((old, new)) = known.take(client_id, candidates) {
                        known.utilities.replace(old.map(|old| old.utility), new.utility);
                        known.seconds.replace(old.map(|old| old.seconds), new.seconds);
                    }
                });
                known
            }
            None => Self::anew(config, candidates),
        };
        (known.n_read, known.n_learnt) = (history.changes().count(), n_learnt);
        known
    }

    /// Terms of uncertainty are those of this round from now on.
    fn enter(&mut self, round: u32) {
        if self.round == round {
            return;
        }
        (self.round, self.log_term) = (round, 0.1 * f64::from(round.max(1)).ln());
        for answered in &mut self.answered {
            answered.uncertainty = uncertainty(self.log_term, answered.last_answered_round);
        }
    }

    fn anew(config: &OortConfig, candidates: &Candidates<'_>) -> Self {
        let history = candidates.history;
        let answered = history.iter().filter(|(_, seen)| seen.last_seconds.is_some());
        let losses: Vec<f64> = answered.filter_map(|(_, seen)| seen.last_loss).collect();
        let usual_loss = if losses.is_empty() { 1.0 } else { losses.iter().sum::<f64>() / losses.len() as f64 };
        let mut known = Self { config: *config, usual_loss, ..Self::default() };
        known.enter(candidates.round);
        for (client_id, _) in history.iter() {
            known.take(client_id, candidates);
        }
        known.utilities = known.answered.iter().map(|answered| answered.utility).collect();
        known.seconds = known.answered.iter().map(|answered| answered.seconds).collect();
        known
    }

    /// Takes in what the history says of a client; gives what was known and what is, if it has answered.
    fn take(&mut self, client_id: u32, candidates: &Candidates<'_>) -> Option<(Option<Answered>, Answered)> {
        let seen = candidates.history.of(client_id)?;
        let is_spent = self.config.is_spent(seen);
        let is_newly_spent = is_spent && self.spent.insert(client_id);
        let place = self.places.get(&client_id).copied();
        let Some(seconds) = seen.last_seconds else {
            self.n_unanswered += usize::from(is_newly_spent);
            return None;
        };
        let utility = f64::from((candidates.num_examples)(client_id)) * seen.last_loss.unwrap_or(self.usual_loss);
        let last_answered_round = seen.last_answered_round;
        let uncertainty = uncertainty(self.log_term, last_answered_round);
        let new = Answered { client_id, last_answered_round, utility, seconds, is_spent, uncertainty };
        let old = place.map(|place| std::mem::replace(&mut self.answered[place], new));
        if old.is_none() {
            self.n_unanswered -= usize::from(is_spent && !is_newly_spent);
            self.places.insert(client_id, self.answered.len());
            self.answered.push(new);
        }
        Some((old, new))
    }

    /// How many clients are known.
    pub(super) fn len(&self) -> usize {
        self.answered.len() + self.n_unanswered
    }
}

impl OortConfig {
    pub(super) fn is_spent(&self, seen: &Observed) -> bool {
        self.max_participation.is_some_and(|max| seen.asked >= max)
    }

    pub(super) fn is_known(&self, seen: &Observed) -> bool {
        self.is_spent(seen) || seen.last_seconds.is_some()
    }
}

/// What is added to the utility of a client that was heard of last in a round, in one of this `0.1 ln R`.
fn uncertainty(log_term: f64, last_answered_round: u32) -> f64 {
    (log_term / f64::from(last_answered_round.max(1))).sqrt()
}

/// Numbers in rising order.
#[derive(Debug, Default)]
pub(super) struct Sorted(Vec<f64>);

impl Sorted {
    fn replace(&mut self, old: Option<f64>, new: f64) {
        if old.is_some_and(|old| old.total_cmp(&new).is_eq()) {
            return;
        }
        if let Some(old) = old {
            self.0.remove(self.place(old));
        }
        self.0.insert(self.place(new), new);
    }

    fn place(&self, value: f64) -> usize {
        self.0.partition_point(|other| other.total_cmp(&value).is_lt())
    }

    pub(super) fn least(&self) -> Option<f64> {
        self.0.first().copied()
    }

    /// The value that a fraction `at` of the values lie below.
    pub(super) fn quantile(&self, at: f64) -> Option<f64> {
        let index = ((self.0.len() as f64 * at) as usize).min(self.0.len().checked_sub(1)?);
        Some(self.0[index])
    }
}

impl FromIterator<f64> for Sorted {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }
}
