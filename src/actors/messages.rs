//! What actors are told, and what they want done.
//!
//! An actor never touches the clock, the network, the pool or a file. It is told what happened and answers with
//! [`Command`]s or a [`ClientCommand`], which the world carries out in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::params::Params;
use crate::report::Reason;
use crate::sim::Phase;
use crate::training::Update;
use crate::units::{Bytes, SimTime};

/// Number of a task: one client's part in one round. Counted from 1 in order of dispatch.
pub type TaskId = u64;

/// A version of the global model, as it is sent to clients.
#[derive(Debug)]
pub struct GlobalModel {
    /// 0 at the start, one more with each aggregation.
    pub version: u32,
    /// The values of the tensors that travel; none in timing-only runs.
    pub params: Option<Arc<Params>>,
    /// Length of the encoded payload.
    pub payload: Bytes,
}

/// The versions of the global model that a run goes on with.
#[derive(Debug, Default)]
pub struct Models {
    by_version: BTreeMap<u32, Arc<GlobalModel>>,
}

impl Models {
    /// Versions with their values.
    pub fn new(params: BTreeMap<u32, Option<Arc<Params>>>, payload: Bytes) -> Self {
        let model = |(version, params)| (version, Arc::new(GlobalModel { version, params, payload }));
        Self { by_version: params.into_iter().map(model).collect() }
    }

    /// True when the version is there.
    pub fn has(&self, version: u32) -> bool {
        self.by_version.contains_key(&version)
    }

    /// A version of the model.
    ///
    /// # Panics
    /// If it is not there: whoever restores a run looks first.
    pub fn of(&self, version: u32) -> Arc<GlobalModel> {
        self.by_version.get(&version).expect("the versions that a state names are there").clone()
    }
}

/// What the server is told.
#[derive(Debug)]
pub enum ServerMessage {
    /// The run begins.
    Start,
    /// An update has arrived in full. Its value can be [collected](Command::Collect).
    Arrived {
        /// The task it belongs to.
        task: TaskId,
    },
    /// A client has failed at a task; nothing more comes of it.
    Failed {
        /// The task.
        task: TaskId,
        /// Why.
        cause: Cause,
    },
    /// A value that was collected.
    Value {
        /// The task it belongs to.
        task: TaskId,
        /// The value.
        value: UpdateValue,
    },
    /// In a timing-only run: the updates that were collected are there, and have no values.
    NoValues {
        /// Their tasks, in the order of collection.
        tasks: Vec<TaskId>,
    },
    /// A moment that the server asked to be woken at.
    Woken(Alarm),
    /// The server went down and has lost all tasks that were under way; it can work again at `until`.
    Restarted {
        /// When it is up.
        until: SimTime,
    },
    /// No model has been made for longer than [`give_up_after`](super::server::RoundSettings::give_up_after): the run ends with
    /// what the server says of it.
    OutOfPatience,
}

/// Why a task ended without its update being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause {
    /// What came in between.
    pub reason: Reason,
    /// In which part of the task its client failed; none when the server did not want the update.
    pub phase: Option<Phase>,
}

/// The value of an update.
#[derive(Debug)]
pub enum UpdateValue {
    /// The run is timing-only: there is none.
    TimingOnly,
    /// The trained values.
    Trained(Box<Update>),
    /// Training ended in a loss or in values that are no finite numbers.
    Diverged,
}

/// Why the server wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// The round's time is up.
    Deadline {
        /// The round.
        round: u32,
    },
    /// There were too few clients to ask; some are expected now.
    ClientsExpected {
        /// The round.
        round: u32,
    },
    /// What has arrived becomes the next model now.
    PeriodEnds {
        /// The round.
        round: u32,
    },
}

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMessage {
    /// The model of a task has arrived.
    ModelReceived {
        /// The task.
        task: TaskId,
    },
    /// Local training has ended. With the answer the client hands its update over: it has nothing left to remember, and
    /// whether the upload arrives, breaks off or is tried again is between the network and the server.
    TrainingFinished {
        /// The task.
        task: TaskId,
    },
    /// The task is over before its update was handed over: the client failed, or the server no longer wants the update.
    Stopped {
        /// The task.
        task: TaskId,
    },
}

/// Why the server does not use an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unused {
    /// It had not arrived when the round's time was up.
    Deadline,
    /// Enough others had arrived.
    OverSelected,
    /// Its values are no finite numbers.
    Diverged,
    /// It arrived, but the round failed for want of others.
    RoundFailed,
    /// It arrived, but the model that it is based on is too old.
    Stale,
    /// The run is over.
    RunEnded,
}

impl From<Unused> for Reason {
    fn from(why: Unused) -> Self {
        match why {
            Unused::Deadline => Self::Deadline,
            Unused::OverSelected => Self::OverSelected,
            Unused::Diverged => Self::Diverged,
            Unused::RoundFailed => Self::RoundFailed,
            Unused::Stale => Self::Stale,
            Unused::RunEnded => Self::RunEnd,
        }
    }
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoundEnd {
    /// The round, counted from 1.
    pub round: u32,
    /// The version of the global model after it.
    pub model_version: u32,
    /// Updates that went into the new model; 0 when the round failed.
    pub aggregated: u32,
    /// Mean training loss of the aggregated updates, weighted by examples; none without training.
    pub train_loss: Option<f64>,
}

/// What the server wants done.
#[derive(Debug)]
pub enum Command {
    /// The round begins now.
    BeginRound {
        /// The round, counted from 1.
        round: u32,
    },
    /// Send the model to a client and let it train.
    Dispatch {
        /// A number not used before.
        task: TaskId,
        /// The client.
        client_id: u32,
        /// The round.
        round: u32,
        /// What is sent.
        model: Arc<GlobalModel>,
        /// When an update that has not arrived loses its use.
        useful_until: Option<SimTime>,
    },
    /// Wake me.
    Wake {
        /// When.
        at: SimTime,
        /// Why.
        alarm: Alarm,
    },
    /// Give me the values of these updates, in this order.
    Collect {
        /// Tasks whose updates have arrived.
        tasks: Vec<TaskId>,
        /// Tasks whose values will probably not be wanted: they are not computed meanwhile.
        withhold: Vec<TaskId>,
    },
    /// The update went into the model.
    Accept {
        /// The task.
        task: TaskId,
        /// Models that have come out since the one that it is based on.
        staleness: u32,
    },
    /// The update is not used. A task that still runs is stopped.
    Refuse {
        /// The task.
        task: TaskId,
        /// Why.
        why: Unused,
        /// For one that is too old: models that have come out since the one that it is based on.
        staleness: Option<u32>,
    },
    /// Evaluate this model on the validation split.
    Evaluate {
        /// The round that it came from.
        round: u32,
        /// The model.
        model: Arc<GlobalModel>,
    },
    /// The round is over.
    EndRound(RoundEnd),
    /// The run is over.
    EndRun {
        /// The last model.
        model: Arc<GlobalModel>,
    },
}

/// What a client wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCommand {
    /// Begin local training.
    Train {
        /// The task.
        task: TaskId,
    },
    /// Send the update.
    Upload {
        /// The task.
        task: TaskId,
    },
}
