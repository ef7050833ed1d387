//! Layer normalisation.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::composed;
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
    let hidden = gamma.dims1()?;
    if x.dims().last() != Some(&hidden) || beta.dims() != [hidden] || hidden == 0 {
        bail!("layer normalisation of {:?} by {:?} and {:?}", x.shape(), gamma.shape(), beta.shape());
    }
    if !fits_kernels(&[x, gamma, beta]) {
        return composed::layer_norm(x, gamma, beta, eps);
    }
    x.contiguous()?.apply_op3(&gamma.contiguous()?, &beta.contiguous()?, LayerNorm { eps: eps as f32 })
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
        let x = slice(x, lx)?;
        let mut out = vec![0.0; x.len()];
        forward(x, slice(gamma, lg)?, slice(beta, lb)?, self.eps, &mut out);
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
        let hidden = gamma.elem_count();
        let trained = gamma.track_op() || beta.track_op();
        let mut dx = if x.track_op() { vec![0.0; x.elem_count()] } else { Vec::new() };
        let (mut dgamma, mut dbeta) = if trained { (vec![0.0; hidden], vec![0.0; hidden]) } else { Default::default() };
        with_slice(x, |x| {
            with_slice(gamma, |gamma| {
                with_slice(&gradient, |gradient| {
                    if !dx.is_empty() {
                        input_gradient(x, gamma, self.eps, gradient, &mut dx);
                    }
                    if trained {
                        scale_gradient(x, self.eps, gradient, &mut dgamma, &mut dbeta);
                    }
                })
            })
        })???;
        let tensor = |values: Vec<f32>, like: &Tensor| {
            let wanted = like.track_op();
            wanted.then(|| Tensor::from_vec(values, like.shape(), like.device())).transpose()
        };
        Ok((tensor(dx, x)?, tensor(dgamma, gamma)?, tensor(dbeta, beta)?))
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

vectorised! {
    fn forward(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, out: &mut [f32]) {
        let hidden = gamma.len();
        let beta = &beta[..hidden];
        for (row, out) in x.chunks_exact(hidden).zip(out.chunks_exact_mut(hidden)) {
            let (mean, scale) = moments(row, eps);
            for i in 0..hidden {
                out[i] = (row[i] - mean) * scale * gamma[i] + beta[i];
            }
        }
    }
}

vectorised! {
    /// With `h = (x - mean) s` and `u = g gamma`: `dx = s (u - mean(u) - h mean(u h))`.
    fn input_gradient(x: &[f32], gamma: &[f32], eps: f32, gradient: &[f32], dx: &mut [f32]) {
        let hidden = gamma.len();
        let rows = x.chunks_exact(hidden).zip(gradient.chunks_exact(hidden));
        for ((row, gradient), dx) in rows.zip(dx.chunks_exact_mut(hidden)) {
            let (mean, scale) = moments(row, eps);
            let mean_u = sum([gradient, gamma], |[g, gamma]| g * gamma) / hidden as f32;
            let mean_uh = sum([gradient, gamma, row], |[g, gamma, x]| g * gamma * (x - mean)) * scale / hidden as f32;
            for i in 0..hidden {
                dx[i] = scale * (gradient[i] * gamma[i] - mean_u - (row[i] - mean) * scale * mean_uh);
            }
        }
    }
}

vectorised! {
    /// Adds `g h` to `dgamma` and `g` to `dbeta`, row after row.
    fn scale_gradient(x: &[f32], eps: f32, gradient: &[f32], dgamma: &mut [f32], dbeta: &mut [f32]) {
        let hidden = dgamma.len();
        let dbeta = &mut dbeta[..hidden];
        for (row, gradient) in x.chunks_exact(hidden).zip(gradient.chunks_exact(hidden)) {
            let (mean, scale) = moments(row, eps);
            for i in 0..hidden {
                dgamma[i] += gradient[i] * (row[i] - mean) * scale;
                dbeta[i] += gradient[i];
            }
        }
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
}
