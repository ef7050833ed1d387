//! A backbone as a tuning method changes it.

use candle_core::{DType, Result, Tensor};

use super::ops;
use super::{Backbone, EncoderConfig, Hooks, Pass};

/// A backbone seen through the hooks of a tuning method.
pub(super) struct Model<'a> {
    pub(super) backbone: &'a Backbone,
    pub(super) hooks: &'a dyn Hooks,
}

impl Model<'_> {
    pub(super) fn config(&self) -> &EncoderConfig {
        self.backbone.config()
    }

    /// The tensor to use under this name, ready for arithmetic.
    pub(super) fn tensor(&self, name: &str) -> Result<Tensor> {
        widened(self.as_kept(name)?)
    }

    /// The tensor to use under this name, perhaps in 16 bits.
    fn as_kept(&self, name: &str) -> Result<Tensor> {
        if let Some(tensor) = self.hooks.parameter(name) {
            return Ok(tensor);
        }
        match self.backbone.tensor(name) {
            Some(tensor) => Ok(tensor.clone()),
            None => candle_core::bail!("neither the backbone nor the tuning method has a tensor `{name}`"),
        }
    }

    /// The linear map whose tensors are `name.weight` and `name.bias`. A frozen weight costs no gradient. The weight of
    /// a convolution, `[out, channels, height, width]`, maps windows with these dimensions laid flat.
    pub(super) fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        let bias = self.tensor(&bias_name)?;
        if let Some(weight) = self.hooks.parameter(&weight_name) {
            return ops::linear(x, &weight.flatten_from(1)?, Some(&bias));
        }
        let weight = self.as_kept(&weight_name)?.flatten_from(1)?;
        if self.hooks.parameter(&bias_name).is_some() {
            return ops::frozen_linear(x, &weight, None)?.broadcast_add(&bias);
        }
        ops::frozen_linear(x, &weight, Some(&bias))
    }

    /// The linear map whose only tensor is `name.weight`.
    pub(super) fn linear_without_bias(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let name = format!("{name}.weight");
        match self.hooks.parameter(&name) {
            Some(weight) => ops::linear(x, &weight, None),
            None => ops::frozen_linear(x, &self.as_kept(&name)?, None),
        }
    }

    /// Rows of a table, `[batch, seq, hidden]`, by their `u32` numbers `[batch, seq]`. Only they are widened.
    pub(super) fn look_up(&self, table: &str, numbers: &Tensor) -> Result<Tensor> {
        let (batch, seq) = numbers.dims2()?;
        let table = self.as_kept(table)?;
        widened(table.index_select(&numbers.flatten_all()?, 0)?)?.reshape((batch, seq, table.dim(1)?))
    }

    pub(super) fn layer_norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let gamma = self.tensor(&format!("{name}.weight"))?;
        let beta = self.tensor(&format!("{name}.bias"))?;
        ops::layer_norm(x, &gamma, &beta, self.config().layer_norm_eps)
    }

    pub(super) fn add_layer_norm(&self, name: &str, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let gamma = self.tensor(&format!("{name}.weight"))?;
        let beta = self.tensor(&format!("{name}.bias"))?;
        ops::add_layer_norm(x, residual, &gamma, &beta, self.config().layer_norm_eps)
    }

    /// `x` with the next mask of a place whose own probability is `p`.
    pub(super) fn drop_out(&self, x: Tensor, p: f32, pass: &mut Pass) -> Result<Tensor> {
        match pass.encoder_dropout(p) {
            None => Ok(x),
            Some(dropout) => ops::dropout(&x, dropout),
        }
    }
}

/// The numbers of a tensor that is kept in 16 bits as `f32`; others are as they are.
fn widened(tensor: Tensor) -> Result<Tensor> {
    if tensor.dtype() == DType::BF16 { tensor.to_dtype(DType::F32) } else { Ok(tensor) }
}
