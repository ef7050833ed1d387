//! The forward pass of BERT and RoBERTa encoders with the hook points of tuning methods.

use candle_core::{Result, Tensor};

use super::ops;
use super::{Backbone, Batch, EncoderConfig, Hooks, Pass, Projection, Site, Sublayer};

/// Runs a batch through the encoder.
///
/// # Shapes
/// The result is `[batch, seq, hidden]`; rows of padding carry no meaning.
///
/// # Errors
/// When token, segment or position numbers exceed their tables, a hook fails, or the device does.
pub fn encode(backbone: &Backbone, batch: &Batch, hooks: &dyn Hooks, pass: &mut Pass) -> Result<Tensor> {
    run(&Model { backbone, hooks }, batch, Rows::All, pass)
}

/// Runs a batch through the encoder for the vector of each example's first token, `[batch, hidden]`. The last layer
/// then works on that token alone: what it gives for the others is used by nobody.
pub(super) fn encode_first(backbone: &Backbone, batch: &Batch, hooks: &dyn Hooks, pass: &mut Pass) -> Result<Tensor> {
    run(&Model { backbone, hooks }, batch, Rows::First, pass)?.squeeze(1)
}

/// Which rows of the last layer are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    All,
    First,
}

/// A backbone seen through the hooks of a tuning method.
pub(super) struct Model<'a> {
    pub(super) backbone: &'a Backbone,
    pub(super) hooks: &'a dyn Hooks,
}

impl Model<'_> {
    pub(super) fn config(&self) -> &EncoderConfig {
        self.backbone.config()
    }

    /// The tensor to use under this name.
    pub(super) fn tensor(&self, name: &str) -> Result<Tensor> {
        if let Some(tensor) = self.hooks.parameter(name) {
            return Ok(tensor);
        }
        match self.backbone.tensor(name) {
            Some(tensor) => Ok(tensor.clone()),
            None => candle_core::bail!("neither the backbone nor the tuning method has a tensor `{name}`"),
        }
    }

    /// The linear map whose tensors are `name.weight` and `name.bias`. A frozen weight costs no gradient.
    pub(super) fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        let bias = self.tensor(&bias_name)?;
        if let Some(weight) = self.hooks.parameter(&weight_name) {
            return ops::linear(x, &weight, Some(&bias));
        }
        let weight = self.tensor(&weight_name)?;
        if self.hooks.parameter(&bias_name).is_some() {
            return ops::frozen_linear(x, &weight, None)?.broadcast_add(&bias);
        }
        ops::frozen_linear(x, &weight, Some(&bias))
    }

    pub(super) fn layer_norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let gamma = self.tensor(&format!("{name}.weight"))?;
        let beta = self.tensor(&format!("{name}.bias"))?;
        ops::layer_norm(x, &gamma, &beta, self.config().layer_norm_eps)
    }

    /// The layer normalisation of `x + residual`.
    fn add_layer_norm(&self, name: &str, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let gamma = self.tensor(&format!("{name}.weight"))?;
        let beta = self.tensor(&format!("{name}.bias"))?;
        ops::add_layer_norm(x, residual, &gamma, &beta, self.config().layer_norm_eps)
    }
}

fn run(model: &Model<'_>, batch: &Batch, rows: Rows, pass: &mut Pass) -> Result<Tensor> {
    let x = embed(model, batch, pass)?;
    let (mut x, mask) = model.hooks.embeddings(x, batch.attention_mask.clone(), pass)?;
    let n_layers = model.config().layers;
    for layer in 0..n_layers {
        let rows = if layer + 1 == n_layers { rows } else { Rows::All };
        x = run_layer(model, layer, &x, &mask, rows, pass)?;
    }
    Ok(x)
}

fn embed(model: &Model<'_>, batch: &Batch, pass: &mut Pass) -> Result<Tensor> {
    let words = look_up(model, "embeddings.word_embeddings.weight", &batch.input_ids)?;
    let types = look_up(model, "embeddings.token_type_embeddings.weight", &batch.token_type_ids)?;
    let positions = look_up(model, "embeddings.position_embeddings.weight", &batch.position_ids)?;
    let x = model.layer_norm("embeddings.LayerNorm", &((words + types)? + positions)?)?;
    drop_out(&x, pass, model.config())
}

