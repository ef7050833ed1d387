//! Projections with trained and with frozen weights.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::composed;
use super::frozen::plus;
use super::lanes::vectorised;
use super::matrix::{Matrix, Target, multiply, product};
use super::storage::{fits_kernels, slice, with_slice};
use super::widened::{fits_weight, with_widened};

/// A projection with frozen weights: `x W^T + b`, with a gradient to `x` only.
///
/// # Shapes
/// `x` is `[.., in]` of any rank, `weight` `[out, in]`, `bias` `[out]`; the result is `[.., out]`. The weight may be kept
/// in `bf16`: arithmetic is in the number type of `x`.
///
/// # Errors
/// When the shapes do not fit.
pub fn frozen_linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let Some((x, weight, bias)) = prepare(x, weight, bias)? else {
        let weight = weight.detach().to_dtype(x.dtype())?;
        return composed::frozen_linear(x, &weight, bias.map(Tensor::detach).as_ref());
    };
    x.apply_op1(FrozenLinear { weight: weight.detach(), bias: bias.map(|bias| bias.detach()) })
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
    match prepare(x, weight, bias)? {
        None => composed::linear(x, weight, bias),
        Some((x, weight, None)) => x.apply_op2(&weight, Linear),
        Some((x, weight, Some(bias))) => x.apply_op3(&weight, &bias, Linear),
    }
}

/// What a low-rank update adds to a projection: `base + scale * x W^T`, with gradients to `base`, `x` and `weight` where
/// they lead to a variable.
///
/// # Shapes
/// `base` is `[.., out]`, `x` `[.., in]` with the same leading dimensions, `weight` `[out, in]`; the result is `[.., out]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn add_linear(base: &Tensor, x: &Tensor, weight: &Tensor, scale: f64) -> Result<Tensor> {
    match prepare(x, weight, None)? {
        Some((x, weight, _)) if fits_kernels(&[base]) => {
            if base.shape() != &projected(x.dims(), weight.dims()) {
                bail!("a projection of {:?} by {:?} cannot be added to {:?}", x.shape(), weight.shape(), base.shape());
            }
            base.contiguous()?.apply_op3(&x, &weight, AddLinear { scale: scale as f32 })
        }
        _ => plus(&composed::linear(&(x * scale)?, weight, None)?, base),
    }
}

/// The arguments made contiguous, or `None` when the kernel cannot take them.
fn prepare(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Option<(Tensor, Tensor, Option<Tensor>)>> {
    let (n_out, n_in) = weight.dims2()?;
    if x.dims().last() != Some(&n_in) {
        bail!("a projection with weights {:?} cannot take {:?}", weight.shape(), x.shape());
    }
    if bias.is_some_and(|bias| bias.dims() != [n_out]) {
        bail!("a projection with weights {:?} cannot have a bias {:?}", weight.shape(), bias.map(Tensor::shape));
    }
    if !fits_kernels(&[x])
        || !fits_weight(weight)
        || !bias.is_none_or(|bias| fits_kernels(&[bias]))
        || n_in == 0
        || n_out == 0
    {
        return Ok(None);
    }
    Ok(Some((x.contiguous()?, weight.contiguous()?, bias.map(Tensor::contiguous).transpose()?)))
}

struct FrozenLinear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(storage, layout)?;
        let out = with_widened(&self.weight, |weight| match &self.bias {
            Some(bias) => with_slice(bias, |bias| project(x, weight, layout.dims(), self.weight.dims(), Some(bias))),
            None => Ok(project(x, weight, layout.dims(), self.weight.dims(), None)),
        })??;
        Ok((CpuStorage::F32(out), projected(layout.dims(), self.weight.dims())))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        input_gradient(x, &self.weight, &gradient.contiguous()?)
    }
}

