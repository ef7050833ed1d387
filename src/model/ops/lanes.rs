//! Vector arithmetic in plain Rust: loops over fixed numbers of lanes, which the compiler turns into the vector
//! instructions of the processor that [`vectorised`] finds at run time.
//!
//! Sums are kept in [`LANES`] partial sums whatever the width of the instructions, and multiplications and additions
//! are never contracted, so the bits of a result do not depend on the instruction set.

/// Partial sums of a reduction: the width of the widest vector register.
pub(super) const LANES: usize = 16;

/// Compiles a function for AVX-512, for AVX2 and for any processor, and picks one at run time.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => {
        #[multiversion::multiversion(targets(
            "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+fma",
            "x86_64+avx2+fma",
        ))]
        $(#[$meta])*
        $vis fn $($rest)*
    };
}
pub(super) use vectorised;

/// The sum of `term` over the elements of slices of one length, in [`LANES`] partial sums that are then added pairwise.
#[inline(always)]
pub(super) fn sum<const N: usize>(inputs: [&[f32]; N], term: impl Fn([f32; N]) -> f32) -> f32 {
    let n = inputs[0].len();
    let mut partial = [0.0f32; LANES];
    let whole = n / LANES * LANES;
    let mut start = 0;
    while start < whole {
        let blocks = inputs.map(|input| &input[start..start + LANES]);
        for (lane, total) in partial.iter_mut().enumerate() {
            *total += term(blocks.map(|block| block[lane]));
        }
        start += LANES;
    }
    for (lane, total) in partial.iter_mut().enumerate().take(n - whole) {
        *total += term(inputs.map(|input| input[whole + lane]));
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            partial[lane] += partial[lane + width];
        }
    }
    partial[0]
}

/// The largest of `values`; negative infinity when there is none. NaN is passed over.
#[inline(always)]
pub(super) fn max(values: &[f32]) -> f32 {
    let mut best = [f32::NEG_INFINITY; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (best, &value) in best.iter_mut().zip(chunk) {
            *best = if value > *best { value } else { *best };
        }
    }
    for (best, &value) in best.iter_mut().zip(chunks.remainder()) {
        *best = if value > *best { value } else { *best };
    }
    best.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

/// `e^x` to a relative error of 2e-7: 0 below -87 (where the numbers with full precision end), `e^88` above 88, NaN for
/// NaN.
///
/// `e^x = 2^n e^r` with `n` the whole number nearest to `x / ln 2`; `e^r` by a polynomial of degree six on
/// `|r| <= ln 2 / 2` (Cephes' `expf`).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the nearest whole number in the lowest bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x < -87.0 { -87.0 } else { x };
    let clamped = if clamped > 88.0 { 88.0 } else { clamped };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN_2_HIGH - n * LN_2_LOW;
    let mut poly = 1.987_569_1e-4;
    poly = poly * r + 1.398_199_9e-3;
    poly = poly * r + 8.333_452e-3;
    poly = poly * r + 4.166_579_6e-2;
    poly = poly * r + 1.666_666_5e-1;
    poly = poly * r + 5.0e-1;
    let fraction = poly * (r * r) + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    if x < -87.0 { 0.0 } else { fraction * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_right_to_two_in_ten_million() {
        for step in -8700..=8800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2e-7, "exp({x}) is off by {error:e}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::INFINITY).is_finite());
    }

    /// What the kernels are made of.
    #[inline(always)]
    fn mixture(values: &[f32]) -> Vec<f32> {
        let mut out: Vec<f32> = values.iter().map(|&v| exp(v) / (1.0 + v * v).sqrt()).collect();
        out.push(sum([values, &out], |[v, e]| v * e + 0.1));
        out.push(max(values));
        out
    }

    vectorised! {
        fn dispatched(values: &[f32]) -> Vec<f32> {
            mixture(values)
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_instruction_set() {
        // The plain call is compiled for the oldest processors of the target, the other for the one at hand.
        let values: Vec<f32> = (0..1003).map(|i| (i as f32 * 0.37).sin() * 20.0).collect();
        let bits = |values: Vec<f32>| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(dispatched(&values)), bits(mixture(&values)));
    }

    #[test]
    fn reductions_take_every_element_once() {
        for n in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (0..n).map(|i| i as f32 - 200.0).collect();
            assert_eq!(sum([&values], |[v]| v + 200.0), (0..n).sum::<usize>() as f32);
            assert_eq!(max(&values), values.last().copied().unwrap_or(f32::NEG_INFINITY));
        }
    }
}
