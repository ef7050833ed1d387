//! What the server knows and does in every way of making models: who is at work, the model, whom to ask.

mod arrivals;
mod cutting;
mod presence;
mod waiting;

pub(super) use self::arrivals::Arrivals;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::causes::Causes;
use super::{RoundSettings, ServerError, Turn};
use crate::actors::messages::{Cause, Command, GlobalModel, Models, RoundEnd, TaskId, Unused};
use crate::collections::{IdSet, Window};
use crate::params::Params;
use crate::report::Reason;
use crate::seed::{Purpose, Seeds};
use crate::strategy::{AtWork, Candidates, Census, History};
use crate::units::{SimDuration, SimTime};

/// Failures in a row, without a single arrival, after which a run is given up.
const FAILURES_MAX: u64 = 100_000;

/// A task that has not ended.
pub(super) struct Asked {
    pub(super) client_id: u32,
    pub(super) round: u32,
    /// What its training starts from.
    pub(super) model: Arc<GlobalModel>,
    at: SimTime,
    /// Its update is here, and not used or refused yet.
    has_arrived: bool,
}

pub(super) struct Core {
    pub(super) settings: RoundSettings,
    seeds: Seeds,
    /// The newest model.
    pub(super) model: Arc<GlobalModel>,
    evaluated_version: u32,
    /// The current round, from 1.
    pub(super) round: u32,
    next_task: TaskId,
    /// Tasks that have neither failed nor been used or refused.
    tasks: Window<Asked>,
    /// Of these, tasks whose update has not arrived.
    n_running: usize,
    busy: AtWork,
    history: History,
    census: Census,
    /// How often clients were selected in this round.
    n_selections: u32,
    /// When the newest model was made.
    last_progress: SimTime,
    /// Why tasks have ended without being used since then.
    causes: Causes,
    failures_in_a_row: u64,
}

/// What [`Core`] is between two messages, with versions in place of models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CoreState {
    model_version: u32,
    evaluated_version: u32,
    round: u32,
    next_task: TaskId,
    running: BTreeMap<TaskId, AskedState>,
    waiting: BTreeMap<TaskId, AskedState>,
    busy: IdSet,
    history: History,
    n_selections: u32,
    last_progress: SimTime,
    causes: Causes,
    failures_in_a_row: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedState {
    client_id: u32,
    round: u32,
    model_version: u32,
    at: SimTime,
}

impl CoreState {
    pub(super) fn versions(&self) -> impl Iterator<Item = u32> {
        let asked = self.running.values().chain(self.waiting.values()).map(|asked| asked.model_version);
        asked.chain([self.model_version])
    }

    pub(super) fn last_progress(&self) -> SimTime {
        self.last_progress
    }
}

impl Core {
    /// The newest model and those that clients work on.
    pub(super) fn models(&self) -> Vec<Arc<GlobalModel>> {
        self.tasks.values().map(|asked| &asked.model).chain([&self.model]).cloned().collect()
    }

    pub(super) fn save(&self) -> CoreState {
        let states = |arrived: bool| {
            let state = |(task, asked): (TaskId, &Asked)| {
                let Asked { client_id, round, ref model, at, has_arrived } = *asked;
                (has_arrived == arrived)
                    .then(|| (task, AskedState { client_id, round, model_version: model.version, at }))
            };
            self.tasks.iter().filter_map(state).collect()
        };
        CoreState {
            model_version: self.model.version,
            evaluated_version: self.evaluated_version,
            round: self.round,
            next_task: self.next_task,
            running: states(false),
            waiting: states(true),
            busy: self.busy.clients().clone(),
            history: self.history.clone(),
            n_selections: self.n_selections,
            last_progress: self.last_progress,
            causes: self.causes.clone(),
            failures_in_a_row: self.failures_in_a_row,
        }
    }

    pub(super) fn restore(settings: RoundSettings, seeds: Seeds, state: CoreState, models: &Models) -> Self {
        let asked = |has_arrived: bool| {
            move |(task, state): (TaskId, AskedState)| {
                let AskedState { client_id, round, model_version, at } = state;
                (task, Asked { client_id, round, model: models.of(model_version), at, has_arrived })
            }
        };
        let n_running = state.running.len();
        let running = state.running.into_iter().map(asked(false));
        let tasks: BTreeMap<TaskId, Asked> = running.chain(state.waiting.into_iter().map(asked(true))).collect();
        Self {
            settings,
            seeds,
            model: models.of(state.model_version),
            evaluated_version: state.evaluated_version,
            round: state.round,
            next_task: state.next_task,
            tasks: tasks.into_iter().collect(),
            n_running,
            busy: AtWork::of(state.busy),
            history: state.history,
            census: Census::default(),
            n_selections: state.n_selections,
            last_progress: state.last_progress,
            causes: state.causes,
            failures_in_a_row: state.failures_in_a_row,
        }
    }

