//! Other programs on a device: while they run, training is slower.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NEVER;
use super::periods::{ExponentialPeriods, MEAN_MIN, Periods};
use crate::registry::Problem;
use crate::seed::{Purpose, Seeds};
use crate::units::{SimDuration, SimTime};

/// Busy and idle periods of exponential length, one sequence for each device: `clients.devices.<name>.load`.
///
/// While busy a device trains at 1 / `slowdown` of its speed; a task's time is the integral over the periods that it meets, so
/// a long task sees several. In the long run a task takes
/// (`mean_busy` + `mean_idle`) / (`mean_busy` / `slowdown` + `mean_idle`) times as long as alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadConfig {
    /// Mean length of a busy period, at least 1 ms.
    pub mean_busy: SimDuration,
    /// Mean length of an idle period, at least 1 ms.
    pub mean_idle: SimDuration,
    /// How many times slower training is while busy, in [1, 1000]. 1 is no effect.
    pub slowdown: f64,
}

const SLOWDOWN_MAX: f64 = 1000.0;

impl LoadConfig {
    /// What is wrong with the settings.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found: Vec<_> = [("mean_busy", self.mean_busy), ("mean_idle", self.mean_idle)]
            .into_iter()
            .filter(|(_, mean)| *mean < MEAN_MIN)
            .map(|(path, mean)| {
                Problem::new(path, format!("mean {mean} is below {MEAN_MIN}")).help("leave out `load` for none")
            })
            .collect();
        if !(1.0..=SLOWDOWN_MAX).contains(&self.slowdown) {
            let message = format!("slowdown {} is not in [1, {SLOWDOWN_MAX}]", self.slowdown);
            found.push(Problem::new("slowdown", message).help("2 halves the speed while other programs run"));
        }
        found
    }
}

/// The load of all devices of a class.
pub(in crate::sim) struct Load {
    periods: Periods<ExponentialPeriods>,
    slowdown: f64,
}

impl Load {
    pub(in crate::sim) fn new(config: LoadConfig, seeds: Seeds) -> Self {
        let (mean_on, mean_off) = (config.mean_busy, config.mean_idle);
        let periods = Periods::new(ExponentialPeriods { seeds, purpose: Purpose::BackgroundLoad, mean_on, mean_off });
        Self { periods, slowdown: config.slowdown }
    }

    /// Seconds that a device needs from `start` on for work that takes it `work_s` alone.
    pub(in crate::sim) fn stretched_s(&self, client_id: u32, start: SimTime, work_s: f64) -> f64 {
        let mut period = self.periods.at(client_id, start);
        let (mut time, mut left_s, mut taken_s) = (start, work_s, 0.0);
        loop {
            let factor = if period.is_on { self.slowdown } else { 1.0 };
            let room_s = period.end.since(time).as_secs_f64();
            if period.end == NEVER || left_s * factor <= room_s {
                return taken_s + left_s * factor;
            }
            left_s -= room_s / factor;
            taken_s += room_s;
            time = period.end;
            period = self.periods.after(client_id, period);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(seconds: f64) -> SimDuration {
        SimDuration::from_secs_f64(seconds).unwrap()
    }

    fn config() -> LoadConfig {
        LoadConfig { mean_busy: secs(20.0), mean_idle: secs(60.0), slowdown: 3.0 }
    }

    fn load() -> Load {
        assert_eq!(config().problems(), []);
        Load::new(config(), Seeds::new(6))
    }

    fn at(seconds: f64) -> SimTime {
        SimTime::ZERO + secs(seconds)
    }

    #[test]
    fn short_work_is_slowed_by_the_state_it_meets() {
        let load = load();
        let n = 20_000;
        let slowed = (0..n).filter(|client| load.stretched_s(*client, at(100.0), 1e-6) > 2e-6).count();
        // Busy with probability 20 / 80; five standard deviations: 5 sqrt(0.1875 / 20,000) = 0.0153.
        assert!((slowed as f64 / f64::from(n) - 0.25).abs() < 0.0153, "{slowed}");
    }

    #[test]
    fn long_work_is_slowed_by_the_mean() {
        // (20 + 60) / (20 / 3 + 60) = 1.2. The busy fraction over T has the deviation sqrt(2 a^2 b^2 / ((a + b)^3 T)),
        // with T = 120,000 s 0.0069 over one device, 0.0015 over 20; speed changes by 2/3 of it: 0.6 % is five deviations.
        let load = load();
        let mean = (0..20).map(|client| load.stretched_s(client, at(5.0), 1e5)).sum::<f64>() / 20.0;
        assert!((mean / 1e5 - 1.2).abs() < 0.008, "{mean}");
    }

    #[test]
    fn bad_settings_are_named() {
        let zero = SimDuration::ZERO;
        let bad = LoadConfig { mean_busy: zero, mean_idle: zero, slowdown: 0.5 };
        let paths: Vec<_> = bad.problems().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["mean_busy", "mean_idle", "slowdown"]);
        let none = Load::new(LoadConfig { slowdown: 1.0, ..config() }, Seeds::new(6));
        assert!((none.stretched_s(3, at(7.0), 500.0) - 500.0).abs() < 1e-9);
    }

    proptest! {
        /// Work done in two parts, the second begun when the first ends, takes as long as in one.
        #[test]
        fn work_adds_up(client in 0u32..4, start in 0.0f64..1000.0, first in 0.0f64..300.0, then in 0.0f64..300.0) {
            let load = load();
            let whole = load.stretched_s(client, at(start), first + then);
            let one = load.stretched_s(client, at(start), first);
            let two = load.stretched_s(client, at(start) + secs(one), then);
            prop_assert!((whole - one - two).abs() < 1e-6, "{whole} is not {one} + {two}");
            prop_assert!(whole >= first + then - 1e-9 && whole <= 3.0 * (first + then) + 1e-9);
            let fresh = Load::new(config(), Seeds::new(6));
            prop_assert_eq!(fresh.stretched_s(client, at(start), first), one);
        }
    }
}
