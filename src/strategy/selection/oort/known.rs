//! What a selection needs of the past, kept from one to the next: an asynchronous server chooses for each single client, when
//! little has changed since it chose last.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Candidates, Observed};
use super::OortConfig;

/// With more changes than these since the last selection all is found anew.
const CHANGES_MAX: usize = 64;

/// The clients that are known: that were tried, or that are spent. Without it kept, the answers are the same.
#[derive(Debug, Default)]
pub(in crate::strategy::selection) struct Known {
    config: OortConfig,
    /// How many changes, and how many losses, of the history are taken in.
    n_read: u64,
    n_learnt: usize,
    /// Stands in for a loss that was not told: the mean of those that were.
    usual_loss: f64,
    pub(super) tried: Vec<Tried>,
    /// Where in `tried` each client stands.
    places: BTreeMap<u32, usize>,
    /// Those who took part so often that they are asked in want of others only.
    pub(super) spent: BTreeSet<u32>,
    n_untried: usize,
    /// Statistical utilities and seconds of those who were tried.
    pub(super) utilities: Sorted,
    pub(super) seconds: Sorted,
    /// The round of the terms of uncertainty, and what all of them have in common in it.
    round: u32,
    log_term: f64,
}

/// A client whose update arrived, or whose task was cut off: what is known of the last of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried {
    pub(super) client_id: u32,
    pub(super) last_round: u32,
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
        for tried in &mut self.tried {
            tried.uncertainty = uncertainty(self.log_term, tried.last_round);
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
        known.utilities = known.tried.iter().map(|tried| tried.utility).collect();
        known.seconds = known.tried.iter().map(|tried| tried.seconds).collect();
        known
    }

    /// Takes in what the history says of a client; gives what was known and what is, if it was tried.
    fn take(&mut self, client_id: u32, candidates: &Candidates<'_>) -> Option<(Option<Tried>, Tried)> {
        let seen = candidates.history.of(client_id)?;
        let is_spent = self.config.is_spent(seen);
        let is_newly_spent = is_spent && self.spent.insert(client_id);
        let place = self.places.get(&client_id).copied();
        let (last_round, seconds, utility) = match (seen.cut_off, seen.last_seconds) {
            (Some(cut_off), _) => (cut_off.round, cut_off.seconds, cut_off.utility),
            (None, Some(seconds)) => (seen.last_answered_round, seconds, None),
            (None, None) => {
                self.n_untried += usize::from(is_newly_spent);
                return None;
            }
        };
        let by_examples = |loss| f64::from((candidates.num_examples)(client_id)) * loss;
        let utility = utility.unwrap_or_else(|| by_examples(seen.last_loss.unwrap_or(self.usual_loss)));
        let uncertainty = uncertainty(self.log_term, last_round);
        let new = Tried { client_id, last_round, utility, seconds, is_spent, uncertainty };
        let old = place.map(|place| std::mem::replace(&mut self.tried[place], new));
        if old.is_none() {
            self.n_untried -= usize::from(is_spent && !is_newly_spent);
            self.places.insert(client_id, self.tried.len());
            self.tried.push(new);
        }
        Some((old, new))
    }

    /// How many clients are known.
    pub(super) fn len(&self) -> usize {
        self.tried.len() + self.n_untried
    }
}

impl OortConfig {
    pub(super) fn is_spent(&self, seen: &Observed) -> bool {
        self.max_participation.is_some_and(|max| seen.asked >= max)
    }

    pub(super) fn is_known(&self, seen: &Observed) -> bool {
        self.is_spent(seen) || seen.last_seconds.is_some() || seen.cut_off.is_some()
    }
}

/// What is added to the utility of a client that was heard of last in a round, in one of this `0.1 ln R`.
fn uncertainty(log_term: f64, last_round: u32) -> f64 {
    (log_term / f64::from(last_round.max(1))).sqrt()
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
