//! The same functions made of candle's operations: for other devices and number types, and as the tests' reference.

use candle_core::backend::BackendStorage;
use candle_core::op::Add;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, D, DType, Layout, Result, Shape, Storage, Tensor, bail};

use super::dropout::Dropout;
use super::frozen::{plus, times};

/// `x W^T + b` for `x` of any rank.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (n_out, n_in) = weight.dims2()?;
    let mut shape = x.dims().to_vec();
    let n_rows = x.elem_count() / n_in.max(1);
    let product = x.reshape((n_rows, n_in))?.matmul(&weight.t()?)?;
    let out = match bias {
        Some(bias) => plus(&product, bias)?,
        None => product,
    };
    if let Some(last) = shape.last_mut() {
        *last = n_out;
    }
    out.reshape(shape)
}

/// The same for a weight and bias that are not trained: candle's own product would compute their gradients for nobody.
pub(super) fn frozen_linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(FrozenLinear { weight: weight.detach(), bias: bias.map(Tensor::detach) })
}

/// A projection by candle's own product on any device and in any number type, with a gradient of the input alone.
struct FrozenLinear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "composed-frozen-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.project(x, layout, |storage| match storage {
            Storage::Cpu(storage) => Some(storage),
            _ => None,
        })
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        self.project(x, layout, |storage| match storage {
            Storage::Cuda(storage) => Some(storage),
            _ => None,
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let rows = gradient.reshape(((), self.weight.dim(0)?))?;
        rows.matmul(&self.weight)?.reshape(x.shape()).map(Some)
    }
}

impl FrozenLinear {
    /// `x W^T + b` on the device whose storage `on_device` finds.
    fn project<S: BackendStorage>(
        &self,
        x: &S,
        layout: &Layout,
        on_device: impl Fn(&Storage) -> Option<&S>,
    ) -> Result<(S, Shape)> {
        let (n_out, n_in) = self.weight.dims2()?;
        let n_rows = layout.shape().elem_count() / n_in.max(1);
        let rows = Layout::contiguous_with_offset((n_rows, n_in), layout.start_offset());
        let mut dims = layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = n_out;
        }
        let (storage, weight_layout) = self.weight.storage_and_layout();
        let Some(weight) = on_device(&storage) else { bail!("input and weight lie on two devices") };
        let product = x.matmul(weight, (1, n_rows, n_out, n_in), &rows, &weight_layout.transpose(0, 1)?)?;
        let Some(bias) = &self.bias else { return Ok((product, dims.into())) };
        let (storage, bias_layout) = bias.storage_and_layout();
        let Some(bias) = on_device(&storage) else { bail!("input and bias lie on two devices") };
        let (whole, repeated) = (Layout::contiguous((n_rows, n_out)), bias_layout.broadcast_as((n_rows, n_out))?);
        Ok((product.binary_impl::<Add>(bias, &whole, &repeated)?, dims.into()))
    }
}

/// Layer normalisation over the last dimension.
pub(super) fn layer_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, eps: f64) -> Result<Tensor> {
    let dtype = x.dtype();
    let inner = if matches!(dtype, DType::F16 | DType::BF16) { DType::F32 } else { dtype };
    let x = x.to_dtype(inner)?;
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
    plus(&times(&normed.to_dtype(dtype)?, gamma)?, beta)
}

/// Multi-head attention; see [`super::attention()`] for the meaning of the arguments. candle's products make the gradients
/// of queries, keys and values together; only in an encoder's first layer can some of them lead to no variable.
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
    let scores = plus(&scores, &keep.affine(floor, -floor)?)?;
    let weights = plus(&scores, &scores.detach().max_keepdim(D::Minus1)?.neg()?)?.exp()?;
    let probs = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
    let probs = times(&probs, &keep)?;
    let probs = match dropout {
        Some(dropout) => super::dropout::dropout(&probs, dropout)?,
        None => probs,
    };
    probs.matmul(&split(v, n_keys)?)?.transpose(1, 2)?.reshape((batch, n_queries, hidden))
}
