//! Who is at work.

use crate::collections::{Changes, IdSet};

/// The clients at work, and who was set to work or came back last.
#[derive(Debug, Clone, Default)]
pub struct AtWork {
    clients: IdSet,
    changes: Changes,
}

impl AtWork {
    /// These are at work.
    pub fn of(clients: IdSet) -> Self {
        Self { clients, changes: Changes::default() }
    }

    /// All of them.
    pub fn clients(&self) -> &IdSet {
        &self.clients
    }

    /// True for a client at work.
    pub fn contains(&self, client_id: u32) -> bool {
        self.clients.contains(client_id)
    }

    /// A client is set to work.
    pub fn insert(&mut self, client_id: u32) {
        self.clients.insert(client_id);
        self.changes.add(client_id);
    }

    /// A client is not at work any more.
    pub fn remove(&mut self, client_id: u32) {
        self.clients.remove(client_id);
        self.changes.add(client_id);
    }

    /// Nobody is at work any more.
    pub fn clear(&mut self) {
        self.clients.clear();
        self.changes.add_all();
    }

    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }
}
