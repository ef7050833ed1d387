//! Synchronous rounds: a cohort is asked, and the server waits for it.
//!
//! A round asks `clients_per_round x over_selection` clients and is over when `clients_per_round` of them have sent their
//! update, when its deadline passes, or when none of its tasks is left. It then aggregates if at least `min_updates` are
//! at hand, in the order of their arrival; `below_min_updates` says what happens otherwise. A failed round leaves the
//! model as it was. The values of updates are collected only when the round is about to close, so an update that turns
//! out not to be used is not computed.
//!
//! With `late_updates: fold` the clients that a round no longer waits for go on. Their updates are folded into the round
//! in which they arrive, or into the next one when none is open; they neither complete a round nor keep one open.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::core::{Arrivals, Core};
use super::intake::Intake;
use super::{Policy, ServerError, Turn};
use crate::actors::messages::{Alarm, Command, TaskId, Unused, UpdateValue};
use crate::units::SimTime;

/// Why a round closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Closing {
    Enough,
    Deadline,
    NobodyLeft,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenRound {
    wanted: usize,
    /// Tasks of this round that are under way.
    running: BTreeSet<TaskId>,
    /// Updates of this round that have arrived.
    n_own: usize,
    /// How often the deadline was put off.
    extensions: u32,
    /// When the deadline that counts rings.
    deadline: Option<SimTime>,
    closing: Option<Closing>,
}

/// Asks cohorts, one after the other.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rounds {
    open: Option<OpenRound>,
    intake: Intake,
    /// While no round is open: when alarms ring that are set for clients that come online.
    expects_clients_at: BTreeSet<SimTime>,
}

impl Rounds {
    pub(super) fn new() -> Self {
        Self { open: None, intake: Intake::default(), expects_clients_at: BTreeSet::new() }
    }

    /// After a task has ended: its client can be asked again if the round waits for clients.
    fn go_on(&mut self, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        match self.open {
            Some(_) => self.advance(core, turn),
            None => self.begin(core, turn),
        }
    }

    /// Closes the round if it is time to, collecting the values first.
    fn advance(&mut self, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        if self.intake.is_collecting() {
            return Ok(());
        }
        let closing = match open.closing {
            Some(Closing::Deadline) => Closing::Deadline,
            _ if open.n_own >= open.wanted => Closing::Enough,
            _ if open.running.is_empty() => Closing::NobodyLeft,
            _ => {
                open.closing = None;
                return Ok(());
            }
        };
        open.closing = Some(closing);
        let min_updates = core.min_updates();
        if self.intake.at_hand() >= min_updates {
            let withhold = match core.settings.late_updates.implementation().lets_clients_go_on() {
                true => Vec::new(),
                false => open.running.iter().copied().collect(),
            };
            if self.intake.collect(withhold, turn) {
                return Ok(());
            }
        } else if let Some((by, times)) = core.settings.below_min_updates.implementation().extension()
            && closing == Closing::Deadline
            && open.extensions < times
            && !open.running.is_empty()
        {
            let at = turn.now + by;
            open.extensions += 1;
            open.closing = None;
            open.deadline = Some(at);
            turn.commands.push(Command::Wake { at, alarm: Alarm::Deadline { round: core.round } });
            return Ok(());
        }
        self.close(closing, min_updates, core, turn)?;
        match core.is_over() {
            true => Ok(()),
            false => self.begin(core, turn),
        }
    }

    fn close(
        &mut self,
        closing: Closing,
        min_updates: usize,
        core: &mut Core,
        turn: &mut Turn<'_>,
    ) -> Result<(), ServerError> {
        let open = self.open.take().expect("only an open round is closed");
        let intake = std::mem::take(&mut self.intake);
        let n_folded = intake.n_folded();
        let is_success = n_folded >= min_updates;
        let mut train_loss = None;
        let params = match is_success {
            true => {
                let (params, loss) = intake.finish(core, turn);
                train_loss = loss;
                params
            }
            false => {
                intake.refuse_all(Unused::RoundFailed, core, turn);
                None
            }
        };
        if !core.settings.late_updates.implementation().lets_clients_go_on() {
            let why = if closing == Closing::Enough { Unused::OverSelected } else { Unused::Deadline };
            // A run that has branched from one that let its clients go on has tasks of earlier rounds.
            let (own, earlier): (Vec<_>, Vec<_>) =
                core.running().into_iter().partition(|task| open.running.contains(task));
            core.cut_off(own, why, turn);
            core.cut_off(earlier, Unused::Deadline, turn);
        }
        if is_success {
            core.publish(params, turn.now)?;
        }
        core.end_round(if is_success { n_folded } else { 0 }, train_loss, turn);
        Ok(())
    }
}

