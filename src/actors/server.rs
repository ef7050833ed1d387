//! The server of synchronous rounds: asks a cohort, waits for enough updates or the deadline, aggregates, goes on.
//!
//! A round asks `clients_per_round x over_selection` clients and is over when `clients_per_round` updates have arrived,
//! when its deadline passes, or when no task is left. It then aggregates if at least `min_updates` are at hand, in the
//! order of their arrival, and fails otherwise; a failed round leaves the model as it was. The values of updates are
//! collected only when the round is about to close, so an update that turns out not to be used is not computed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::messages::{Alarm, Command, GlobalModel, RoundEnd, ServerMessage, TaskId, Unused, UpdateValue};
use super::plan::Population;
use crate::params::Params;
use crate::seed::{Purpose, Seeds};
use crate::sim::{AvailabilityModel, NEVER};
use crate::strategy::{
    Candidates, CodecConfig, CodecError, Contribution, Fold, History, SelectionConfig, StrategyConfig,
};
use crate::units::{SimDuration, SimTime};

/// What the server knows of the world.
pub struct View {
    /// Who the clients are.
    pub population: Arc<Population>,
    /// Who is online, and when.
    pub availability: Arc<dyn AvailabilityModel>,
}

/// How rounds are run; the checked form of the scenario's `server`.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundSettings {
    /// How many rounds there are, >= 1.
    pub rounds: u32,
    /// Updates that complete a round, >= 1.
    pub clients_per_round: usize,
    /// Clients asked in a round, >= `clients_per_round`.
    pub dispatches_per_round: usize,
    /// Longest duration of a round.
    pub deadline: Option<SimDuration>,
    /// Fewest updates that are aggregated, >= 1.
    pub min_updates: usize,
    /// A model is evaluated after every so many rounds, and after the last.
    pub evaluate_every: u32,
    /// How updates are combined.
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
    /// No client ever comes online.
    #[error("round {round}: no client is online, and none ever will be; change `clients.availability`")]
    NobodyEver {
        /// The round that could not begin.
        round: u32,
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
    /// The new model could not be encoded.
    #[error("round {round}: {source}")]
    Codec {
        /// The round.
        round: u32,
        /// What went wrong.
        source: CodecError,
    },
}

/// Why a round closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Enough,
    Deadline,
    NobodyLeft,
}

struct OpenRound {
    round: u32,
    wanted: usize,
    /// Tasks under way, with their clients.
    running: BTreeMap<TaskId, u32>,
    /// Updates that have arrived and whose values are not collected, in order of arrival.
    arrived: Vec<TaskId>,
    /// Values that are being collected.
    collecting: VecDeque<TaskId>,
    closing: Option<Closing>,
    fold: Option<Box<dyn Fold>>,
    folded: Vec<TaskId>,
    loss_sum: f64,
    examples: usize,
}

impl OpenRound {
    fn at_hand(&self) -> usize {
        self.folded.len() + self.arrived.len()
    }
}

/// The server's behaviour and state.
pub struct Server {
    settings: RoundSettings,
    seeds: Seeds,
    model: Arc<GlobalModel>,
    evaluated_version: u32,
    round: u32,
    open: Option<OpenRound>,
    next_task: TaskId,
    history: History,
}

impl Server {
    /// A server that starts from `model`.
    pub fn new(settings: RoundSettings, seeds: Seeds, model: Arc<GlobalModel>) -> Self {
        let evaluated_version = model.version;
        Self {
            settings,
            seeds,
            model,
            evaluated_version,
            round: 1,
            open: None,
            next_task: 1,
            history: History::default(),
        }
    }