fn look_up(model: &Model<'_>, table: &str, numbers: &Tensor) -> Result<Tensor> {
    let (batch, seq) = numbers.dims2()?;
    let table = model.tensor(table)?;
    table.index_select(&numbers.flatten_all()?, 0)?.reshape((batch, seq, table.dim(1)?))
}

fn run_layer(
    model: &Model<'_>,
    layer: usize,
    x: &Tensor,
    mask: &Tensor,
    rows: Rows,
    pass: &mut Pass,
) -> Result<Tensor> {
    let config = model.config();
    // Queries and everything behind the attention may be wanted for the first token only; keys and values never.
    let queried = match rows {
        Rows::All => x.clone(),
        Rows::First => x.narrow(1, 0, 1)?.contiguous()?,
    };
    let query = project(model, layer, Projection::Query, &queried, pass)?;
    let key = project(model, layer, Projection::Key, x, pass)?;
    let value = project(model, layer, Projection::Value, x, pass)?;
    let (key, value, mask) = match model.hooks.prefix(layer)? {
        None => (key, value, mask.clone()),
        Some((keys, values)) => (in_front(&keys, &key)?, in_front(&values, &value)?, unmasked(&keys, mask)?),
    };
    let attended =
        ops::attention(&query, &key, &value, &mask, config.heads, pass.encoder_dropout(config.attention_dropout))?;
    let attended = project(model, layer, Projection::AttentionOutput, &attended, pass)?;
    let x = add_and_norm(model, layer, Sublayer::Attention, &queried, &attended, pass)?;

    let wide = ops::gelu(&project(model, layer, Projection::Intermediate, &x, pass)?)?;
    let narrow = project(model, layer, Projection::Output, &wide, pass)?;
    add_and_norm(model, layer, Sublayer::FeedForward, &x, &narrow, pass)
}

fn project(model: &Model<'_>, layer: usize, projection: Projection, x: &Tensor, pass: &mut Pass) -> Result<Tensor> {
    let site = Site { layer, projection };
    let output = model.linear(&site.to_string(), x)?;
    model.hooks.projection(site, x, output, pass)
}

fn add_and_norm(
    model: &Model<'_>,
    layer: usize,
    sublayer: Sublayer,
    x: &Tensor,
    output: &Tensor,
    pass: &mut Pass,
) -> Result<Tensor> {
    let output = drop_out(output, pass, model.config())?;
    let output = model.hooks.sublayer(layer, sublayer, output, pass)?;
    let norm = match sublayer {
        Sublayer::Attention => format!("encoder.layer.{layer}.attention.output.LayerNorm"),
        Sublayer::FeedForward => format!("encoder.layer.{layer}.output.LayerNorm"),
    };
    model.add_layer_norm(&norm, &output, x)
}

fn drop_out(x: &Tensor, pass: &mut Pass, config: &EncoderConfig) -> Result<Tensor> {
    match pass.encoder_dropout(config.hidden_dropout) {
        None => Ok(x.clone()),
        Some(dropout) => ops::dropout(x, dropout),
    }
}

/// `[n, hidden]` in front of each example of `[batch, seq, hidden]`.
fn in_front(prefix: &Tensor, x: &Tensor) -> Result<Tensor> {
    let (n, hidden) = prefix.dims2()?;
    let prefix = prefix.unsqueeze(0)?.broadcast_as((x.dim(0)?, n, hidden))?;
    Tensor::cat(&[&prefix, x], 1)
}

/// The mask `[batch, seq]` with a prefix of the length of `prefix` that everybody may attend to.
fn unmasked(prefix: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let ones = Tensor::ones((mask.dim(0)?, prefix.dim(0)?), mask.dtype(), mask.device())?;
    Tensor::cat(&[&ones, mask], 1)
}
