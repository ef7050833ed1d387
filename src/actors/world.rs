//! The world: the one clock, and everything that happens under it.
//!
//! The world pops one event at a time from the calendar or from the network, whichever is due first, asks the one actor
//! concerned, and carries out what that actor wants. It alone moves the clock, starts and ends transfers, submits jobs to
//! the pool and waits for their values.

mod events;
mod journal;
mod learning;
mod ledger;
mod observer;
mod phases;
mod snapshot;
mod tasks;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use ledger::{ClientLedger, Totals};
pub use observer::{HostWork, Observer, RoundReport};
pub use snapshot::{Snapshot, resume};

use self::events::Event;
use self::journal::Journal;
use self::tasks::{Task, Tasks};
use super::batteries::Batteries;
use super::house::{House, HouseError};
use super::messages::{Alarm, Cause, ClientCommand, ClientMessage, Command, GlobalModel, ServerMessage, TaskId};
use super::plan::Plan;
use super::pool::{Pool, PoolError};
use super::server::{Server, View};
use super::trainer::LearningError;
use crate::report::{EventKind, Reason, ReportError};
use crate::sim::{self, Calendar, Direction, NEVER, NetworkModel, RestartConfig, SimError};
use crate::strategy::Pace;
use crate::units::{SimDuration, SimTime};

/// Why a run ended before its last round.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// An actor could not go on.
    #[error(transparent)]
    House(#[from] HouseError),
    /// A duration could not be computed.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// A job failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// Training or evaluation failed.
    #[error("{what}: {source}")]
    Learning {
        /// What was being done, with client and round.
        what: String,
        /// What went wrong.
        source: LearningError,
    },
    /// A record could not be written.
    #[error(transparent)]
    Observer(#[from] ReportError),
    /// The clock has come to where a trace of availability ends that is not to be looped or held.
    #[error(
        "{place}: the availability trace of client {client_id} is over at {seconds} s of simulated time and the run is not; \
         write `end: loop` or `end: hold`, or record for longer"
    )]
    EndOfTrace {
        /// Simulated seconds.
        seconds: f64,
        /// A client that follows it.
        client_id: u32,
        /// File and line that say when the recording ends.
        place: String,
    },
    /// The observer wanted the run to stop; its state has been told.
    #[error("stopped in round {round} at {seconds} s of simulated time")]
    Stopped {
        /// The round.
        round: u32,
        /// Simulated seconds.
        seconds: f64,
    },
    /// A saved state that this plan cannot go on from.
    #[error("the saved state does not fit this scenario: {message}")]
    Snapshot {
        /// What does not fit.
        message: String,
    },
    /// Nothing is left to happen although the run is not over: a bug, or transfers that never move.
    #[error(
        "the run stands still at {seconds} s: nothing is left to happen, but the server waits for {n_tasks} clients at \
         work{}",
        if *n_tasks > 0 { "; look for a link of `clients.networks` whose rate has come to 0" } else { "" }
    )]
    StandStill {
        /// Simulated seconds.
        seconds: f64,
        /// Tasks under way.
        n_tasks: usize,
    },
}

/// What a run leaves behind.
pub struct Outcome {
    /// When it ended.
    pub end: SimTime,
    /// The last model.
    pub last_model: Arc<GlobalModel>,
    /// What each client did, by client id.
    pub clients: Vec<ClientLedger>,
    /// Sums over the run.
    pub totals: Totals,
    /// What this machine did for it.
    pub host: HostWork,
}

/// Senders, as the calendar orders simultaneous events: the server's before the clients'.
const SERVER: u32 = 0;

fn sender_of(client_id: u32) -> u32 {
    client_id.saturating_add(1)
}

/// The state of a run.
struct World<'a> {
    plan: &'a Plan,
    house: House,
    calendar: Calendar<Event>,
    network: Box<dyn NetworkModel>,
    batteries: Option<Arc<Batteries>>,
    now: SimTime,
    /// The clock does not come here: nothing is known of clients any more, or the server has lost patience.
    limit: SimTime,
    /// Each client has one task in a round at most.
    has_rounds: bool,
    /// When the server is up again, while it is down.
    down_until: Option<SimTime>,
    /// Tasks that have failed while the server was down, which it learns when it is up again; in order.
    untold_failures: VecDeque<(TaskId, Cause)>,
    tasks: Tasks,
    journal: Journal<'a>,
    /// After those who hold jobs, since fields are dropped in their order: jobs that nobody waits for any more stop, and only
    /// then the pool waits for its threads.
    pool: Option<Pool>,
    network_events: u64,
    /// The round that had ended last when it was last looked at whether the state is to be saved.
    checkpointed: u32,
    last_model: Option<Arc<GlobalModel>>,
    evaluation_nanos: Arc<AtomicU64>,
}

