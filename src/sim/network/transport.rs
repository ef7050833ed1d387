//! What a transport protocol makes of a client's link.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Bandwidth, SimDuration};

/// How a transport protocol uses the client's own link: `clients.networks.<name>.transport`. Capacities of shared links, the
/// server's and the regions', are of payload: neither headers nor what is lost on clients' links takes a part of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Transfers get the whole rate after one latency.
    #[default]
    Ideal,
    /// TCP as SimGrid's default model `LV08` has it: 97 % of the rate, which headers leave; 13.01 times the latency, for slow
    /// start; at most a window of 4 MiB per round trip. P. Velho and A. Legrand, *Accuracy study and improvement of network
    /// simulation in the SimGrid framework*, SIMUTools 2009; the window is SimGrid's `network/TCP-gamma`. SimGrid's weights by
    /// round-trip time where flows share a link are not modelled: shares stay max-min fair. Nor is its cross-traffic, by which
    /// acknowledgements of a transfer take 5 % of its rate in the other direction.
    Lv08,
}

impl Transport {
    /// True for the default.
    pub fn is_ideal(&self) -> bool {
        *self == Self::Ideal
    }
}

const LV08_BANDWIDTH_FACTOR: f64 = 0.97;
const LV08_LATENCY_FACTOR: f64 = 13.01;
const LV08_WINDOW_BYTES: f64 = 4_194_304.0;
/// Payload of a packet on Ethernet with IPv4 and no TCP options.
const SEGMENT_BYTES: f64 = 1460.0;

/// What is on the way of a client's transfers, beside the link's rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Path {
    pub(super) transport: Transport,
    /// One way over the client's own link; a round trip is twice as long.
    pub(super) latency: SimDuration,
    /// Fraction of the packets that are lost, in [0, 1).
    pub(super) packet_loss: f64,
}

impl Path {
    /// The same path with the delay of a shared link behind it.
    pub(super) fn behind(mut self, shared: SimDuration) -> Self {
        self.latency += shared;
        self
    }

    /// What a client's own link of `rate` carries of the payload. Shared links behind it are given in payload already.
    pub(super) fn goodput(&self, rate: Bandwidth) -> Bandwidth {
        let round_trip_s = 2.0 * self.latency.as_secs_f64();
        // A window or a segment per round trip of no length is no bound.
        let bound = |bytes: f64| bytes * 8.0 / round_trip_s;
        let mut bits_per_s = rate.bits_per_s();
        if self.transport == Transport::Lv08 {
            bits_per_s = LV08_BANDWIDTH_FACTOR * bits_per_s.min(bound(LV08_WINDOW_BYTES));
        }
        if self.packet_loss > 0.0 {
            let mathis = bound(SEGMENT_BYTES) * (1.5 / self.packet_loss).sqrt();
            bits_per_s = (1.0 - self.packet_loss) * bits_per_s.min(mathis);
        }
        Bandwidth::from_bits_per_s(bits_per_s)
    }

    /// How long the first byte takes when the link's own delay is `latency`.
    pub(super) fn delay(&self, latency: SimDuration) -> SimDuration {
        match self.transport {
            Transport::Ideal => latency,
            Transport::Lv08 => SimDuration::from_secs_f64(latency.as_secs_f64() * LV08_LATENCY_FACTOR)
                .unwrap_or(SimDuration::from_nanos(u64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(transport: Transport, latency_ms: u64, packet_loss: f64) -> Path {
        Path { transport, latency: SimDuration::from_nanos(latency_ms * 1_000_000), packet_loss }
    }

    /// One transfer of 1 MB under SimGrid 3.32 with `network/model:LV08` and `network/crosstraffic:0`, over links of 1 MB/s and
    /// 20 ms, 1 GB/s and 20 ms, 1 GB/s and 200 ms.
    #[test]
    fn lv08_takes_as_long_as_in_simgrid() {
        for (mb_per_s, latency_ms, simgrid_s) in
            [(1.0, 20, 1.2911278350515465), (1000.0, 20, 0.27003169398356963), (1000.0, 200, 2.7003169398356963)]
        {
            let path = path(Transport::Lv08, latency_ms, 0.0);
            let rate = path.goodput(Bandwidth::from_bits_per_s(mb_per_s * 8e6));
            let seconds = path.delay(path.latency).as_secs_f64() + 1e6 / rate.bytes_per_s();
            assert!((seconds - simgrid_s).abs() < 1e-8, "{seconds} s, not {simgrid_s} s");
        }
    }

    #[test]
    fn loss_cuts_long_and_fast_links() {
        let mbps = |rate: Bandwidth| rate.bits_per_s() / 1e6;
        let goodput = |latency_ms, loss, rate| {
            mbps(path(Transport::Ideal, latency_ms, loss).goodput(Bandwidth::from_bits_per_s(rate * 1e6)))
        };
        // 1460 B x 8 / 0.1 s x sqrt(1.5 / 0.01) = 116.8 kbps x 12.2474 = 1.430502 Mbps; 99 % of it arrives.
        assert!((goodput(50, 0.01, 50.0) - 1.416197).abs() < 1e-6);
        // A slower link is not held back by the loss, only thinned out.
        assert_eq!(goodput(50, 0.01, 1.0), 0.99);
        assert_eq!(goodput(0, 0.01, 50.0), 49.5);
        assert_eq!((goodput(50, 0.0, 50.0), goodput(50, 0.01, 0.0)), (50.0, 0.0));
    }
}
