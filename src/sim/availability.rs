//! When clients can be reached: the seam, and the models behind it.

mod always;
mod diurnal;
mod markov;
mod trace;
mod weibull;

pub use always::AlwaysConfig;
pub use diurnal::DiurnalConfig;
pub use markov::MarkovConfig;
pub use trace::{Assign, TraceConfig, TraceEnd};
pub use weibull::{WeibullConfig, WeibullLength};

use super::{BuildContext, SimError};
use crate::one_of;
use crate::registry::Problem;
use crate::units::SimTime;

/// The instant that never comes: the end of a period that does not end.
pub const NEVER: SimTime = SimTime::from_nanos(u64::MAX);

one_of! {
    /// When clients can be reached: `clients.availability`.
    pub enum AvailabilityConfig: dyn Availability, setting "clients.availability" {
        "always" => Always(AlwaysConfig), "every client can be reached at any time";
        "markov" => Markov(MarkovConfig), "on and off periods with exponential lengths";
        "diurnal" => Diurnal(DiurnalConfig), "a share online that follows the local hour, with time zones";
        "weibull" => Weibull(WeibullConfig), "on and off periods with Weibull lengths: heavy or light tails";
        "trace" => Trace(TraceConfig), "recorded windows from a CSV file, by id or drawn, looped or held";
    }
}

impl Default for AvailabilityConfig {
    fn default() -> Self {
        Self::Always(AlwaysConfig {})
    }
}

/// What an availability setting must offer. To add one: a file with a config that implements this, a `mod` line and a
/// line in [`AvailabilityConfig`].
pub trait Availability {
    /// What is wrong with the settings.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// What is wrong with the files that the settings name, each message beginning with `file:line: `.
    fn file_problems(&self, _context: &BuildContext) -> Vec<Problem> {
        Vec::new()
    }

    /// The model for a run.
    ///
    /// # Errors
    /// When a file cannot be read; [`file_problems`](Self::file_problems) told why before.
    fn build(&self, context: &BuildContext) -> Result<Box<dyn AvailabilityModel>, SimError>;
}

/// Where a recording is over that is neither to begin anew nor to be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOfTrace {
    /// When, in the run.
    pub at: SimTime,
    /// A client that follows it, the one of the smallest number.
    pub client_id: u32,
    /// File and line that say when the recording ends.
    pub place: String,
}

/// When each client is online.
///
/// All queries are pure: an answer depends on the client and the time alone, never on what was asked before. Periods
/// include their start and not their end.
pub trait AvailabilityModel: Send + Sync {
    /// True when the client is online at `time`.
    fn is_online(&self, client_id: u32, time: SimTime) -> bool;

    /// End of the period, online or offline, that holds `time`: when the client's state changes next. [`NEVER`] if it
    /// does not.
    fn next_change(&self, client_id: u32, time: SimTime) -> SimTime;

    /// Fraction of the time from the start of the run to `until` that the client was online, in [0, 1]. At time zero:
    /// 1 if it is online, else 0.
    fn online_fraction(&self, client_id: u32, until: SimTime) -> f64;

    /// About how many periods must be gone through to tell [`online_fraction`](Self::online_fraction) of a client that was not
    /// asked about before; 0 where it follows at once.
    fn periods_until(&self, _until: SimTime) -> f64 {
        0.0
    }

    /// True when no client's state ever changes.
    fn never_changes(&self) -> bool {
        false
    }

    /// From when on nothing is known: a run that comes there must end with an error. None for a model without an end.
    fn end_of_trace(&self) -> Option<&EndOfTrace> {
        None
    }

    /// Until when a client that is online at `time` stays so; `time` itself if it is offline.
    fn online_until(&self, client_id: u32, time: SimTime) -> SimTime {
        if self.is_online(client_id, time) { self.next_change(client_id, time) } else { time }
    }

    /// The first instant, from `time` on, at which the client is online; `time` itself if it is online.
    fn next_online(&self, client_id: u32, time: SimTime) -> SimTime {
        if self.is_online(client_id, time) { time } else { self.next_change(client_id, time) }
    }
}
