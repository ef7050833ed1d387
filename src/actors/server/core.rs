//! What the server knows and does in every way of making models: who is at work, the model, whom to ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{RoundSettings, ServerError, Turn, View};
use crate::actors::batteries::Batteries;
use crate::actors::messages::{Alarm, Command, GlobalModel, Models, RoundEnd, TaskId, Unused};
use crate::params::Params;
use crate::seed::{Purpose, Seeds};
use crate::sim::NEVER;
use crate::strategy::{Candidates, Census, History};
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
    /// Tasks whose update has not arrived.
    pub(super) running: BTreeMap<TaskId, Asked>,
    /// Tasks whose update has arrived and is not used or refused yet.
    pub(super) waiting: BTreeMap<TaskId, Asked>,
    /// Clients at work.
    busy: BTreeSet<u32>,
    history: History,
    census: Census,
    /// How often clients were selected in this round.
    n_selections: u32,
    last_progress: SimTime,
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
    busy: BTreeSet<u32>,
    history: History,
    n_selections: u32,
    last_progress: SimTime,
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
}

impl Core {
    /// The newest model and those that clients work on.
    pub(super) fn models(&self) -> Vec<Arc<GlobalModel>> {
        let asked = self.running.values().chain(self.waiting.values()).map(|asked| &asked.model);
        asked.chain([&self.model]).cloned().collect()
    }

    pub(super) fn save(&self) -> CoreState {
        let states = |tasks: &BTreeMap<TaskId, Asked>| {
            let state = |(task, asked): (&TaskId, &Asked)| {
                let Asked { client_id, round, ref model, at } = *asked;
                (*task, AskedState { client_id, round, model_version: model.version, at })
            };
            tasks.iter().map(state).collect()
        };
        CoreState {
            model_version: self.model.version,
            evaluated_version: self.evaluated_version,
            round: self.round,
            next_task: self.next_task,
            running: states(&self.running),
            waiting: states(&self.waiting),
            busy: self.busy.clone(),
            history: self.history.clone(),
            n_selections: self.n_selections,
            last_progress: self.last_progress,
            failures_in_a_row: self.failures_in_a_row,
        }
    }

    pub(super) fn restore(settings: RoundSettings, seeds: Seeds, state: CoreState, models: &Models) -> Self {
        let tasks = |states: BTreeMap<TaskId, AskedState>| {
            let asked = |(task, state): (TaskId, AskedState)| {
                let AskedState { client_id, round, model_version, at } = state;
                (task, Asked { client_id, round, model: models.of(model_version), at })
            };
            states.into_iter().map(asked).collect()
        };
        Self {
            settings,
            seeds,
            model: models.of(state.model_version),
            evaluated_version: state.evaluated_version,
            round: state.round,
            next_task: state.next_task,
            running: tasks(state.running),
            waiting: tasks(state.waiting),
            busy: state.busy,
            history: state.history,
            census: Census::default(),
            n_selections: state.n_selections,
            last_progress: state.last_progress,
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
            running: BTreeMap::new(),
            waiting: BTreeMap::new(),
            busy: BTreeSet::new(),
            history: History::default(),
            census: Census::default(),
            n_selections: 0,
            last_progress: SimTime::ZERO,
            failures_in_a_row: 0,
        }
    }

    pub(super) fn confusion(&self, message: &'static str, task: TaskId) -> ServerError {
        ServerError::Confusion { message, task, round: self.round }
    }

    /// Ends a run of which nothing has come for long.
    pub(super) fn check_patience(
        &self,
        now: SimTime,
        setting: &'static str,
        why: &'static str,
    ) -> Result<(), ServerError> {
        if now != NEVER && now.since(self.last_progress) <= self.settings.give_up_after {
            return Ok(());
        }
        let (since_s, now_s) = (self.last_progress.as_secs_f64(), now.as_secs_f64());
        Err(ServerError::Standstill { round: self.round, since_s, now_s, why, setting })
    }

