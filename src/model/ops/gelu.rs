//! The Gaussian error linear unit.

use candle_core::{Result, Tensor};

use super::elementwise::Elementwise;
use super::lanes::{exp, vectorised};
use super::storage::fits_kernels;

/// The exact GELU, `x / 2 (1 + erf(x / sqrt 2))` (Hendrycks and Gimpel, 2016, arXiv 1606.08415), of every element, to an
/// absolute error below 1e-6.
///
/// # Errors
/// When the number type has no such operation.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if !fits_kernels(&[x]) {
        return x.gelu_erf();
    }
    x.contiguous()?.apply_op1(Elementwise { name: "gelu", forward, backward })
}

/// The standard normal distribution function at `x`, and `e^(-x^2 / 2)`.
///
/// `erf` by formula 7.1.26 of Abramowitz and Stegun, whose error is at most 1.5e-7.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const P: f32 = 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2;
    let bell = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + P * x.abs());
    let mut poly = 1.061_405_4;
    poly = poly * t - 1.453_152_1;
    poly = poly * t + 1.421_413_8;
    poly = poly * t - 0.284_496_72;
    poly = poly * t + 0.254_829_6;
    let tail = 0.5 * poly * t * bell;
    (if x < 0.0 { tail } else { 1.0 - tail }, bell)
}

/// Elements worked on at a time: results pass through the first-level cache instead of memory that is zeroed first.
const BLOCK: usize = 256;

vectorised! {
    fn forward(x: &[f32]) -> Vec<f32> {
        let mut result = Vec::with_capacity(x.len());
        let mut block = [0.0; BLOCK];
        for x in x.chunks(BLOCK) {
            let block = &mut block[..x.len()];
            for (out, &x) in block.iter_mut().zip(x) {
                *out = x * normal(x).0;
            }
            result.extend_from_slice(block);
        }
        result
    }
}

vectorised! {
    /// The derivative is `Phi(x) + x phi(x)`.
    fn backward(x: &[f32], gradient: &[f32]) -> Vec<f32> {
        // 1 / sqrt(2 pi)
        const DENSITY: f32 = 0.398_942_3;
        let mut result = Vec::with_capacity(x.len());
        let mut block = [0.0; BLOCK];
        for (x, gradient) in x.chunks(BLOCK).zip(gradient.chunks(BLOCK)) {
            let block = &mut block[..x.len()];
            for ((out, &x), &gradient) in block.iter_mut().zip(x).zip(gradient) {
                let (phi, bell) = normal(x);
                *out = gradient * (phi + x * DENSITY * bell);
            }
            result.extend_from_slice(block);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::model::ops::testing::{assert_agree, distance, noise};

    #[test]
    fn equals_the_exact_form() {
        let inputs = [(noise(&[3, 41], 1) * 3.0).unwrap()];
        assert_agree(&|t| gelu(&t[0]), &|t| t[0].gelu_erf(), &inputs);
    }

    #[test]
    fn stays_within_a_millionth_everywhere() {
        let x: Vec<f32> = (-12_000..=12_000).map(|i| i as f32 / 1000.0).collect();
        let x = Tensor::new(x, &Device::Cpu).unwrap();
        let exact = x.to_dtype(candle_core::DType::F64).unwrap().gelu_erf().unwrap();
        // `distance` divides by the largest value, 12.
        assert!(12.0 * distance(&gelu(&x).unwrap(), &exact) < 1e-6);
    }

    #[test]
    fn extremes_are_finite() {
        let x = Tensor::new(&[-1e30f32, -40.0, 0.0, 40.0, 1e30], &Device::Cpu).unwrap();
        assert_eq!(gelu(&x).unwrap().to_vec1::<f32>().unwrap(), [0.0, 0.0, 0.0, 40.0, 1e30]);
    }
}