struct Linear;

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = project(slice(x, lx)?, slice(w, lw)?, lx.dims(), lw.dims(), None);
        Ok((CpuStorage::F32(out), projected(lx.dims(), lw.dims())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        Ok((input_gradient(x, weight, &gradient)?, weight_gradient(x, weight, &gradient)?))
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear-with-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = project(slice(x, lx)?, slice(w, lw)?, lx.dims(), lw.dims(), Some(slice(b, lb)?));
        Ok((CpuStorage::F32(out), projected(lx.dims(), lw.dims())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        Ok((
            input_gradient(x, weight, &gradient)?,
            weight_gradient(x, weight, &gradient)?,
            bias_gradient(bias, &gradient)?,
        ))
    }
}

struct AddLinear {
    scale: f32,
}

impl CustomOp3 for AddLinear {
    fn name(&self) -> &'static str {
        "add-linear"
    }

    fn cpu_fwd(
        &self,
        base: &CpuStorage,
        lb: &Layout,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n_out, n_in) = (lw.dims()[0], lw.dims()[1]);
        let (x, weight) = (slice(x, lx)?, slice(w, lw)?);
        let mut out = slice(base, lb)?.to_vec();
        let left = Matrix::new(x, x.len() / n_in, n_in, n_in);
        multiply(&mut out, n_out, Target::Add, self.scale, left, Matrix::new(weight, n_out, n_in, n_in).t());
        Ok((CpuStorage::F32(out), lb.shape().clone()))
    }

    fn bwd(
        &self,
        base: &Tensor,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        // Both are narrow or small: scaling them costs less than scaling the gradient.
        let scaled = |t: Option<Tensor>| t.map(|t| t * f64::from(self.scale)).transpose();
        Ok((
            base.track_op().then(|| gradient.clone()),
            scaled(input_gradient(x, weight, &gradient)?)?,
            scaled(weight_gradient(x, weight, &gradient)?)?,
        ))
    }
}

/// The shape of `x W^T`.
fn projected(x: &[usize], weight: &[usize]) -> Shape {
    let mut dims = x.to_vec();
    if let Some(last) = dims.last_mut() {
        *last = weight[0];
    }
    Shape::from(dims)
}

/// `x W^T + b`; the rows start as the bias, so that adding it costs no pass of its own.
fn project(x: &[f32], weight: &[f32], x_dims: &[usize], weight_dims: &[usize], bias: Option<&[f32]>) -> Vec<f32> {
    let (n_out, n_in) = (weight_dims[0], weight_dims[1]);
    let n_rows = x_dims.iter().product::<usize>() / n_in;
    let left = Matrix::new(x, n_rows, n_in, n_in);
    let right = Matrix::new(weight, n_out, n_in, n_in).t();
    let Some(bias) = bias else { return product(left, right) };
    let mut out = Vec::with_capacity(n_rows * n_out);
    (0..n_rows).for_each(|_| out.extend_from_slice(bias));
    multiply(&mut out, n_out, Target::Add, 1.0, left, right);
    out
}

/// `g W`, when somebody needs it.
fn input_gradient(x: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
    if !x.track_op() {
        return Ok(None);
    }
    let (n_out, n_in) = weight.dims2()?;
    let n_rows = x.elem_count() / n_in;
    let out = with_slice(gradient, |gradient| {
        with_widened(weight, |weight| {
            product(Matrix::new(gradient, n_rows, n_out, n_out), Matrix::new(weight, n_out, n_in, n_in))
        })
    })??;
    Tensor::from_vec(out, x.shape(), x.device()).map(Some)
}

/// `g^T x`, when somebody needs it.
fn weight_gradient(x: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
    if !weight.track_op() {
        return Ok(None);
    }
    let (n_out, n_in) = weight.dims2()?;
    let n_rows = x.elem_count() / n_in;
    let out = with_slice(gradient, |gradient| {
        with_slice(x, |x| product(Matrix::new(gradient, n_rows, n_out, n_out).t(), Matrix::new(x, n_rows, n_in, n_in)))
    })??;
    Tensor::from_vec(out, weight.shape(), weight.device()).map(Some)
}

/// The sum of the rows of `g`, when somebody needs it.
fn bias_gradient(bias: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
    if !bias.track_op() {
        return Ok(None);
    }
    let mut total = vec![0.0; bias.elem_count()];
    with_slice(gradient, |gradient| add_rows(gradient, &mut total))?;
    Tensor::from_vec(total, bias.shape(), bias.device()).map(Some)
}

