//! Hyper-parameters of local training, with the names of Hugging Face `TrainingArguments`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ops::Dropout;
use crate::registry::Problem;

/// Local training: `clients.train`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the shard in one round, >= 1.
    pub num_train_epochs: usize,
    /// Examples per step, from 1 to 16,777,216; the last batch of an epoch may be smaller. A client that holds fewer
    /// examples has one batch of them all.
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
    /// How the step size changes over the steps of one round: `constant` has no warm-up, the others begin with
    /// `warmup_ratio`.
    pub lr_scheduler_type: LrSchedule,
    /// Fraction of the steps of a round, in [0, 1], over which the step size rises linearly from 0. Above 0 at least the
    /// first step warms up, with a step size of 0: a client with a single step then trains nothing.
    pub warmup_ratio: f64,
    /// Puts examples of like length into a batch, so that little padding is computed. As in Hugging Face's trainer the
    /// shuffled shard is sorted in windows of a quarter of its batches, 50 at most: a client with fewer than eight full
    /// batches has nothing grouped. The batches then come in a drawn order, not the longest first.
    pub group_by_length: bool,
    /// Dropout in the encoder and in the classification head, in place of the checkpoint's probabilities, such as
    /// `hidden_dropout_prob`, `attention_probs_dropout_prob` and `classifier_dropout`. None: the checkpoint's own; 0: off.
    /// What a method drops itself, as by `lora_dropout`, is apart.
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
            group_by_length: false,
            dropout: None,
        }
    }
}

/// The largest batch: more than a client can hold in memory.
const BATCH_SIZE_MAX: usize = 1 << 24;

impl TrainConfig {
    /// Steps that a client with so many examples takes in one round.
    pub fn n_steps(&self, n_examples: usize) -> usize {
        self.num_train_epochs.saturating_mul(n_examples.div_ceil(self.per_device_train_batch_size))
    }

    /// What is wrong with the settings.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut check = |path: &str, is_good: bool, value: f64, wanted: &str| {
            if !is_good {
                problems.push(Problem::new(path, format!("{value} {wanted}")));
            }
        };
        for (path, value) in [
            ("num_train_epochs", self.num_train_epochs),
            ("per_device_train_batch_size", self.per_device_train_batch_size),
        ] {
            check(path, value > 0, value as f64, "trains nothing; use 1 or more");
        }
        for (path, value) in [("learning_rate", self.learning_rate), ("adam_epsilon", self.adam_epsilon)] {
            check(path, value > 0.0 && value.is_finite(), value, "is not above 0");
        }
        for (path, value) in [("weight_decay", self.weight_decay), ("max_grad_norm", self.max_grad_norm)] {
            check(path, value >= 0.0 && value.is_finite(), value, "is not 0 or above");
        }
        for (path, value) in [("adam_beta1", self.adam_beta1), ("adam_beta2", self.adam_beta2)] {
            check(path, (0.0..1.0).contains(&value), value, "does not lie in [0, 1)");
        }
        check("warmup_ratio", (0.0..=1.0).contains(&self.warmup_ratio), self.warmup_ratio, "does not lie in [0, 1]");
        let size = self.per_device_train_batch_size;
        if size > BATCH_SIZE_MAX {
            let problem = Problem::new("per_device_train_batch_size", format!("{size} is above {BATCH_SIZE_MAX}"));
            let help =
                "a client has its whole shard in one batch from the size of the shard on; write no more than that";
            problems.push(problem.help(help));
        }
        if self.lr_scheduler_type == LrSchedule::Constant && self.warmup_ratio > 0.0 {
            let message = "`constant` has no warm-up, so that `warmup_ratio` would do nothing";
            let help = "write `lr_scheduler_type: constant_with_warmup`, or `warmup_ratio: 0`";
            problems.push(Problem::new("lr_scheduler_type", message).help(help));
        }
        let dropout = self.dropout.and_then(Dropout::problem);
        problems.extend(dropout.map(|message| Problem::new("dropout", message)));
        problems
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

/// Step size over the steps of one round, under the names that Hugging Face has for schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LrSchedule {
    /// Rises over the warm-up, then falls linearly to zero.
    Linear,
    /// Rises over the warm-up, then falls to zero along half a cosine.
    Cosine,
    /// Stays from the first step on.
    Constant,
    /// Rises over the warm-up, then stays.
    ConstantWithWarmup,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        assert_eq!(TrainConfig::default().problems(), []);
        let config = TrainConfig {
            num_train_epochs: 0,
            learning_rate: f64::NAN,
            adam_beta2: 1.0,
            warmup_ratio: 1.5,
            dropout: Some(1.0),
            ..TrainConfig::default()
        };
        let paths: Vec<String> = config.problems().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["num_train_epochs", "learning_rate", "adam_beta2", "warmup_ratio", "dropout"]);
    }
    #[test]
    fn a_batch_has_an_upper_bound() {
        let problems = |size| {
            let config = TrainConfig { per_device_train_batch_size: size, ..TrainConfig::default() };
            config.problems().into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        assert_eq!(problems(1 << 24), Vec::<String>::new());
        for size in [(1 << 24) + 1, usize::MAX] {
            let found = problems(size);
            assert_eq!(found, [format!("{size} is above 16777216")]);
        }
    }

    #[test]
    fn a_constant_step_size_warms_up_under_its_own_name() {
        let problems = |lr_scheduler_type, warmup_ratio| {
            TrainConfig { lr_scheduler_type, warmup_ratio, ..TrainConfig::default() }.problems()
        };
        assert_eq!(problems(LrSchedule::Constant, 0.0), []);
        assert_eq!(problems(LrSchedule::ConstantWithWarmup, 0.1), []);
        let found = problems(LrSchedule::Constant, 0.1);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "lr_scheduler_type");
        assert!(format!("{:?}", found[0]).contains("constant_with_warmup"), "{found:?}");
        let json = serde_json::to_value(LrSchedule::ConstantWithWarmup).unwrap();
        assert_eq!(json, "constant_with_warmup", "as in transformers' SchedulerType");
    }
}
