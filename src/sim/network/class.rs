//! The links of a class of clients, as they are set.

use rand::RngExt;
use rand_distr::StandardNormal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LinkClass, rate_problem};
use crate::registry::Problem;
use crate::seed::Stream;
use crate::sim::{BuildContext, SimError};
use crate::units::{Bandwidth, SimDuration};

/// A class of client links: `clients.networks.<name>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkClassConfig {
    /// Fraction of the clients that are of this class, in (0, 1]. All shares sum to 1.
    pub share: f64,
    /// Rate from the server to the client, > 0.
    pub downlink: Bandwidth,
    /// Rate from the client to the server, > 0.
    pub uplink: Bandwidth,
    /// One-way delay before the first byte of a transfer.
    pub latency: SimDuration,
    /// Standard deviation of the delay, normal and cut at zero. 0 is no jitter.
    #[serde(default)]
    pub jitter: SimDuration,
}

impl NetworkClassConfig {
    /// What is wrong with the settings, the share aside: see [`classes::problems`](crate::sim::classes::problems).
    pub fn problems(&self) -> Vec<Problem> {
        [("downlink", self.downlink), ("uplink", self.uplink)]
            .into_iter()
            .filter_map(|(path, rate)| rate_problem(path, rate))
            .collect()
    }

    /// What is wrong with the files that the settings name, each message beginning with `file:line: `.
    pub fn file_problems(&self, _context: &BuildContext) -> Vec<Problem> {
        Vec::new()
    }

    /// The links of a run.
    ///
    /// # Errors
    /// When a file cannot be read; [`file_problems`](Self::file_problems) told why before.
    pub fn build(&self, _context: &BuildContext) -> Result<LinkClass, SimError> {
        Ok(LinkClass::constant(self))
    }
}

/// Delay before the first byte of a transfer: normal with mean `latency` and standard deviation `jitter`, cut at zero.
/// `stream` is that of the client in the round, for one direction.
pub fn latency(class: &NetworkClassConfig, stream: &mut Stream) -> SimDuration {
    if class.jitter == SimDuration::ZERO {
        return class.latency;
    }
    let z: f64 = stream.sample(StandardNormal);
    let seconds = class.latency.as_secs_f64() + class.jitter.as_secs_f64() * z;
    SimDuration::from_secs_f64(seconds.max(0.0)).unwrap_or(SimDuration::from_nanos(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seeds};

    fn class(latency_ms: u64, jitter_ms: u64) -> NetworkClassConfig {
        NetworkClassConfig {
            share: 1.0,
            downlink: Bandwidth::from_bits_per_s(50e6),
            uplink: Bandwidth::from_bits_per_s(20e6),
            latency: SimDuration::from_nanos(latency_ms * 1_000_000),
            jitter: SimDuration::from_nanos(jitter_ms * 1_000_000),
        }
    }

    fn latencies_ms(class: &NetworkClassConfig, n: u32) -> Vec<f64> {
        let stream = |client| Seeds::new(3).task(Purpose::DownlinkLatency, client, 1);
        (0..n).map(|client| latency(class, &mut stream(client)).as_secs_f64() * 1e3).collect()
    }

    #[test]
    fn latency_is_normal() {
        let latencies = latencies_ms(&class(60, 10), 10_000);
        let mean = latencies.iter().sum::<f64>() / 1e4;
        let sd = (latencies.iter().map(|latency| (latency - mean).powi(2)).sum::<f64>() / 1e4).sqrt();
        // Five standard errors: 5 x 10 / sqrt(10,000) = 0.5 for the mean, 5 x 10 / sqrt(20,000) = 0.36 for the deviation.
        assert!((mean - 60.0).abs() < 0.5 && (sd - 10.0).abs() < 0.36, "mean {mean}, sd {sd}");
    }

    #[test]
    fn latency_is_cut_at_zero_and_exact_without_jitter() {
        let cut = latencies_ms(&class(5, 20), 1000);
        // P(Z < -0.25) = 0.40.
        let zeros = cut.iter().filter(|latency| **latency == 0.0).count();
        assert!((340..460).contains(&zeros) && cut.iter().all(|latency| *latency >= 0.0), "{zeros}");
        assert_eq!(latencies_ms(&class(60, 0), 3), [60.0; 3]);
    }

    #[test]
    fn rates_must_be_above_zero() {
        let bad = NetworkClassConfig { uplink: Bandwidth::from_bits_per_s(0.0), ..class(1, 0) };
        assert_eq!(bad.problems().len(), 1);
        assert_eq!(bad.problems()[0].path, "uplink");
        assert_eq!(bad.problems()[0].message, "rate 0 bps must be above 0; nothing would ever arrive");
    }
}
