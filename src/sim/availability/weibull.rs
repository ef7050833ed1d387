//! On and off periods with Weibull lengths: many short ones and a few long ones.
//!
//! # Derivation of the start
//! At time zero the process has been running for ever. A client is then online with probability
//! `mean_on / (mean_on + mean_off)`, and what remains of its period has the density S(x) / mean with the survival function
//! S(x) = exp(-(x / scale)^shape). With v = (x / scale)^shape that density is proportional to v^(1/shape - 1) exp(-v): the
//! remainder is scale G^(1/shape) with G Gamma-distributed of shape 1 / shape, and is drawn so, exactly.

use rand::RngExt;
use rand_distr::{Distribution, Exp1, Gamma};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Availability, AvailabilityModel};
use crate::registry::Problem;
use crate::seed::{Purpose, Seeds};
use crate::sim::periods::{Lengths, MEAN_MIN, Periods, length_of};
use crate::sim::{BuildContext, SimError};
use crate::units::{SimDuration, SimTime};

/// Weibull sessions and gaps, started in the stationary state. Shapes below 1 have heavier tails than the exponential; the
/// sessions of peer-to-peer clients have shapes of about 0.4 to 0.6 (Stutzbach and Rejaie, "Understanding churn in
/// peer-to-peer networks", 2006).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeibullConfig {
    /// Lengths of online periods.
    pub online: WeibullLength,
    /// Lengths of offline periods.
    pub offline: WeibullLength,
}

/// A Weibull distribution of lengths.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeibullLength {
    /// Shape, in [0.1, 20]. 1 is exponential, less has a heavier tail, more is closer to a constant.
    pub shape: f64,
    /// Mean length, at least 1 ms. The scale is mean / Gamma(1 + 1 / shape).
    pub mean: SimDuration,
}

const SHAPES: std::ops::RangeInclusive<f64> = 0.1..=20.0;

impl WeibullLength {
    fn scale_s(&self) -> f64 {
        self.mean.as_secs_f64() / gamma(1.0 + 1.0 / self.shape)
    }
}

impl Availability for WeibullConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for (name, length) in [("online", self.online), ("offline", self.offline)] {
            if !SHAPES.contains(&length.shape) {
                let message = format!("shape {} is not in [{}, {}]", length.shape, SHAPES.start(), SHAPES.end());
                found.push(Problem::new(format!("{name}.shape"), message).help("1 is exponential"));
            }
            if length.mean < MEAN_MIN {
                found.push(
                    Problem::new(format!("{name}.mean"), format!("mean {} is below {MEAN_MIN}", length.mean))
                        .help("for clients that are always online write `availability: always`"),
                );
            }
        }
        found
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn AvailabilityModel>, SimError> {
        Ok(Box::new(Periods::new(Weibull {
            config: *self,
            scales_s: [self.offline.scale_s(), self.online.scale_s()],
            seeds: context.seeds,
        })))
    }
}

struct Weibull {
    config: WeibullConfig,
    /// Offline, online.
    scales_s: [f64; 2],
    seeds: Seeds,
}

impl Weibull {
    fn of(&self, is_on: bool) -> (f64, f64) {
        let length = if is_on { self.config.online } else { self.config.offline };
        (self.scales_s[usize::from(is_on)], 1.0 / length.shape)
    }
}

impl Lengths for Weibull {
    fn first(&self, client_id: u32) -> (bool, SimDuration) {
        let mut stream = self.seeds.client(Purpose::Availability, client_id);
        let (on, off) = (self.config.online.mean.as_secs_f64(), self.config.offline.mean.as_secs_f64());
        let is_on = stream.random::<f64>() * (on + off) < on;
        let (scale_s, power) = self.of(is_on);
        let remainder = Gamma::new(power, 1.0).expect("a checked shape is positive and finite");
        (is_on, length_of(scale_s * remainder.sample(&mut stream).powf(power)))
    }

    fn mean_s(&self) -> f64 {
        f64::midpoint(self.config.online.mean.as_secs_f64(), self.config.offline.mean.as_secs_f64())
    }

    fn length(&self, client_id: u32, number: u32, is_on: bool, _start: SimTime) -> SimDuration {
        let (scale_s, power) = self.of(is_on);
        let unit: f64 = self.seeds.step(Purpose::Availability, client_id, 0, number).sample(Exp1);
        length_of(scale_s * unit.powf(power))
    }
}

