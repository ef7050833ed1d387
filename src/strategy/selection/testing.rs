//! Clients for the tests of the policies.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::{AtWork, Candidates, Census, History, Selection};
use crate::seed::{Purpose, Seeds};

/// Clients, and what the server has seen of them.
pub(super) struct Clients {
    pub(super) n_clients: u32,
    /// Who is not available.
    pub(super) away: BTreeSet<u32>,
    /// Who is at work, and so not available either.
    pub(super) at_work: AtWork,
    /// Examples by client; empty: 1 each.
    pub(super) num_examples: Vec<u32>,
    /// Seconds by client; empty: 1 each.
    pub(super) stated_seconds: Vec<f64>,
    pub(super) history: History,
    pub(super) census: Census,
    /// How many times it was asked whether a client is available.
    pub(super) looks: Cell<u64>,
}

impl Clients {
    /// Clients who are all alike and available.
    pub(super) fn of(n_clients: u32) -> Self {
        Self {
            n_clients,
            away: BTreeSet::new(),
            at_work: AtWork::default(),
            num_examples: Vec::new(),
            stated_seconds: Vec::new(),
            history: History::default(),
            census: Census::default(),
            looks: Cell::new(0),
        }
    }

    /// What a policy sees of them.
    pub(super) fn with<T>(&self, round: u32, look: impl FnOnce(&Candidates<'_>) -> T) -> T {
        let is_available = |client_id| {
            self.looks.set(self.looks.get() + 1);
            !self.at_work.contains(client_id) && !self.away.contains(&client_id)
        };
        look(&Candidates {
            n_clients: self.n_clients,
            is_available: &is_available,
            at_work: &self.at_work,
            num_examples: &|client_id| self.num_examples.get(client_id as usize).copied().unwrap_or(1),
            stated_seconds: &|client_id| self.stated_seconds.get(client_id as usize).copied().unwrap_or(1.0),
            history: &self.history,
            census: &self.census,
            round,
        })
    }

    /// Who is chosen.
    pub(super) fn select(&self, policy: &dyn Selection, n: usize, round: u32) -> Vec<u32> {
        self.select_with(policy, n, round, 7)
    }

    /// Who is chosen with another seed.
    pub(super) fn select_with(&self, policy: &dyn Selection, n: usize, round: u32, seed: u64) -> Vec<u32> {
        let mut stream = Seeds::new(seed).round(Purpose::Selection, round);
        self.with(round, |candidates| policy.select(n, candidates, &mut stream))
    }

    /// Chooses, and remembers that the chosen were asked.
    pub(super) fn round(&mut self, policy: &dyn Selection, n: usize, round: u32) -> Vec<u32> {
        let chosen = self.select(policy, n, round);
        chosen.iter().for_each(|&client_id| self.history.asked(client_id, round));
        chosen
    }
}
