//! The whole state of a run between two events, and how a run goes on from it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::events::Event;
use super::journal::{Journal, JournalState};
use super::learning::{submit_evaluation, submit_missing, value_of};
use super::observer::Observer;
use super::tasks::{TaskState, Tasks};
use super::{Outcome, World, WorldError, has_rounds, limit, view_of};
use crate::actors::batteries::Batteries;
use crate::actors::client::Client;
use crate::actors::house::House;
use crate::actors::messages::{Cause, Models, TaskId, UpdateValue};
use crate::actors::plan::Plan;
use crate::actors::pool::Pool;
use crate::actors::server::{Server, ServerState};
use crate::params::Params;
use crate::report::{EventKind, Record};
use crate::sim::{BatteryState, Calendar, CalendarState};
use crate::units::SimTime;

/// A run between two events: all that it takes to go on as if nothing had happened. Streams of random numbers are not a
/// part of it, since each is addressed by what it is for; neither are values that jobs were computing, since they are
/// pure functions of the rest.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The round that ended last; 0 when none has.
    pub round: u32,
    /// Simulated time.
    pub at: SimTime,
    /// Clock, calendar, actors, tasks and books, as JSON.
    pub state: String,
    /// Transfers in flight, as JSON.
    pub network: String,
    /// The versions of the global model that are still needed; without values in timing-only runs.
    pub models: BTreeMap<u32, Option<Arc<Params>>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorldState {
    now: SimTime,
    down_until: Option<SimTime>,
    untold_failures: VecDeque<(TaskId, Cause)>,
    calendar: CalendarState<Event>,
    server: ServerState,
    /// Clients that have something to remember, dormant or not.
    clients: Vec<Client>,
    tasks: Vec<TaskState>,
    journal: JournalState,
    batteries: Option<BTreeMap<u32, BatteryState>>,
}

impl From<serde_json::Error> for WorldError {
    fn from(error: serde_json::Error) -> Self {
        Self::Snapshot { message: error.to_string() }
    }
}

impl World<'_> {
    /// Tells the state if it is time to, and ends the run if it is to stop.
    pub(super) async fn checkpoint(&mut self) -> Result<(), WorldError> {
        let round = self.journal.last_ended();
        if self.last_model.is_some() {
            return Ok(());
        }
        if round > self.checkpointed {
            let before = std::mem::replace(&mut self.checkpointed, round);
            if self.plan.checkpoint_every.is_some_and(|every| round / every > before / every) {
                let record = Record { round: Some(round), ..Record::new(self.now, EventKind::Checkpoint) };
                self.journal.record(&record)?;
                // What is saved does not depend on how far this machine has come with evaluations.
                self.journal.settle_evaluations(0)?;
                let snapshot = self.save().await?;
                self.journal.checkpoint(&snapshot)?;
            }
        }
        if self.journal.is_to_stop() {
            let snapshot = self.save().await?;
            self.journal.checkpoint(&snapshot)?;
            return Err(WorldError::Stopped { round: round + 1, seconds: self.now.as_secs_f64() });
        }
        Ok(())
    }

    async fn save(&self) -> Result<Snapshot, WorldError> {
        let ((server, known), clients) = self.house.save().await?;
        let mut models: BTreeMap<u32, Option<Arc<Params>>> = BTreeMap::new();
        for model in known.iter().chain(self.tasks.models()) {
            models.entry(model.version).or_insert_with(|| model.params.clone());
        }
        for (version, params) in self.journal.models() {
            models.entry(version).or_insert_with(|| Some(params.clone()));
        }
        let state = WorldState {
            now: self.now,
            down_until: self.down_until,
            untold_failures: self.untold_failures.clone(),
            calendar: self.calendar.save(),
            server,
            clients,
            tasks: self.tasks.save(),
            journal: self.journal.save(),
            batteries: self.batteries.as_ref().map(|batteries| batteries.save()),
        };
        let (round, at) = (self.journal.last_ended(), self.now);
        Ok(Snapshot { round, at, state: serde_json::to_string(&state)?, network: self.network.save(), models })
    }
}

