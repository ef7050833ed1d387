//! The links of a class of clients, as a run asks about them.

use std::sync::Arc;

use rand::RngExt;
use rand_distr::StandardNormal;

use super::Direction;
use super::trace::Trace;
use super::transport::Path;
use crate::seed::Stream;
use crate::sim::{NEVER, SimError};
use crate::units::{Bandwidth, SimDuration, SimTime};

/// The links of a class of clients. All queries are pure: an answer depends on the client, the direction and the time
/// alone, never on what was asked before.
#[derive(Debug, Clone)]
pub struct LinkClass {
    pub(super) path: Path,
    pub(super) jitter: SimDuration,
    pub(super) rates: Rates,
}

/// The links' own rates, before loss and transport.
#[derive(Debug, Clone)]
pub(super) enum Rates {
    /// The same at all times, by [`Direction`].
    Constant([Bandwidth; 2]),
    /// As recorded.
    Trace(Arc<Trace>),
}

/// A client's link at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkState {
    /// What it carries, >= 0.
    pub rate: Bandwidth,
    /// When the rate changes next; [`NEVER`] if it does not.
    pub until: SimTime,
}

impl LinkClass {
    /// The state of a client's own link at `time`: what it carries of the payload, after loss and transport, where a shared
    /// link behind it adds the delay `shared`.
    ///
    /// # Errors
    /// When the client's trace has ended by `time` and is set to end the run.
    pub fn link(
        &self,
        client_id: u32,
        direction: Direction,
        time: SimTime,
        shared: SimDuration,
    ) -> Result<LinkState, SimError> {
        let own = match &self.rates {
            Rates::Constant(rates) => LinkState { rate: rates[direction as usize], until: NEVER },
            Rates::Trace(trace) => trace.link(client_id, direction, time)?,
        };
        Ok(LinkState { rate: self.path.behind(shared).goodput(own.rate), ..own })
    }

    /// Delay before the first byte of a transfer: normal with mean `latency` and standard deviation `jitter`, cut at
    /// zero, and `shared`, which a shared link adds; their sum times the factor of the transport. `stream` is that of the
    /// client in the round, for one direction.
    pub fn latency(&self, stream: &mut Stream, shared: SimDuration) -> SimDuration {
        if self.jitter == SimDuration::ZERO {
            return self.nominal_latency(shared);
        }
        let z: f64 = stream.sample(StandardNormal);
        let seconds = self.path.latency.as_secs_f64() + self.jitter.as_secs_f64() * z;
        let latency = SimDuration::from_secs_f64(seconds.max(0.0)).unwrap_or(SimDuration::from_nanos(u64::MAX));
        self.path.delay(latency + shared)
    }

    /// Delay before the first byte without jitter.
    pub fn nominal_latency(&self, shared: SimDuration) -> SimDuration {
        self.path.delay(self.path.latency + shared)
    }

    /// The rate by which a client states how long its transfers take: what its own link carries of the payload, or the mean
    /// of that over its trace, where a shared link behind it adds the delay `shared`.
    pub fn nominal_rate(&self, client_id: u32, direction: Direction, shared: SimDuration) -> Bandwidth {
        let path = self.path.behind(shared);
        match &self.rates {
            Rates::Constant(rates) => path.goodput(rates[direction as usize]),
            Rates::Trace(trace) => trace.mean(client_id, direction, &path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seeds};
    use crate::sim::{BuildContext, NetworkClassConfig};

    fn class(latency_ms: u64, jitter_ms: u64, transport: &str) -> LinkClass {
        let settings = serde_json::json!({
            "share": 1.0, "downlink": "8 Mbps", "uplink": "2 Mbps", "transport": transport,
            "latency": format!("{latency_ms} ms"), "jitter": format!("{jitter_ms} ms"),
        });
        let settings: NetworkClassConfig = serde_json::from_value(settings).expect("valid settings");
        settings.build(&BuildContext::new(Seeds::new(3), 4)).expect("rates are given")
    }

    #[test]
    fn a_constant_link_has_its_rates_for_ever() {
        let class = class(20, 0, "ideal");
        for (direction, mbps) in [(Direction::Down, 8.0), (Direction::Up, 2.0)] {
            let rate = Bandwidth::from_bits_per_s(mbps * 1e6);
            let at = SimTime::from_nanos(7);
            assert_eq!(class.link(3, direction, at, SimDuration::ZERO), Ok(LinkState { rate, until: NEVER }));
            assert_eq!(class.nominal_rate(3, direction, SimDuration::ZERO), rate);
        }
    }

    fn latencies_ms(class: &LinkClass, n: u32) -> Vec<f64> {
        let stream = |client| Seeds::new(3).task(Purpose::DownlinkLatency, client, 1);
        (0..n).map(|client| class.latency(&mut stream(client), SimDuration::ZERO).as_secs_f64() * 1e3).collect()
    }

    #[test]
    fn latency_is_normal() {
        let latencies = latencies_ms(&class(60, 10, "ideal"), 10_000);
        let mean = latencies.iter().sum::<f64>() / 1e4;
        let sd = (latencies.iter().map(|latency| (latency - mean).powi(2)).sum::<f64>() / 1e4).sqrt();
        // Five standard errors: 5 x 10 / sqrt(10,000) = 0.5 for the mean, 5 x 10 / sqrt(20,000) = 0.36 for the deviation.
        assert!((mean - 60.0).abs() < 0.5 && (sd - 10.0).abs() < 0.36, "mean {mean}, sd {sd}");
    }

    #[test]
    fn latency_is_cut_at_zero_and_exact_without_jitter() {
        let cut = latencies_ms(&class(5, 20, "ideal"), 1000);
        // P(Z < -0.25) = 0.40.
        let zeros = cut.iter().filter(|latency| **latency == 0.0).count();
        assert!((340..460).contains(&zeros) && cut.iter().all(|latency| *latency >= 0.0), "{zeros}");
        assert_eq!(latencies_ms(&class(60, 0, "ideal"), 3), [60.0; 3]);
    }

    #[test]
    fn the_transport_stretches_the_delay() {
        // 60 ms x 13.01, and with 40 ms of a shared link 100 ms x 13.01.
        let (own, shared) = (SimDuration::ZERO, SimDuration::from_nanos(40_000_000));
        let lv08 = class(60, 0, "lv08");
        assert_eq!(lv08.nominal_latency(own), SimDuration::from_nanos(780_600_000));
        assert!((lv08.nominal_latency(shared).as_secs_f64() - 1.301).abs() < 2e-9);
        let mbps =
            |shared| lv08.link(0, Direction::Up, SimTime::ZERO, shared).expect("constant").rate.bits_per_s() / 1e6;
        let stated_mbps = |shared| lv08.nominal_rate(0, Direction::Up, shared).bits_per_s() / 1e6;
        assert_eq!((mbps(own), mbps(shared), stated_mbps(shared)), (1.94, 1.94, 1.94));
        // A window of 4 MiB in a round trip of 2 x (60 ms + 19,940 ms): 4,194,304 x 8 / 40 s = 838.86 kbps; 97 % of it.
        let far = SimDuration::from_nanos(19_940_000_000);
        assert!((mbps(far) - 0.813_695).abs() < 1e-6);
        assert_eq!(stated_mbps(far), mbps(far));
        let drawn = |transport| latencies_ms(&class(60, 10, transport), 1)[0];
        assert!((drawn("lv08") / drawn("ideal") - 13.01).abs() < 1e-6);
    }
}
