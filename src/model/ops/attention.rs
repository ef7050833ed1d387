//! Multi-head scaled dot-product attention.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};

use super::composed;
use super::dropout::{self, Dropout};
use super::lanes::{exp, max, sum, vectorised};
use super::matrix::{Matrix, Target, multiply};
use super::storage::{fits_kernels, slice, with_slice};

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
/// When the shapes do not fit, `hidden` is not a multiple of `heads`, or dropout is out of its range.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: &Tensor,
    heads: usize,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    let (batch, queries, hidden) = q.dims3()?;
    let keys = k.dim(1)?;
    if k.dims() != [batch, keys, hidden] || v.dims() != k.dims() || mask.dims() != [batch, keys] {
        let (q, k, v, mask) = (q.shape(), k.shape(), v.shape(), mask.shape());
        bail!("attention of {q:?} to {k:?} and {v:?} under {mask:?}");
    }
    if heads == 0 || hidden == 0 || hidden % heads != 0 {
        bail!("attention with hidden size {hidden} cannot have {heads} heads");
    }
    let dropout = dropout.filter(|dropout| dropout.p != 0.0);
    if let Some(dropout) = dropout {
        dropout.check(batch * heads * queries * keys)?;
    }
    if !fits_kernels(&[q, k, v]) {
        return composed::attention(q, k, v, mask, heads, dropout);
    }
    let keep: Vec<f32> = mask.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    let op = Attention { keep, batch, queries, keys, hidden, heads, dropout };
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)
}

struct Attention {
    /// 1 or 0 for each key, `[batch, keys]`.
    keep: Vec<f32>,
    batch: usize,
    queries: usize,
    keys: usize,
    hidden: usize,
    heads: usize,
    dropout: Option<Dropout>,
}

/// One head of one sequence.
struct Head<'a> {
    /// 1 or 0 for each key up to the last one that is kept: what lies behind is never computed.
    keep: &'a [f32],
    /// Where its queries begin.
    query_offset: usize,
    /// Where its keys and values begin.
    key_offset: usize,
    /// The element index of its first probability.
    first_probability: usize,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        lq: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (slice(q, lq)?, slice(k, lk)?, slice(v, lv)?);
        let mut out = vec![0.0; q.len()];
        let mut probs = vec![0.0; self.queries * self.keys];
        for head in self.heads() {
            let n_keys = head.keep.len();
            self.probabilities(&head, q, k, &mut probs);
            self.drop(&head, &mut probs);
            let probs = Matrix::new(&probs, self.queries, n_keys, n_keys);
            let out = &mut out[head.query_offset..];
            multiply(out, self.hidden, Target::Overwrite, 1.0, probs, self.view(v, head.key_offset, n_keys));
        }
        Ok((CpuStorage::F32(out), lq.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut gradients = Gradients {
            q: if q.track_op() { vec![0.0; q.elem_count()] } else { Vec::new() },
            k: if k.track_op() { vec![0.0; k.elem_count()] } else { Vec::new() },
            v: if v.track_op() { vec![0.0; v.elem_count()] } else { Vec::new() },
        };
        with_slice(&gradient.contiguous()?, |gradient| {
            with_slice(q, |q| with_slice(k, |k| with_slice(v, |v| self.backward(q, k, v, gradient, &mut gradients))))
        })????;
        let tensor = |values: Vec<f32>, like: &Tensor| {
            like.track_op().then(|| Tensor::from_vec(values, like.shape(), like.device())).transpose()
        };
        Ok((tensor(gradients.q, q)?, tensor(gradients.k, k)?, tensor(gradients.v, v)?))
    }
}

/// Gradients of the three inputs; empty where nobody needs one.
struct Gradients {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Attention {
    /// The heads that have a key to attend to; the others keep their zeros.
    fn heads(&self) -> impl Iterator<Item = Head<'_>> {
        let width = self.hidden / self.heads;
        (0..self.batch * self.heads).filter_map(move |index| {
            let (sequence, head) = (index / self.heads, index % self.heads);
            let keep = &self.keep[sequence * self.keys..][..self.keys];
            let n_keys = keep.iter().rposition(|&keep| keep != 0.0)? + 1;
            Some(Head {
                keep: &keep[..n_keys],
                query_offset: sequence * self.queries * self.hidden + head * width,
                key_offset: sequence * self.keys * self.hidden + head * width,
                first_probability: index * self.queries * self.keys,
            })
        })
    }