/// Runs a plan to its end. The observer gets every record in order.
///
/// # Errors
/// See [`WorldError`]. What was observed so far stays as it is.
pub async fn run(plan: &Plan, observer: &mut dyn Observer) -> Result<Outcome, WorldError> {
    let learning = plan.learning.as_ref();
    let params = learning.map(|learning| learning.initial.clone());
    let model = Arc::new(GlobalModel { version: 0, params, payload: plan.population.downlink_payload });
    let server = Server::new(plan.rounds.clone(), plan.population.seeds, model);
    let batteries = Batteries::new(&plan.population);
    let view = view_of(plan, batteries.clone());
    let mut world = World {
        plan,
        pool: learning.map(|learning| Pool::new(learning.workers)).transpose()?,
        house: House::open(server, view, plan.idle_clients_max).await?,
        calendar: Calendar::new(),
        batteries,
        network: plan.server_network.build(&plan.population.links_of_regions()),
        now: SimTime::ZERO,
        limit: limit(plan, SimTime::ZERO),
        has_rounds: has_rounds(plan),
        down_until: None,
        untold_failures: VecDeque::new(),
        tasks: Tasks::default(),
        journal: Journal::new(plan, observer),
        network_events: 0,
        checkpointed: 0,
        last_model: None,
        evaluation_nanos: Arc::default(),
    };
    for (index, restart) in plan.restarts.iter().enumerate() {
        world.calendar.push(SimTime::ZERO + restart.at, SERVER, Event::ServerDown { restart: index });
    }
    world.journal.run_event(world.now, EventKind::RunStart)?;
    world.tell_server(ServerMessage::Start).await?;
    world.run().await?;
    world.finish().await
}

/// What the server of a plan knows.
fn view_of(plan: &Plan, batteries: Option<Arc<Batteries>>) -> View {
    let (population, availability) = (plan.population.clone(), plan.availability.clone());
    View { population, availability, batteries, outages: plan.outages.clone() }
}

/// Where the clock must not come, if the newest model was made at `last_model_at`.
fn limit(plan: &Plan, last_model_at: SimTime) -> SimTime {
    let patience_ends = last_model_at + plan.rounds.give_up_after + SimDuration::from_nanos(1);
    patience_ends.min(plan.availability.end_of_trace().map_or(NEVER, |end| end.at))
}

fn has_rounds(plan: &Plan) -> bool {
    plan.rounds.strategy.implementation().pace() == Pace::Rounds
}