vectorised! {
    fn add_rows(rows: &[f32], total: &mut [f32]) {
        for row in rows.chunks_exact(total.len()) {
            for (total, value) in total.iter_mut().zip(row) {
                *total += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;
    use crate::model::ops::testing::{assert_agree, distance, noise, run};

    #[test]
    fn a_trained_projection_equals_the_composed_form() {
        let inputs = [noise(&[2, 3, 5], 1), noise(&[7, 5], 2), noise(&[7], 3)];
        assert_agree(&|t| linear(&t[0], &t[1], Some(&t[2])), &|t| composed::linear(&t[0], &t[1], Some(&t[2])), &inputs);
        assert_agree(&|t| linear(&t[0], &t[1], None), &|t| composed::linear(&t[0], &t[1], None), &inputs[..2]);
    }

    #[test]
    fn a_frozen_projection_passes_gradients_to_its_input_alone() {
        let inputs = [noise(&[2, 33, 20], 1), noise(&[18, 20], 2), noise(&[18], 3)];
        let (out, gradients) = run(&|t| frozen_linear(&t[0], &t[1], Some(&t[2])), &inputs, DType::F32);
        let (expected, exact) = run(&|t| composed::linear(&t[0], &t[1], Some(&t[2])), &inputs, DType::F64);
        assert!(distance(&out, &expected) < 1e-5);
        assert!(distance(gradients[0].as_ref().unwrap(), exact[0].as_ref().unwrap()) < 1e-5);
        assert!(gradients[1].is_none() && gradients[2].is_none());
    }

    /// Also where the kernel cannot run: on a GPU, and with other number types on any device.
    #[test]
    fn the_composed_form_computes_no_gradient_of_frozen_weights() {
        let [x, weight, bias] = [noise(&[2, 33, 20], 1), noise(&[18, 20], 2), noise(&[18], 3)];
        let x = Var::from_tensor(&x).unwrap();
        assert_eq!(x.dtype(), DType::F64);
        let gradients_of = |out: Tensor| {
            let gradients = out.sqr().unwrap().backward().unwrap();
            (gradients.get_ids().count(), gradients.get(&x).unwrap().to_dtype(DType::F32).unwrap())
        };
        let (n, gradient) = gradients_of(frozen_linear(&x, &weight, Some(&bias)).unwrap());
        // candle keeps the gradients of what leads to no variable: with its own product that of the weight.
        let (n_composed, expected) = gradients_of(composed::linear(&x, &weight, Some(&bias)).unwrap());
        assert_eq!((n, n_composed), (1, 2));
        assert_eq!(distance(&gradient, &expected), 0.0);
        assert!(!frozen_linear(&x.detach(), &weight, None).unwrap().track_op());
    }

    #[test]
    fn a_frozen_weight_in_16_bits_acts_as_its_widened_values() {
        let inputs = [noise(&[2, 33, 20], 1), noise(&[18, 20], 2), noise(&[18], 3)];
        let narrow = inputs[1].to_dtype(DType::BF16).unwrap();
        let inputs = [inputs[0].clone(), narrow.to_dtype(DType::F64).unwrap(), inputs[2].clone()];
        let (out, gradients) = run(&|t| frozen_linear(&t[0], &narrow, Some(&t[2])), &inputs, DType::F32);
        let (expected, exact) = run(&|t| frozen_linear(&t[0], &t[1], Some(&t[2])), &inputs, DType::F32);
        assert_eq!(distance(&out, &expected), 0.0);
        assert_eq!(distance(gradients[0].as_ref().unwrap(), exact[0].as_ref().unwrap()), 0.0);
        let (wide, _) = run(&|t| frozen_linear(&t[0], &narrow, Some(&t[2])), &inputs, DType::F64);
        assert!(distance(&out, &wide) < 1e-5);
    }

    #[test]
    fn a_low_rank_update_equals_the_composed_form() {
        let inputs = [noise(&[2, 3, 7], 1), noise(&[2, 3, 4], 2), noise(&[7, 4], 3)];
        assert_agree(
            &|t| add_linear(&t[0], &t[1], &t[2], 0.5),
            &|t| &t[0] + (composed::linear(&t[1], &t[2], None)? * 0.5)?,
            &inputs,
        );
        let inputs = inputs.map(|t| t.to_dtype(DType::F32).unwrap());
        assert!(add_linear(&inputs[1], &inputs[1], &inputs[2], 0.5).is_err());
    }

    #[test]
    fn no_graph_is_kept_when_nothing_is_trained() {
        let [x, weight] = [noise(&[2, 4], 1), noise(&[3, 4], 2)].map(|t| t.to_dtype(DType::F32).unwrap());
        assert!(!linear(&x, &weight, None).unwrap().track_op());
        let trained = Var::from_tensor(&weight).unwrap();
        assert!(!frozen_linear(&x, trained.as_tensor(), None).unwrap().track_op());
    }

    #[test]
    fn a_sliced_or_transposed_input_is_read_as_what_it_is() {
        let x = noise(&[4, 6], 1);
        let weight = noise(&[3, 4], 2);
        assert_agree(
            &|t| linear(&t[0].t()?.narrow(0, 1, 3)?, &t[1], None),
            &|t| composed::linear(&t[0].t()?.narrow(0, 1, 3)?, &t[1], None),
            &[x, weight],
        );
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        assert!(frozen_linear(&zeros(&[2, 4]), &zeros(&[3, 5]), None).is_err());
        assert!(linear(&zeros(&[2, 5]), &zeros(&[3, 5]), Some(&zeros(&[4]))).is_err());
    }
}
