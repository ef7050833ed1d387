//! Layer normalisation.

use candle_core::{Result, Tensor};

use super::composed;

/// Layer normalisation over the last dimension: `gamma (x - mean) / sqrt(variance + eps) + beta`, with the biased
/// variance (Ba, Kiros and Hinton, 2016, arXiv 1607.06450).
///
/// Gradients go to `x`, `gamma` and `beta` where they lead to a variable.
///
/// # Shapes
/// `x` is `[.., hidden]`, `gamma` and `beta` `[hidden]`; the result has the shape of `x`. `eps` comes from the
/// checkpoint's configuration.
///
/// # Errors
/// When the shapes do not fit.
pub fn layer_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, eps: f64) -> Result<Tensor> {
    composed::layer_norm(x, gamma, beta, eps)
}
