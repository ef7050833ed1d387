//! Waiting for clients that can be asked.

use super::Core;
use crate::actors::messages::{Alarm, Command};
use crate::actors::server::{ServerError, Turn};
use crate::sim::NEVER;
use crate::units::SimTime;

impl Core {
    /// Asks to be woken when the next client can be asked, unless it `is_set` already that the server will be woken then; it
    /// waits for `needed` of them. Gives when that is: none if nobody is expected in time, while those who are at work can
    /// be asked when they are done.
    ///
    /// # Errors
    /// When nobody is at work and nobody is expected in time.
    pub(in crate::actors::server) fn wait_for_clients(
        &self,
        needed: usize,
        is_set: impl Fn(SimTime) -> bool,
        turn: &mut Turn<'_>,
    ) -> Result<Option<SimTime>, ServerError> {
        let arrival = self.next_arrival(0..turn.view.population.n_clients, turn);
        // Who is away until a trace ends might be back after it: the run ends there, as any that comes so far.
        let end_of_trace =
            Some(turn.view.availability.known_until()).filter(|end| *end != NEVER && self.n_running == 0);
        match arrival.or(end_of_trace) {
            Some(at) if !self.is_too_late(at) => {
                if !is_set(at) {
                    self.wake_for_clients(at, turn);
                }
                Ok(Some(at))
            }
            _ if self.n_running > 0 => Ok(None),
            Some(at) => Err(self.standstill(at, self.presence(turn).blame_for_waiting(needed))),
            None => {
                let blame = self.presence(turn).blame_for_ever(needed);
                Err(ServerError::NobodyEver { round: self.round, blame })
            }
        }
    }

    /// Asks to be woken when one of these clients comes online, if one does before the time given. Gives when that is.
    pub(in crate::actors::server) fn wait_for_any_of(
        &self,
        clients: impl IntoIterator<Item = u32>,
        before: SimTime,
        turn: &mut Turn<'_>,
    ) -> Option<SimTime> {
        let at = self.next_arrival(clients, turn).filter(|at| *at < before)?;
        self.wake_for_clients(at, turn);
        Some(at)
    }

    fn wake_for_clients(&self, at: SimTime, turn: &mut Turn<'_>) {
        turn.commands.push(Command::Wake { at, alarm: Alarm::ClientsExpected { round: self.round } });
    }

    /// When the next of these clients that is not at work and cannot be asked now may be asked: it comes online, or its
    /// battery has been charged.
    fn next_arrival(&self, clients: impl IntoIterator<Item = u32>, turn: &Turn<'_>) -> Option<SimTime> {
        let (view, now) = (turn.view, turn.now);
        let idle = clients.into_iter().filter(|client_id| !self.busy.contains(*client_id));
        let next = idle.filter_map(|client_id| match view.availability.is_online(client_id, now) {
            false => Some(view.availability.next_online(client_id, now)),
            true => view.can_begin_at(client_id, now).filter(|at| *at > now),
        });
        next.min().filter(|&at| at != NEVER)
    }
}