    pub(super) fn new(settings: RoundSettings, seeds: Seeds, model: Arc<GlobalModel>) -> Self {
        Self {
            settings,
            seeds,
            evaluated_version: model.version,
            model,
            round: 1,
            next_task: 1,
            tasks: Window::default(),
            n_running: 0,
            busy: AtWork::default(),
            history: History::default(),
            census: Census::default(),
            n_selections: 0,
            last_progress: SimTime::ZERO,
            causes: Causes::default(),
            failures_in_a_row: 0,
        }
    }

    pub(super) fn confusion(&self, message: &'static str, task: TaskId) -> ServerError {
        ServerError::Confusion { message, task, round: self.round }
    }

    /// Chooses up to `n` clients that are online and not at work.
    pub(super) fn choose(&mut self, n: usize, turn: &Turn<'_>) -> Vec<u32> {
        let view = turn.view;
        let is_available = |client_id| {
            !self.busy.contains(client_id)
                && view.availability.is_online(client_id, turn.now)
                && view.can_begin(client_id, turn.now)
        };
        let candidates = Candidates {
            n_clients: view.population.n_clients,
            is_available: &is_available,
            at_work: &self.busy,
            num_examples: &|client_id| view.population.num_examples(client_id),
            stated_seconds: &|client_id| view.population.stated_seconds(client_id),
            history: &self.history,
            census: &self.census,
            round: self.round,
        };
        let mut stream = self.seeds.decision(Purpose::Selection, self.round, self.n_selections);
        let selection = self.settings.selection.implementation();
        let chosen = selection.select(n, &candidates, &mut stream);
        self.n_selections += 1;
        chosen
    }

    /// As [`choose`](Self::choose), where it is known who can be chosen.
    pub(super) fn choose_among(&mut self, available: Vec<u32>, n: usize, turn: &Turn<'_>) -> Vec<u32> {
        // Of one there is no choice to make, by whatever policy.
        if available.len() <= n.min(1) {
            self.n_selections += 1;
            return available;
        }
        self.choose(n, turn)
    }

    /// Sends the model to a client.
    pub(super) fn ask(&mut self, client_id: u32, useful_until: Option<SimTime>, turn: &mut Turn<'_>) -> TaskId {
        let (task, round, model) = (self.next_task, self.round, self.model.clone());
        self.next_task += 1;
        self.busy.insert(client_id);
        self.history.asked(client_id, round);
        let asked = Asked { client_id, round, model: model.clone(), at: turn.now, has_arrived: false };
        self.tasks.insert(task, asked);
        self.n_running += 1;
        turn.commands.push(Command::Dispatch { task, client_id, round, model, useful_until });
        task
    }

    pub(super) fn task_arrived(&mut self, task: TaskId, now: SimTime) -> Result<(), ServerError> {
        let Some(asked) = self.tasks.get_mut(task).filter(|asked| !asked.has_arrived) else {
            return Err(self.confusion("an update has arrived", task));
        };
        asked.has_arrived = true;
        self.n_running -= 1;
        self.busy.remove(asked.client_id);
        self.history.answered(asked.client_id, asked.round, now.since(asked.at).as_secs_f64());
        self.failures_in_a_row = 0;
        Ok(())
    }

    /// Gives the client that has failed.
    pub(super) fn task_failed(&mut self, task: TaskId, cause: Cause) -> Result<u32, ServerError> {
        let Some(asked) = self.tasks.get(task).filter(|asked| !asked.has_arrived) else {
            return Err(self.confusion("the client failed", task));
        };
        let client_id = asked.client_id;
        self.forget(task);
        self.causes.count(cause);
        self.failures_in_a_row += 1;
        Ok(client_id)
    }

    /// Ends a run in which every task fails, where nothing else would end it.
    pub(super) fn check_failures(&self) -> Result<(), ServerError> {
        let (round, tasks) = (self.round, self.failures_in_a_row);
        // What is to blame is told in words, which are made for the last failure alone.
        match (tasks > FAILURES_MAX).then(|| self.causes.blame()).flatten() {
            Some(blame) => Err(ServerError::EveryTaskFails { round, tasks, blame }),
            None => Ok(()),
        }
    }

    /// The last round has ended.
    pub(super) fn is_over(&self) -> bool {
        self.round > self.settings.rounds
    }

    /// Fewest updates that are aggregated.
    pub(super) fn min_updates(&self) -> usize {
        match self.settings.below_min_updates.implementation().accepts() {
            true => 1,
            false => self.settings.min_updates,
        }
    }

