//! The world: the one clock, and everything that happens under it.
//!
//! The world pops one event at a time from the calendar or from the network, whichever is due first, asks the one actor
//! concerned, and carries out what that actor wants. It alone moves the clock, starts and ends transfers, submits jobs to
//! the pool and waits for their values.

mod events;
mod journal;
mod ledger;
mod tasks;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use journal::{HostWork, Observer, RoundReport};
pub use ledger::{ClientLedger, Totals};

use self::events::{Event, Transfer};
use self::journal::Journal;
use self::tasks::{Stage, Task, Tasks};
use super::house::{House, HouseError};
use super::messages::{Alarm, ClientMessage, Command, GlobalModel, ServerMessage, TaskId, Unused, UpdateValue};
use super::plan::{Learning, Plan};
use super::pool::{Job, Pool, PoolError};
use super::server::{Server, View};
use super::trainer::{LearningError, Trained};
use crate::report::{EventKind, Reason, ReportError, Stopwatch};
use crate::seed::Purpose;
use crate::sim::{self, Calendar, Direction, Flow, NEVER, NetworkModel, Phase, SimError, TrainingWork};
use crate::units::SimTime;

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
    /// Nothing is left to happen although the run is not over: a bug.
    #[error("the run stands still at {seconds} s: nothing is left to happen, but the server waits")]
    StandStill {
        /// Simulated seconds.
        seconds: f64,
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
    pool: Option<Pool>,
    house: House,
    calendar: Calendar<Event>,
    network: Box<dyn NetworkModel>,
    now: SimTime,
    tasks: Tasks,
    journal: Journal<'a>,
    network_events: u64,
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
    let model = Arc::new(GlobalModel { version: 0, params, payload: plan.downlink_payload });
    let server = Server::new(plan.rounds.clone(), plan.seeds, model);
    let view = View { n_clients: plan.n_clients, availability: plan.availability.clone() };
    let mut world = World {
        plan,
        pool: learning.map(|learning| Pool::new(learning.workers)).transpose()?,
        house: House::open(server, view, plan.idle_clients_max).await?,
        calendar: Calendar::new(),
        network: plan.server_network.build(),
        now: SimTime::ZERO,
        tasks: Tasks::new(),
        journal: Journal::new(plan, observer),
        network_events: 0,
        last_model: None,
        evaluation_nanos: Arc::default(),
    };
    world.run().await?;
    world.finish().await
}

