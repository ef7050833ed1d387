//! Asynchronous and semi-synchronous operation: clients are kept at work, and models are made as updates come in.
//!
//! *Asynchronous* (FedAsync, FedBuff): whenever a task ends, another client is asked with the newest model, so that
//! `concurrency` of them are at work; every `buffer_size` updates make a model. *Semi-synchronous*: clients are asked at
//! the start of a period until `concurrency` are at work (in place of those for whom nobody was online, as soon as
//! somebody is), and at its end what has arrived makes a model; slower clients go on into the next period. A round is the
//! time between two models. At the end of the run, tasks that are under way are stopped with the reason `run_end`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::core::{Arrivals, Core};
use super::intake::Intake;
use super::{Policy, ServerError, Turn};
use crate::actors::messages::{Alarm, Command, TaskId, Unused, UpdateValue};
use crate::units::{SimDuration, SimTime};

/// What makes a model of the updates at hand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trigger {
    /// That many of them.
    Updates(usize),
    /// That much time since the last one.
    Time(SimDuration),
}

/// Keeps clients at work.
pub(super) struct Stream {
    trigger: Trigger,
    concurrency: usize,
    max_staleness: Option<u32>,
    state: State,
    /// Kept once too few could be asked, while few are online.
    arrivals: Option<Arrivals>,
}

/// What changes while the server works.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    intake: Intake,
    /// A round is open.
    is_open: bool,
    /// The period of the open round is over.
    is_due: bool,
    /// How many more clients may be asked. A period has places for `concurrency` at its start; those for which nobody was
    /// online are open until it ends, and who is done in it leaves none.
    #[serde(default)]
    open_places: usize,
    /// An alarm for clients that come online is set for this time.
    expects_clients_at: Option<SimTime>,
}

impl Stream {
    pub(super) fn new(trigger: Trigger, concurrency: usize, max_staleness: Option<u32>) -> Self {
        Self { trigger, concurrency, max_staleness, state: State::default(), arrivals: None }
    }

    fn begin_round(&mut self, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        let round = core.round;
        self.state.is_open = true;
        self.state.is_due = false;
        turn.commands.push(Command::BeginRound { round });
        if let Trigger::Time(period) = self.trigger {
            turn.commands.push(Command::Wake { at: turn.now + period, alarm: Alarm::PeriodEnds { round } });
        }
        self.state.open_places = self.concurrency;
        self.fill(core, turn)
    }

    /// Asks clients until enough are at work.
    fn fill(&mut self, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        let free = self.concurrency.saturating_sub(core.n_running());
        let missing = match self.trigger {
            Trigger::Updates(_) => free,
            Trigger::Time(_) => free.min(self.state.open_places),
        };
        if missing == 0 {
            return Ok(());
        }
        let chosen = match &mut self.arrivals {
            Some(arrivals) => core.choose_among(arrivals.look(core, turn), missing, turn),
            None => core.choose(missing, turn),
        };
        for &client_id in &chosen {
            core.ask(client_id, None, turn);
        }
        self.state.open_places = missing - chosen.len();
        // While somebody is at work there will be another occasion; to ask whoever comes online at once, the server is
        // woken all the same.
        if chosen.len() < missing {
            let arrivals = self.arrivals.get_or_insert_with(|| Arrivals::of_all(core, turn));
            let next = arrivals.next(core, turn);
            let earlier = match self.state.expects_clients_at.filter(|at| *at > turn.now) {
                Some(at) => next.filter(|next| *next < at).inspect(|next| core.wake_for_clients(*next, turn)),
                None => core.wait_for_clients(1, next, |_| false, turn)?,
            };
            self.state.expects_clients_at = earlier.or(self.state.expects_clients_at);
        }
        if !self.arrivals.as_ref().is_some_and(Arrivals::are_few) {
            self.arrivals = None;
        }
        Ok(())
    }

    /// A client is not at work any more.
    fn became_idle(&mut self, client_id: u32) {
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.became_idle(client_id);
        }
    }

    /// Makes a model if it is time to, collecting the values first.
    fn advance(&mut self, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        if self.state.intake.is_collecting() || !self.state.is_open {
            return Ok(());
        }
        let is_time = match self.trigger {
            Trigger::Updates(buffer_size) => self.state.intake.at_hand() >= buffer_size,
            Trigger::Time(_) => self.state.is_due,
        };
        if !is_time {
            return match self.trigger {
                Trigger::Updates(_) => self.fill(core, turn),
                Trigger::Time(_) => Ok(()),
            };
        }
        if self.state.intake.collect(Vec::new(), turn) {
            return Ok(());
        }
        let intake = std::mem::take(&mut self.state.intake);
        let n_folded = intake.n_folded();
        let (params, train_loss) = intake.finish(core, turn);
        if n_folded > 0 {
            core.publish(params, turn.now)?;
        }
        self.state.is_open = false;
        match core.end_round(n_folded, train_loss, turn) {
            true => Ok(()),
            false => self.begin_round(core, turn),
        }
    }
}

impl Policy for Stream {
    fn save(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.state)
    }

    fn restore(&mut self, saved: &Value) -> serde_json::Result<()> {
        self.state = State::deserialize(saved)?;
        self.arrivals = None;
        Ok(())
    }

    fn intake(&mut self) -> &mut Intake {
        &mut self.state.intake
    }

    fn begin(&mut self, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        self.begin_round(core, turn)
    }

    fn woken(&mut self, alarm: Alarm, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        match alarm {
            Alarm::ClientsExpected { .. } if !self.state.is_open && !core.is_over() => self.begin_round(core, turn),
            Alarm::ClientsExpected { .. } => {
                // A server that was down hears its alarms when it is up again.
                if self.state.expects_clients_at.is_some_and(|at| at <= turn.now) {
                    self.state.expects_clients_at = None;
                    return self.fill(core, turn);
                }
                Ok(())
            }
            Alarm::PeriodEnds { round } if round == core.round && self.state.is_open => {
                self.state.is_due = true;
                self.advance(core, turn)
            }
            Alarm::PeriodEnds { .. } | Alarm::Deadline { .. } => Ok(()),
        }
    }

    fn arrived(&mut self, task: TaskId, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        if let Some(asked) = core.waiting(task) {
            self.became_idle(asked.client_id);
        }
        match self.max_staleness {
            Some(max) if core.waiting(task).is_some_and(|asked| core.staleness(asked) > max) => {
                core.refuse(task, Unused::Stale, turn)
            }
            _ => self.state.intake.arrived(task),
        }
        self.advance(core, turn)
    }

    fn failed(&mut self, _: TaskId, client_id: u32, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        core.check_failures()?;
        self.became_idle(client_id);
        self.advance(core, turn)
    }

    fn value(
        &mut self,
        task: TaskId,
        value: UpdateValue,
        core: &mut Core,
        turn: &mut Turn<'_>,
    ) -> Result<(), ServerError> {
        self.state.intake.take(task, value, core, turn)?;
        self.advance(core, turn)
    }

    fn restarted(&mut self, until: SimTime, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        self.state.intake = Intake::default();
        self.state.expects_clients_at = None;
        self.arrivals = None;
        if std::mem::take(&mut self.state.is_open) && core.end_round(0, None, turn) {
            return Ok(());
        }
        turn.commands.push(Command::Wake { at: until, alarm: Alarm::ClientsExpected { round: core.round } });
        Ok(())
    }
}
