//! Sums and products of candle's own arithmetic, with gradients only where they lead to a variable.
//!
//! The backward pass of candle's `+` and `*` makes the gradients of both sides, and keeps those of constants to the end.

use candle_core::backend::BackendStorage;
use candle_core::op::{Add, Mul};
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, bail};

/// `x + other`, the latter repeated to the shape of `x`.
pub(super) fn plus(x: &Tensor, other: &Tensor) -> Result<Tensor> {
    match (x.track_op(), other.track_op()) {
        (true, false) => x.apply_op1(Constant::Added(other.clone())),
        (false, true) => other.broadcast_as(x.shape())?.apply_op1(Constant::Added(x.clone())),
        (true, true) | (false, false) => x.broadcast_add(other),
    }
}

/// `x * other`, the latter repeated to the shape of `x`.
pub(super) fn times(x: &Tensor, other: &Tensor) -> Result<Tensor> {
    match (x.track_op(), other.track_op()) {
        (true, false) => x.apply_op1(Constant::Multiplied(other.clone())),
        (false, true) => other.broadcast_as(x.shape())?.apply_op1(Constant::Multiplied(x.clone())),
        (true, true) | (false, false) => x.broadcast_mul(other),
    }
}

/// What is done with a tensor that leads to no variable.
enum Constant {
    Added(Tensor),
    Multiplied(Tensor),
}

impl CustomOp1 for Constant {
    fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "add-constant",
            Self::Multiplied(_) => "multiply-by-constant",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.apply(x, layout, |storage| match storage {
            Storage::Cpu(storage) => Some(storage),
            _ => None,
        })
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        self.apply(x, layout, |storage| match storage {
            Storage::Cuda(storage) => Some(storage),
            _ => None,
        })
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        match self {
            Self::Added(_) => Ok(Some(gradient.clone())),
            Self::Multiplied(constant) => gradient.broadcast_mul(constant).map(Some),
        }
    }
}

impl Constant {
    /// The result on the device whose storage `on_device` finds.
    fn apply<S: BackendStorage>(
        &self,
        x: &S,
        layout: &Layout,
        on_device: impl Fn(&Storage) -> Option<&S>,
    ) -> Result<(S, Shape)> {
        let (Self::Added(constant) | Self::Multiplied(constant)) = self;
        let (storage, constant_layout) = constant.storage_and_layout();
        let Some(other) = on_device(&storage) else { bail!("two operands lie on two devices") };
        let repeated = constant_layout.broadcast_as(layout.shape().clone())?;
        let result = match self {
            Self::Added(_) => x.binary_impl::<Add>(other, layout, &repeated)?,
            Self::Multiplied(_) => x.binary_impl::<Mul>(other, layout, &repeated)?,
        };
        Ok((result, layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::model::ops::testing::{distance, noise};

    #[test]
    fn a_constant_on_either_side_gets_no_gradient_and_changes_no_bit() {
        let (wide, row) = (noise(&[2, 3, 5], 1), noise(&[5], 2));
        for (ours, candles) in [
            (plus as fn(&Tensor, &Tensor) -> Result<Tensor>, Tensor::broadcast_add as fn(&Tensor, &Tensor) -> _),
            (times, Tensor::broadcast_mul),
        ] {
            for first_is_trained in [true, false] {
                let variable = Var::from_tensor(if first_is_trained { &wide } else { &row }).unwrap();
                let pair = match first_is_trained {
                    true => (variable.as_tensor(), &row),
                    false => (&wide, variable.as_tensor()),
                };
                let outcome = |function: fn(&Tensor, &Tensor) -> Result<Tensor>| {
                    let out = function(pair.0, pair.1).unwrap();
                    let gradients = out.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                    (gradients.get_ids().count(), gradients.get(&variable).unwrap().clone(), out)
                };
                let ((n, gradient, out), (n_candle, expected, values)) = (outcome(ours), outcome(candles));
                assert_eq!((n, n_candle), (1, 2));
                assert_eq!((distance(&gradient, &expected), distance(&out, &values)), (0.0, 0.0));
            }
            assert!(!ours(&wide, &row).unwrap().track_op());
        }
    }
}