    /// `n` rows of one head.
    fn view<'a>(&self, values: &'a [f32], offset: usize, n: usize) -> Matrix<'a> {
        Matrix::new(&values[offset..], n, self.hidden / self.heads, self.hidden)
    }

    fn scale(&self) -> f32 {
        1.0 / ((self.hidden / self.heads) as f32).sqrt()
    }

    /// Probabilities before dropout, `[queries, head.keep.len()]`.
    fn probabilities(&self, head: &Head<'_>, q: &[f32], k: &[f32], probs: &mut [f32]) {
        let n_keys = head.keep.len();
        let q = self.view(q, head.query_offset, self.queries);
        let k = self.view(k, head.key_offset, n_keys);
        multiply(probs, n_keys, Target::Overwrite, self.scale(), q, k.t());
        softmax(&mut probs[..self.queries * n_keys], head.keep);
    }

    /// Multiplies probabilities (or their gradients) with the dropout mask.
    fn drop(&self, head: &Head<'_>, probs: &mut [f32]) {
        let Some(mask) = self.dropout else { return };
        let n_keys = head.keep.len();
        for (query, row) in probs.chunks_exact_mut(n_keys).take(self.queries).enumerate() {
            dropout::apply(mask, (head.first_probability + query * self.keys) as u32, row);
        }
    }

    /// With probabilities `P` (recomputed), mask `M` and output gradient `g`: `dv = (P M)^T g`,
    /// `dP = M (g v^T)`, `ds = P (dP - sum_keys(P dP))`, `dq = ds k / sqrt(width)`, `dk = ds^T q / sqrt(width)`.
    fn backward(&self, q: &[f32], k: &[f32], v: &[f32], gradient: &[f32], out: &mut Gradients) {
        let mut probs = vec![0.0; self.queries * self.keys];
        let mut dropped = if self.dropout.is_some() { probs.clone() } else { Vec::new() };
        let mut scores = probs.clone();
        for head in self.heads() {
            let n_keys = head.keep.len();
            let n_probs = self.queries * n_keys;
            let matrix = |values| Matrix::new(values, self.queries, n_keys, n_keys);
            let gradient = self.view(gradient, head.query_offset, self.queries);
            self.probabilities(&head, q, k, &mut probs);
            if !out.v.is_empty() {
                let probs = if self.dropout.is_some() {
                    dropped[..n_probs].copy_from_slice(&probs[..n_probs]);
                    self.drop(&head, &mut dropped);
                    &dropped
                } else {
                    &probs
                };
                let dv = &mut out.v[head.key_offset..];
                multiply(dv, self.hidden, Target::Overwrite, 1.0, matrix(probs).t(), gradient);
            }
            if out.q.is_empty() && out.k.is_empty() {
                continue;
            }
            let v = self.view(v, head.key_offset, n_keys);
            multiply(&mut scores, n_keys, Target::Overwrite, 1.0, gradient, v.t());
            self.drop(&head, &mut scores);
            softmax_gradient(&probs[..n_probs], n_keys, &mut scores[..n_probs]);
            if !out.q.is_empty() {
                let k = self.view(k, head.key_offset, n_keys);
                let dq = &mut out.q[head.query_offset..];
                multiply(dq, self.hidden, Target::Overwrite, self.scale(), matrix(&scores), k);
            }
            if !out.k.is_empty() {
                let q = self.view(q, head.query_offset, self.queries);
                let dk = &mut out.k[head.key_offset..];
                multiply(dk, self.hidden, Target::Overwrite, self.scale(), matrix(&scores).t(), q);
            }
        }
    }
}

vectorised! {
    /// Turns rows of scores into probabilities; keys with `keep` 0 get none. At least one key must be kept.
    fn softmax(scores: &mut [f32], keep: &[f32]) {
        for row in scores.chunks_exact_mut(keep.len()) {
            for (score, keep) in row.iter_mut().zip(keep) {
                *score = if *keep == 0.0 { f32::NEG_INFINITY } else { *score };
            }
            let highest = max(row);
            for score in row.iter_mut() {
                *score = exp(*score - highest);
            }
            let scale = 1.0 / sum([row], |[weight]| weight);
            for weight in row {
                *weight *= scale;
            }
        }
    }
}

