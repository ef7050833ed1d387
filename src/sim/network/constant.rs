//! Transfers that do not meet: each runs at the lowest of its client's, its region's and the server's rate.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Direction, Flow, NetworkModel, RegionConfig, ServerNetworkConfig, Sharing, transfer_time, unusable, whole_bytes,
};
use crate::sim::{NEVER, SimError};
use crate::units::{Bandwidth, Bytes, SimTime};

/// No interaction between transfers. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantConfig {}

impl Sharing for ConstantConfig {
    fn build(&self, server: &ServerNetworkConfig, regions: &[RegionConfig]) -> Box<dyn NetworkModel> {
        Box::new(Constant::new(server, regions))
    }

    fn restore(
        &self,
        server: &ServerNetworkConfig,
        regions: &[RegionConfig],
        saved: &str,
        now: SimTime,
    ) -> Result<Box<dyn NetworkModel>, SimError> {
        let flows: BTreeMap<u64, InFlight> = serde_json::from_str(saved).map_err(unusable)?;
        let mut network = Constant::new(server, regions);
        for (id, mut flow) in flows {
            let limits = &network.limits[flow.direction as usize];
            let limit = *limits.get(flow.region).ok_or_else(|| unusable(format!("no region {}", flow.region)))?;
            if flow.rate != flow.client_rate.min(limit) && flow.end > now {
                flow.left = flow.left_at(now);
                flow.run_at(now, flow.client_rate, limit);
            }
            if flow.end < NEVER {
                network.ends.push(Reverse((flow.end, id)));
            }
            network.flows.insert(id, flow);
        }
        Ok(Box::new(network))
    }
}

struct Constant {
    /// The lower of the region's rate and the server's, in bytes per second: by [`Direction`], then by region.
    limits: [Vec<f64>; 2],
    flows: BTreeMap<u64, InFlight>,
    /// (end, id), soonest first. Entries of cancelled and changed flows stay until they come to the top.
    ends: BinaryHeap<Reverse<(SimTime, u64)>>,
}

impl Constant {
    fn new(server: &ServerNetworkConfig, regions: &[RegionConfig]) -> Self {
        let bytes_per_s = |rate: Option<Bandwidth>| rate.map_or(f64::INFINITY, Bandwidth::bytes_per_s);
        let limits = [Direction::Down, Direction::Up].map(|direction| {
            let server = bytes_per_s(server.rate(direction));
            match regions {
                [] => vec![server],
                regions => regions.iter().map(|region| bytes_per_s(region.rate(direction)).min(server)).collect(),
            }
        });
        Self { limits, flows: BTreeMap::new(), ends: BinaryHeap::new() }
    }

