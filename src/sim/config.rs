//! What the scenario says about the simulated world.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::one_of;
use crate::units::{Bandwidth, Bytes, FlopRate, SimDuration};

/// Marker for the sharing models; replaced by the seam that they implement.
pub trait Sharing {}

/// A class of devices: `clients.devices.<name>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceClassConfig {
    /// Fraction of the clients that are of this class, in (0, 1]. All shares sum to 1.
    pub share: f64,
    /// How fast it trains.
    pub compute: ComputeConfig,
    /// Memory that training may use. A client that cannot hold the job drops with reason `memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
}

/// Speed of a device: exactly one of `flops` (with `efficiency`) and `time_per_sample`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComputeConfig {
    /// Peak speed. A task takes its operations / (`flops` x `efficiency`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flops: Option<FlopRate>,
    /// Fraction of the peak that training reaches, in (0, 1]. Required with `flops`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub efficiency: Option<f64>,
    /// Training time of one sample in one epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_per_sample: Option<TimePerSample>,
    /// Noise on each task's training time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Jitter>,
}

/// Training time of one sample: one for all devices of the class, or drawn once for each device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TimePerSample {
    /// The same for each device.
    Fixed(SimDuration),
    /// Log-normal over the devices of the class.
    Drawn(DrawnTimePerSample),
}

/// A distribution over devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrawnTimePerSample {
    /// Log-normal: `median x exp(sigma Z)`, Z standard normal.
    pub lognormal: LognormalTime,
}

/// Parameters of a log-normal duration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LognormalTime {
    /// Half of the devices are faster.
    pub median: SimDuration,
    /// Standard deviation of the logarithm, >= 0. 0 is no spread.
    pub sigma: f64,
}

/// Noise by which a task's training time is multiplied, drawn for each task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    /// Log-normal factor with median 1: `exp(sigma Z)`.
    pub lognormal: LognormalJitter,
}

/// Parameters of a log-normal factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LognormalJitter {
    /// Standard deviation of the logarithm, >= 0. 0 is no noise.
    pub sigma: f64,
}

/// A class of client links: `clients.networks.<name>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkClassConfig {
    /// Fraction of the clients that are of this class, in (0, 1]. All shares sum to 1.
    pub share: f64,
    /// Rate from the server to the client.
    pub downlink: Bandwidth,
    /// Rate from the client to the server.
    pub uplink: Bandwidth,
    /// One-way delay before the first byte of a transfer.
    pub latency: SimDuration,
    /// Standard deviation of the delay, normal and cut at zero. 0 is no jitter.
    #[serde(default)]
    pub jitter: SimDuration,
}

/// The server's own link: `server.network`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerNetworkConfig {
    /// Rate out of the server, shared by all downloads. None: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Bandwidth>,
    /// Rate into the server, shared by all uploads. None: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downlink: Option<Bandwidth>,
    /// How transfers share the link.
    #[serde(default)]
    pub sharing: SharingConfig,
}

one_of! {
    /// How the transfers in flight share the server's link.
    pub enum SharingConfig: dyn Sharing, setting "server.network.sharing" {
        "max_min_fair" => MaxMinFair(MaxMinFairConfig), "each transfer gets an equal share, capped by its own link; what is left goes to the others";
        "constant" => Constant(ConstantConfig), "each transfer runs at its own link's rate; the server's link limits each one alone";
    }
}

impl Default for SharingConfig {
    fn default() -> Self {
        Self::MaxMinFair(MaxMinFairConfig {})
    }
}

/// Max-min fairness (water filling). Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxMinFairConfig {}

impl Sharing for MaxMinFairConfig {}

/// No interaction between transfers. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantConfig {}

impl Sharing for ConstantConfig {}

/// Marker for the availability models; replaced by the seam that they implement.
pub trait Availability {}

one_of! {
    /// When clients can be reached: `clients.availability`.
    pub enum AvailabilityConfig: dyn Availability, setting "clients.availability" {
        "always" => Always(AlwaysConfig), "every client can be reached at any time";
        "markov" => Markov(MarkovConfig), "on and off periods with exponential lengths";
    }
}

impl Default for AvailabilityConfig {
    fn default() -> Self {
        Self::Always(AlwaysConfig {})
    }
}

/// Always online. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlwaysConfig {}

impl Availability for AlwaysConfig {}

/// A two-state Markov process per client, started in its stationary state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkovConfig {
    /// Mean length of an online period, > 0.
    pub mean_online: SimDuration,
    /// Mean length of an offline period, > 0.
    pub mean_offline: SimDuration,
}

impl Availability for MarkovConfig {}

/// Probability that a task fails in a phase: `clients.dropout`. Each is in [0, 1]; 0 is never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DropoutConfig {
    /// While the model travels to the client.
    pub during_download: f64,
    /// While the client trains, given that the download succeeded.
    pub during_train: f64,
    /// While the update travels to the server, given that training succeeded.
    pub during_upload: f64,
}
