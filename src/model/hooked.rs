//! A backbone as a tuning method changes it.

use candle_core::{Result, Tensor};

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

    /// The linear map whose tensors are `name.weight` and `name.bias`. A frozen weight costs no gradient. The weight of
    /// a convolution, `[out, channels, height, width]`, maps windows with these dimensions laid flat.
    pub(super) fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        let bias = self.tensor(&bias_name)?;
        if let Some(weight) = self.hooks.parameter(&weight_name) {
            return ops::linear(x, &weight.flatten_from(1)?, Some(&bias));
        }
        let weight = self.tensor(&weight_name)?.flatten_from(1)?;
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
            None => ops::frozen_linear(x, &self.tensor(&name)?, None),
        }
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
