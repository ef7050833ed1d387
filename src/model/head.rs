//! The classification heads of Hugging Face's `…ForSequenceClassification`.

use candle_core::{Result, Tensor};

use super::encoder::{Model, encode_first};
use super::initial::Init;
use super::ops;
use super::{Backbone, Batch, EncoderConfig, EncoderKind, Hooks, Pass};
use crate::params::TensorSpec;

/// The tensors of the classification head for `n_labels` classes, with the initial values that transformers gives
/// them. They are trained under every tuning method.
///
/// BERT: `classifier` on the pooled first token. RoBERTa: `classifier.dense`, tanh, `classifier.out_proj`.
pub fn head_tensors(config: &EncoderConfig, n_labels: usize) -> Vec<(TensorSpec, Init)> {
    let hidden = config.hidden_size;
    let weight = Init::Normal { sd: config.initializer_range };
    match config.kind {
        EncoderKind::Bert => vec![
            (TensorSpec::new("classifier.bias", [n_labels]), Init::Zeros),
            (TensorSpec::new("classifier.weight", [n_labels, hidden]), weight),
        ],
        EncoderKind::Roberta => vec![
            (TensorSpec::new("classifier.dense.bias", [hidden]), Init::Zeros),
            (TensorSpec::new("classifier.dense.weight", [hidden, hidden]), weight),
            (TensorSpec::new("classifier.out_proj.bias", [n_labels]), Init::Zeros),
            (TensorSpec::new("classifier.out_proj.weight", [n_labels, hidden]), weight),
        ],
    }
}

/// Class scores (logits) of a batch, `[batch, n_labels]`. The hooks give the head's tensors.
///
/// # Errors
/// As [`encode`](super::encode); also when the hooks do not give the head.
pub fn classify(backbone: &Backbone, batch: &Batch, hooks: &dyn Hooks, pass: &mut Pass) -> Result<Tensor> {
    let first = encode_first(backbone, batch, hooks, pass)?;
    let model = Model { backbone, hooks };
    let p = model.config().classifier_dropout;
    match model.config().kind {
        EncoderKind::Bert => {
            let pooled = model.linear("pooler.dense", &first)?.tanh()?;
            model.linear("classifier", &drop_out(pooled, p, pass)?)
        }
        EncoderKind::Roberta => {
            let dense = model.linear("classifier.dense", &drop_out(first, p, pass)?)?.tanh()?;
            model.linear("classifier.out_proj", &drop_out(dense, p, pass)?)
        }
    }
}

fn drop_out(x: Tensor, p: f32, pass: &mut Pass) -> Result<Tensor> {
    match pass.encoder_dropout(p) {
        None => Ok(x),
        Some(dropout) => ops::dropout(&x, dropout),
    }
}
