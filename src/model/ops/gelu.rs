//! The Gaussian error linear unit.

use candle_core::{Result, Tensor};

/// The exact GELU, `x / 2 (1 + erf(x / sqrt 2))` (Hendrycks and Gimpel, 2016, arXiv 1606.08415), of every element.
///
/// # Errors
/// When the number type has no such operation.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    x.gelu_erf()
}
