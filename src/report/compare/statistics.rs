//! Estimates over seeds and paired differences; the formulas stand in the [room's door](super).

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Number of values, >= 1.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Standard deviation with n − 1 in the denominator; `None` for one value.
    pub sd: Option<f64>,
    /// Interval of the mean by Student's t; `None` for one value.
    pub interval: Option<(f64, f64)>,
}

/// A paired difference against a baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Of the differences, one for each seed that both have.
    pub estimate: Estimate,
    /// Student's t with n − 1 degrees of freedom; `None` for one pair and where all differences are equal.
    pub t: Option<f64>,
    /// Its two-sided p.
    pub p_t: Option<f64>,
    /// Exact two-sided p of Wilcoxon's signed ranks; `None` where all differences are 0 and above 200 pairs.
    pub p_wilcoxon: Option<f64>,
}

/// Most pairs that are ranked.
const RANKED_MAX: usize = 200;

impl Estimate {
    /// The estimate from values at a confidence in (0, 1); `None` without values.
    pub fn of(values: &[f64], confidence: f64) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        // Sums of values that are all alike would be off by rounding.
        if values.iter().all(|value| *value == values[0]) {
            let is_single = n == 1;
            let sd = (!is_single).then_some(0.0);
            return Some(Self { n, mean: values[0], sd, interval: (!is_single).then_some((values[0], values[0])) });
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = (squares / (n - 1) as f64).sqrt();
        let half = student(n).inverse_cdf(0.5 + confidence / 2.0) * sd / (n as f64).sqrt();
        Some(Self { n, mean, sd: Some(sd), interval: Some((mean - half, mean + half)) })
    }
}

impl Difference {
    /// From one difference for each pair; `None` without pairs.
    pub fn of(differences: &[f64], confidence: f64) -> Option<Self> {
        let estimate = Estimate::of(differences, confidence)?;
        let t = estimate.sd.filter(|sd| *sd > 0.0).map(|sd| estimate.mean / (sd / (estimate.n as f64).sqrt()));
        let p_t = t.map(|t| (2.0 * student(estimate.n).cdf(-t.abs())).min(1.0));
        Some(Self { estimate, t, p_t, p_wilcoxon: signed_ranks(differences) })
    }
}

/// What the first of each pair has more than the second. Values are fractions such as k/n, whose differences are off by the
/// rounding of binary numbers: they go to the nearest of a grid that is 10⁻¹² of the largest value, so that differences that
/// are equal are equal.
pub(super) fn differences(pairs: &[(f64, f64)]) -> Vec<f64> {
    let largest = pairs.iter().flat_map(|(own, base)| [own.abs(), base.abs()]).fold(1.0, f64::max);
    // A power of ten, so that the grid is one of decimal numbers; numbers that large are whole, and exact.
    let steps = 10f64.powi(12 - largest.log10().ceil() as i32).max(1.0);
    let snapped = |difference: f64| match difference.is_finite() {
        true => (difference * steps).round() / steps,
        false => difference,
    };
    pairs.iter().map(|(own, base)| snapped(own - base)).collect()
}

/// Student's t for n values.
fn student(n: usize) -> StudentsT {
    StudentsT::new(0.0, 1.0, (n - 1) as f64).expect("two values or more leave a degree of freedom")
}

