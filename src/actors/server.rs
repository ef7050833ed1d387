//! The server: asks clients, takes their updates, makes models of them.
//!
//! What every way of doing so has in common lies in `core` (who is at work, the model, the history) and in `intake`
//! (updates on their way into the next model). `rounds` asks a cohort and waits for it; `stream` keeps clients at work all
//! the time and makes a model whenever enough updates, or enough time, have come.

mod causes;
mod core;
mod intake;
mod rounds;
mod stream;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::core::{Core, CoreState};
use self::intake::Intake;
use self::rounds::Rounds;
use self::stream::Stream;
use super::batteries::Batteries;
use super::messages::{Alarm, Command, GlobalModel, Models, ServerMessage, TaskId, UpdateValue};
use super::plan::Population;
use crate::seed::Seeds;
use crate::sim::{AvailabilityModel, Outages};
use crate::strategy::round::{BelowMinUpdatesConfig, LateUpdatesConfig};
use crate::strategy::{CodecConfig, CodecError, Pace, SelectionConfig, StrategyConfig};
use crate::units::{SimDuration, SimTime};

/// What the server knows of the world.
pub struct View {
    /// Who the clients are.
    pub population: Arc<Population>,
    /// Who is online, and when.
    pub availability: Arc<dyn AvailabilityModel>,
    /// What the devices' batteries hold; none where no device has one.
    pub batteries: Option<Arc<Batteries>>,
    /// When clients are offline together, which `availability` knows too; none where they never are.
    pub outages: Option<Outages>,
}

impl View {
    /// True when a client that is not at work has enough in its battery to begin a task.
    fn can_begin(&self, client_id: u32, now: SimTime) -> bool {
        self.batteries.as_ref().is_none_or(|batteries| batteries.can_begin(client_id, now))
    }

    /// When it has, if it stays without work; none where no device has a battery.
    fn can_begin_at(&self, client_id: u32, now: SimTime) -> Option<SimTime> {
        self.batteries.as_ref().map(|batteries| batteries.can_begin_at(client_id, now))
    }
}

/// How models are made; the checked form of the scenario's `server`.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundSettings {
    /// How many rounds there are, >= 1. With an asynchronous strategy: how many models are made.
    pub rounds: u32,
    /// Updates that complete a round, >= 1.
    pub clients_per_round: usize,
    /// Clients asked in a round, >= `clients_per_round`.
    pub dispatches_per_round: usize,
    /// Longest duration of a round.
    pub deadline: Option<SimDuration>,
    /// Fewest updates that are aggregated, >= 1.
    pub min_updates: usize,
    /// What happens to a round below `min_updates`.
    pub below_min_updates: BelowMinUpdatesConfig,
    /// What becomes of updates that a round no longer waits for.
    pub late_updates: LateUpdatesConfig,
    /// A run that makes no model for longer than this is ended with an error; rounds without one do not count.
    pub give_up_after: SimDuration,
    /// A model is evaluated after every so many rounds, and after the last.
    pub evaluate_every: u32,
    /// How updates are combined, and when.
    pub strategy: StrategyConfig,
    /// Who is asked.
    pub selection: SelectionConfig,
    /// How the model is encoded for the clients.
    pub downlink_codec: CodecConfig,
}

/// Why the server could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Too few clients can be asked, and no other ever will be.
    #[error("round {round}: {}", blame.why)]
    NobodyEver {
        /// The round that could not begin.
        round: u32,
        /// Where the clients are.
        blame: Blame,
    },
    /// No model for a long time.
    #[error(
        "round {round}: no model was made between {since_s} s and {now_s} s of simulated time, longer than \
         `server.give_up_after`: {}",
        blame.why
    )]
    Standstill {
        /// The round that does not end.
        round: u32,
        /// When the last model was made, in simulated seconds.
        since_s: f64,
        /// Now, or when the next client is expected.
        now_s: f64,
        /// What the server is waiting for.
        blame: Blame,
    },
    /// All tasks fail.
    #[error("round {round}: the last {tasks} tasks failed one after the other: {}", blame.why)]
    EveryTaskFails {
        /// The round that does not end.
        round: u32,
        /// How many.
        tasks: u64,
        /// Of what.
        blame: Blame,
    },
    /// A message that makes no sense in the server's state: a bug of the world.
    #[error("the server was told `{message}` about task {task}, which is not open in round {round}")]
    Confusion {
        /// What it was told.
        message: &'static str,
        /// The task.
        task: TaskId,
        /// The current round.
        round: u32,
    },
    /// The new model is no model.
    #[error(
        "round {round}: the new model has values that are no finite numbers, though its updates had none: they are too \
         large to be added up, or the weights of all of them came to 0; lower `clients.train.learning_rate`, or the \
         exponent `a` of a `staleness`"
    )]
    NotFinite {
        /// The round.
        round: u32,
    },
    /// The new model could not be encoded.
    #[error("round {round}: {source}")]
    Codec {
        /// The round.
        round: u32,
        /// What went wrong.
        source: CodecError,
    },
}

impl ServerError {
    /// The setting that decides about the error, where one does.
    pub fn setting(&self) -> Option<&str> {
        match self {
            Self::NobodyEver { blame, .. } | Self::Standstill { blame, .. } | Self::EveryTaskFails { blame, .. } => {
                Some(&blame.setting)
            }
            Self::NotFinite { .. } => Some("clients.train.learning_rate"),
            Self::Confusion { .. } | Self::Codec { .. } => None,
        }
    }
}

