//! Dropout whose mask is a function of a key and the element index.

use candle_core::{Result, Tensor};

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
    /// What element `index` is multiplied with: 0, or `1 / (1 - p)`.
    #[inline(always)]
    fn factor(self, index: u64) -> f32 {
        if hash(self.key, index) < self.threshold() { 0.0 } else { 1.0 / (1.0 - self.p) }
    }

    /// Hashes below this number mean "drop".
    #[inline(always)]
    fn threshold(self) -> u32 {
        (f64::from(self.p) * 4_294_967_296.0) as u32
    }
}

/// Drops elements of `x` with probability `p` and scales the others by `1 / (1 - p)`.
///
/// # Errors
/// When `p` lies outside `[0, 1)` or the device fails.
pub fn dropout(x: &Tensor, dropout: Dropout) -> Result<Tensor> {
    if !(0.0..1.0).contains(&dropout.p) {
        candle_core::bail!("dropout probability {} lies outside [0, 1)", dropout.p);
    }
    if dropout.p == 0.0 {
        return Ok(x.clone());
    }
    let mask: Vec<f32> = (0..x.elem_count() as u64).map(|index| dropout.factor(index)).collect();
    x * Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?
}

/// A 32-bit hash of `(key, index)`: two rounds of a full-avalanche integer mixer, one half of the key before each.
#[inline(always)]
fn hash(key: u64, index: u64) -> u32 {
    let key = key ^ (index >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mix(mix(index as u32 ^ key as u32) ^ (key >> 32) as u32)
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