/// The exact two-sided p of Wilcoxon's signed ranks.
fn signed_ranks(differences: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    if sorted.is_empty() || sorted.len() > RANKED_MAX {
        return None;
    }
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Ranks are doubled: the mean of the ranks of a tie is then whole.
    let (mut ranks, mut first) = (Vec::with_capacity(sorted.len()), 0);
    while first < sorted.len() {
        let n_tied = sorted[first..].iter().take_while(|value| value.abs() == sorted[first].abs()).count();
        ranks.extend(std::iter::repeat_n(2 * first + n_tied + 1, n_tied));
        first += n_tied;
    }
    let positive: usize = ranks.iter().zip(&sorted).filter(|(_, value)| **value > 0.0).map(|(rank, _)| rank).sum();
    // The distribution of the sum, each rank being in it with probability 1/2.
    let total: usize = ranks.iter().sum();
    let mut probability = vec![0.0; total + 1];
    probability[0] = 1.0;
    for rank in ranks {
        for sum in (0..=total).rev() {
            let with = if sum >= rank { probability[sum - rank] } else { 0.0 };
            probability[sum] = 0.5 * (probability[sum] + with);
        }
    }
    let at_most: f64 = probability[..=positive].iter().sum();
    let at_least: f64 = probability[positive..].iter().sum();
    Some((2.0 * at_most.min(at_least)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }

    #[test]
    fn an_interval_is_that_of_students_closed_forms() {
        // n = 2: t with one degree of freedom is Cauchy, its quantile tan(π(p − 1/2)). For 1 and 3, m = 2, s = √2 and
        // s/√n = 1, so the half width at 95 % is tan(0.475 π) = 12.706204736.
        let two = Estimate::of(&[1.0, 3.0], 0.95).unwrap();
        assert_eq!((two.n, two.mean), (2, 2.0));
        assert_near(two.sd.unwrap(), 2f64.sqrt(), 1e-15);
        assert_near(two.interval.unwrap().1 - 2.0, (0.475 * std::f64::consts::PI).tan(), 1e-9);
        // n = 3: with two degrees the quantile is (2p − 1) √(2 / (1 − (2p − 1)²)). For 1, 2, 3: m = 2, s = 1; at 90 % the
        // half width is 0.9 √(2 / 0.19) / √3.
        let three = Estimate::of(&[1.0, 2.0, 3.0], 0.9).unwrap();
        assert_near(three.interval.unwrap().0, 2.0 - 0.9 * (2.0f64 / 0.19).sqrt() / 3f64.sqrt(), 1e-10);
        // tests/peers/make_statistics.py: scipy.stats.t.interval(0.95, 4, mean, sem) of these five.
        let five = Estimate::of(&[0.912, 0.905, 0.921, 0.899, 0.917], 0.95).unwrap();
        assert_near(five.mean, 0.9108, 1e-12);
        assert_near(five.sd.unwrap(), 0.008_899_438_184_514_804, 1e-14);
        assert_near(five.interval.unwrap().0, 0.899_749_888_002_048_1, 1e-10);
        assert_near(five.interval.unwrap().1, 0.921_850_111_997_952, 1e-10);
    }

    #[test]
    fn quantiles_are_those_of_scipy() {
        // tests/peers/make_statistics.py: scipy.stats.t.ppf(0.975, df).
        for (n, expected) in [
            (5, 2.776_445_105_197_793_4),
            (10, 2.262_157_162_798_205),
            (30, 2.045_229_642_132_703),
            (100, 1.984_216_951_586_417_4),
        ] {
            assert_near(student(n).inverse_cdf(0.975), expected, 1e-9);
        }
    }

    #[test]
    fn one_value_has_no_interval_and_equal_ones_have_an_empty_one() {
        let one = Estimate::of(&[0.3], 0.95).unwrap();
        assert_eq!(one, Estimate { n: 1, mean: 0.3, sd: None, interval: None });
        // 0.1 + 0.1 + 0.1 is not 0.3 in binary; equal values stay what they are.
        let same = Estimate::of(&[0.1; 3], 0.95).unwrap();
        assert_eq!(same, Estimate { n: 3, mean: 0.1, sd: Some(0.0), interval: Some((0.1, 0.1)) });
        assert_eq!(Estimate::of(&[], 0.95), None);
    }

    #[test]
    fn a_paired_difference_has_students_t() {
        // Differences 1, 2, 3: m = 2, s = 1, t = 2 / (1/√3) = 2√3. With two degrees of freedom
        // F(t) = 1/2 + t / (2 √(2 + t²)), so p = 1 − t/√(2 + t²) = 1 − √(12/14).
        let found = Difference::of(&[1.0, 2.0, 3.0], 0.95).unwrap();
        assert_near(found.t.unwrap(), 2.0 * 3f64.sqrt(), 1e-12);
        assert_near(found.p_t.unwrap(), 1.0 - (12.0f64 / 14.0).sqrt(), 1e-10);
        // tests/peers/make_statistics.py: scipy.stats.ttest_rel and wilcoxon(method="exact").
        let five = Difference::of(&[-0.013, -0.002, -0.02, 0.004, -0.017], 0.95).unwrap();
        assert_near(five.t.unwrap(), -2.101_909_828_725_305_3, 1e-9);
        assert_near(five.p_t.unwrap(), 0.103_430_084_355_614_18, 1e-9);
        assert_near(five.p_wilcoxon.unwrap(), 0.1875, 1e-12);
    }

    #[test]
    fn signed_ranks_are_exact_with_ties_too() {
        // All three positive: one of the 2³ sign patterns is as far out on each side, so p = 2/8.
        assert_eq!(signed_ranks(&[1.0, 2.0, 3.0]), Some(0.25));
        assert_eq!(signed_ranks(&[-0.5; 5]), Some(2.0 / 32.0));
        // |d| = 1, 1, 2 has the ranks 1.5, 1.5, 3; with signs −, +, + W = 4.5. Sums 0, 1.5, 1.5, 3, 3, 4.5, 4.5, 6: P(W ≥ 4.5) =
        // 3/8 and P(W ≤ 4.5) = 7/8, so p = 0.75.
        assert_eq!(signed_ranks(&[-1.0, 1.0, 2.0]), Some(0.75));
        // tests/peers/make_statistics.py: scipy.stats.wilcoxon(method="exact").
        assert_eq!(signed_ranks(&[0.8, -0.3, 1.1, 0.45, -0.05, 0.9, 0.62, -0.71]), Some(0.195_312_5));
        // Zeros say nothing; only zeros say nothing at all.
        assert_eq!(signed_ranks(&[0.0, 1.0, 2.0, 3.0]), Some(0.25));
        assert_eq!(signed_ranks(&[0.0, 0.0]), None);
        assert_eq!(signed_ranks(&vec![1.0; RANKED_MAX + 1]), None);
        let many: Vec<f64> = (1..=200).map(|i| f64::from(i) * if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        assert!(signed_ranks(&many).is_some_and(|p| p > 0.5 && p <= 1.0));
    }

    #[test]
    fn differences_of_fractions_are_those_of_exact_arithmetic() {
        // 0.6 − 0.5 and 0.8 − 0.7 differ in the last bit, and are both 1/10.
        assert_ne!(0.6 - 0.5, 0.8 - 0.7);
        let equal = Difference::of(&differences(&[(0.6, 0.5), (0.8, 0.7)]), 0.95).unwrap();
        assert_eq!((equal.estimate.mean, equal.estimate.sd, equal.t, equal.p_t), (0.1, Some(0.0), None, None));
        assert_eq!(equal.p_wilcoxon, Some(0.5));
        // Right answers of n: the differences of k/n are whole numbers over n, whose ranks and ties are those of the whole
        // numbers, exactly.
        let mut state = 1u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for n in [10, 30, 60, 300, 277, 872, 9815] {
            for n_pairs in [2, 3, 5, 10] {
                let counts: Vec<(i64, i64)> = (0..n_pairs)
                    .map(|_| {
                        let (base, more) = (draw(n - 4) as i64 + 2, draw(5) as i64 - 2);
                        (base + more, base)
                    })
                    .collect();
                let of = |k: i64| k as f64 / n as f64;
                let pairs: Vec<(f64, f64)> = counts.iter().map(|(own, base)| (of(*own), of(*base))).collect();
                let exact: Vec<f64> = counts.iter().map(|(own, base)| (own - base) as f64).collect();
                let found = Difference::of(&differences(&pairs), 0.95).unwrap();
                let expected = Difference::of(&exact, 0.95).unwrap();
                let what = format!("{counts:?} of {n}");
                assert_eq!(found.p_wilcoxon, expected.p_wilcoxon, "{what}");
                assert_eq!((found.t.is_some(), found.p_t.is_some()), (expected.t.is_some(), expected.p_t.is_some()));
                if let (Some(found), Some(expected)) = (found.p_t, expected.p_t) {
                    assert_near(found, expected, 1e-6);
                }
            }
        }
        // Seconds, bytes and joules have their own grids: what is far above rounding stays.
        assert_eq!(differences(&[(1234.5, 1234.25)]), [0.25]);
        assert_eq!(differences(&[(1e15 + 1.0, 1e15)]), [1.0]);
        assert_eq!(differences(&[(86_400.123_456, 86_400.123_455)]), [0.000_001]);
        assert!(differences(&[]).is_empty());
    }

    #[test]
    fn differences_that_are_all_equal_have_no_t() {
        let found = Difference::of(&[0.5, 0.5, 0.5], 0.95).unwrap();
        assert_eq!((found.t, found.p_t, found.p_wilcoxon), (None, None, Some(0.25)));
        assert_eq!(found.estimate.interval, Some((0.5, 0.5)));
    }
}