/// Goes on with a run from a saved state, to its end. The observer gets what comes after it. `is_fork` says that links,
/// availability, outages or devices may differ from those of the run that was saved: tasks under way follow the new ones.
/// What a task drew when it began stays: how long its training takes, at what it fails at random, when its device crashes.
///
/// # Errors
/// See [`WorldError`]; also when the state is not one of this plan.
pub async fn resume(
    plan: &Plan,
    snapshot: Snapshot,
    is_fork: bool,
    observer: &mut dyn Observer,
) -> Result<Outcome, WorldError> {
    let state: WorldState = serde_json::from_str(&snapshot.state)?;
    let models = Models::new(snapshot.models, plan.population.downlink_payload);
    check(&state, &models, plan)?;
    let learning = plan.learning.as_ref();
    let pool = learning.map(|learning| Pool::new(learning.workers)).transpose()?;
    let at_work = pool.as_ref().zip(learning);
    let evaluation_nanos = Arc::default();

    let power_of = |class: usize| plan.population.devices[class].model.power();
    let with_jobs: Vec<_> = state.tasks.iter().filter(|task| task.has_job).map(|task| task.id).collect();
    let mut tasks = Tasks::restore(state.tasks, &models, power_of);
    let limit = limit(plan, state.server.last_progress());
    let server = Server::restore(plan.rounds.clone(), plan.population.seeds, state.server, &models, |next| {
        if let Some((pool, learning)) = at_work {
            submit_missing(pool, learning, &mut tasks, next, state.now);
        }
        let task = tasks.get_mut(next[0]).ok_or_else(|| misfit(format!("task {} is not there", next[0])))?;
        at_work.map_or(Ok(UpdateValue::TimingOnly), |(pool, learning)| value_of(pool, learning, task))
    })?;
    if let Some((pool, learning)) = at_work {
        submit_missing(pool, learning, &mut tasks, &with_jobs, state.now);
    }
    let journal = Journal::restore(plan, observer, state.journal, |report| {
        let ((pool, learning), model) = (at_work?, models.of(report.model_version));
        let params = model.params.clone()?;
        Some((params.clone(), submit_evaluation(pool, learning, report.round, &params, &evaluation_nanos)))
    });
    let batteries = Batteries::new(&plan.population);
    if let (Some(batteries), Some(states)) = (&batteries, state.batteries) {
        batteries.restore(states);
    }
    let mut house = House::open(server, view_of(plan, batteries.clone()), plan.idle_clients_max).await?;
    house.restore(state.clients);
    let regions = plan.population.links_of_regions();
    let mut world = World {
        plan,
        pool,
        house,
        calendar: Calendar::restore(state.calendar),
        batteries,
        network: plan.server_network.restore(&regions, &snapshot.network, state.now)?,
        now: state.now,
        limit,
        has_rounds: has_rounds(plan),
        down_until: state.down_until,
        untold_failures: state.untold_failures,
        tasks,
        checkpointed: journal.last_ended(),
        journal,
        network_events: 0,
        last_model: None,
        evaluation_nanos,
    };
    if is_fork {
        world.set_all_links()?;
        world.expect_anew().await?;
    }
    world.run().await?;
    world.finish().await
}

fn misfit(message: impl Into<String>) -> WorldError {
    WorldError::Snapshot { message: message.into() }
}

/// Refuses a state that names what this plan does not have.
fn check(state: &WorldState, models: &Models, plan: &Plan) -> Result<(), WorldError> {
    let tasks = state.tasks.iter().map(|task| task.model_version);
    let evaluated = state.journal.pending.iter().filter(|(_, is_evaluated)| *is_evaluated);
    let needed: BTreeSet<u32> =
        state.server.versions().chain(tasks).chain(evaluated.map(|(report, _)| report.model_version)).collect();
    if let Some(version) = needed.iter().find(|version| !models.has(**version)) {
        return Err(misfit(format!("version {version} of the model is not there")));
    }
    let population = &plan.population;
    for task in &state.tasks {
        if task.client_id >= population.n_clients
            || task.device_class >= population.devices.len()
            || task.network_class >= population.networks.len()
            || (task.region > 0 && task.region >= population.regions.len())
        {
            return Err(misfit(format!("task {} is of a client or a class that is not there", task.id)));
        }
    }
    match state.journal.last_client() {
        Some(last) if last >= population.n_clients => Err(misfit(format!("client {last} is not there"))),
        _ => Ok(()),
    }
}
