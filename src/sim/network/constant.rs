//! Transfers that do not meet: each runs at the lower of its client's and the server's rate.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Direction, Flow, NetworkModel, ServerNetworkConfig, Sharing, transfer_time, whole_bytes};
use crate::units::{Bandwidth, Bytes, SimTime};

/// No interaction between transfers. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantConfig {}

impl Sharing for ConstantConfig {
    fn build(&self, server: &ServerNetworkConfig) -> Box<dyn NetworkModel> {
        let limit = |direction| server.rate(direction).map_or(f64::INFINITY, Bandwidth::bytes_per_s);
        Box::new(Constant {
            down: limit(Direction::Down),
            up: limit(Direction::Up),
            flows: BTreeMap::new(),
            ends: BinaryHeap::new(),
        })
    }
}

struct Constant {
    /// The server's rates, in bytes per second.
    down: f64,
    up: f64,
    flows: BTreeMap<u64, InFlight>,
    /// (end, id), soonest first. Entries of cancelled flows stay until they come to the top.
    ends: BinaryHeap<Reverse<(SimTime, u64)>>,
}

struct InFlight {
    start: SimTime,
    end: SimTime,
    rate: f64,
    bytes: Bytes,
}

impl Constant {
    fn drop_cancelled(&mut self) {
        while let Some(Reverse((end, id))) = self.ends.peek()
            && self.flows.get(id).is_none_or(|flow| flow.end != *end)
        {
            self.ends.pop();
        }
    }
}

impl NetworkModel for Constant {
    fn start(&mut self, now: SimTime, flow: Flow) {
        let server = match flow.direction {
            Direction::Down => self.down,
            Direction::Up => self.up,
        };
        let rate = flow.client_rate.bytes_per_s().min(server);
        assert!(rate > 0.0, "flow {} has no rate", flow.id);
        let end = now + transfer_time(flow.bytes.get() as f64, rate);
        let before = self.flows.insert(flow.id, InFlight { start: now, end, rate, bytes: flow.bytes });
        assert!(before.is_none(), "flow {} is in flight already", flow.id);
        self.ends.push(Reverse((end, flow.id)));
    }

    fn cancel(&mut self, now: SimTime, id: u64) -> Bytes {
        let flow = self.flows.remove(&id).unwrap_or_else(|| panic!("flow {id} is not in flight"));
        self.drop_cancelled();
        if now >= flow.end {
            return flow.bytes;
        }
        whole_bytes(flow.rate * now.since(flow.start).as_secs_f64(), flow.bytes)
    }

    fn next(&self) -> Option<SimTime> {
        self.ends.peek().map(|Reverse((end, _))| *end)
    }

    fn finish(&mut self, now: SimTime) -> Option<u64> {
        let Reverse((end, id)) = *self.ends.peek()?;
        if end > now {
            return None;
        }
        self.ends.pop();
        self.flows.remove(&id);
        self.drop_cancelled();
        Some(id)
    }

    fn n_flows(&self) -> usize {
        self.flows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(milliseconds: u64) -> SimTime {
        SimTime::from_nanos(milliseconds * MS)
    }

    fn flow(id: u64, direction: Direction, mbps: f64, bytes: u64) -> Flow {
        Flow { id, direction, client_rate: Bandwidth::from_bits_per_s(mbps * 1e6), bytes: Bytes::new(bytes) }
    }

    /// The server sends at 40 Mbps and receives at 16 Mbps.
    fn network() -> Box<dyn NetworkModel> {
        let config = ServerNetworkConfig {
            uplink: Some(Bandwidth::from_bits_per_s(40e6)),
            downlink: Some(Bandwidth::from_bits_per_s(16e6)),
            sharing: super::super::SharingConfig::Constant(ConstantConfig {}),
        };
        config.build()
    }

    #[test]
    fn the_slower_link_decides_and_flows_do_not_meet() {
        let mut network = network();
        // 1 MB at 8 Mbps = 1 MB/s: 1 s, twice over the same link. 1 MB at 16 of 80 Mbps: 0.5 s.
        network.start(at(0), flow(2, Direction::Down, 8.0, 1_000_000));
        network.start(at(0), flow(1, Direction::Down, 8.0, 1_000_000));
        network.start(at(0), flow(3, Direction::Up, 80.0, 1_000_000));
        assert_eq!(network.next(), Some(at(500)));
        assert_eq!(network.finish(at(500)), Some(3));
        assert_eq!(network.finish(at(500)), None);
        assert_eq!(network.next(), Some(at(1000)));
        assert_eq!([(); 3].map(|()| network.finish(at(1000))), [Some(1), Some(2), None]);
        assert_eq!((network.next(), network.n_flows()), (None, 0));
    }

    #[test]
    fn a_cancelled_flow_returns_what_it_moved() {
        let mut network = network();
        network.start(at(0), flow(1, Direction::Down, 8.0, 1_000_000));
        network.start(at(0), flow(2, Direction::Down, 4.0, 1_000_000));
        assert_eq!(network.cancel(at(250), 1), Bytes::new(250_000));
        assert_eq!(network.next(), Some(at(2000)));
        assert_eq!(network.cancel(at(2000), 2), Bytes::new(1_000_000));
        assert_eq!(network.next(), None);
    }
}
