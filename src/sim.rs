//! The simulated world below the actors: calendar, networks, devices, availability and failures.
//!
//! Nothing here knows of learning: a task is some bytes down, some work, some bytes up.

mod config;

pub use config::{
    AlwaysConfig, AvailabilityConfig, ComputeConfig, ConstantConfig, DeviceClassConfig, DropoutConfig, Jitter,
    LognormalJitter, MarkovConfig, MaxMinFairConfig, NetworkClassConfig, ServerNetworkConfig, SharingConfig,
    TimePerSample,
};