    /// Decides what to do about a message.
    ///
    /// # Errors
    /// When no client can ever be asked, a model cannot be encoded, or the world made a mistake.
    pub fn on(&mut self, now: SimTime, message: ServerMessage, view: &View) -> Result<Vec<Command>, ServerError> {
        let mut commands = Vec::new();
        match message {
            ServerMessage::Start => self.begin_round(now, view, &mut commands)?,
            ServerMessage::Woken(Alarm::ClientsExpected { round }) => {
                if self.open.is_none() && self.round == round {
                    self.begin_round(now, view, &mut commands)?;
                }
            }
            ServerMessage::Woken(Alarm::Deadline { round }) => {
                if let Some(open) = self.open.as_mut().filter(|open| open.round == round) {
                    open.closing = Some(Closing::Deadline);
                    self.advance(now, view, &mut commands)?;
                }
            }
            ServerMessage::Arrived { task } => {
                let open = self.open_with(task, "an update has arrived")?;
                open.running.remove(&task);
                open.arrived.push(task);
                self.advance(now, view, &mut commands)?;
            }
            ServerMessage::Failed { task } => {
                self.open_with(task, "the client failed")?.running.remove(&task);
                self.advance(now, view, &mut commands)?;
            }
            ServerMessage::Value { task, value } => {
                self.take_value(task, value, &mut commands)?;
                self.advance(now, view, &mut commands)?;
            }
        }
        Ok(commands)
    }

    fn confusion(&self, message: &'static str, task: TaskId) -> ServerError {
        ServerError::Confusion { message, task, round: self.round }
    }

    fn open_with(&mut self, task: TaskId, message: &'static str) -> Result<&mut OpenRound, ServerError> {
        let error = self.confusion(message, task);
        self.open.as_mut().filter(|open| open.running.contains_key(&task)).ok_or(error)
    }

    fn begin_round(&mut self, now: SimTime, view: &View, commands: &mut Vec<Command>) -> Result<(), ServerError> {
        let round = self.round;
        let is_available = |client_id| view.availability.is_online(client_id, now);
        let candidates = Candidates {
            n_clients: view.population.n_clients,
            is_available: &is_available,
            num_examples: &|client_id| view.population.num_examples(client_id),
            stated_seconds: &|client_id| view.population.stated_seconds(client_id),
            history: &self.history,
            round,
        };
        let mut stream = self.seeds.round(Purpose::Selection, round);
        let selection = self.settings.selection.implementation();
        let cohort = selection.select(self.settings.dispatches_per_round, &candidates, &mut stream);
        if cohort.len() < self.settings.min_updates {
            let at = next_arrival(view, now).ok_or(ServerError::NobodyEver { round })?;
            commands.push(Command::Wake { at, alarm: Alarm::ClientsExpected { round } });
            return Ok(());
        }
        commands.push(Command::BeginRound { round });
        let useful_until = self.settings.deadline.map(|deadline| now + deadline);
        let mut running = BTreeMap::new();
        for &client_id in &cohort {
            let (task, model) = (self.next_task, self.model.clone());
            self.next_task += 1;
            running.insert(task, client_id);
            commands.push(Command::Dispatch { task, client_id, round, model, useful_until });
        }
        if let Some(at) = useful_until {
            commands.push(Command::Wake { at, alarm: Alarm::Deadline { round } });
        }
        self.open = Some(OpenRound {
            round,
            wanted: self.settings.clients_per_round.min(cohort.len()),
            running,
            arrived: Vec::new(),
            collecting: VecDeque::new(),
            closing: None,
            fold: None,
            folded: Vec::new(),
            loss_sum: 0.0,
            examples: 0,
        });
        Ok(())
    }

    fn take_value(&mut self, task: TaskId, value: UpdateValue, commands: &mut Vec<Command>) -> Result<(), ServerError> {
        let error = self.confusion("here is a value", task);
        let Some(open) = self.open.as_mut() else { return Err(error) };
        if open.collecting.pop_front() != Some(task) {
            return Err(error);
        }
        match value {
            UpdateValue::TimingOnly => open.folded.push(task),
            UpdateValue::Trained(update) => {
                let global = self.model.params.as_ref().expect("training starts from values");
                let strategy = self.settings.strategy.implementation();
                let fold = open.fold.get_or_insert_with(|| strategy.begin(global));
                fold.add(&Contribution {
                    values: &update.params,
                    start: global,
                    num_examples: update.num_examples,
                    staleness: 0,
                    weight: 1.0,
                });
                open.folded.push(task);
                open.loss_sum += update.train_loss * update.num_examples as f64;
                open.examples += update.num_examples;
            }
            UpdateValue::Diverged => commands.push(Command::Refuse { task, why: Unused::Diverged }),
        }
        Ok(())
    }

