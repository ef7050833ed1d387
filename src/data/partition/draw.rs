//! Draws that several partitions share.

use rand::RngExt;
use rand_distr::{Distribution, Gamma};

use crate::seed::Stream;

/// A point of the simplex from Dir(`concentration`). Entries of concentration 0 get share 0; at least one must be
/// positive.
///
/// Gamma variates are taken in logarithms (Gamma(a) = Gamma(a + 1) x U^(1/a)), because those of a small concentration
/// are below the smallest floating-point number and would all become 0.
pub(super) fn dirichlet(concentration: &[f64], rng: &mut Stream) -> Vec<f64> {
    let logs: Vec<f64> = concentration
        .iter()
        .map(|&a| {
            if a <= 0.0 {
                return f64::NEG_INFINITY;
            }
            let gamma = Gamma::new(a + 1.0, 1.0).expect("a shape above 1 is valid").sample(rng);
            // In (0, 1], so that its logarithm is finite.
            let uniform = 1.0 - rng.random::<f64>();
            gamma.ln() + uniform.ln() / a
        })
        .collect();
    let max = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!(max > f64::NEG_INFINITY, "at least one concentration is positive");
    let shares: Vec<f64> = logs.iter().map(|log| (log - max).exp()).collect();
    let sum: f64 = shares.iter().sum();
    shares.into_iter().map(|share| share / sum).collect()
}

/// Splits `n` into whole numbers proportional to `weights`, by largest remainder (ties to the earlier). If all weights
/// are 0, evenly.
pub(super) fn apportion(n: usize, weights: &[f64]) -> Vec<usize> {
    let sum: f64 = weights.iter().sum();
    let quota = |weight: f64| if sum > 0.0 { n as f64 * weight / sum } else { n as f64 / weights.len() as f64 };
    let quotas: Vec<f64> = weights.iter().map(|&weight| quota(weight)).collect();
    let mut counts: Vec<usize> = quotas.iter().map(|quota| quota.floor() as usize).collect();
    let mut order: Vec<usize> = (0..weights.len()).filter(|&i| sum <= 0.0 || weights[i] > 0.0).collect();
    order.sort_by(|&a, &b| quotas[b].fract().total_cmp(&quotas[a].fract()));
    let dealt: usize = counts.iter().sum();
    for &i in order.iter().cycle().take(n.saturating_sub(dealt)) {
        counts[i] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::partition::testing::rng;

    #[test]
    fn dirichlet_has_the_right_mean_and_variance() {
        // Dir(a): mean a_i / s, variance a_i (s - a_i) / (s^2 (s + 1)). For (1, 2, 5), s = 8: mean 1/8, variance
        // 1 x 7 / (64 x 9) = 0.01215. The standard error of the mean over 20,000 draws is 0.0008.
        let mut rng = rng(3);
        let first: Vec<f64> = (0..20_000).map(|_| dirichlet(&[1.0, 2.0, 5.0], &mut rng)[0]).collect();
        let mean = first.iter().sum::<f64>() / 20_000.0;
        let variance = first.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!((mean - 0.125).abs() < 0.004, "{mean}");
        assert!((variance - 0.01215).abs() < 0.001, "{variance}");
    }

    #[test]
    fn a_tiny_concentration_still_gives_a_point_of_the_simplex() {
        for seed in 0..50 {
            let shares = dirichlet(&[1e-5, 0.0, 1e-5], &mut rng(seed));
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
            assert_eq!(shares[1], 0.0);
        }
    }

    #[test]
    fn apportionment_keeps_the_sum_and_gives_to_the_largest_remainders() {
        // Quotas 4.9, 1.4, 0.7: floors 4, 1, 0, two left for remainders 0.9 and 0.7.
        assert_eq!(apportion(7, &[0.7, 0.2, 0.1]), [5, 1, 1]);
        assert_eq!(apportion(5, &[0.0, 1.0]), [0, 5]);
        assert_eq!(apportion(5, &[0.0, 0.0]), [3, 2]);
    }
}