vectorised! {
    /// Turns gradients of rows of `n_keys` probabilities into gradients of their scores.
    fn softmax_gradient(probs: &[f32], n_keys: usize, gradient: &mut [f32]) {
        for (probs, gradient) in probs.chunks_exact(n_keys).zip(gradient.chunks_exact_mut(n_keys)) {
            let mean = sum([probs, gradient], |[p, g]| p * g);
            for (gradient, p) in gradient.iter_mut().zip(probs) {
                *gradient = p * (*gradient - mean);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::model::ops::testing::{assert_agree, noise};

    fn mask(rows: &[&[f32]]) -> Tensor {
        Tensor::new(rows.concat(), &Device::Cpu).unwrap().reshape((rows.len(), rows[0].len())).unwrap()
    }

    fn check(queries: usize, mask: &Tensor, heads: usize, dropout: Option<Dropout>) {
        let (batch, keys) = mask.dims2().unwrap();
        let hidden = heads * 3;
        let inputs =
            [noise(&[batch, queries, hidden], 1), noise(&[batch, keys, hidden], 2), noise(&[batch, keys, hidden], 3)];
        assert_agree(
            &|t| attention(&t[0], &t[1], &t[2], mask, heads, dropout),
            &|t| composed::attention(&t[0], &t[1], &t[2], mask, heads, dropout),
            &inputs,
        );
    }

    #[test]
    fn equals_the_composed_form_with_padding() {
        check(4, &mask(&[&[1.0; 4], &[1.0, 1.0, 0.0, 0.0]]), 2, None);
        check(1, &mask(&[&[1.0]]), 1, None);
    }

    #[test]
    fn takes_a_prefix_of_keys_and_holes_in_the_mask() {
        check(3, &mask(&[&[1.0, 1.0, 1.0, 1.0, 0.0], &[1.0, 0.0, 1.0, 0.0, 0.0], &[0.0, 0.0, 1.0, 1.0, 1.0]]), 3, None);
        check(5, &mask(&[&[0.0, 1.0]]), 2, None);
    }

    #[test]
    fn dropout_draws_the_same_mask_as_the_composed_form() {
        let dropout = Dropout { p: 0.3, key: 11 };
        check(4, &mask(&[&[1.0, 1.0, 1.0, 0.0], &[1.0, 1.0, 1.0, 1.0]]), 2, Some(dropout));
    }

    #[test]
    fn the_composed_form_computes_no_gradient_of_masks() {
        let variables = [1, 2, 3].map(|salt| Var::from_tensor(&noise(&[2, 4, 6], salt)).unwrap());
        let [q, k, v] = variables.each_ref().map(Var::as_tensor);
        let mask = mask(&[&[1.0; 4], &[1.0, 1.0, 0.0, 0.0]]);
        let out = attention(q, k, v, &mask, 2, Some(Dropout { p: 0.3, key: 11 })).unwrap();
        // Those of queries, keys and values.
        assert_eq!(out.sqr().unwrap().sum_all().unwrap().backward().unwrap().get_ids().count(), 3);
    }

    #[test]
    fn a_query_without_keys_receives_zeros_and_passes_no_gradient() {
        let mask = mask(&[&[0.0; 3], &[1.0; 3]]);
        check(2, &mask, 2, None);
        let x = noise(&[2, 3, 4], 1).to_dtype(DType::F32).unwrap();
        let out = attention(&x, &x, &x, &mask, 2, None).unwrap();
        assert_eq!(out.get(0).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.0; 12]);
    }

    #[test]
    fn numbers_behind_the_mask_do_not_matter() {
        let q = noise(&[1, 2, 4], 1).to_dtype(DType::F32).unwrap();
        let mask = mask(&[&[1.0, 0.0, 1.0, 0.0]]);
        let keys = |padding: f32| {
            let mut rows = noise(&[4, 4], 2).to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
            rows[1] = vec![padding; 4];
            rows[3] = vec![padding; 4];
            Tensor::new(rows, &Device::Cpu).unwrap().unsqueeze(0).unwrap()
        };
        let out = |padding| attention(&q, &keys(padding), &keys(padding), &mask, 2, None).unwrap();
        let numbers = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(numbers(out(0.0)), numbers(out(1e6)));
    }

    #[test]
    fn no_graph_is_kept_when_nothing_is_trained_and_bad_shapes_are_refused() {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let x = zeros(&[1, 2, 4]);
        assert!(!attention(&x, &x, &x, &mask(&[&[1.0; 2]]), 2, None).unwrap().track_op());
        assert!(attention(&x, &x, &x, &mask(&[&[1.0; 3]]), 2, None).is_err());
        assert!(attention(&x, &x, &x, &mask(&[&[1.0; 2]]), 3, None).is_err());
    }
}
