//! What a run makes known, and to whom.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::snapshot::Snapshot;
use crate::actors::pool::PoolCounts;
use crate::params::Params;
use crate::report::{Record, ReportError};
use crate::training::Evaluation;
use crate::units::{Bytes, SimTime};

/// Gets everything that a run makes known, in order.
pub trait Observer {
    /// Something happened. Records come in the order of simulated time.
    ///
    /// # Errors
    /// When it cannot be written; the run then ends.
    fn record(&mut self, record: &Record) -> Result<(), ReportError>;

    /// A round is over and, if it was to be evaluated, evaluated. Rounds come in order.
    ///
    /// # Errors
    /// When it cannot be written; the run then ends.
    fn round(&mut self, report: &RoundReport) -> Result<(), ReportError>;

    /// The clock has passed the end of a round, whose evaluation may still be under way. For `perf.csv` and progress.
    ///
    /// # Errors
    /// When it cannot be written; the run then ends.
    fn host(&mut self, round: u32, now: SimTime, work: &HostWork) -> Result<(), ReportError>;

    /// The whole state, from which the run can go on. Told after each round that `Plan::checkpoint_every` names, and
    /// before a run ends because it [is to stop](Self::is_to_stop).
    ///
    /// # Errors
    /// When it cannot be written; the run then ends.
    fn checkpoint(&mut self, _: &Snapshot) -> Result<(), ReportError> {
        Ok(())
    }

    /// True when the run shall end now, once its state is told. Asked between events.
    fn is_to_stop(&self) -> bool {
        false
    }
}

/// What this machine has done since the start of the run. Never a part of the results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostWork {
    /// Events popped from the calendar and from the network.
    pub events: u64,
    /// What the pool did.
    pub pool: PoolCounts,
    /// Of the pool's busy time, nanoseconds spent in evaluations.
    pub evaluation_nanos: u64,
    /// Client actors alive.
    pub resident_clients: usize,
}

/// A round that is over. Tasks count in the round in which what is counted happens: where tasks outlive their round,
/// `selected = aggregated + late + dropped + rejected` holds over the run and not in each round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// The round, counted from 1.
    pub round: u32,
    /// Version of the global model after it.
    pub model_version: u32,
    /// When it began.
    pub start: SimTime,
    /// When it ended.
    pub end: SimTime,
    /// Clients asked.
    pub selected: u32,
    /// Updates that arrived in full.
    pub completed: u32,
    /// Clients that failed.
    pub dropped: u32,
    /// Clients that the server stopped waiting for: past the deadline, or enough others had arrived.
    pub late: u32,
    /// Updates that arrived and were refused for the age of their model.
    pub stale: u32,
    /// All updates that arrived and were refused, the stale ones included.
    pub rejected: u32,
    /// Updates that went into the model.
    pub aggregated: u32,
    /// Sum of their staleness.
    pub staleness_sum: u64,
    /// Bytes moved to clients.
    pub bytes_down: Bytes,
    /// Bytes moved to the server.
    pub bytes_up: Bytes,
    /// Of both, bytes of tasks whose update was not used, and of attempts at others that were begun anew.
    pub bytes_wasted: Bytes,
    /// Bytes moved since the start of the run by transfers that are over; of tasks under way too, whose bytes the rounds in
    /// which they end will count.
    pub cum_bytes: Bytes,
    /// Energy in joules that clients spent on tasks.
    pub energy_j: f64,
    /// Mean training loss of the aggregated updates.
    pub train_loss: Option<f64>,
    /// Metrics on the validation split, and the values evaluated. Not a part of a checkpoint: they are computed again.
    #[serde(skip)]
    pub evaluation: Option<(Evaluation, Arc<Params>)>,
}

impl RoundReport {
    pub(super) fn begin(round: u32, start: SimTime) -> Self {
        Self {
            round,
            model_version: 0,
            start,
            end: start,
            selected: 0,
            completed: 0,
            dropped: 0,
            late: 0,
            stale: 0,
            rejected: 0,
            aggregated: 0,
            staleness_sum: 0,
            bytes_down: Bytes::ZERO,
            bytes_up: Bytes::ZERO,
            bytes_wasted: Bytes::ZERO,
            cum_bytes: Bytes::ZERO,
            energy_j: 0.0,
            train_loss: None,
            evaluation: None,
        }
    }
}
