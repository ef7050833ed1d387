//! Multi-head scaled dot-product attention.

use candle_core::{Result, Tensor};

use super::composed;
use super::dropout::Dropout;

/// Multi-head attention, `softmax(q k^T / sqrt(width)) v` for each head (Vaswani et al., 2017, arXiv 1706.03762).
///
/// Heads lie side by side in the last dimension, as projections leave them. A query all of whose keys are masked
/// receives zeros and passes no gradient. Dropout acts on the probabilities, whose element index is that of the shape
/// `[batch, heads, queries, keys]`.
///
/// # Shapes
/// `q` is `[batch, queries, hidden]`, `k` and `v` `[batch, keys, hidden]`, `mask` `[batch, keys]` with 1 for keys that
/// may be attended and 0 for padding (the number of keys may exceed that of queries: a key/value prefix); the result
/// is `[batch, queries, hidden]`.
///
/// # Errors
/// When the shapes do not fit or `hidden` is not a multiple of `heads`.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: &Tensor,
    heads: usize,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    composed::attention(q, k, v, mask, heads, dropout)
}
