//! What is added up over a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tasks::Task;
use crate::report::Reason;
use crate::sim::Phase;
use crate::units::{Bytes, SimDuration};

/// What one client did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientLedger {
    /// Tasks it was asked for.
    pub selected: u32,
    /// Updates that arrived in full.
    pub completed: u32,
    /// Tasks at which it failed.
    pub dropped: u32,
    /// Tasks that the server stopped waiting for.
    pub late: u32,
    /// Time spent downloading, tasks without a good end included.
    pub download: SimDuration,
    /// Time spent training, likewise.
    pub train: SimDuration,
    /// Time spent uploading, likewise.
    pub upload: SimDuration,
    /// Bytes moved to it.
    pub bytes_down: Bytes,
    /// Bytes moved from it.
    pub bytes_up: Bytes,
    /// Energy in joules that it spent on tasks; 0 where it is not counted.
    pub energy_j: f64,
}

impl ClientLedger {
    /// Charges a task that is over.
    pub(super) fn charge(&mut self, task: &Task) {
        let [download, train, upload] = task.spent;
        self.download += download;
        self.train += train;
        self.upload += upload;
        self.bytes_down += task.bytes_down;
        self.bytes_up += task.bytes_up;
        self.energy_j += task.energy_j();
    }
}

/// Sums over a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Tasks begun.
    pub selected: u64,
    /// Updates that went into a model.
    pub aggregated: u64,
    /// Tasks that the server stopped waiting for.
    pub late: BTreeMap<Reason, u64>,
    /// Tasks that failed, by cause and phase.
    #[serde(with = "as_list")]
    pub dropped: BTreeMap<(Reason, Phase), u64>,
    /// Updates that arrived and were not used.
    pub rejected: BTreeMap<Reason, u64>,
    /// Bytes moved to clients.
    pub bytes_down: Bytes,
    /// Bytes moved to the server.
    pub bytes_up: Bytes,
    /// Of both, bytes of tasks that did not end in an aggregated update.
    pub bytes_wasted: Bytes,
    /// Energy in joules that clients spent on tasks.
    pub energy_j: f64,
    /// Of it, on tasks that did not end in an aggregated update.
    pub energy_wasted_j: f64,
}

/// Entries as a list, since JSON has texts alone for keys.
mod as_list {
    use std::collections::BTreeMap;

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer, K: Serialize, V: Serialize>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, K: DeserializeOwned + Ord, V: DeserializeOwned>(
        deserializer: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
