//! The same fluid, done the long way: progressive filling over all flows, and what is left of each, at every event.

use std::collections::BTreeMap;

use crate::sim::network::{Direction, Flow, NetworkModel, transfer_time, whole_bytes};
use crate::units::{Bandwidth, Bytes, SimTime};

/// Capacities in bytes per second, infinite without a limit; the same in both directions.
pub(super) struct Fluid {
    pub(super) server: f64,
    pub(super) regions: Vec<f64>,
    now: SimTime,
    /// Each flow with the bytes it has left.
    flows: BTreeMap<u64, (Flow, f64)>,
}

impl Fluid {
    pub(super) fn new(server: f64, regions: Vec<f64>) -> Self {
        Self { server, regions, now: SimTime::ZERO, flows: BTreeMap::new() }
    }

    /// Raises the rates of all flows together. Who reaches its cap stays there, and so do the flows of a region whose
    /// link is full, and all when the server's is.
    pub(super) fn rates(&self) -> BTreeMap<u64, f64> {
        let mut rates = BTreeMap::new();
        for direction in [Direction::Down, Direction::Up] {
            let mut open: Vec<&Flow> =
                self.flows.values().map(|(flow, _)| flow).filter(|flow| flow.direction == direction).collect();
            let (mut server, mut regions) = (self.server, self.regions.clone());
            while !open.is_empty() {
                let n_in = |region| open.iter().filter(|flow| flow.region == region).count();
                let cap = open.iter().map(|flow| flow.client_rate.bytes_per_s()).fold(f64::INFINITY, f64::min);
                let filled = |region: &usize| regions[*region] / n_in(*region) as f64;
                let narrowest = (0..regions.len())
                    .filter(|region| n_in(*region) > 0)
                    .min_by(|a, b| filled(a).total_cmp(&filled(b)));
                let narrowest = narrowest.expect("flows have a region");
                let level = cap.min(filled(&narrowest)).min(server / open.len() as f64);
                let (stopped, rest): (Vec<&Flow>, Vec<&Flow>) = open.iter().partition(|flow| {
                    level == server / open.len() as f64
                        || (level == filled(&narrowest) && flow.region == narrowest)
                        || flow.client_rate.bytes_per_s() == level
                });
                for flow in stopped {
                    rates.insert(flow.id, level);
                    server -= level;
                    regions[flow.region] -= level;
                }
                open = rest;
            }
        }
        rates
    }

    fn advance(&mut self, now: SimTime) {
        let rates = self.rates();
        let seconds = now.since(self.now).as_secs_f64();
        for (id, (_, left)) in &mut self.flows {
            *left -= rates[id] * seconds;
        }
        self.now = now;
    }

    /// When each flow ends at the present rates, and its id.
    fn ends(&self) -> impl Iterator<Item = (SimTime, u64)> {
        let rates = self.rates();
        let moving = move |(id, (flow, left)): (&u64, &(Flow, f64))| {
            let rate = rates[id];
            (rate > 0.0 || flow.bytes == Bytes::ZERO)
                .then(|| (self.now + transfer_time(left.max(0.0), rate.max(1e-9)), *id))
        };
        self.flows.iter().filter_map(moving)
    }
}

impl NetworkModel for Fluid {
    fn start(&mut self, now: SimTime, flow: Flow) {
        self.advance(now);
        assert!(self.flows.insert(flow.id, (flow, flow.bytes.get() as f64)).is_none());
    }

    fn set_rate(&mut self, now: SimTime, id: u64, rate: Bandwidth) {
        self.advance(now);
        self.flows.get_mut(&id).expect("in flight").0.client_rate = rate;
    }

    fn cancel(&mut self, now: SimTime, id: u64) -> Bytes {
        self.advance(now);
        let (flow, left) = self.flows.remove(&id).expect("in flight");
        whole_bytes(flow.bytes.get() as f64 - left, flow.bytes)
    }

    fn next(&self) -> Option<SimTime> {
        self.ends().map(|(end, _)| end).min()
    }

    fn finish(&mut self, now: SimTime) -> Option<u64> {
        let id = self.ends().filter(|(end, _)| *end <= now).map(|(_, id)| id).min()?;
        self.advance(now);
        self.flows.remove(&id);
        Some(id)
    }

    fn n_flows(&self) -> usize {
        self.flows.len()
    }

    fn save(&self) -> String {
        unreachable!("the reference is never kept")
    }
}

/// Checked by hand, since everything else is checked against it.
#[test]
fn rates_of_a_tree() {
    // Server 10. Region 0 has a link of 3 for caps 0.5, 9 and 9: 0.5, 1.25, 1.25. Region 1 has no limit and caps 2 and
    // 9: of the 7 that are left, 2 and 5.
    let mut fluid = Fluid::new(10.0, vec![3.0, f64::INFINITY]);
    for (id, region, cap) in [(0, 0, 0.5), (1, 0, 9.0), (2, 0, 9.0), (3, 1, 2.0), (4, 1, 9.0), (5, 1, 0.0)] {
        let client_rate = Bandwidth::from_bits_per_s(cap * 8.0);
        let flow = Flow { id, direction: Direction::Up, client_rate, bytes: Bytes::new(10), region };
        fluid.start(SimTime::ZERO, flow);
    }
    assert_eq!(fluid.rates().into_values().collect::<Vec<_>>(), [0.5, 1.25, 1.25, 2.0, 5.0, 0.0]);
}