impl World<'_> {
    async fn run(&mut self) -> Result<(), WorldError> {
        while self.last_model.is_none() {
            let next = (self.network.next(), self.calendar.next_time());
            if let Some(next) = [next.0, next.1].into_iter().flatten().min().filter(|next| *next >= self.limit) {
                return Err(self.beyond_limit(next).await);
            }
            match next {
                (Some(at), next) if next.is_none_or(|next| at <= next) => {
                    self.now = at;
                    while let Some(flow) = self.network.finish(at) {
                        self.network_events += 1;
                        self.end_flow(flow).await?;
                    }
                }
                (_, Some(_)) => {
                    let (at, event) = self.calendar.pop().expect("it has a next time");
                    self.now = at;
                    self.handle(event).await?;
                }
                (_, None) => return Err(self.standstill()),
            }
            self.checkpoint().await?;
        }
        Ok(())
    }

    /// Why a run ends whose next event is beyond the limit.
    async fn beyond_limit(&mut self, next: SimTime) -> WorldError {
        if let Some(end) = self.plan.availability.end_of_trace().filter(|end| end.at <= self.limit) {
            let (seconds, client_id, place) = (end.at.as_secs_f64(), end.client_id, end.place.clone());
            return WorldError::EndOfTrace { seconds, client_id, place };
        }
        self.now = next;
        let told = self.tell_server(ServerMessage::OutOfPatience).await;
        told.err().unwrap_or_else(|| self.standstill())
    }

    fn standstill(&self) -> WorldError {
        WorldError::StandStill { seconds: self.now.as_secs_f64(), n_tasks: self.tasks.ids().len() }
    }

    async fn finish(self) -> Result<Outcome, WorldError> {
        let host = self.host_work();
        let World { house, now, mut journal, last_model, .. } = self;
        house.close().await?;
        journal.settle_evaluations(0)?;
        journal.run_event(now, EventKind::RunEnd)?;
        journal.check_conservation();
        let (clients, totals) = journal.into_ledgers();
        Ok(Outcome { end: now, last_model: last_model.expect("the run is over"), clients, totals, host })
    }

    fn host_work(&self) -> HostWork {
        HostWork {
            events: self.calendar.n_popped() + self.network_events,
            pool: self.pool.as_ref().map(Pool::counts).unwrap_or_default(),
            evaluation_nanos: self.evaluation_nanos.load(Ordering::Relaxed),
            resident_clients: self.house.n_residents(),
        }
    }

    async fn tell_server(&mut self, message: ServerMessage) -> Result<(), WorldError> {
        let commands = self.house.tell_server(self.now, message).await?;
        self.carry_out(commands).await
    }

    async fn tell_client(&mut self, client_id: u32, message: ClientMessage) -> Result<(), WorldError> {
        // What a client wants never makes the world tell anybody anything at the same instant.
        match self.house.tell_client(client_id, message).await? {
            Some(ClientCommand::Train { task }) => self.begin_training(task),
            Some(ClientCommand::Upload { task }) => self.begin_transfer(task, Direction::Up),
            None => Ok(()),
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), WorldError> {
        match event {
            Event::Alarm(alarm) if self.down_until.is_some() => {
                let up = self.down_until.unwrap_or(self.now);
                self.calendar.push(up, SERVER, Event::Alarm(alarm));
                Ok(())
            }
            Event::Alarm(alarm) => {
                if let Alarm::Deadline { round } = alarm
                    && self.journal.is_open(round)
                {
                    self.journal.round_event(self.now, EventKind::Deadline, round)?;
                }
                self.tell_server(ServerMessage::Woken(alarm)).await
            }
            Event::TransferBegins { task, direction, attempt } => self.begin_flow(task, direction, attempt),
            Event::LinkChanges { task, direction, serial } => self.change_link(task, direction, serial),
            Event::UploadResumes { task } => self.resume_upload(task),
            Event::TrainingEnds { task } => self.end_training(task).await,
            Event::BatteryEmpty { task, serial } => match self.tasks.get(task).is_some_and(|t| t.draws == serial) {
                true => self.hit(task, Reason::Battery).await,
                false => Ok(()),
            },
            Event::Fails { task, reason } => self.hit(task, reason).await,
            Event::ServerDown { restart } => self.go_down(&self.plan.restarts[restart]).await,
            Event::ServerUp if self.down_until == Some(self.now) => self.come_up().await,
            // It went down again in the instant in which it was to be up.
            Event::ServerUp => Ok(()),
        }
    }

    /// The server goes down for a while.
    async fn go_down(&mut self, restart: &RestartConfig) -> Result<(), WorldError> {
        let up = self.now + restart.downtime;
        self.down_until = Some(up);
        self.journal.run_event(self.now, EventKind::ServerDown)?;
        self.calendar.push(up, SERVER, Event::ServerUp);
        match restart.in_flight {
            sim::InFlight::Lost => {
                for id in self.tasks.ids() {
                    self.drop_out(id, Reason::ServerRestart).await?;
                }
                self.untold_failures.clear();
                self.tell_server(ServerMessage::Restarted { until: up }).await
            }
            sim::InFlight::Resumed => self.set_all_links(),
        }
    }

    /// The server is up again: transfers go on, and it learns which tasks have failed meanwhile.
    async fn come_up(&mut self) -> Result<(), WorldError> {
        self.down_until = None;
        self.journal.run_event(self.now, EventKind::ServerUp)?;
        self.set_all_links()?;
        while self.last_model.is_none()
            && let Some((task, cause)) = self.untold_failures.pop_front()
        {
            self.tell_server(ServerMessage::Failed { task, cause }).await?;
        }
        Ok(())
    }

    /// Carries out what the server wants. Telling it the values that it collects gives more to do.
    async fn carry_out(&mut self, commands: Vec<Command>) -> Result<(), WorldError> {
        let mut pending = VecDeque::from(commands);
        while let Some(command) = pending.pop_front() {
            match command {
                Command::BeginRound { round } => self.journal.begin_round(self.now, round)?,
                Command::Dispatch { task, client_id, round, model, useful_until } => {
                    let begun = Task::new(client_id, round, model, useful_until, self.now);
                    self.dispatch(task, Box::new(begun))?;
                }
                Command::Wake { at, alarm } => self.calendar.push(at, SERVER, Event::Alarm(alarm)),
                Command::Collect { tasks, .. } if self.pool.is_none() => {
                    let message = ServerMessage::NoValues { tasks };
                    pending.extend(self.house.tell_server(self.now, message).await?);
                }
                Command::Collect { tasks, withhold } => {
                    for job in withhold.iter().filter_map(|task| self.tasks.get(*task)?.job.as_ref()) {
                        job.withdraw();
                    }
                    self.submit_missing(&tasks);
                    for task in tasks {
                        let value = self.value_of(task)?;
                        pending.extend(self.house.tell_server(self.now, ServerMessage::Value { task, value }).await?);
                    }
                }
                Command::Accept { task, staleness } => {
                    let task_state = self.tasks.remove(task).expect("only arrived updates are accepted");
                    self.journal.accept(self.now, task, &task_state, staleness)?;
                }
                Command::Refuse { task, why, staleness } => self.refuse(task, why, staleness).await?,
                Command::Evaluate { round, model } => self.evaluate(round, &model),
                Command::EndRound(end) => {
                    if end.aggregated > 0 {
                        self.limit = limit(self.plan, self.now);
                    }
                    self.journal.end_round(self.now, end)?;
                    let work = self.host_work();
                    self.journal.host(end.round, self.now, &work)?;
                }
                Command::EndRun { model } => self.last_model = Some(model),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
