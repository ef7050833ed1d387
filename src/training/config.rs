//! Hyper-parameters of local training, with the names of Hugging Face `TrainingArguments`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Local training: `clients.train`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the shard in one round, >= 1.
    pub num_train_epochs: usize,
    /// Examples per step, >= 1; the last batch of an epoch may be smaller.
    pub per_device_train_batch_size: usize,
    /// Peak step size, > 0.
    pub learning_rate: f64,
    /// The optimizer. Its state starts anew in each round.
    pub optim: Optim,
    /// Decoupled weight decay, >= 0. Biases and LayerNorm tensors are left out.
    pub weight_decay: f64,
    /// Decay of the first moment, in [0, 1).
    pub adam_beta1: f64,
    /// Decay of the second moment, in [0, 1).
    pub adam_beta2: f64,
    /// Added to the root of the second moment, > 0.
    pub adam_epsilon: f64,
    /// Largest norm of the gradient of all trainable tensors together, > 0; 0 is no clipping.
    pub max_grad_norm: f64,
    /// How the step size changes over the steps of one round.
    pub lr_scheduler_type: LrSchedule,
    /// Fraction of the steps, in [0, 1], over which the step size rises linearly from 0.
    pub warmup_ratio: f64,
    /// Dropout inside the encoder. None: the checkpoint's own probability; 0: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            num_train_epochs: 1,
            per_device_train_batch_size: 32,
            learning_rate: 1e-3,
            optim: Optim::Adamw,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            lr_scheduler_type: LrSchedule::Linear,
            warmup_ratio: 0.0,
            dropout: None,
        }
    }
}

/// The optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optim {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101).
    Adamw,
    /// Plain stochastic gradient descent.
    Sgd,
}

/// Step size over the steps of one round, after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LrSchedule {
    /// Falls linearly to zero.
    Linear,
    /// Falls to zero along half a cosine.
    Cosine,
    /// Stays.
    Constant,
}
