//! Devices that crash at work.

use rand::RngExt;
use rand_distr::Exp1;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::periods::length_of;
use crate::registry::Problem;
use crate::seed::Stream;
use crate::units::SimDuration;

/// Crashes without memory: the chance of one in the next second of work is always the same. `clients.crashes`.
///
/// A task that works for a time t survives with probability exp(-t / `mean_time_between`): long tasks fail more often, which a
/// probability per task (`clients.dropout`) cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrashConfig {
    /// Mean time at work between two crashes of a device, > 0.
    pub mean_time_between: SimDuration,
}

impl CrashConfig {
    /// What is wrong with the settings.
    pub fn problems(&self) -> Vec<Problem> {
        if self.mean_time_between > SimDuration::ZERO {
            return Vec::new();
        }
        vec![Problem::new("mean_time_between", "no task could ever end").help("leave out `crashes` for none")]
    }

    /// Time at work after which a device crashes, exponential. Its stream belongs to the task.
    pub fn draw(&self, stream: &mut Stream) -> SimDuration {
        length_of(self.mean_time_between.as_secs_f64() * stream.sample::<f64, _>(Exp1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seeds};

    #[test]
    fn survival_is_exponential() {
        let config = CrashConfig { mean_time_between: length_of(3600.0) };
        let n = 20_000;
        let draws = (0..n).map(|client| config.draw(&mut Seeds::new(1).task(Purpose::Crash, client, 3)).as_secs_f64());
        let draws: Vec<f64> = draws.collect();
        for hours in [0.5, 1.0, 2.0] {
            let alive = draws.iter().filter(|draw| **draw > hours * 3600.0).count() as f64 / f64::from(n);
            // exp(-hours), with five standard deviations of a share, at most 5 sqrt(0.25 / 20,000) = 0.018.
            assert!((alive - (-hours).exp()).abs() < 0.018, "{alive} after {hours} h");
        }
    }

    #[test]
    fn crashes_without_a_time_between_them_are_refused() {
        assert_eq!(CrashConfig { mean_time_between: SimDuration::ZERO }.problems()[0].path, "mean_time_between");
        assert_eq!(CrashConfig { mean_time_between: SimDuration::from_nanos(1) }.problems(), []);
    }
}
