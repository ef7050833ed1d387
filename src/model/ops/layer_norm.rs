//! Layer normalisation.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::composed;
use super::frozen::plus;
use super::lanes::{sum, vectorised};
use super::storage::{fits_kernels, slice, with_slice};

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
    check(x, gamma, beta)?;
    if !fits_kernels(&[x, gamma, beta]) {
        return composed::layer_norm(x, gamma, beta, eps);
    }
    x.contiguous()?.apply_op3(&gamma.contiguous()?, &beta.contiguous()?, LayerNorm { eps: eps as f32 })
}

/// Layer normalisation of a sum: `layer_norm(x + residual, gamma, beta, eps)` in one pass.
///
/// # Shapes
/// `x` and `residual` have one shape, `[.., hidden]`; otherwise as in [`layer_norm`].
///
/// # Errors
/// When the shapes do not fit.
pub fn add_layer_norm(x: &Tensor, residual: &Tensor, gamma: &Tensor, beta: &Tensor, eps: f64) -> Result<Tensor> {
    let trained = gamma.track_op() || beta.track_op();
    if trained || x.dims() != residual.dims() || !fits_kernels(&[x, residual, gamma, beta]) {
        return layer_norm(&plus(x, residual)?, gamma, beta, eps);
    }
    check(x, gamma, beta)?;
    let op = AddLayerNorm { gamma: gamma.contiguous()?, beta: beta.contiguous()?, eps: eps as f32 };
    x.contiguous()?.apply_op2(&residual.contiguous()?, op)
}