/// Why no model comes of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// In words, with what to do.
    pub why: String,
    /// The setting to be looked at first: its dotted path.
    pub setting: String,
}

/// What a policy works with while it decides about one message.
struct Turn<'a> {
    now: SimTime,
    view: &'a View,
    commands: Vec<Command>,
}

/// A server between two messages, as it is kept in a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerState {
    core: CoreState,
    policy: Value,
}

impl ServerState {
    /// The versions of the model that it names.
    pub fn versions(&self) -> impl Iterator<Item = u32> {
        self.core.versions()
    }

    /// When the last model was made; the start of the run if none was.
    pub fn last_progress(&self) -> SimTime {
        self.core.last_progress()
    }
}

/// A way of making models.
trait Policy: Send {
    /// What it is between two messages.
    fn save(&self) -> serde_json::Result<Value>;

    /// Goes on from what was saved.
    fn restore(&mut self, saved: &Value) -> serde_json::Result<()>;

    /// The updates on their way into the next model.
    fn intake(&mut self) -> &mut Intake;

    /// The run begins, or goes on after the server was down.
    fn begin(&mut self, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError>;

    /// An alarm has rung.
    fn woken(&mut self, alarm: Alarm, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError>;

    /// The update of a task has arrived.
    fn arrived(&mut self, task: TaskId, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError>;

    /// A client has failed at its task.
    fn failed(&mut self, task: TaskId, client_id: u32, core: &mut Core, turn: &mut Turn<'_>)
    -> Result<(), ServerError>;

    /// A value that was collected.
    fn value(
        &mut self,
        task: TaskId,
        value: UpdateValue,
        core: &mut Core,
        turn: &mut Turn<'_>,
    ) -> Result<(), ServerError>;

    /// All tasks are lost. Nothing can be asked before `until`.
    fn restarted(&mut self, until: SimTime, core: &mut Core, turn: &mut Turn<'_>) -> Result<(), ServerError>;
}

/// The server's behaviour and state.
pub struct Server {
    core: Core,
    policy: Box<dyn Policy>,
}

impl Server {
    /// A server that starts from `model`.
    pub fn new(settings: RoundSettings, seeds: Seeds, model: Arc<GlobalModel>) -> Self {
        Self { policy: policy_of(&settings), core: Core::new(settings, seeds, model) }
    }

    /// The server as it is between two messages, and the models that it names.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn save(&self) -> serde_json::Result<(ServerState, Vec<Arc<GlobalModel>>)> {
        Ok((ServerState { core: self.core.save(), policy: self.policy.save()? }, self.core.models()))
    }

    /// A server that goes on from a saved state. `next_of` gives the values of updates that are part of the next model
    /// already, once more: that of the first of the tasks that it is given; those after it will be asked for next.
    ///
    /// # Errors
    /// When the state is not one of a server with these settings, or a value cannot be had.
    pub fn restore<E: From<serde_json::Error>>(
        settings: RoundSettings,
        seeds: Seeds,
        state: ServerState,
        models: &Models,
        mut next_of: impl FnMut(&[TaskId]) -> Result<UpdateValue, E>,
    ) -> Result<Self, E> {
        let mut policy = policy_of(&settings);
        policy.restore(&state.policy)?;
        let core = Core::restore(settings, seeds, state.core, models);
        let tasks = policy.intake().tasks_to_fold_again();
        for (index, task) in tasks.iter().enumerate() {
            policy.intake().fold_again(*task, &next_of(&tasks[index..])?, &core);
        }
        Ok(Self { core, policy })
    }

    /// Decides what to do about a message.
    ///
    /// # Errors
    /// When no client can ever be asked, nothing has come of the run for long, a model cannot be encoded, or the world
    /// made a mistake.
    pub fn on(&mut self, now: SimTime, message: ServerMessage, view: &View) -> Result<Vec<Command>, ServerError> {
        let (core, policy) = (&mut self.core, &mut self.policy);
        let mut turn = Turn { now, view, commands: Vec::new() };
        match message {
            ServerMessage::Start => policy.begin(core, &mut turn)?,
            ServerMessage::Woken(alarm) => policy.woken(alarm, core, &mut turn)?,
            ServerMessage::Arrived { task } => {
                core.task_arrived(task, now)?;
                policy.arrived(task, core, &mut turn)?;
            }
            ServerMessage::Failed { task, cause } => {
                let client_id = core.task_failed(task, cause)?;
                policy.failed(task, client_id, core, &mut turn)?;
            }
            ServerMessage::Value { task, value } => policy.value(task, value, core, &mut turn)?,
            ServerMessage::NoValues { tasks } => {
                for task in tasks {
                    policy.value(task, UpdateValue::TimingOnly, core, &mut turn)?;
                }
            }
            ServerMessage::Restarted { until } => {
                core.forget_tasks();
                policy.restarted(until, core, &mut turn)?;
            }
            ServerMessage::OutOfPatience => return Err(core.out_of_patience(&turn)),
        }
        Ok(turn.commands)
    }
}

fn policy_of(settings: &RoundSettings) -> Box<dyn Policy> {
    match settings.strategy.implementation().pace() {
        Pace::Rounds => Box::new(Rounds::new()),
        Pace::Buffer { buffer_size, concurrency, max_staleness } => {
            Box::new(Stream::new(stream::Trigger::Updates(buffer_size), concurrency, max_staleness))
        }
        Pace::Period { period, concurrency, max_staleness } => {
            Box::new(Stream::new(stream::Trigger::Time(period), concurrency, max_staleness))
        }
    }
}
