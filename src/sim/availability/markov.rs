//! On and off periods with exponential lengths: a two-state Markov process for each client.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Availability, AvailabilityModel};
use crate::registry::Problem;
use crate::seed::Purpose;
use crate::sim::periods::{ExponentialPeriods, MEAN_MIN, Periods};
use crate::sim::{BuildContext, SimError};
use crate::units::SimDuration;

/// A two-state Markov process per client, started in its stationary state: a client is online at time zero with
/// probability `mean_online / (mean_online + mean_offline)`, which is also the fraction of time that it is online in the
/// long run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkovConfig {
    /// Mean length of an online period, at least 1 ms.
    pub mean_online: SimDuration,
    /// Mean length of an offline period, at least 1 ms.
    pub mean_offline: SimDuration,
}

impl Availability for MarkovConfig {
    fn problems(&self) -> Vec<Problem> {
        [("mean_online", self.mean_online), ("mean_offline", self.mean_offline)]
            .into_iter()
            .filter(|(_, mean)| *mean < MEAN_MIN)
            .map(|(path, mean)| {
                Problem::new(path, format!("mean {mean} is below {MEAN_MIN}"))
                    .help("for clients that are always online write `availability: always`")
            })
            .collect()
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn AvailabilityModel>, SimError> {
        Ok(Box::new(Periods::new(ExponentialPeriods {
            seeds: context.seeds,
            purpose: Purpose::Availability,
            mean_on: self.mean_online,
            mean_off: self.mean_offline,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seeds;
    use crate::sim::periods::{assert_fraction_is_a_sum, assert_queries_are_pure};
    use crate::units::SimTime;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn model(seed: u64) -> Box<dyn AvailabilityModel> {
        MarkovConfig {
            mean_online: SimDuration::from_nanos(40 * SECOND),
            mean_offline: SimDuration::from_nanos(20 * SECOND),
        }
        .build(&BuildContext::new(Seeds::new(seed), 100))
        .unwrap()
    }

    fn at(seconds: u64) -> SimTime {
        SimTime::from_nanos(seconds * SECOND)
    }

    #[test]
    fn it_starts_in_the_stationary_state() {
        let model = model(1);
        let n = 20_000;
        let online = (0..n).filter(|client| model.is_online(*client, SimTime::ZERO)).count() as f64 / f64::from(n);
        // p = 40 / (40 + 20) = 2/3; five standard deviations: 5 sqrt(p (1 - p) / n) = 0.017.
        assert!((online - 2.0 / 3.0).abs() < 0.017, "{online}");
    }

    #[test]
    fn the_long_run_online_fraction_and_the_period_means_are_those_of_the_settings() {
        let model = model(2);
        let end = at(600_000);
        // The variance of the online fraction of such a process over a long time T is 2 a²b² / ((a + b)³ T) with means
        // a and b: 2 x 40² x 20² / (60³ x 600,000) = 9.9e-6, over 20 clients 4.9e-7; five deviations are 0.0035.
        let mean = (0..20).map(|client| model.online_fraction(client, end)).sum::<f64>() / 20.0;
        assert!((mean - 2.0 / 3.0).abs() < 0.0035, "{mean}");

        let mut lengths = [Vec::new(), Vec::new()];
        for client in 0..20 {
            let mut time = model.next_change(client, SimTime::ZERO);
            while time < end {
                let next = model.next_change(client, time);
                lengths[usize::from(model.is_online(client, time))].push(next.since(time).as_secs_f64());
                time = next;
            }
        }
        for (periods, expected) in lengths.iter().zip([20.0, 40.0]) {
            // An exponential's deviation is its mean; about 200,000 periods: five deviations are 1.2 %.
            let n = periods.len() as f64;
            let mean = periods.iter().sum::<f64>() / n;
            assert!(n > 150_000.0 && (mean / expected - 1.0).abs() < 5.0 / n.sqrt(), "{mean} of {expected}, n {n}");
            // P(length > mean) = 1/e.
            let longer = periods.iter().filter(|length| **length > expected).count() as f64 / n;
            assert!((longer - (-1f64).exp()).abs() < 5.0 * (0.37 * 0.63 / n).sqrt(), "{longer}");
        }
    }

    #[test]
    fn the_online_fraction_is_the_sum_of_the_online_periods() {
        assert_fraction_is_a_sum(&*model(3), 5, at(1000));
    }

    #[test]
    fn online_until_and_next_online_agree_with_is_online() {
        let model = model(4);
        for client in 0..50 {
            let time = at(100);
            let (until, next) = (model.online_until(client, time), model.next_online(client, time));
            assert_eq!(model.is_online(client, time), until > time);
            assert_eq!(model.is_online(client, time), next == time);
            assert!(model.is_online(client, next));
            assert!(!model.is_online(client, until));
        }
    }

    #[test]
    fn too_short_means_are_named() {
        let config = MarkovConfig { mean_online: SimDuration::from_nanos(1), mean_offline: SimDuration::ZERO };
        let paths: Vec<_> = config.problems().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["mean_online", "mean_offline"]);
    }

    proptest! {
        #[test]
        fn queries_are_pure(queries in prop::collection::vec((0u32..4, 0u64..2000), 1..60)) {
            let queries: Vec<_> = queries.into_iter().map(|(client, seconds)| (client, at(seconds))).collect();
            assert_queries_are_pure(|| model(9), &queries);
        }
    }
}
