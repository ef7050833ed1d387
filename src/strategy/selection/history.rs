//! What the server has seen of its clients: the memory of the selection policies, which have none of their own.

use std::collections::BTreeMap;

/// What the server has seen of one client.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Observed {
    /// Tasks that it was asked for.
    pub asked: u32,
    /// Updates that arrived in full.
    pub answered: u32,
    /// The round in which it was asked last, from 1.
    pub last_round: u32,
    /// The round of the task whose update arrived last; 0 when none has.
    pub last_answered_round: u32,
    /// Seconds from asking to arrival, of the update that arrived last.
    pub last_seconds: Option<f64>,
    /// Mean training loss of the update collected last.
    pub last_loss: Option<f64>,
}

/// What the server has seen of its clients so far. Clients it never asked take no room.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    clients: BTreeMap<u32, Observed>,
}

impl History {
    /// What was seen of a client; none if it was never asked.
    pub fn of(&self, client_id: u32) -> Option<&Observed> {
        self.clients.get(&client_id)
    }

    /// The clients that were asked at least once, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Observed)> {
        self.clients.iter().map(|(client_id, observed)| (*client_id, observed))
    }

    /// A client was asked in a round.
    pub fn asked(&mut self, client_id: u32, round: u32) {
        let observed = self.clients.entry(client_id).or_default();
        observed.asked += 1;
        observed.last_round = round;
    }

    /// The update of a task that a client was asked for in `round` has arrived, `seconds` after.
    pub fn answered(&mut self, client_id: u32, round: u32, seconds: f64) {
        let observed = self.clients.entry(client_id).or_default();
        observed.answered += 1;
        observed.last_answered_round = round;
        observed.last_seconds = Some(seconds);
    }

    /// The update of a client was collected.
    pub fn learnt(&mut self, client_id: u32, train_loss: f64) {
        self.clients.entry(client_id).or_default().last_loss = Some(train_loss);
    }
}
