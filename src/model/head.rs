//! The classification heads of Hugging Face's `…ForSequenceClassification` and `…ForImageClassification`.

use candle_core::{Result, Tensor};

use super::encoder::encode_first;
use super::hooked::Model;
use super::initial::Init;
use super::{Backbone, Batch, EncoderConfig, Hooks, Pass};
use crate::params::TensorSpec;

/// The tensors of the classification head for `n_labels` classes, in the order of computation, with the initial values
/// that transformers gives them. They are trained under every tuning method.
pub fn head_tensors(config: &EncoderConfig, n_labels: usize) -> Vec<(TensorSpec, Init)> {
    config.kind.family().head_tensors(config, n_labels)
}

/// Class scores (logits) of a batch, `[batch, n_labels]`. The hooks give the head's tensors.
///
/// # Errors
/// As [`encode`](super::encode); also when the hooks do not give the head.
pub fn classify(backbone: &Backbone, batch: &Batch, hooks: &dyn Hooks, pass: &mut Pass) -> Result<Tensor> {
    let first = encode_first(backbone, batch, hooks, pass)?;
    let model = Model { backbone, hooks };
    backbone.config().kind.family().classify(&model, first, pass)
}