    fn drop_stale(&mut self) {
        while let Some(Reverse((end, id))) = self.ends.peek()
            && self.flows.get(id).is_none_or(|flow| flow.end != *end)
        {
            self.ends.pop();
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InFlight {
    direction: Direction,
    region: usize,
    bytes: Bytes,
    /// Rate of the client's link, bytes per second.
    client_rate: f64,
    /// The present rate, bytes per second, since `since`, when `left` bytes were left.
    rate: f64,
    since: SimTime,
    left: f64,
    /// [`NEVER`] at rate 0.
    end: SimTime,
}

impl InFlight {
    /// Runs on at what the client's link and the shared ones allow, bytes per second.
    fn run_at(&mut self, now: SimTime, client_rate: f64, limit: f64) {
        assert!(client_rate >= 0.0 && client_rate.is_finite(), "a flow has no usable rate: {client_rate} B/s");
        self.client_rate = client_rate;
        self.rate = client_rate.min(limit);
        self.since = now;
        self.end = match self.left {
            _ if self.rate > 0.0 => now + transfer_time(self.left, self.rate),
            0.0 => now,
            _ => NEVER,
        };
    }

    fn left_at(&self, now: SimTime) -> f64 {
        (self.left - self.rate * now.since(self.since).as_secs_f64()).max(0.0)
    }
}

impl NetworkModel for Constant {
    fn start(&mut self, now: SimTime, flow: Flow) {
        let Flow { direction, region, bytes, .. } = flow;
        let left = bytes.get() as f64;
        let mut in_flight =
            InFlight { direction, region, bytes, client_rate: 0.0, rate: 0.0, since: now, left, end: now };
        in_flight.run_at(now, flow.client_rate.bytes_per_s(), self.limits[direction as usize][region]);
        if in_flight.end < NEVER {
            self.ends.push(Reverse((in_flight.end, flow.id)));
        }
        let before = self.flows.insert(flow.id, in_flight);
        assert!(before.is_none(), "flow {} is in flight already", flow.id);
    }

    fn set_rate(&mut self, now: SimTime, id: u64, rate: Bandwidth) {
        let flow = self.flows.get_mut(&id).unwrap_or_else(|| panic!("flow {id} is not in flight"));
        if flow.end <= now {
            return;
        }
        let before = flow.end;
        flow.left = flow.left_at(now);
        flow.run_at(now, rate.bytes_per_s(), self.limits[flow.direction as usize][flow.region]);
        if flow.end < NEVER && flow.end != before {
            self.ends.push(Reverse((flow.end, id)));
        }
        self.drop_stale();
    }

    fn cancel(&mut self, now: SimTime, id: u64) -> Bytes {
        let flow = self.flows.remove(&id).unwrap_or_else(|| panic!("flow {id} is not in flight"));
        self.drop_stale();
        if now >= flow.end {
            return flow.bytes;
        }
        whole_bytes(flow.bytes.get() as f64 - flow.left_at(now), flow.bytes)
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
        self.drop_stale();
        Some(id)
    }

    fn n_flows(&self) -> usize {
        self.flows.len()
    }

    fn save(&self) -> String {
        serde_json::to_string(&self.flows).expect("numbers and words are what JSON can hold")
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
        Flow { id, direction, client_rate: Bandwidth::from_bits_per_s(mbps * 1e6), bytes: Bytes::new(bytes), region: 0 }
    }

    /// The server sends at 40 Mbps and receives at 16 Mbps.
    fn network() -> Box<dyn NetworkModel> {
        let config = ServerNetworkConfig {
            uplink: Some(Bandwidth::from_bits_per_s(40e6)),
            downlink: Some(Bandwidth::from_bits_per_s(16e6)),
            sharing: super::super::SharingConfig::Constant(ConstantConfig {}),
        };
        config.build(&[])
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

    #[test]
    fn a_rate_may_change_and_a_stalled_flow_is_not_announced() {
        let mut network = network();
        // 0.25 MB in 250 ms at 8 Mbps, nothing until 1 s, then 0.75 MB at 4 Mbps = 0.5 MB/s: 1 s + 1.5 s.
        network.start(at(0), flow(1, Direction::Down, 8.0, 1_000_000));
        network.set_rate(at(250), 1, Bandwidth::from_bits_per_s(0.0));
        assert_eq!((network.next(), network.n_flows()), (None, 1));
        network.set_rate(at(1000), 1, Bandwidth::from_bits_per_s(4e6));
        assert_eq!(network.next(), Some(at(2500)));
        // There and back to the same end: taken out once.
        network.set_rate(at(1000), 1, Bandwidth::from_bits_per_s(8e6));
        network.set_rate(at(1000), 1, Bandwidth::from_bits_per_s(4e6));
        assert_eq!(network.finish(at(2500)), Some(1));
        assert_eq!((network.finish(at(2500)), network.next()), (None, None));
        network.start(at(3000), flow(2, Direction::Down, 0.0, 1_000_000));
        assert_eq!((network.next(), network.cancel(at(4000), 2)), (None, Bytes::ZERO));
    }

    #[test]
    fn the_link_of_a_region_limits_each_of_its_transfers() {
        let region = |uplink: &str| serde_json::json!({ "share": 0.5, "uplink": uplink });
        let regions = [region("4 Mbps"), region("400 Mbps")].map(|r| serde_json::from_value(r).expect("valid"));
        let server = serde_json::json!({ "downlink": "16 Mbps", "sharing": "constant" });
        let mut network = serde_json::from_value::<ServerNetworkConfig>(server).expect("valid").build(&regions);
        // 1 MB at 0.5 MB/s: 2 s; at the server's 2 MB/s: 0.5 s.
        network.start(at(0), flow(1, Direction::Up, 80.0, 1_000_000));
        network.start(at(0), Flow { region: 1, ..flow(2, Direction::Up, 80.0, 1_000_000) });
        assert_eq!((network.next(), network.finish(at(500)), network.next()), (Some(at(500)), Some(2), Some(at(2000))));
    }
}
