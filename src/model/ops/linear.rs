//! Projections with trained and with frozen weights.

use candle_core::{Result, Tensor};

use super::composed;

/// A projection with frozen weights: `x W^T + b`, with a gradient to `x` only.
///
/// # Shapes
/// `x` is `[.., in]` of any rank, `weight` `[out, in]`, `bias` `[out]`; the result is `[.., out]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn frozen_linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    composed::linear(x, &weight.detach(), bias.map(Tensor::detach).as_ref())
}

/// A projection with trained weights: `x W^T + b`, with gradients to `x`, `weight` and `bias` where they lead to a
/// variable.
///
/// # Shapes
/// As in [`frozen_linear`].
///
/// # Errors
/// When the shapes do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    composed::linear(x, weight, bias)
}
