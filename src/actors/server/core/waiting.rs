//! Waiting for clients that can be asked, and for how long.

use super::Core;
use crate::actors::messages::{Alarm, Command};
use crate::actors::server::{Blame, ServerError, Turn};
use crate::sim::NEVER;
use crate::units::SimTime;

impl Core {
    /// Asks to be woken when the next client can be asked, at `arrival`, unless it `is_set` already that the server will be
    /// woken then; it waits for `needed` of them. Gives when that is: none if nobody is expected in time, while those who
    /// are at work can be asked when they are done.
    ///
    /// # Errors
    /// When nobody is at work and nobody is expected in time.
    pub(in crate::actors::server) fn wait_for_clients(
        &self,
        needed: usize,
        arrival: Option<SimTime>,
        is_set: impl Fn(SimTime) -> bool,
        turn: &mut Turn<'_>,
    ) -> Result<Option<SimTime>, ServerError> {
        // Who is away until a trace ends might be back after it: the run ends there, as any that comes so far.
        let end_of_trace = turn.view.availability.end_of_trace().map(|end| end.at).filter(|_| self.n_running == 0);
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

    /// Asks to be woken when clients come online.
    pub(in crate::actors::server) fn wake_for_clients(&self, at: SimTime, turn: &mut Turn<'_>) {
        turn.commands.push(Command::Wake { at, alarm: Alarm::ClientsExpected { round: self.round } });
    }

    /// True when a model must have been made before `time`.
    fn is_too_late(&self, time: SimTime) -> bool {
        time == NEVER || time.since(self.last_progress) > self.settings.give_up_after
    }

    fn standstill(&self, at: SimTime, blame: Blame) -> ServerError {
        let (since_s, now_s) = (self.last_progress.as_secs_f64(), at.as_secs_f64());
        ServerError::Standstill { round: self.round, since_s, now_s, blame }
    }

    /// Why nothing has come of the run for so long: tasks that came to nothing, tasks that take too long, or clients that
    /// are not there.
    pub(in crate::actors::server) fn out_of_patience(&self, turn: &Turn<'_>) -> ServerError {
        // A few tasks that have failed do not explain what many that are under way take so long for.
        let ended = self.causes.blame().filter(|_| self.causes.total() >= self.n_running as u64);
        let blame = ended.unwrap_or_else(|| match self.n_running {
            0 => self.presence(turn).blame_for_waiting(1),
            n => Blame {
                why: format!(
                    "the {n} clients at work take longer; give them smaller payloads, faster links or devices, or raise \
                     `server.give_up_after`"
                ),
                setting: "server.give_up_after".into(),
            },
        });
        self.standstill(turn.now, blame)
    }
}
