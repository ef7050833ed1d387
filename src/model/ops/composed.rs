//! The same functions made of candle's operations: for other devices and number types, and as the tests' reference.

use candle_core::{D, DType, Result, Tensor};

use super::dropout::Dropout;

/// `x W^T + b` for `x` of any rank.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (n_out, n_in) = weight.dims2()?;
    let mut shape = x.dims().to_vec();
    let n_rows = x.elem_count() / n_in.max(1);
    let product = x.reshape((n_rows, n_in))?.matmul(&weight.t()?)?;
    let out = match bias {
        Some(bias) => product.broadcast_add(bias)?,
        None => product,
    };
    if let Some(last) = shape.last_mut() {
        *last = n_out;
    }
    out.reshape(shape)
}

/// Layer normalisation over the last dimension.
pub(super) fn layer_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, eps: f64) -> Result<Tensor> {
    let dtype = x.dtype();
    let inner = if matches!(dtype, DType::F16 | DType::BF16) { DType::F32 } else { dtype };
    let x = x.to_dtype(inner)?;
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
    normed.to_dtype(dtype)?.broadcast_mul(gamma)?.broadcast_add(beta)
}

/// Multi-head attention; see [`super::attention()`] for the meaning of the arguments.
pub(super) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: &Tensor,
    heads: usize,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    let (batch, n_queries, hidden) = q.dims3()?;
    let n_keys = k.dim(1)?;
    let width = hidden / heads;
    let split = |t: &Tensor, n: usize| t.reshape((batch, n, heads, width))?.transpose(1, 2)?.contiguous();
    let scores = split(q, n_queries)?.matmul(&split(k, n_keys)?.t()?)?;
    let scores = (scores * (1.0 / (width as f64).sqrt()))?;
    let keep = mask.to_dtype(scores.dtype())?.reshape((batch, 1, 1, n_keys))?;
    // Far below any score, yet finite: a row without keys stays a number until `keep` empties it.
    let floor = if scores.dtype() == DType::F16 { 3e4 } else { 1e9 };
    let scores = scores.broadcast_add(&keep.affine(floor, -floor)?)?;
    let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let probs = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?.broadcast_mul(&keep)?;
    let probs = match dropout {
        Some(dropout) => super::dropout::dropout(&probs, dropout)?,
        None => probs,
    };
    probs.matmul(&split(v, n_keys)?)?.transpose(1, 2)?.reshape((batch, n_queries, hidden))
}
