//! LoRA: `h = W x + b + (lora_alpha / r) B A x`, with A random and B zero at the start (Hu et al. 2021, arXiv 2106.09685).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bias, Method};

/// Settings of LoRA, with the names of Hugging Face PEFT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rank, >= 1.
    pub r: usize,
    /// Scale of the update: it is multiplied by `lora_alpha / r`.
    pub lora_alpha: f64,
    /// Probability in [0, 1) that an input of A is dropped in training.
    pub lora_dropout: f64,
    /// Which biases are trained too.
    pub bias: Bias,
    /// Projections that get an update, by their last name, such as `query`.
    pub target_modules: Vec<String>,
    /// Modules trained in full; must be the head.
    pub modules_to_save: Vec<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 8.0,
            lora_dropout: 0.0,
            bias: Bias::None,
            target_modules: vec!["query".into(), "value".into()],
            modules_to_save: vec!["classifier".into()],
        }
    }
}

impl Method for LoraConfig {}
