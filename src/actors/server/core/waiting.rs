//! Waiting for clients that can be asked.

use super::Core;
use crate::actors::messages::{Alarm, Command};
use crate::actors::server::{ServerError, Turn};
use crate::units::SimTime;

impl Core {
    /// Asks to be woken when the next client comes online, at `arrival`, unless it `is_set` already that the server will be
    /// woken then. Gives when that is.
    pub(in crate::actors::server) fn wait_for_clients(
        &self,
        arrival: Option<SimTime>,
        is_set: impl Fn(SimTime) -> bool,
        turn: &mut Turn<'_>,
    ) -> Result<SimTime, ServerError> {
        // Who is away until a trace ends might be back after it: the run ends there, as any that comes so far.
        let end_of_trace = turn.view.availability.end_of_trace().map(|end| end.at).filter(|_| self.n_running == 0);
        let at = arrival.or(end_of_trace).ok_or(ServerError::NobodyEver { round: self.round })?;
        let why = "no client can be asked; change `clients.availability`, or be more patient";
        self.check_patience(at, "clients.availability", why)?;
        if !is_set(at) {
            self.wake_for_clients(at, turn);
        }
        Ok(at)
    }

    /// Asks to be woken when clients come online.
    pub(in crate::actors::server) fn wake_for_clients(&self, at: SimTime, turn: &mut Turn<'_>) {
        turn.commands.push(Command::Wake { at, alarm: Alarm::ClientsExpected { round: self.round } });
    }
}