    /// Chooses up to `n` clients that are online and not at work.
    pub(super) fn choose(&mut self, n: usize, turn: &Turn<'_>) -> Vec<u32> {
        let view = turn.view;
        let is_available = |client_id| {
            !self.busy.contains(&client_id)
                && view.availability.is_online(client_id, turn.now)
                && view.can_begin(client_id, turn.now)
        };
        let candidates = Candidates {
            n_clients: view.population.n_clients,
            is_available: &is_available,
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

    /// Sends the model to a client.
    pub(super) fn ask(&mut self, client_id: u32, useful_until: Option<SimTime>, turn: &mut Turn<'_>) -> TaskId {
        let (task, round, model) = (self.next_task, self.round, self.model.clone());
        self.next_task += 1;
        self.busy.insert(client_id);
        self.history.asked(client_id, round);
        self.running.insert(task, Asked { client_id, round, model: model.clone(), at: turn.now });
        turn.commands.push(Command::Dispatch { task, client_id, round, model, useful_until });
        task
    }

    /// Asks to be woken when the next client comes online.
    pub(super) fn wait_for_clients(&self, turn: &mut Turn<'_>) -> Result<(), ServerError> {
        let round = self.round;
        let at = next_arrival(turn.view, &self.busy, turn.now).ok_or(ServerError::NobodyEver { round })?;
        let why = "no client can be asked; change `clients.availability`, or be more patient";
        self.check_patience(at, "clients.availability", why)?;
        turn.commands.push(Command::Wake { at, alarm: Alarm::ClientsExpected { round } });
        Ok(())
    }

    pub(super) fn task_arrived(&mut self, task: TaskId, now: SimTime) -> Result<(), ServerError> {
        let asked = self.running.remove(&task).ok_or_else(|| self.confusion("an update has arrived", task))?;
        self.busy.remove(&asked.client_id);
        self.history.answered(asked.client_id, asked.round, now.since(asked.at).as_secs_f64());
        self.failures_in_a_row = 0;
        self.waiting.insert(task, asked);
        Ok(())
    }

    pub(super) fn task_failed(&mut self, task: TaskId) -> Result<(), ServerError> {
        let asked = self.running.remove(&task).ok_or_else(|| self.confusion("the client failed", task))?;
        self.busy.remove(&asked.client_id);
        self.failures_in_a_row += 1;
        Ok(())
    }

    /// Ends a run in which every task fails, where nothing else would end it.
    pub(super) fn check_failures(&self) -> Result<(), ServerError> {
        match self.failures_in_a_row > FAILURES_MAX {
            true => Err(ServerError::EveryTaskFails { round: self.round, tasks: self.failures_in_a_row }),
            false => Ok(()),
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
        self.waiting.remove(&task);
        if let Some(asked) = self.running.remove(&task) {
            self.busy.remove(&asked.client_id);
        }
        turn.commands.push(Command::Refuse { task, why });
    }

    /// Stops every task that is under way and refuses what has arrived.
    pub(super) fn refuse_all(&mut self, why: Unused, turn: &mut Turn<'_>) {
        let tasks: Vec<TaskId> = self.running.keys().chain(self.waiting.keys()).copied().collect();
        for task in tasks {
            self.refuse(task, why, turn);
        }
    }

    /// The tasks are gone; the world has told so.
    pub(super) fn forget_tasks(&mut self) {
        self.running.clear();
        self.waiting.clear();
        self.busy.clear();
    }

    /// Makes the next version of the model, with the values that clients will decode.
    pub(super) fn publish(&mut self, params: Option<Params>) -> Result<(), ServerError> {
        let codec = self.settings.downlink_codec.implementation();
        let as_error = |source| ServerError::Codec { round: self.round, source };
        let params = params.map(|params| {
            let payload = codec.encode(&params)?;
            codec.decode(params.layout(), &payload).map(Arc::new)
        });
        let params = params.transpose().map_err(as_error)?;
        self.model = Arc::new(GlobalModel { version: self.model.version + 1, params, payload: self.model.payload });
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
        self.last_progress = turn.now;
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

/// When the next client that is not at work and cannot be asked now may be asked: it comes online, or its battery, which
/// is looked at again after a while, has been charged.
fn next_arrival(view: &View, busy: &BTreeSet<u32>, now: SimTime) -> Option<SimTime> {
    let idle = (0..view.population.n_clients).filter(|client_id| !busy.contains(client_id));
    let next = idle.filter_map(|client_id| match view.availability.is_online(client_id, now) {
        false => Some(view.availability.next_online(client_id, now)),
        true => (!view.can_begin(client_id, now)).then(|| Batteries::next_look(now)),
    });
    next.min().filter(|&at| at != NEVER)
}