impl Policy for Rounds {
    fn save(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn restore(&mut self, saved: &Value) -> serde_json::Result<()> {
        *self = Self::deserialize(saved)?;
        Ok(())
    }

    fn intake(&mut self) -> &mut Intake {
        &mut self.intake
    }

    fn begin(&mut self, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        let cohort = core.choose(core.settings.dispatches_per_round, turn);
        if cohort.len() < core.min_updates() {
            let arrival = Arrivals::of_all(core, turn).next(core, turn);
            let is_set = |at| self.expects_clients_at.contains(&at);
            let at = core.wait_for_clients(core.min_updates(), arrival, is_set, turn)?;
            self.expects_clients_at.extend(at);
            return Ok(());
        }
        self.expects_clients_at.clear();
        let round = core.round;
        turn.commands.push(Command::BeginRound { round });
        let deadline = core.deadline(turn.now);
        let useful_until = deadline.filter(|_| !core.settings.late_updates.implementation().lets_clients_go_on());
        let running = cohort.iter().map(|&client_id| core.ask(client_id, useful_until, turn)).collect();
        if let Some(at) = deadline {
            turn.commands.push(Command::Wake { at, alarm: Alarm::Deadline { round } });
        }
        let wanted = core.settings.clients_per_round.min(cohort.len());
        self.open = Some(OpenRound { wanted, running, n_own: 0, extensions: 0, deadline, closing: None });
        Ok(())
    }

    fn woken(&mut self, alarm: Alarm, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        match alarm {
            Alarm::ClientsExpected { round } if self.open.is_none() && core.round == round => {
                self.expects_clients_at.retain(|at| *at > turn.now);
                self.begin(core, turn)
            }
            Alarm::Deadline { round } if core.round == round => {
                let now = turn.now;
                let Some(open) = self.open.as_mut().filter(|open| open.deadline.is_some_and(|at| at <= now)) else {
                    return Ok(());
                };
                open.closing = Some(Closing::Deadline);
                self.advance(core, turn)
            }
            Alarm::ClientsExpected { .. } | Alarm::Deadline { .. } | Alarm::PeriodEnds { .. } => Ok(()),
        }
    }

    fn arrived(&mut self, task: TaskId, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        if let Some(open) = self.open.as_mut()
            && open.running.remove(&task)
        {
            open.n_own += 1;
        } else if !core.settings.late_updates.implementation().lets_clients_go_on() {
            core.refuse(task, Unused::Deadline, turn);
            return self.go_on(core, turn);
        } else if let Some(max) = core.settings.late_updates.implementation().max_staleness()
            && core.waiting(task).is_some_and(|asked| core.staleness(asked) > max)
        {
            core.refuse(task, Unused::Stale, turn);
            return self.go_on(core, turn);
        }
        self.intake.arrived(task);
        self.go_on(core, turn)
    }

    fn failed(&mut self, task: TaskId, _: u32, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        if let Some(open) = self.open.as_mut() {
            open.running.remove(&task);
        }
        self.go_on(core, turn)
    }

    fn value(
        &mut self,
        task: TaskId,
        value: UpdateValue,
        core: &mut Core,
        turn: &mut Turn<'_>,
    ) -> Result<(), ServerError> {
        let n_before = self.intake.n_folded();
        let is_own = core.waiting(task).is_some_and(|asked| asked.round == core.round);
        self.intake.take(task, value, core, turn)?;
        if let Some(open) = self.open.as_mut()
            && is_own
            && self.intake.n_folded() == n_before
        {
            open.n_own -= 1;
        }
        self.advance(core, turn)
    }

    fn restarted(&mut self, until: SimTime, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        self.intake = Intake::default();
        if self.open.take().is_some() && core.end_round(0, None, turn) {
            return Ok(());
        }
        self.expects_clients_at.insert(until);
        turn.commands.push(Command::Wake { at: until, alarm: Alarm::ClientsExpected { round: core.round } });
        Ok(())
    }
}
