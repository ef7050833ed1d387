//! Dropout whose mask is a function of a key and the element index.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::lanes::vectorised;
use super::storage::{fits_kernels, slice, with_slice};

/// One draw of a dropout mask.
///
/// Element `i` is kept or dropped by a hash of `(key, i)`, so that a mask costs no memory, is the same in the backward
/// pass and does not depend on the order of work. A key must not be used for two masks of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// The probability of dropping an element, in `[0, 1)`; 0 drops nothing.
    pub p: f32,
    /// Which mask: drawn from the addressed stream of the training step.
    pub key: u64,
}

impl Dropout {
    /// What is wrong with the probability `p` of a setting, if anything is. Masks are drawn with 32-bit numbers, so it must
    /// lie in `[0, 1)` as one of these too.
    pub fn problem(p: f64) -> Option<String> {
        if !(0.0..1.0).contains(&p) {
            return Some(format!("{p} does not lie in [0, 1)"));
        }
        (p as f32 >= 1.0).then(|| format!("{p} is 1 in the 32-bit numbers that masks are drawn with; it must be less"))
    }

    /// Refuses a probability outside `[0, 1)` and masks of more elements than a 32-bit index counts.
    pub(super) fn check(self, n_elements: usize) -> Result<()> {
        if !(0.0..1.0).contains(&self.p) {
            bail!("dropout probability {} lies outside [0, 1)", self.p);
        }
        if n_elements as u64 > 1 << 32 {
            bail!("dropout over {n_elements} elements, more than 2^32");
        }
        Ok(())
    }

    /// What element `index` is multiplied with: 0, or `1 / (1 - p)`.
    #[inline(always)]
    pub(super) fn factor(self, index: u32) -> f32 {
        let threshold = (f64::from(self.p) * 4_294_967_296.0) as u32;
        if hash(self.key, index) < threshold { 0.0 } else { 1.0 / (1.0 - self.p) }
    }
}

/// Drops elements of `x` with probability `p` and scales the others by `1 / (1 - p)`.
///
/// # Errors
/// When `p` lies outside `[0, 1)` or `x` has more than 2^32 elements.
pub fn dropout(x: &Tensor, dropout: Dropout) -> Result<Tensor> {
    dropout.check(x.elem_count())?;
    if dropout.p == 0.0 {
        return Ok(x.clone());
    }
    if fits_kernels(&[x]) {
        return x.contiguous()?.apply_op1(dropout);
    }
    let mut mask = vec![1.0; x.elem_count()];
    apply(dropout, 0, &mut mask);
    super::frozen::times(x, &Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?)
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = slice(storage, layout)?.to_vec();
        apply(*self, 0, &mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let mut out = with_slice(&gradient.contiguous()?, <[f32]>::to_vec)?;
        apply(*self, 0, &mut out);
        Tensor::from_vec(out, x.shape(), x.device()).map(Some)
    }
}

vectorised! {
    /// Multiplies `values`, which are the elements from index `first` on, with their factors.
    pub(super) fn apply(dropout: Dropout, first: u32, values: &mut [f32]) {
        for (offset, value) in values.iter_mut().enumerate() {
            *value *= dropout.factor(first.wrapping_add(offset as u32));
        }
    }
}

/// A 32-bit hash of `(key, index)`: two rounds of a full-avalanche integer mixer, one half of the key before each.
#[inline(always)]
fn hash(key: u64, index: u32) -> u32 {
    mix(mix(index ^ key as u32) ^ (key >> 32) as u32)
}

/// Chris Wellons' `lowbias32`: every input bit flips every output bit with a probability close to one half.
#[inline(always)]
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;
    use crate::model::ops::testing::{assert_agree, noise};

    const N: usize = 100_000;

    fn mask(p: f32, key: u64) -> Vec<f32> {
        let ones = Tensor::ones(N, DType::F32, &Device::Cpu).unwrap();
        dropout(&ones, Dropout { p, key }).unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_probability_must_be_below_one_in_32_bits_too() {
        // The largest number below 1 of 24 significant bits is 1 - 2^-24; half way from there to 1, 1 - 2^-25, rounds to 1.
        for p in [0.0, 0.1, 0.99999, 1.0 - 2f64.powi(-24)] {
            assert_eq!(Dropout::problem(p), None, "{p}");
        }
        for p in [-1e-9, 1.0, f64::NAN] {
            assert!(Dropout::problem(p).unwrap().ends_with("does not lie in [0, 1)"), "{p}");
        }
        for p in [0.99999999, 1.0 - 2f64.powi(-25)] {
            assert!(Dropout::problem(p).unwrap().contains("is 1 in the 32-bit numbers"), "{p}");
        }
    }

    #[test]
    fn drops_the_given_share_and_keeps_the_mean() {
        for p in [0.1, 0.5, 0.9] {
            let mask = mask(p, 7);
            let share = mask.iter().filter(|&&v| v == 0.0).count() as f32 / N as f32;
            // Five standard deviations of a binomial share are at most 5 sqrt(0.25 / 100000) = 0.008.
            assert!((share - p).abs() < 0.008, "{share} of {p}");
            assert!(mask.iter().all(|&v| v == 0.0 || v == 1.0 / (1.0 - p)));
        }
    }

    #[test]
    fn masks_of_different_keys_and_neighbouring_elements_are_independent() {
        let both = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).filter(|(a, b)| **a == 0.0 && **b == 0.0).count() as f32 / a.len() as f32
        };
        let first = mask(0.5, 7);
        for key in [8, 7 + (1 << 32), u64::MAX] {
            assert!((both(&first, &mask(0.5, key)) - 0.25).abs() < 0.008);
        }
        for lag in [1, 2, 384] {
            assert!((both(&first[lag..], &first[..N - lag]) - 0.25).abs() < 0.008);
        }
    }

    #[test]
    fn the_backward_pass_uses_the_same_mask() {
        let p = 0.4;
        let composed = |t: &Tensor| {
            let mut factors = vec![1.0f32; t.elem_count()];
            apply(Dropout { p, key: 3 }, 0, &mut factors);
            t * Tensor::from_vec(factors, t.shape(), t.device())?.to_dtype(t.dtype())?
        };
        assert_agree(&|t| dropout(&t[0], Dropout { p, key: 3 }), &|t| composed(&t[0]), &[noise(&[4, 9], 1)]);
        assert_agree(&|t| dropout(&t[0], Dropout { p: 0.0, key: 3 }), &|t| t[0].affine(1.0, 0.0), &[noise(&[4, 9], 1)]);
    }

    #[test]
    fn the_composed_form_computes_no_gradient_of_the_mask() {
        let x = Var::from_tensor(&noise(&[4, 9], 1)).unwrap();
        let out = dropout(&x, Dropout { p: 0.4, key: 3 }).unwrap();
        assert_eq!(out.sqr().unwrap().sum_all().unwrap().backward().unwrap().get_ids().count(), 1);
    }

    #[test]
    fn impossible_probabilities_are_refused() {
        let x = Tensor::ones(3, DType::F32, &Device::Cpu).unwrap();
        for p in [1.0, -0.1, f32::NAN] {
            assert!(dropout(&x, Dropout { p, key: 0 }).is_err());
        }
    }
}
