//! The simulated world below the actors: calendar, networks, devices, availability and failures.
//!
//! Nothing here knows of learning: a task is some bytes down, some work, some bytes up. A [`Calendar`] orders what
//! happens; a [`NetworkModel`] says when transfers end; a [`DeviceClass`] how long a device works; an
//! [`AvailabilityModel`] when a client can be reached; [`DropoutConfig::draw`] whether its task fails. Each of them
//! answers questions and leaves the clock to its caller.

mod availability;
mod battery;
mod calendar;
pub mod classes;
mod crash;
mod device;
mod dropout;
mod interruption;
mod load;
mod local_time;
mod network;
mod outage;
mod periods;
mod rows;

use std::path::PathBuf;

use crate::seed::Seeds;

pub use availability::{
    AlwaysConfig, Assign, Availability, AvailabilityConfig, AvailabilityModel, DiurnalConfig, EndOfTrace, MarkovConfig,
    NEVER, TraceConfig, TraceEnd, WeibullConfig, WeibullLength,
};
pub use battery::{Battery, BatteryConfig, BatteryState, ChargingConfig, DrawnLevel, InitialLevel};
pub use calendar::{Calendar, CalendarState};
pub use crash::CrashConfig;
pub use device::{
    ComputeConfig, DeviceClass, DeviceClassConfig, DrawnTimePerSample, EnergyConfig, Jitter, LognormalJitter,
    LognormalTime, PowerDraw, TableConfig, TimePerSample, TrainingWork, fits,
};
pub use dropout::{DropoutConfig, Failure, Phase};
pub use interruption::{InFlight, RestartConfig, UploadConfig, WhenInterrupted};
pub use load::LoadConfig;
pub use network::{
    ConstantConfig, Direction, Flow, LinkClass, LinkState, LinkTraceConfig, MaxMinFairConfig, NetworkClassConfig,
    NetworkModel, RegionConfig, ServerNetworkConfig, Sharing, SharingConfig, Transport,
};
pub use outage::{GroupNames, Membership, OutageConfig, Outages};

/// What the models of a run are built from, beside their settings.
#[derive(Debug, Clone)]
pub struct BuildContext {
    /// The root of all draws.
    pub seeds: Seeds,
    /// Registered clients are `0..n_clients`.
    pub n_clients: u32,
    /// Relative paths start here.
    pub base_dir: PathBuf,
}

impl BuildContext {
    /// A context without files.
    pub fn new(seeds: Seeds, n_clients: u32) -> Self {
        Self { seeds, n_clients, base_dir: PathBuf::new() }
    }
}

/// What the simulated world could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A training time that is zero, infinite, out of range, or lacks a cost.
    #[error("the training time of client {client_id} cannot be computed: {reason}")]
    NoDuration {
        /// Whose.
        client_id: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// A saved network that cannot be gone on from.
    #[error("the saved transfers cannot be used: {message}")]
    Saved {
        /// What is wrong with them.
        message: String,
    },
    /// A class of links without rates.
    #[error("a class of networks has neither rates nor a trace")]
    NoRate,
    /// A file of traces or of devices that cannot be used.
    #[error("{place}: {message}")]
    File {
        /// Path, with `:line` where one is to blame.
        place: String,
        /// What is wrong with it, and what to do.
        message: String,
    },
}