    /// A client's training loss is known.
    pub(super) fn learnt(&mut self, client_id: u32, train_loss: f64) {
        self.history.learnt(client_id, train_loss);
    }

    /// Versions that have come out since the model that a task started from.
    pub(super) fn staleness(&self, asked: &Asked) -> u32 {
        self.model.version - asked.model.version
    }

    /// Refuses an update, or stops a task.
    pub(super) fn refuse(&mut self, task: TaskId, why: Unused, turn: &mut Turn<'_>) {
        let arrived = self.waiting(task).filter(|_| why == Unused::Stale);
        let staleness = arrived.map(|asked| self.staleness(asked));
        self.forget(task);
        self.causes.count(Cause { reason: why.into(), phase: None });
        turn.commands.push(Command::Refuse { task, why, staleness });
    }

    /// A task is over.
    pub(super) fn forget(&mut self, task: TaskId) {
        if let Some(asked) = self.tasks.remove(task)
            && !asked.has_arrived
        {
            self.n_running -= 1;
            self.busy.remove(asked.client_id);
        }
    }

    /// How many tasks there are whose update has not arrived.
    pub(super) fn n_running(&self) -> usize {
        self.n_running
    }

    /// The task of an update that has arrived and is not used or refused yet.
    pub(super) fn waiting(&self, task: TaskId) -> Option<&Asked> {
        self.tasks.get(task).filter(|asked| asked.has_arrived)
    }

    /// Tasks whose update has not arrived.
    pub(super) fn running(&self) -> Vec<TaskId> {
        self.tasks_that(false).collect()
    }

    fn tasks_that(&self, have_arrived: bool) -> impl Iterator<Item = TaskId> {
        self.tasks.iter().filter_map(move |(task, asked)| (asked.has_arrived == have_arrived).then_some(task))
    }

    /// Stops every task that is under way and refuses what has arrived.
    pub(super) fn refuse_all(&mut self, why: Unused, turn: &mut Turn<'_>) {
        let tasks: Vec<TaskId> = self.tasks_that(false).chain(self.tasks_that(true)).collect();
        for task in tasks {
            self.refuse(task, why, turn);
        }
    }

    /// The tasks are lost by a restart; the world has told so.
    pub(super) fn forget_tasks(&mut self) {
        for _ in self.tasks.values() {
            self.causes.count(Cause { reason: Reason::ServerRestart, phase: None });
        }
        self.tasks.clear();
        self.n_running = 0;
        self.busy.clear();
    }

    /// Makes the next version of the model, with the values that clients will decode. Values that are not finite are an
    /// error: what is trained from them would only diverge.
    pub(super) fn publish(&mut self, params: Option<Params>, now: SimTime) -> Result<(), ServerError> {
        if params.as_ref().is_some_and(|params| !params.values().iter().all(|value| value.is_finite())) {
            return Err(ServerError::NotFinite { round: self.round });
        }
        let codec = self.settings.downlink_codec.implementation();
        let as_error = |source| ServerError::Codec { round: self.round, source };
        let params = params.map(|params| {
            let payload = codec.encode(&params)?;
            codec.decode(params.layout(), &payload).map(Arc::new)
        });
        let params = params.transpose().map_err(as_error)?;
        self.model = Arc::new(GlobalModel { version: self.model.version + 1, params, payload: self.model.payload });
        self.last_progress = now;
        self.causes.clear();
        Ok(())
    }

    /// Ends the current round. True when it was the last: the run is over then.
    pub(super) fn end_round(&mut self, aggregated: usize, train_loss: Option<f64>, turn: &mut Turn<'_>) -> bool {
        let round = self.round;
        let is_last = round >= self.settings.rounds;
        if is_last {
            self.refuse_all(Unused::RunEnded, turn);
        }
        let is_due = round.is_multiple_of(self.settings.evaluate_every) || is_last;
        if is_due && self.evaluated_version != self.model.version {
            self.evaluated_version = self.model.version;
            turn.commands.push(Command::Evaluate { round, model: self.model.clone() });
        }
        turn.commands.push(Command::EndRound(RoundEnd {
            round,
            model_version: self.model.version,
            aggregated: aggregated as u32,
            train_loss,
        }));
        self.round += 1;
        self.n_selections = 0;
        if is_last {
            turn.commands.push(Command::EndRun { model: self.model.clone() });
        }
        is_last
    }

    /// When a deadline that starts now ends.
    pub(super) fn deadline(&self, now: SimTime) -> Option<SimTime> {
        self.settings.deadline.map(|deadline: SimDuration| now + deadline)
    }
}
