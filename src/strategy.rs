//! Pure policies of the server: who is asked, how updates are combined, how payloads are encoded.

mod fedavg;

pub use fedavg::{FedAvgConfig, Weighting};

use crate::one_of;

/// Marker for the strategies; replaced by the seam that they implement.
pub trait Strategy {}

one_of! {
    /// How updates become the next global model: `server.strategy`.
    pub enum StrategyConfig: dyn Strategy, setting "server.strategy" {
        "fedavg" => FedAvg(FedAvgConfig), "mean of the updates, weighted by samples or uniform (arXiv 1602.05629)";
    }
}

impl Default for StrategyConfig {
    fn default() -> Self {
        Self::FedAvg(FedAvgConfig::default())
    }
}

/// Marker for the selection policies; replaced by the seam that they implement.
pub trait Selection {}

one_of! {
    /// Who is asked in a round: `server.selection`.
    pub enum SelectionConfig: dyn Selection, setting "server.selection" {
        "uniform" => Uniform(UniformConfig), "uniform among the available clients, without replacement";
    }
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self::Uniform(UniformConfig {})
    }
}

/// Uniform selection. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UniformConfig {}

impl Selection for UniformConfig {}

/// Marker for the codecs; replaced by the seam that they implement.
pub trait Codec {}

one_of! {
    /// How a payload is encoded for its transfer: `compression.uplink` and `compression.downlink`.
    pub enum CodecConfig: dyn Codec, setting "compression" {
        "none" => None(NoneConfig), "safetensors with f32 values";
    }
}

impl Default for CodecConfig {
    fn default() -> Self {
        Self::None(NoneConfig {})
    }
}

/// No compression. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoneConfig {}

impl Codec for NoneConfig {}
