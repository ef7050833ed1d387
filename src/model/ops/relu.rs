//! The rectified linear unit.

use candle_core::{Result, Tensor};

use super::elementwise::Elementwise;
use super::lanes::vectorised;
use super::storage::fits_kernels;

/// `max(x, 0)` of every element, with slope 0 at 0 as in PyTorch. What is not a number stays so, and passes its gradient
/// on: candle's own `relu` makes 0 of it, and training that diverged would not be seen to.
///
/// # Errors
/// When the number type has no such operation.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if !fits_kernels(&[x]) {
        return composed(x);
    }
    x.contiguous()?.apply_op1(Elementwise { name: "relu", forward, backward })
}

fn composed(x: &Tensor) -> Result<Tensor> {
    x.detach().le(0f64)?.where_cond(&x.zeros_like()?.detach(), x)
}

vectorised! {
    fn forward(x: &[f32]) -> Vec<f32> {
        x.iter().map(|&x| if x <= 0.0 { 0.0 } else { x }).collect()
    }
}

vectorised! {
    fn backward(x: &[f32], gradient: &[f32]) -> Vec<f32> {
        x.iter().zip(gradient).map(|(&x, &gradient)| if x <= 0.0 { 0.0 } else { gradient }).collect()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;
    use crate::model::ops::testing::{assert_agree, noise};

    #[test]
    fn equals_the_composed_form() {
        assert_agree(&|t| relu(&t[0]), &|t| composed(&t[0]), &[noise(&[3, 41], 1)]);
    }

    #[test]
    fn what_is_not_a_number_stays_so_in_both_forms() {
        let numbers = [f32::NAN, f32::NEG_INFINITY, -1.0, -0.0, 0.0, 2.0, f32::INFINITY];
        for dtype in [DType::F32, DType::F64] {
            let x = Var::from_tensor(&Tensor::new(&numbers, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()).unwrap();
            let out = relu(x.as_tensor()).unwrap();
            let gradients = out.sum_all().unwrap().backward().unwrap();
            let slopes = gradients.get(x.as_tensor()).unwrap().to_dtype(DType::F32).unwrap();
            let out = out.to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap();
            assert!(out[0].is_nan(), "{out:?}");
            assert_eq!(out[1..], [0.0, 0.0, 0.0, 0.0, 2.0, f32::INFINITY]);
            assert_eq!(slopes.to_vec1::<f32>().unwrap(), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        }
        // candle's own, for which this one stands in.
        let x = Tensor::new(&[f32::NAN], &Device::Cpu).unwrap();
        assert_eq!(x.relu().unwrap().to_vec1::<f32>().unwrap(), [0.0]);
    }
}
