//! Waiting for clients that can be asked.

use super::Core;
use crate::actors::batteries::Batteries;
use crate::actors::messages::{Alarm, Command};
use crate::actors::server::{ServerError, Turn};
use crate::sim::NEVER;
use crate::units::SimTime;

impl Core {
    /// Asks to be woken when the next client comes online, unless it `is_set` already that the server will be woken then.
    /// Gives when that is.
    pub(in crate::actors::server) fn wait_for_clients(
        &self,
        is_set: impl Fn(SimTime) -> bool,
        turn: &mut Turn<'_>,
    ) -> Result<SimTime, ServerError> {
        let arrival = self.next_arrival(0..turn.view.population.n_clients, turn);
        // Who is away until a trace ends might be back after it: the run ends there, as any that comes so far.
        let end_of_trace =
            Some(turn.view.availability.known_until()).filter(|end| *end != NEVER && self.n_running == 0);
        let at = arrival.or(end_of_trace).ok_or(ServerError::NobodyEver { round: self.round })?;
        let why = "no client can be asked; change `clients.availability`, or be more patient";
        self.check_patience(at, "clients.availability", why)?;
        if !is_set(at) {
            self.wake_for_clients(at, turn);
        }
        Ok(at)
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
    /// battery, which is looked at again after a while, has been charged.
    fn next_arrival(&self, clients: impl IntoIterator<Item = u32>, turn: &Turn<'_>) -> Option<SimTime> {
        let (view, now) = (turn.view, turn.now);
        let idle = clients.into_iter().filter(|client_id| !self.busy.contains(*client_id));
        let next = idle.filter_map(|client_id| match view.availability.is_online(client_id, now) {
            false => Some(view.availability.next_online(client_id, now)),
            true => (!view.can_begin(client_id, now)).then(|| Batteries::next_look(now)),
        });
        next.min().filter(|&at| at != NEVER)
    }
}