fn check(x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<()> {
    let hidden = gamma.dims1()?;
    if x.dims().last() != Some(&hidden) || beta.dims() != [hidden] || hidden == 0 {
        bail!("layer normalisation of {:?} by {:?} and {:?}", x.shape(), gamma.shape(), beta.shape());
    }
    Ok(())
}

struct LayerNorm {
    eps: f32,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        gamma: &CpuStorage,
        lg: &Layout,
        beta: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = forward(slice(x, lx)?, slice(gamma, lg)?, slice(beta, lb)?, self.eps);
        Ok((CpuStorage::F32(out), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let tracked = x.track_op();
        let trained = gamma.track_op() || beta.track_op();
        let (dx, dscale) = with_slice(x, |x| {
            with_slice(gamma, |gamma| {
                with_slice(&gradient, |gradient| {
                    (
                        if tracked { input_gradient(x, gamma, self.eps, gradient) } else { Vec::new() },
                        if trained { scale_gradient(x, gamma.len(), self.eps, gradient) } else { Default::default() },
                    )
                })
            })
        })???;
        let tensor = |values: Vec<f32>, like: &Tensor| {
            like.track_op().then(|| Tensor::from_vec(values, like.shape(), like.device())).transpose()
        };
        Ok((tensor(dx, x)?, tensor(dscale.0, gamma)?, tensor(dscale.1, beta)?))
    }
}

/// The normalisation of a sum, with frozen scale and offset.
struct AddLayerNorm {
    gamma: Tensor,
    beta: Tensor,
    eps: f32,
}

impl CustomOp2 for AddLayerNorm {
    fn name(&self) -> &'static str {
        "add-layer-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, r: &CpuStorage, lr: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, residual) = (slice(x, lx)?, slice(r, lr)?);
        let out = with_slice(&self.gamma, |gamma| {
            with_slice(&self.beta, |beta| add_forward(x, residual, gamma, beta, self.eps))
        })??;
        Ok((CpuStorage::F32(out), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        residual: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = with_slice(&gradient.contiguous()?, |gradient| {
            with_slice(x, |x| {
                with_slice(residual, |residual| {
                    with_slice(&self.gamma, |gamma| add_input_gradient(x, residual, gamma, self.eps, gradient))
                })
            })
        })????;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((x.track_op().then(|| dx.clone()), residual.track_op().then_some(dx)))
    }
}

/// Mean of a row and the reciprocal of its standard deviation.
#[inline(always)]
fn moments(row: &[f32], eps: f32) -> (f32, f32) {
    let n = row.len() as f32;
    let mean = sum([row], |[x]| x) / n;
    let variance = sum([row], |[x]| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / (variance + eps).sqrt())
}

#[inline(always)]
fn forward_row(row: &[f32], gamma: &[f32], beta: &[f32], eps: f32, out: &mut [f32]) {
    let (mean, scale) = moments(row, eps);
    for (((out, x), gamma), beta) in out.iter_mut().zip(row).zip(gamma).zip(beta) {
        *out = (x - mean) * scale * gamma + beta;
    }
}

/// With `h = (x - mean) s` and `u = g gamma`: `dx = s (u - mean(u) - h mean(u h))`.
#[inline(always)]
fn gradient_row(row: &[f32], gamma: &[f32], eps: f32, gradient: &[f32], dx: &mut [f32]) {
    let n = row.len() as f32;
    let (mean, scale) = moments(row, eps);
    let mean_u = sum([gradient, gamma], |[g, gamma]| g * gamma) / n;
    let mean_uh = sum([gradient, gamma, row], |[g, gamma, x]| g * gamma * (x - mean)) * scale / n;
    for (((dx, x), gamma), g) in dx.iter_mut().zip(row).zip(gamma).zip(gradient) {
        *dx = scale * (g * gamma - mean_u - (x - mean) * scale * mean_uh);
    }
}

#[inline(always)]
fn add_row(x: &[f32], residual: &[f32], sum: &mut [f32]) {
    for ((sum, x), residual) in sum.iter_mut().zip(x).zip(residual) {
        *sum = x + residual;
    }
}

// Each row is finished in a small buffer before it is appended to the result: this way nothing is zeroed first.

vectorised! {
    fn forward(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32) -> Vec<f32> {
        let mut result = Vec::with_capacity(x.len());
        let mut out = vec![0.0; gamma.len()];
        for row in x.chunks_exact(gamma.len()) {
            forward_row(row, gamma, beta, eps, &mut out);
            result.extend_from_slice(&out);
        }
        result
    }
}

vectorised! {
    fn add_forward(x: &[f32], residual: &[f32], gamma: &[f32], beta: &[f32], eps: f32) -> Vec<f32> {
        let hidden = gamma.len();
        let mut result = Vec::with_capacity(x.len());
        let (mut row, mut out) = (vec![0.0; hidden], vec![0.0; hidden]);
        for (x, residual) in x.chunks_exact(hidden).zip(residual.chunks_exact(hidden)) {
            add_row(x, residual, &mut row);
            forward_row(&row, gamma, beta, eps, &mut out);
            result.extend_from_slice(&out);
        }
        result
    }
}

vectorised! {
    fn input_gradient(x: &[f32], gamma: &[f32], eps: f32, gradient: &[f32]) -> Vec<f32> {
        let hidden = gamma.len();
        let mut result = Vec::with_capacity(x.len());
        let mut dx = vec![0.0; hidden];
        for (row, gradient) in x.chunks_exact(hidden).zip(gradient.chunks_exact(hidden)) {
            gradient_row(row, gamma, eps, gradient, &mut dx);
            result.extend_from_slice(&dx);
        }
        result
    }
}

vectorised! {
    fn add_input_gradient(x: &[f32], residual: &[f32], gamma: &[f32], eps: f32, gradient: &[f32]) -> Vec<f32> {
        let hidden = gamma.len();
        let mut result = Vec::with_capacity(x.len());
        let (mut row, mut dx) = (vec![0.0; hidden], vec![0.0; hidden]);
        let rows = x.chunks_exact(hidden).zip(residual.chunks_exact(hidden));
        for ((x, residual), gradient) in rows.zip(gradient.chunks_exact(hidden)) {
            add_row(x, residual, &mut row);
            gradient_row(&row, gamma, eps, gradient, &mut dx);
            result.extend_from_slice(&dx);
        }
        result
    }
}

vectorised! {
    /// The sums of `g h` and of `g` over all rows: the gradients of scale and offset.
    fn scale_gradient(x: &[f32], hidden: usize, eps: f32, gradient: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (mut dgamma, mut dbeta) = (vec![0.0; hidden], vec![0.0; hidden]);
        for (row, gradient) in x.chunks_exact(hidden).zip(gradient.chunks_exact(hidden)) {
            let (mean, scale) = moments(row, eps);
            for (((dgamma, dbeta), x), g) in dgamma.iter_mut().zip(&mut dbeta).zip(row).zip(gradient) {
                *dgamma += g * (x - mean) * scale;
                *dbeta += g;
            }
        }
        (dgamma, dbeta)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::model::ops::testing::{assert_agree, noise};

    #[test]
    fn equals_the_composed_form_at_any_width() {
        for hidden in [1, 5, 16, 37] {
            let inputs = [noise(&[2, 3, hidden], 1), noise(&[hidden], 2), noise(&[hidden], 3)];
            assert_agree(
                &|t| layer_norm(&t[0], &t[1], &t[2], 1e-3),
                &|t| composed::layer_norm(&t[0], &t[1], &t[2], 1e-3),
                &inputs,
            );
        }
    }

    #[test]
    fn the_normalisation_of_a_sum_equals_the_composed_form() {
        let frozen = |dtype| [noise(&[37], 2), noise(&[37], 3)].map(|t| t.to_dtype(dtype).unwrap());
        let inputs = [noise(&[2, 3, 37], 1), noise(&[2, 3, 37], 4)];
        let composed = |t: &[Tensor]| {
            let [gamma, beta] = frozen(t[0].dtype());
            composed::layer_norm(&(&t[0] + &t[1])?, &gamma, &beta, 1e-3)
        };
        let [gamma, beta] = frozen(DType::F32);
        assert_agree(&|t| add_layer_norm(&t[0], &t[1], &gamma, &beta, 1e-3), &composed, &inputs);
        let all = [inputs.as_slice(), &frozen(DType::F64)].concat();
        assert_agree(
            &|t| add_layer_norm(&t[0], &t[1], &t[2], &t[3], 1e-3),
            &|t| composed::layer_norm(&(&t[0] + &t[1])?, &t[2], &t[3], 1e-3),
            &all,
        );
    }

    #[test]
    fn gradients_go_only_where_a_variable_is() {
        let [x, gamma, beta] =
            [noise(&[3, 8], 1), noise(&[8], 2), noise(&[8], 3)].map(|t| t.to_dtype(DType::F32).unwrap());
        let trained = Var::from_tensor(&beta).unwrap();
        let out = layer_norm(&x, &gamma, trained.as_tensor(), 1e-5).unwrap();
        let gradients = out.sum_all().unwrap().backward().unwrap();
        // The gradient of a sum over three rows to each offset.
        assert_eq!(gradients.get(trained.as_tensor()).unwrap().to_vec1::<f32>().unwrap(), [3.0; 8]);
        assert!(gradients.get(&x).is_none() && gradients.get(&gamma).is_none());
        assert!(!layer_norm(&x, &gamma, &beta, 1e-5).unwrap().track_op());
    }

    #[test]
    fn the_composed_form_computes_gradients_only_where_a_variable_is() {
        let [x, gamma, beta] = [noise(&[3, 8], 1), noise(&[8], 2), noise(&[8], 3)];
        let n_gradients = |x: &Tensor, gamma: &Tensor, beta: &Tensor| {
            let out = layer_norm(x, gamma, beta, 1e-5).unwrap();
            out.sqr().unwrap().sum_all().unwrap().backward().unwrap().get_ids().count()
        };
        let variables = [&x, &gamma, &beta].map(|t| Var::from_tensor(t).unwrap());
        assert_eq!(n_gradients(&variables[0], &gamma, &beta), 1);
        assert_eq!(n_gradients(&x, &variables[1], &variables[2]), 2);
        let sum = add_layer_norm(&variables[0], &x, &gamma, &beta, 1e-5).unwrap();
        assert_eq!(sum.sqr().unwrap().sum_all().unwrap().backward().unwrap().get_ids().count(), 1);
    }
}