/// The gamma function for x >= 1, to 13 digits: Lanczos' approximation with g = 7 and nine terms (Godfrey's coefficients).
fn gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const TERMS: [f64; 8] = [
        676.5203681218851,
        -1259.1392167224028,
        771.3234287776531,
        -176.6150291621406,
        12.507343278686905,
        -0.13857109526572012,
        9.984369578019572e-6,
        1.5056327351493116e-7,
    ];
    let x = x - 1.0;
    let sum = TERMS.iter().zip(1u8..).fold(0.9999999999998099, |sum, (term, i)| sum + term / (x + f64::from(i)));
    let t = x + G + 0.5;
    (std::f64::consts::TAU).sqrt() * t.powf(x + 0.5) * (-t).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::periods::{assert_fraction_is_a_sum, assert_queries_are_pure};
    use proptest::prelude::*;

    fn at(seconds: f64) -> SimTime {
        SimTime::ZERO + length_of(seconds)
    }

    fn config(shape: f64) -> WeibullConfig {
        WeibullConfig {
            online: WeibullLength { shape, mean: length_of(40.0) },
            offline: WeibullLength { shape: 1.5, mean: length_of(20.0) },
        }
    }

    fn model(shape: f64, seed: u64) -> Box<dyn AvailabilityModel> {
        assert_eq!(config(shape).problems(), []);
        config(shape).build(&BuildContext::new(Seeds::new(seed), 100)).unwrap()
    }

    #[test]
    fn the_gamma_function_is_right() {
        let root_pi = std::f64::consts::PI.sqrt();
        // Gamma(n) = (n - 1)!, Gamma(3/2) = sqrt(pi) / 2, Gamma(5/2) = 3 sqrt(pi) / 4.
        for (x, expected) in
            [(1.0, 1.0), (2.0, 1.0), (5.0, 24.0), (11.0, 3_628_800.0), (1.5, root_pi / 2.0), (2.5, 0.75 * root_pi)]
        {
            assert!((gamma(x) / expected - 1.0).abs() < 1e-12, "Gamma({x}) = {}", gamma(x));
        }
    }

    #[test]
    fn it_starts_in_the_stationary_state_and_stays_there() {
        let model = model(0.6, 1);
        let n = 20_000;
        for time in [0.0, 15.0, 300.0] {
            let online = (0..n).filter(|client| model.is_online(*client, at(time))).count() as f64 / f64::from(n);
            // p = 40 / (40 + 20) = 2/3 at each time; five standard deviations: 5 sqrt(p (1 - p) / n) = 0.017.
            assert!((online - 2.0 / 3.0).abs() < 0.017, "{online} at {time} s");
        }
    }

    #[test]
    fn what_remains_at_the_start_is_the_residual_life() {
        let (model, n) = (model(2.0, 2), 30_000);
        let remains: Vec<f64> = (0..n)
            .filter(|client| model.is_online(*client, SimTime::ZERO))
            .map(|client| model.next_change(client, SimTime::ZERO).as_secs_f64())
            .collect();
        let mean = remains.iter().sum::<f64>() / remains.len() as f64;
        // E[X^2] / (2 E[X]) with scale 40 / Gamma(1.5) = 45.135 and E[X^2] = scale^2 Gamma(2) = 2,037.2: 25.465 s. The
        // deviation is below that of an exponential of this mean; 20,000 clients: five are 0.9 s.
        assert!((mean - 25.465).abs() < 0.9, "{mean}");
        // The median r solves (2 / sqrt(pi)) int_0^(r / scale) exp(-v^2) dv = 1/2, erf(r / scale) = 1/2:
        // r = 0.476936 x 45.135 = 21.527 s. Five deviations of a share are 5 sqrt(0.25 / 20,000) = 0.018.
        let below = remains.iter().filter(|r| **r < 21.527).count() as f64 / remains.len() as f64;
        assert!((below - 0.5).abs() < 0.018, "{below}");
    }

    #[test]
    fn lengths_have_the_mean_and_the_tail_of_the_settings() {
        let (model, end) = (model(0.6, 3), at(600_000.0));
        let mut lengths = [Vec::new(), Vec::new()];
        for client in 0..20 {
            let mut time = model.next_change(client, SimTime::ZERO);
            while time < end {
                let next = model.next_change(client, time);
                lengths[usize::from(model.is_online(client, time))].push(next.since(time).as_secs_f64());
                time = next;
            }
        }
        for (periods, length) in lengths.iter().zip([config(0.6).offline, config(0.6).online]) {
            let n = periods.len() as f64;
            let mean = periods.iter().sum::<f64>() / n;
            // Deviation over mean: sqrt(Gamma(1 + 2/k) / Gamma(1 + 1/k)^2 - 1), 1.758 for k = 0.6.
            let (expected, k) = (length.mean.as_secs_f64(), length.shape);
            let spread = (gamma(1.0 + 2.0 / k) / gamma(1.0 + 1.0 / k).powi(2) - 1.0).sqrt();
            assert!(n > 150_000.0 && (mean / expected - 1.0).abs() < 5.0 * spread / n.sqrt(), "{mean}, n {n}");
            // P(X > scale) = 1/e, whatever the shape.
            let longer = periods.iter().filter(|period| **period > length.scale_s()).count() as f64 / n;
            assert!((longer - (-1f64).exp()).abs() < 5.0 * (0.37 * 0.63 / n).sqrt(), "{longer}");
        }
    }

    #[test]
    fn bad_settings_are_named() {
        let bad = WeibullLength { shape: f64::NAN, mean: SimDuration::ZERO };
        let found =
            WeibullConfig { online: WeibullLength { shape: 0.0, ..config(1.0).online }, offline: bad }.problems();
        let paths: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["online.shape", "offline.shape", "offline.mean"]);
    }

    #[test]
    fn the_online_fraction_is_the_sum_of_the_online_periods() {
        assert_fraction_is_a_sum(&*model(0.5, 3), 5, at(1000.0));
    }

    proptest! {
        #[test]
        fn queries_are_pure(queries in prop::collection::vec((0u32..4, 0u32..2000), 1..40)) {
            let queries: Vec<_> = queries.into_iter().map(|(client, s)| (client, at(f64::from(s)))).collect();
            assert_queries_are_pure(|| model(0.5, 9), &queries);
        }
    }
}
