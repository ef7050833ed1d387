//! Parameter-efficient tuning (PETuning) methods: which tensors are trained, and where they act in the encoder.

mod full;
mod head;
mod lora;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use full::FullConfig;
pub use head::HeadConfig;
pub use lora::LoraConfig;

use crate::one_of;

/// Marker for the methods; replaced by the seam that they implement.
pub trait Method {}

one_of! {
    /// What is trained: `tuning`.
    pub enum TuningConfig: dyn Method, setting "tuning" {
        "lora" => Lora(LoraConfig), "low-rank updates of named projections (Hu et al. 2021, arXiv 2106.09685)";
        "head" => Head(HeadConfig), "the classification head alone (linear probe)";
        "full" => Full(FullConfig), "every tensor of backbone and head";
    }
}

/// Which biases are trained beside a method's own tensors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    /// No biases.
    #[default]
    None,
}
