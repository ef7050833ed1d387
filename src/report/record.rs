//! One thing that happened in simulated time: a row of `timeline.csv`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, SimDuration, SimTime};

/// An enum whose variants are written as fixed words.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in the files.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("`{word}` is not one of {}", [$($word),+].join(" "))),
                }
            }
        }
    };
}

words! {
    /// What happened. `bytes` and `duration` mean what is said here and are empty elsewhere.
    pub enum EventKind {
        /// The run starts.
        RunStart = "run_start",
        /// A round starts.
        RoundStart = "round_start",
        /// A client is asked to take part: a task begins.
        Selected = "selected",
        /// The model starts on its way to the client; `bytes` is its size.
        DownloadStart = "download_start",
        /// The model has arrived; `bytes` is its size, `duration` the time since the start.
        DownloadEnd = "download_end",
        /// Local training starts.
        TrainStart = "train_start",
        /// Local training ends; `duration` is the time since its start.
        TrainEnd = "train_end",
        /// The update starts on its way to the server; `bytes` is its size.
        UploadStart = "upload_start",
        /// The update has arrived; `bytes` is its size, `duration` the time since the start.
        UploadEnd = "upload_end",
        /// The update will be part of the next model.
        Accepted = "accepted",
        /// The task ends without being used, by the server's decision; `reason` says why. `bytes` is what a transfer
        /// that it broke off had moved.
        Rejected = "rejected",
        /// A transfer breaks off and will be tried again; `bytes` is what it had moved, `reason` says why.
        Interrupted = "interrupted",
        /// The task ends because it failed; `reason` says why. `bytes` is what a transfer that broke off had moved.
        Dropout = "dropout",
        /// A client becomes reachable.
        Online = "online",
        /// A client becomes unreachable.
        Offline = "offline",
        /// The server goes down for a restart.
        ServerDown = "server_down",
        /// The server is up again.
        ServerUp = "server_up",
        /// The round's deadline.
        Deadline = "deadline",
        /// Updates become the next model.
        Aggregate = "aggregate",
        /// A model is evaluated.
        Eval = "eval",
        /// The state is saved.
        Checkpoint = "checkpoint",
        /// A round ends; `duration` is the time since its start.
        RoundEnd = "round_end",
        /// The run ends; `duration` is all of simulated time.
        RunEnd = "run_end",
    }
}

words! {
    /// Why a task ended without being used.
    pub enum Reason {
        /// The client went offline.
        Offline = "offline",
        /// It failed at random: `clients.dropout` during training.
        Random = "random",
        /// A transfer failed: `clients.dropout` during download or upload.
        Network = "network",
        /// The round's deadline passed.
        Deadline = "deadline",
        /// Enough other updates had arrived.
        OverSelected = "over_selected",
        /// The update was based on too old a model.
        Stale = "stale",
        /// Training does not fit into the device's memory.
        Memory = "memory",
        /// Training gave numbers that are not finite.
        Diverged = "diverged",
        /// The update arrived, but its round failed: fewer than `min_updates` came in.
        RoundFailed = "round_failed",
        /// The device's battery was empty.
        Battery = "battery",
        /// The device crashed at work.
        Crash = "crash",
        /// An outage that hits several clients at once took it offline.
        Outage = "outage",
        /// The server restarted and forgot what was under way.
        ServerRestart = "server_restart",
        /// The run ended while the task was under way.
        RunEnd = "run_end",
    }
}

words! {
    /// What a client was doing when its task failed.
    pub enum TaskPhase {
        /// The model was on its way to the client.
        Download = "download",
        /// The client trained.
        Train = "train",
        /// The update was on its way to the server, or waited to be.
        Upload = "upload",
    }
}

/// How a task that was not used is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unused {
    /// It failed.
    Dropped,
    /// It was given up because the deadline passed or enough others had arrived.
    Late,
    /// Its update arrived and was refused.
    Rejected,
}

impl Reason {
    /// How a task that ended for this reason is counted.
    pub(super) const fn counts_as(self) -> Unused {
        match self {
            Self::Offline
            | Self::Random
            | Self::Network
            | Self::Memory
            | Self::Battery
            | Self::Crash
            | Self::Outage
            | Self::ServerRestart => Unused::Dropped,
            Self::Deadline | Self::OverSelected | Self::RunEnd => Unused::Late,
            Self::Stale | Self::Diverged | Self::RoundFailed => Unused::Rejected,
        }
    }
}

/// A row of `timeline.csv`. What does not apply is `None` and stays empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// When.
    pub time: SimTime,
    /// What.
    pub event: EventKind,
    /// Whom it concerns.
    pub client_id: Option<u32>,
    /// The round, from 1.
    pub round: Option<u32>,
    /// The task: one client's part in one round, from 1.
    pub task_id: Option<u64>,
    /// Version of the model that is sent, was trained from, or comes out; the initial one is 0.
    pub model_version: Option<u32>,
    /// How many versions have come out since the one that the update is based on.
    pub staleness: Option<u32>,
    /// Bytes; see [`EventKind`].
    pub bytes: Option<Bytes>,
    /// How long what ends here took; see [`EventKind`].
    pub duration: Option<SimDuration>,
    /// Why a task ended without being used.
    pub reason: Option<Reason>,
}

impl Record {
    /// A record to which nothing else applies yet.
    pub const fn new(time: SimTime, event: EventKind) -> Self {
        Self {
            time,
            event,
            client_id: None,
            round: None,
            task_id: None,
            model_version: None,
            staleness: None,
            bytes: None,
            duration: None,
            reason: None,
        }
    }

    /// With the client concerned.
    #[must_use]
    pub const fn client(mut self, client_id: u32) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// With the round.
    #[must_use]
    pub const fn round(mut self, round: u32) -> Self {
        self.round = Some(round);
        self
    }

    /// With the task.
    #[must_use]
    pub const fn task(mut self, task_id: u64) -> Self {
        self.task_id = Some(task_id);
        self
    }

    /// With the model version.
    #[must_use]
    pub const fn model_version(mut self, version: u32) -> Self {
        self.model_version = Some(version);
        self
    }

    /// With the staleness.
    #[must_use]
    pub const fn staleness(mut self, staleness: u32) -> Self {
        self.staleness = Some(staleness);
        self
    }

    /// With the bytes.
    #[must_use]
    pub const fn bytes(mut self, bytes: Bytes) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// With the duration.
    #[must_use]
    pub const fn duration(mut self, duration: SimDuration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// With the reason.
    #[must_use]
    pub const fn reason(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for event in EventKind::ALL {
            assert_eq!(event.as_str().parse(), Ok(*event));
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
        }
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
        }
        assert!("lost".parse::<Reason>().unwrap_err().contains("`lost` is not one of offline random"));
    }
}
