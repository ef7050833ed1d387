//! What is added up over a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tasks::Task;
use crate::report::{Reason, TaskPhase, Updates};
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
    /// Of both, bytes of tasks that did not end in an aggregated update, and of attempts at others that were begun anew.
    pub bytes_wasted: Bytes,
    /// Energy in joules that clients spent on tasks.
    pub energy_j: f64,
    /// Of it, on tasks that did not end in an aggregated update, and on attempts at others that were begun anew.
    pub energy_wasted_j: f64,
}

impl Totals {
    /// What became of the tasks, as `summary.json` has it.
    pub fn updates(&self) -> Updates {
        let (mut dropped, mut dropped_by_phase) = (BTreeMap::new(), BTreeMap::<_, BTreeMap<_, u64>>::new());
        for (&(reason, phase), n) in &self.dropped {
            *dropped.entry(reason).or_default() += n;
            let phase = match phase {
                Phase::Download => TaskPhase::Download,
                Phase::Train => TaskPhase::Train,
                Phase::Upload => TaskPhase::Upload,
            };
            *dropped_by_phase.entry(phase).or_default().entry(reason).or_default() += n;
        }
        Updates {
            selected: self.selected,
            aggregated: self.aggregated,
            late: self.late.values().sum(),
            dropped,
            dropped_by_phase,
            rejected: self.rejected.clone(),
        }
    }
}

/// What became of the bytes of all transfers, counted as it happens and not when tasks are charged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Traffic {
    /// Of transfers that were begun: all that they were to move.
    pub(super) offered: Bytes,
    /// Of transfers that are over: what they have moved.
    pub(super) moved: Bytes,
    /// Of transfers that broke off: what they have not moved.
    pub(super) lost: Bytes,
}

/// Conservation, when nothing is under way any more: every task that was begun has one end, every byte that was offered was
/// moved or lost, and what was moved is charged.
///
/// # Panics
/// If it does not hold: the books, and so the results, would be wrong.
pub(super) fn check_conservation(totals: &Totals, traffic: &Traffic, clients: &[ClientLedger]) {
    let ended = totals.aggregated
        + totals.late.values().sum::<u64>()
        + totals.dropped.values().sum::<u64>()
        + totals.rejected.values().sum::<u64>();
    assert!(totals.selected == ended, "{} tasks were begun and {ended} have ended", totals.selected);
    let [offered, moved, lost] = [traffic.offered, traffic.moved, traffic.lost].map(Bytes::get);
    assert!(offered == moved + lost, "{offered} B were offered, {moved} B moved and {lost} B lost");
    let charged = (totals.bytes_down + totals.bytes_up).get();
    assert!(moved == charged, "{moved} B were moved, and {charged} B are charged");
    let of_clients: u64 = clients.iter().map(|client| (client.bytes_down + client.bytes_up).get()).sum();
    assert!(of_clients == charged, "{of_clients} B are charged to clients, {charged} B in all");
    assert!(totals.bytes_wasted.get() <= charged, "more is wasted than was moved");
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