    /// Closes the round if it is time to, collecting the values first.
    fn advance(&mut self, now: SimTime, view: &View, commands: &mut Vec<Command>) -> Result<(), ServerError> {
        let min_updates = self.settings.min_updates;
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        if !open.collecting.is_empty() {
            return Ok(());
        }
        let closing = match open.closing {
            Some(Closing::Deadline) => Closing::Deadline,
            _ if open.at_hand() >= open.wanted => Closing::Enough,
            _ if open.running.is_empty() => Closing::NobodyLeft,
            _ => {
                open.closing = None;
                return Ok(());
            }
        };
        open.closing = Some(closing);
        if open.at_hand() >= min_updates && !open.arrived.is_empty() {
            open.collecting.extend(&open.arrived);
            let withhold = open.running.keys().copied().collect();
            commands.push(Command::Collect { tasks: std::mem::take(&mut open.arrived), withhold });
            return Ok(());
        }
        self.close_round(closing, commands)?;
        if self.round > self.settings.rounds {
            commands.push(Command::EndRun { model: self.model.clone() });
            return Ok(());
        }
        self.begin_round(now, view, commands)
    }

    fn close_round(&mut self, closing: Closing, commands: &mut Vec<Command>) -> Result<(), ServerError> {
        let open = self.open.take().expect("only an open round is closed");
        let round = open.round;
        let is_success = open.folded.len() >= self.settings.min_updates;
        for &task in open.folded.iter().chain(&open.arrived) {
            commands.push(match is_success {
                true => Command::Accept { task },
                false => Command::Refuse { task, why: Unused::RoundFailed },
            });
        }
        let why = if closing == Closing::Enough { Unused::OverSelected } else { Unused::Deadline };
        commands.extend(open.running.keys().map(|&task| Command::Refuse { task, why }));
        if is_success {
            let params = open.fold.map(Fold::finish);
            self.publish(round, params)?;
        }
        let is_due = round.is_multiple_of(self.settings.evaluate_every) || round == self.settings.rounds;
        if is_due && self.evaluated_version != self.model.version {
            self.evaluated_version = self.model.version;
            commands.push(Command::Evaluate { round, model: self.model.clone() });
        }
        commands.push(Command::EndRound(RoundEnd {
            round,
            model_version: self.model.version,
            aggregated: if is_success { open.folded.len() as u32 } else { 0 },
            train_loss: (is_success && open.examples > 0).then(|| open.loss_sum / open.examples as f64),
        }));
        self.round += 1;
        Ok(())
    }

    /// Makes the next version of the model, with the values that clients will decode.
    fn publish(&mut self, round: u32, params: Option<Params>) -> Result<(), ServerError> {
        let codec = self.settings.downlink_codec.implementation();
        let as_error = |source| ServerError::Codec { round, source };
        let params = params.map(|params| {
            let payload = codec.encode(&params)?;
            codec.decode(params.layout(), &payload).map(Arc::new)
        });
        let params = params.transpose().map_err(as_error)?;
        self.model = Arc::new(GlobalModel { version: self.model.version + 1, params, payload: self.model.payload });
        Ok(())
    }
}

/// When the next client that is offline now comes online.
fn next_arrival(view: &View, now: SimTime) -> Option<SimTime> {
    let offline = (0..view.population.n_clients).filter(|&client_id| !view.availability.is_online(client_id, now));
    offline.map(|client_id| view.availability.next_online(client_id, now)).min().filter(|&at| at != NEVER)
}
