//! Who can be asked while too few can: found once and then kept up, so that the end of a task costs no look at all clients.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::Core;
use crate::actors::server::Turn;
use crate::sim::NEVER;
use crate::units::SimTime;

/// With more than these online, looking at each of them is no better than choosing among all.
const ONLINE_MAX: usize = 256;

/// The idle clients. All follows from who is at work and from the models, so it is no part of a checkpoint.
#[derive(Default)]
pub(in crate::actors::server) struct Arrivals {
    /// Who is offline, by when it is back, the next one first; without those who never are.
    offline: BinaryHeap<Reverse<(SimTime, u32)>>,
    /// All other idle clients, and those who have been set to work since the last look.
    online: BTreeSet<u32>,
}

impl Arrivals {
    /// Looks at all clients.
    pub(in crate::actors::server) fn of_all(core: &Core, turn: &Turn<'_>) -> Self {
        let mut arrivals = Self::default();
        arrivals.place(0..turn.view.population.n_clients, core, turn);
        arrivals
    }

    /// A client is not at work any more.
    pub(in crate::actors::server) fn became_idle(&mut self, client_id: u32) {
        self.online.insert(client_id);
    }

    /// Looks at the clients that may have come online, and gives those that can be asked now.
    pub(in crate::actors::server) fn look(&mut self, core: &Core, turn: &Turn<'_>) -> Vec<u32> {
        while let Some(&Reverse((back, client_id))) = self.offline.peek()
            && back <= turn.now
        {
            self.offline.pop();
            self.online.insert(client_id);
        }
        let online = std::mem::take(&mut self.online);
        self.place(online, core, turn);
        let can_begin = |client_id: &u32| turn.view.can_begin(*client_id, turn.now);
        self.online.iter().copied().filter(can_begin).collect()
    }

    /// When, after a [`look`](Self::look), the next client that cannot be asked now may be: it comes online, or its battery
    /// has been charged.
    pub(in crate::actors::server) fn next(&self, core: &Core, turn: &Turn<'_>) -> Option<SimTime> {
        let idle = self.online.iter().filter(|client_id| !core.busy.contains(**client_id));
        let charged = idle.filter_map(|client_id| turn.view.can_begin_at(*client_id, turn.now));
        let back = self.offline.peek().map(|Reverse((back, _))| *back);
        back.into_iter().chain(charged.filter(|at| *at > turn.now && *at != NEVER)).min()
    }

    /// Few are online, so that it is worth keeping.
    pub(in crate::actors::server) fn are_few(&self) -> bool {
        self.online.len() <= ONLINE_MAX
    }

    fn place(&mut self, clients: impl IntoIterator<Item = u32>, core: &Core, turn: &Turn<'_>) {
        let availability = &turn.view.availability;
        for client_id in clients.into_iter().filter(|client_id| !core.busy.contains(*client_id)) {
            if availability.is_online(client_id, turn.now) {
                self.online.insert(client_id);
                continue;
            }
            let back = availability.next_online(client_id, turn.now);
            if back != NEVER {
                self.offline.push(Reverse((back, client_id)));
            }
        }
    }
}