impl World<'_> {
    async fn run(&mut self) -> Result<(), WorldError> {
        self.journal.run_event(self.now, EventKind::RunStart)?;
        self.tell_server(ServerMessage::Start).await?;
        while self.last_model.is_none() {
            match (self.network.next(), self.calendar.next_time()) {
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
                (_, None) => return Err(WorldError::StandStill { seconds: self.now.as_secs_f64() }),
            }
        }
        Ok(())
    }

    async fn finish(self) -> Result<Outcome, WorldError> {
        let host = self.host_work();
        let World { house, now, mut journal, last_model, .. } = self;
        house.close().await?;
        journal.settle_evaluations(0)?;
        journal.run_event(now, EventKind::RunEnd)?;
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
        let commands = self.house.tell_client(client_id, message).await?;
        // What a client wants never makes the world tell anybody anything at the same instant.
        for command in commands {
            self.carry_out_for_client(command)?;
        }
        Ok(())
    }

    async fn handle(&mut self, event: Event) -> Result<(), WorldError> {
        match event {
            Event::Alarm(alarm) => {
                if let Alarm::Deadline { round } = alarm
                    && self.journal.is_open(round)
                {
                    self.journal.round_event(self.now, EventKind::Deadline, round)?;
                }
                self.tell_server(ServerMessage::Woken(alarm)).await
            }
            Event::TransferBegins { task, direction } => {
                self.begin_flow(task, direction);
                Ok(())
            }
            Event::TrainingEnds { task } => self.end_training(task).await,
            Event::Fails { task, reason } => {
                // An update that has arrived does not care what becomes of its client.
                match self.tasks.get(task).is_some_and(|task| task.stage != Stage::Arrived) {
                    true => self.fail(task, reason).await,
                    false => Ok(()),
                }
            }
        }
    }

    /// Carries out what the server wants. Telling it the values that it collects gives more to do.
    async fn carry_out(&mut self, commands: Vec<Command>) -> Result<(), WorldError> {
        let mut pending = VecDeque::from(commands);
        while let Some(command) = pending.pop_front() {
            match command {
                Command::BeginRound { round } => self.journal.begin_round(self.now, round)?,
                Command::Dispatch { task, client_id, round, model, useful_until } => {
                    self.dispatch(task, Task::new(client_id, round, model, useful_until, self.now))?;
                }
                Command::Wake { at, alarm } => self.calendar.push(at, SERVER, Event::Alarm(alarm)),
                Command::Collect { tasks, withhold } => {
                    for job in withhold.iter().filter_map(|task| self.tasks.get(*task)?.job.as_ref()) {
                        job.withdraw();
                    }
                    for task in tasks {
                        let value = self.value_of(task)?;
                        pending.extend(self.house.tell_server(self.now, ServerMessage::Value { task, value }).await?);
                    }
                }
                Command::Accept { task } => {
                    let task_state = self.tasks.remove(task).expect("only arrived updates are accepted");
                    self.journal.accept(self.now, task, &task_state)?;
                }
                Command::Refuse { task, why } => self.refuse(task, why).await?,
                Command::Evaluate { round, model } => self.evaluate(round, &model),
                Command::EndRound(end) => {
                    self.journal.end_round(self.now, end)?;
                    let work = self.host_work();
                    self.journal.host(end.round, self.now, &work)?;
                }
                Command::EndRun { model } => self.last_model = Some(model),
                Command::Train { .. } | Command::Upload { .. } => unreachable!("the server does not train"),
            }
        }
        Ok(())
    }

    fn carry_out_for_client(&mut self, command: Command) -> Result<(), WorldError> {
        match command {
            Command::Train { task } => self.begin_training(task),
            Command::Upload { task } => self.begin_transfer(task, Direction::Up),
            _ => unreachable!("a client only trains and uploads"),
        }
    }

    fn dispatch(&mut self, id: TaskId, mut task: Task) -> Result<(), WorldError> {
        let (client_id, round) = (task.client_id, task.round);
        task.device_class = self.plan.device_class(client_id);
        task.network_class = self.plan.network_class(client_id);
        task.failure = self.plan.dropout.draw(&mut self.plan.seeds.task(Purpose::Dropout, client_id, round));
        task.offline_at = self.plan.availability.online_until(client_id, self.now);
        if task.offline_at != NEVER {
            self.calendar.push(
                task.offline_at,
                sender_of(client_id),
                Event::Fails { task: id, reason: Reason::Offline },
            );
        }
        self.journal.select(self.now, id, &task)?;
        self.tasks.insert(id, task);
        self.begin_transfer(id, Direction::Down)
    }

    fn begin_transfer(&mut self, id: TaskId, direction: Direction) -> Result<(), WorldError> {
        let (down, up) = (self.plan.downlink_payload, self.plan.uplink_payload);
        let task = self.tasks.get_mut(id).expect("only a task under way transfers");
        let (stage, purpose, payload, kind) = match direction {
            Direction::Down => (Stage::Download, Purpose::DownlinkLatency, down, EventKind::DownloadStart),
            Direction::Up => (Stage::Upload, Purpose::UplinkLatency, up, EventKind::UploadStart),
        };
        task.enter(stage, self.now);
        let mut stream = self.plan.seeds.task(purpose, task.client_id, task.round);
        let latency = sim::latency(&self.plan.networks[task.network_class].1, &mut stream);
        let sender = sender_of(task.client_id);
        self.journal.phase_starts(self.now, kind, id, task, Some(payload))?;
        self.calendar.push(self.now + latency, sender, Event::TransferBegins { task: id, direction });
        Ok(())
    }

    /// The first byte leaves. A transfer that is to fail stops at a fraction of its bytes.
    fn begin_flow(&mut self, id: TaskId, direction: Direction) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let network = &self.plan.networks[task.network_class].1;
        let (client_rate, payload, phase) = match direction {
            Direction::Down => (network.downlink, self.plan.downlink_payload, Phase::Download),
            Direction::Up => (network.uplink, self.plan.uplink_payload, Phase::Upload),
        };
        let bytes = match task.failure.filter(|failure| failure.phase == phase) {
            Some(failure) => payload.scaled(failure.fraction),
            None => payload,
        };
        let id = Transfer { task: id, direction }.flow_id();
        task.flow = Some((id, bytes));
        self.network.start(self.now, Flow { id, direction, client_rate, bytes });
    }

    async fn end_flow(&mut self, flow: u64) -> Result<(), WorldError> {
        let Transfer { task: id, direction } = Transfer::of_flow(flow);
        let task = self.tasks.get_mut(id).expect("the flow of a task that has ended is cancelled");
        let (_, bytes) = task.flow.take().expect("it is this flow that ends");
        task.moved(direction, bytes);
        let client_id = task.client_id;
        let phase = match direction {
            Direction::Down => Phase::Download,
            Direction::Up => Phase::Upload,
        };
        if task.failure.is_some_and(|failure| failure.phase == phase) {
            return self.fail(id, Reason::Network).await;
        }
        match direction {
            Direction::Down => {
                self.journal.phase_ends(self.now, EventKind::DownloadEnd, id, task, Some(bytes))?;
                task.is_known_to_client = true;
                self.tell_client(client_id, ClientMessage::ModelReceived { task: id }).await
            }
            Direction::Up => {
                self.journal.phase_ends(self.now, EventKind::UploadEnd, id, task, Some(bytes))?;
                task.enter(Stage::Arrived, self.now);
                task.is_known_to_client = false;
                self.tell_client(client_id, ClientMessage::UploadFinished { task: id }).await?;
                self.tell_server(ServerMessage::Arrived { task: id }).await
            }
        }
    }

    /// Times the training, and submits its job unless it is known by now that its value will not be used.
    fn begin_training(&mut self, id: TaskId) -> Result<(), WorldError> {
        let plan = self.plan;
        let task = self.tasks.get_mut(id).expect("only a task under way trains");
        let (client_id, round) = (task.client_id, task.round);
        task.enter(Stage::Train, self.now);
        self.journal.phase_starts(self.now, EventKind::TrainStart, id, task, None)?;
        let device = &plan.devices[task.device_class].1;
        if !sim::fits(device.memory, plan.training_memory) {
            self.calendar.push(self.now, sender_of(client_id), Event::Fails { task: id, reason: Reason::Memory });
            return Ok(());
        }
        let work = TrainingWork {
            client_id,
            flops_per_sample: plan.sample_costs.of(client_id),
            n_samples: u64::from(plan.num_examples(client_id)),
            n_epochs: plan.n_epochs,
        };
        let mut of_device = plan.seeds.client(Purpose::DeviceSpeed, client_id);
        let mut of_task = plan.seeds.task(Purpose::DeviceJitter, client_id, round);
        let duration = sim::training_duration(&device.compute, &work, &mut of_device, &mut of_task)?;
        let end = self.now + duration;
        if let Some(failure) = task.failure.filter(|failure| failure.phase == Phase::Train) {
            let event = Event::Fails { task: id, reason: Reason::Random };
            self.calendar.push(self.now + duration.scaled(failure.fraction), sender_of(client_id), event);
            return Ok(());
        }
        self.calendar.push(end, sender_of(client_id), Event::TrainingEnds { task: id });
        let is_doomed =
            task.failure.is_some() || task.offline_at <= end || task.useful_until.is_some_and(|until| end > until);
        if let (Some(pool), Some(learning), false) = (&self.pool, &plan.learning, is_doomed) {
            let uplink = plan.networks[task.network_class].1.uplink;
            task.job = Some(submit(pool, learning, task, end + uplink.time_for(plan.uplink_payload)));
        }
        Ok(())
    }

    async fn end_training(&mut self, id: TaskId) -> Result<(), WorldError> {
        let Some(task) = self.tasks.get_mut(id) else { return Ok(()) };
        self.journal.phase_ends(self.now, EventKind::TrainEnd, id, task, None)?;
        let client_id = task.client_id;
        self.tell_client(client_id, ClientMessage::TrainingFinished { task: id }).await
    }

    /// Ends a task early and charges what was done so far.
    async fn stop(&mut self, id: TaskId) -> Result<Option<Task>, WorldError> {
        let Some(mut task) = self.tasks.remove(id) else { return Ok(None) };
        if let Some((flow, _)) = task.flow.take() {
            let moved = self.network.cancel(self.now, flow);
            task.moved(Transfer::of_flow(flow).direction, moved);
        }
        task.job = None;
        if task.is_known_to_client {
            self.tell_client(task.client_id, ClientMessage::Stopped { task: id }).await?;
        }
        Ok(Some(task))
    }

    async fn fail(&mut self, id: TaskId, reason: Reason) -> Result<(), WorldError> {
        if let Some(mut task) = self.stop(id).await? {
            self.journal.drop_out(self.now, id, &mut task, reason)?;
            self.tell_server(ServerMessage::Failed { task: id }).await?;
        }
        Ok(())
    }

    async fn refuse(&mut self, id: TaskId, why: Unused) -> Result<(), WorldError> {
        if let Some(mut task) = self.stop(id).await? {
            self.journal.refuse(self.now, id, &mut task, why)?;
        }
        Ok(())
    }

    fn value_of(&mut self, id: TaskId) -> Result<UpdateValue, WorldError> {
        let task = self.tasks.get_mut(id).expect("only arrived updates are collected");
        let (Some(pool), Some(learning)) = (&self.pool, &self.plan.learning) else {
            return Ok(UpdateValue::TimingOnly);
        };
        let job = task.job.take().unwrap_or_else(|| submit(pool, learning, task, SimTime::ZERO));
        match job.wait()? {
            Ok(Trained::Update(update)) => Ok(UpdateValue::Trained(update)),
            Ok(Trained::Diverged) => Ok(UpdateValue::Diverged),
            Err(source) => {
                let what = format!("training of client {} in round {}", task.client_id, task.round);
                Err(WorldError::Learning { what, source })
            }
        }
    }

    fn evaluate(&mut self, round: u32, model: &Arc<GlobalModel>) {
        if let (Some(pool), Some(learning), Some(params)) = (&self.pool, &self.plan.learning, &model.params) {
            let (trainer, params) = (learning.trainer.clone(), params.clone());
            // Needed last of all: it fills the gaps that training leaves.
            let job = pool.submit(format!("evaluation of round {round}"), NEVER, {
                let params = params.clone();
                let nanos = self.evaluation_nanos.clone();
                move |_| {
                    let watch = Stopwatch::start();
                    let evaluation = trainer.evaluate(&params);
                    nanos.fetch_add((watch.seconds() * 1e9) as u64, Ordering::Relaxed);
                    Some(evaluation)
                }
            });
            self.journal.expect_evaluation(params, job);
        }
    }
}

type TrainingJob = Job<Result<Trained, LearningError>>;

fn submit(pool: &Pool, learning: &Learning, task: &Task, need_by: SimTime) -> TrainingJob {
    let (client_id, round) = (task.client_id, task.round);
    let trainer = learning.trainer.clone();
    let start = task.model.params.clone().expect("a run that learns has values");
    let name = format!("training of client {client_id} in round {round}");
    pool.submit(name, need_by, move |cancel| trainer.train(&start, client_id, round, cancel))
}

#[cfg(test)]
mod tests;
