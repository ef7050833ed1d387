//! Max-min fairness on the server's two links, each transfer capped by its client's own link.
//!
//! On a link of capacity `C` the rates are `r_i = min(c_i, w)` with `w` such that they sum to `C`, or `r_i = c_i` when
//! the caps do not fill the link (Bertsekas and Gallager, *Data Networks*, section 6.5.2; it is what SimGrid's CM02
//! model computes for this topology). The rates change only when a flow starts or ends, so the ends are exact: no time
//! step is involved.
//!
//! Flows of equal cap always run at the same rate. Such a *cap class* shares one virtual time, the bytes that each of
//! its flows would have been served since the class came up; a flow ends when it reaches the flow's tag, its value at
//! the start plus the flow's size. A change therefore touches each class once and one heap: O(classes + log flows).

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Direction, Flow, NetworkModel, RegionConfig, ServerNetworkConfig, Sharing, transfer_time, whole_bytes};
use crate::units::{Bandwidth, Bytes, SimTime};

/// Max-min fairness (water filling). Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxMinFairConfig {}

impl Sharing for MaxMinFairConfig {
    fn build(&self, server: &ServerNetworkConfig, _regions: &[RegionConfig]) -> Box<dyn NetworkModel> {
        Box::new(MaxMinFair {
            links: [Direction::Down, Direction::Up].map(|direction| Link::new(server.rate(direction))),
            flows: BTreeMap::new(),
            n_started: 0,
            ended: BTreeSet::new(),
            ended_at: SimTime::ZERO,
        })
    }
}

/// Beyond this many virtual bytes a class counts anew from zero, so that an `f64` still tells 1e-7 bytes apart.
const VIRTUAL_BYTES_MAX: f64 = (1u64 << 30) as f64;

struct MaxMinFair {
    /// For downloads and for uploads, in the order of [`Direction`].
    links: [Link; 2],
    flows: BTreeMap<u64, InFlight>,
    /// How many flows have been started.
    n_started: u64,
    /// Flows that have left their link and wait to be taken out, all since `ended_at`.
    ended: BTreeSet<u64>,
    ended_at: SimTime,
}

/// A flow on a link.
struct InFlight {
    direction: Direction,
    /// Rate of the client's link, bytes per second: names the cap class.
    cap: f64,
    tag: Tag,
    bytes: Bytes,
    /// Bytes left while the rate is 0 and the flow on no link.
    stalled: Option<f64>,
}

impl MaxMinFair {
    /// Puts a flow of which `left` bytes are left on its link, or keeps it off at rate 0.
    fn join(&mut self, now: SimTime, flow: Flow, left: f64) {
        let cap = flow.client_rate.bytes_per_s();
        assert!(cap >= 0.0 && cap.is_finite(), "flow {} has no usable rate", flow.id);
        let serial = self.n_started;
        self.n_started += 1;
        let mut in_flight = InFlight {
            direction: flow.direction,
            cap,
            tag: Tag { end: left, id: flow.id, serial },
            bytes: flow.bytes,
            stalled: Some(left),
        };
        if cap > 0.0 {
            in_flight.tag = self.links[flow.direction as usize].add(now, flow.id, serial, cap, left);
            in_flight.stalled = None;
        } else if left <= 0.0 {
            self.ended_at = now;
            self.ended.insert(flow.id);
        }
        let before = self.flows.insert(flow.id, in_flight);
        assert!(before.is_none(), "flow {} is in flight already", flow.id);
        self.links[flow.direction as usize].share(now, &mut self.flows);
    }

    /// Takes a flow that has not ended off its link and returns the bytes left.
    fn leave(&mut self, now: SimTime, flow: &InFlight) -> f64 {
        flow.stalled.unwrap_or_else(|| {
            let link = &mut self.links[flow.direction as usize];
            let left = link.remove(now, flow.cap, flow.tag, &self.flows);
            link.share(now, &mut self.flows);
            left
        })
    }

    /// Takes the flows that end by `now` off their links.
    fn settle(&mut self, now: SimTime) {
        for link in &mut self.links {
            if link.next.is_none_or(|next| next > now) {
                continue;
            }
            debug_assert!(link.next == Some(now), "the clock passed the end of a flow");
            self.ended_at = now;
            link.take_ended(now, &self.flows, &mut self.ended);
            link.share(now, &mut self.flows);
        }
    }
}

impl NetworkModel for MaxMinFair {
    fn start(&mut self, now: SimTime, flow: Flow) {
        self.settle(now);
        self.join(now, flow, flow.bytes.get() as f64);
    }

    fn set_rate(&mut self, now: SimTime, id: u64, rate: Bandwidth) {
        self.settle(now);
        if self.ended.contains(&id) {
            return;
        }
        let flow = self.flows.remove(&id).unwrap_or_else(|| panic!("flow {id} is not in flight"));
        let left = self.leave(now, &flow);
        self.join(now, Flow { id, direction: flow.direction, client_rate: rate, bytes: flow.bytes, region: 0 }, left);
    }

    fn cancel(&mut self, now: SimTime, id: u64) -> Bytes {
        self.settle(now);
        let flow = self.flows.remove(&id).unwrap_or_else(|| panic!("flow {id} is not in flight"));
        if self.ended.remove(&id) {
            return flow.bytes;
        }
        let left = self.leave(now, &flow);
        whole_bytes(flow.bytes.get() as f64 - left, flow.bytes)
    }

    fn next(&self) -> Option<SimTime> {
        if !self.ended.is_empty() {
            return Some(self.ended_at);
        }
        self.links.iter().filter_map(|link| link.next).min()
    }

    fn finish(&mut self, now: SimTime) -> Option<u64> {
        self.settle(now);
        let id = self.ended.pop_first()?;
        self.flows.remove(&id);
        Some(id)
    }

    fn n_flows(&self) -> usize {
        self.flows.len()
    }
}

/// One of the server's links.
struct Link {
    /// Bytes per second; infinite without a limit.
    capacity: f64,
    n_flows: u64,
    /// Classes with flows, by rising cap.
    classes: Vec<CapClass>,
    /// When the next flow ends.
    next: Option<SimTime>,
}

impl Link {
    fn new(rate: Option<Bandwidth>) -> Self {
        let capacity = rate.map_or(f64::INFINITY, Bandwidth::bytes_per_s);
        Self { capacity, n_flows: 0, classes: Vec::new(), next: None }
    }

    fn position(&self, cap: f64) -> Result<usize, usize> {
        self.classes.binary_search_by(|class| class.cap.total_cmp(&cap))
    }

    /// Adds a flow and returns its tag. The rates hold again after [`share`](Self::share).
    fn add(&mut self, now: SimTime, id: u64, serial: u64, cap: f64, bytes: f64) -> Tag {
        let index = self.position(cap).unwrap_or_else(|index| {
            self.classes.insert(index, CapClass::new(cap, now));
            index
        });
        let class = &mut self.classes[index];
        let tag = Tag { end: class.served_at(now) + bytes, id, serial };
        class.tags.push(Reverse(tag));
        class.changed = true;
        class.n_flows += 1;
        self.n_flows += 1;
        tag
    }

    /// Removes a flow that has not ended and is no longer in `flows`, and returns how many bytes it had left. The rates
    /// hold again after [`share`](Self::share).
    fn remove(&mut self, now: SimTime, cap: f64, tag: Tag, flows: &BTreeMap<u64, InFlight>) -> f64 {
        let index = self.position(cap).expect("the class of a flow in flight exists");
        let class = &mut self.classes[index];
        let left = tag.end - class.served_at(now);
        class.n_flows -= 1;
        self.n_flows -= 1;
        if class.n_flows == 0 {
            self.classes.remove(index);
        } else {
            class.clear_top(flows);
        }
        left
    }

    /// Moves the flows that end by `now` to `ended`. The rates hold again after [`share`](Self::share).
    fn take_ended(&mut self, now: SimTime, flows: &BTreeMap<u64, InFlight>, ended: &mut BTreeSet<u64>) {
        let n_before = ended.len();
        self.classes.retain_mut(|class| {
            while class.n_flows > 0 && class.next_end() <= now {
                let Reverse(tag) = class.tags.pop().expect("a class with flows has their tags");
                ended.insert(tag.id);
                class.n_flows -= 1;
                class.clear_top(flows);
            }
            class.n_flows > 0
        });
        self.n_flows -= (ended.len() - n_before) as u64;
    }

    /// Water filling: gives each class its rate from `now` on and finds the next end. Goes through the classes by
    /// rising cap; those below an equal share of what is left run at their caps, the others share the rest.
    fn share(&mut self, now: SimTime, flows: &mut BTreeMap<u64, InFlight>) {
        let (mut capacity, mut n_flows) = (self.capacity, self.n_flows);
        let mut level = None;
        self.next = None;
        for class in &mut self.classes {
            let fair = level.unwrap_or_else(|| capacity / n_flows as f64);
            let rate = if class.cap <= fair { class.cap } else { *level.insert(fair) };
            capacity -= rate * class.n_flows as f64;
            n_flows -= class.n_flows;
            let end = class.run_at(now, rate, flows);
            self.next = Some(self.next.map_or(end, |next| next.min(end)));
        }
    }
}

/// The flows of one link whose clients have equal rates.
struct CapClass {
    /// Rate of the clients' links, bytes per second.
    cap: f64,
    /// Rate at which each flow runs since `since`, bytes per second.
    rate: f64,
    since: SimTime,
    /// Virtual bytes at `since`.
    served: f64,
    n_flows: u64,
    /// Tags of the flows, the next to end on top, and further down of cancelled ones.
    tags: BinaryHeap<Reverse<Tag>>,
    /// When the next flow ends, unless `changed`.
    next: SimTime,
    /// The top of `tags` may be another than the one that `next` belongs to.
    changed: bool,
}

impl CapClass {
    fn new(cap: f64, now: SimTime) -> Self {
        let tags = BinaryHeap::new();
        Self { cap, rate: 0.0, since: now, served: 0.0, n_flows: 0, tags, next: now, changed: true }
    }

    /// Virtual bytes at `now`.
    fn served_at(&self, now: SimTime) -> f64 {
        self.served + self.rate * now.since(self.since).as_secs_f64()
    }

    /// When the next flow of a class with flows ends at the present rate. Counted from the last change of the rate, so
    /// that changes elsewhere do not add rounding errors.
    fn next_end(&self) -> SimTime {
        let Reverse(tag) = self.tags.peek().expect("a class with flows has their tags");
        self.since + transfer_time(tag.end - self.served, self.rate)
    }

    /// Drops the tags of cancelled flows from the top.
    fn clear_top(&mut self, flows: &BTreeMap<u64, InFlight>) {
        self.changed = true;
        if self.tags.len() as u64 == self.n_flows {
            return;
        }
        while self.tags.peek().is_some_and(|Reverse(tag)| !tag.is_live(flows)) {
            self.tags.pop();
        }
    }

    /// Sets the rate from `now` on and returns when the next flow ends.
    fn run_at(&mut self, now: SimTime, rate: f64, flows: &mut BTreeMap<u64, InFlight>) -> SimTime {
        if rate != self.rate {
            self.served = self.served_at(now);
            self.since = now;
            self.rate = rate;
            self.changed = true;
            if self.served > VIRTUAL_BYTES_MAX {
                self.count_anew(flows);
            }
        }
        if self.changed {
            self.next = self.next_end().max(now);
            self.changed = false;
        }
        self.next
    }

    /// Shifts all virtual bytes so that the class stands at zero. The differences are exact in `f64`, since tags lie at
    /// most a flow's size above.
    fn count_anew(&mut self, flows: &mut BTreeMap<u64, InFlight>) {
        let shift = std::mem::take(&mut self.served);
        let mut tags = std::mem::take(&mut self.tags).into_vec();
        tags.retain(|Reverse(tag)| tag.is_live(flows));
        for Reverse(tag) in &mut tags {
            tag.end -= shift;
            flows.get_mut(&tag.id).expect("live tags have flows").tag = *tag;
        }
        self.tags = tags.into();
    }
}

/// Where a flow ends in the virtual bytes of its class; equal ends are ordered by flow id.
#[derive(Debug, Clone, Copy)]
struct Tag {
    end: f64,
    id: u64,
    /// Number of the flow among all that were started: ids may be used again.
    serial: u64,
}

impl Tag {
    /// False when the flow has been cancelled.
    fn is_live(&self, flows: &BTreeMap<u64, InFlight>) -> bool {
        flows.get(&self.id).is_some_and(|flow| flow.tag.serial == self.serial)
    }
}

impl Ord for Tag {
    fn cmp(&self, other: &Self) -> Ordering {
        self.end.total_cmp(&other.end).then(self.id.cmp(&other.id)).then(self.serial.cmp(&other.serial))
    }
}

impl PartialOrd for Tag {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Tag {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Tag {}

#[cfg(test)]
mod tests {
    use super::super::SharingConfig;
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;
    /// 8 Mbps are 1 MB/s.
    const MB_PER_S: f64 = 8e6;

    fn at(milliseconds: u64) -> SimTime {
        SimTime::from_nanos(milliseconds * MS)
    }

    fn flow(id: u64, direction: Direction, mb_per_s: f64, bytes: u64) -> Flow {
        let client_rate = Bandwidth::from_bits_per_s(mb_per_s * MB_PER_S);
        Flow { id, direction, client_rate, bytes: Bytes::new(bytes), region: 0 }
    }

    /// A server that sends and receives at so many MB/s.
    fn network(mb_per_s: Option<f64>) -> Box<dyn NetworkModel> {
        let rate = mb_per_s.map(|rate| Bandwidth::from_bits_per_s(rate * MB_PER_S));
        ServerNetworkConfig { uplink: rate, downlink: rate, sharing: SharingConfig::default() }.build(&[])
    }

    /// Runs until nothing is in flight and returns the ends in their order.
    fn drain(network: &mut dyn NetworkModel) -> Vec<(SimTime, u64)> {
        let mut ends = Vec::new();
        while let Some(now) = network.next() {
            let id = network.finish(now).expect("a flow ends at the time announced");
            ends.push((now, id));
        }
        assert_eq!(network.n_flows(), 0);
        ends
    }

    #[test]
    fn equal_flows_share_equally_and_leave_in_the_order_of_their_ids() {
        // Four flows of 1 MB on 1 MB/s: 0.25 MB/s each, so all end at 4 s.
        let mut network = network(Some(1.0));
        for id in [3, 1, 4, 2] {
            network.start(at(0), flow(id, Direction::Down, 1.0, 1_000_000));
        }
        assert_eq!(drain(&mut *network), [1, 2, 3, 4].map(|id| (at(4000), id)));
    }

    #[test]
    fn what_a_slow_client_leaves_goes_to_the_others() {
        // 10 MB/s over caps 2, 100 and 100: 2, 4 and 4 MB/s, so the first ends at 1 s. Then two flows at 5 MB/s: the
        // second, with 4 MB left, ends at 1 + 4 / 5 = 1.8 s; the third, with 18 - 4 - 4 = 10 MB left, then has the link
        // alone and ends at 2.8 s.
        let mut network = network(Some(10.0));
        for (id, cap, bytes) in [(1, 2.0, 2_000_000), (2, 100.0, 8_000_000), (3, 100.0, 18_000_000)] {
            network.start(at(0), flow(id, Direction::Up, cap, bytes));
        }
        assert_eq!(drain(&mut *network), [(at(1000), 1), (at(1800), 2), (at(2800), 3)]);
    }

    #[test]
    fn an_arrival_halves_the_rate_from_then_on() {
        // 1 MB alone for 0.5 s: 0.5 MB left. Both at 0.5 MB/s: the first ends at 1.5 s, when the second has 0.5 MB
        // left and the link alone: 2 s.
        let mut network = network(Some(1.0));
        network.start(at(0), flow(1, Direction::Down, 9.0, 1_000_000));
        network.start(at(500), flow(2, Direction::Down, 9.0, 1_000_000));
        assert_eq!(drain(&mut *network), [(at(1500), 1), (at(2000), 2)]);
    }

    #[test]
    fn a_cancelled_flow_frees_its_share_at_once() {
        // 0.5 MB/s each until 1 s; then the other has 0.5 MB left at 1 MB/s: 1.5 s.
        let mut network = network(Some(1.0));
        network.start(at(0), flow(1, Direction::Down, 9.0, 1_000_000));
        network.start(at(0), flow(2, Direction::Down, 9.0, 1_000_000));
        assert_eq!(network.cancel(at(1000), 1), Bytes::new(500_000));
        assert_eq!(drain(&mut *network), [(at(1500), 2)]);
    }

    #[test]
    fn the_two_directions_do_not_meet() {
        let mut network = network(Some(1.0));
        network.start(at(0), flow(2, Direction::Down, 9.0, 1_000_000));
        network.start(at(0), flow(1, Direction::Up, 9.0, 1_000_000));
        assert_eq!(drain(&mut *network), [(at(1000), 1), (at(1000), 2)]);
    }

    #[test]
    fn without_a_limit_each_client_has_its_own_rate() {
        let mut network = network(None);
        network.start(at(0), flow(1, Direction::Down, 1.0, 1_000_000));
        network.start(at(0), flow(2, Direction::Down, 4.0, 1_000_000));
        assert_eq!(drain(&mut *network), [(at(250), 2), (at(1000), 1)]);
    }

    #[test]
    fn a_flow_that_has_ended_may_still_be_cancelled_and_ids_may_be_used_again() {
        let mut network = network(Some(1.0));
        network.start(at(0), flow(1, Direction::Down, 9.0, 1_000_000));
        network.start(at(0), flow(2, Direction::Down, 9.0, 0));
        assert_eq!(network.next(), Some(at(0)));
        assert_eq!(network.cancel(at(0), 2), Bytes::ZERO);
        assert_eq!(network.cancel(at(0), 1), Bytes::ZERO);
        network.start(at(0), flow(1, Direction::Down, 9.0, 1_000_000));
        network.start(at(0), flow(2, Direction::Down, 9.0, 1_000_000));
        assert_eq!(network.cancel(at(2000), 1), Bytes::new(1_000_000));
        assert_eq!(drain(&mut *network), [(at(2000), 2)]);
    }

    #[test]
    fn a_rate_may_change_and_a_stalled_flow_leaves_its_share_to_the_others() {
        // 10 MB/s for caps 9 and 9: 5 MB/s each until 1 s. Then 9 MB/s for the second alone: 9 MB left, 2 s. At 3 s the
        // first goes on with 5 MB left at 2 MB/s: 5.5 s.
        let mut network = network(Some(10.0));
        network.start(at(0), flow(1, Direction::Up, 9.0, 10_000_000));
        network.start(at(0), flow(2, Direction::Up, 9.0, 14_000_000));
        network.set_rate(at(1000), 1, Bandwidth::from_bits_per_s(0.0));
        assert_eq!((network.next(), network.finish(at(2000))), (Some(at(2000)), Some(2)));
        assert_eq!((network.next(), network.n_flows()), (None, 1));
        network.set_rate(at(3000), 1, Bandwidth::from_bits_per_s(2.0 * MB_PER_S));
        assert_eq!(drain(&mut *network), [(at(5500), 1)]);
        network.start(at(6000), flow(3, Direction::Up, 0.0, 1));
        assert_eq!((network.next(), network.cancel(at(7000), 3)), (None, Bytes::ZERO));
    }

    #[test]
    #[should_panic(expected = "flow 1 is in flight already")]
    fn an_id_in_flight_is_refused() {
        let mut network = network(None);
        network.start(at(0), flow(1, Direction::Down, 1.0, 1));
        network.start(at(0), flow(1, Direction::Down, 1.0, 1));
    }

    /// A class that is never empty for eleven days counts anew 900 times and keeps its precision.
    #[test]
    fn a_busy_class_stays_exact() {
        // 1 TB at the cap of 1 MB/s, on a link of 1.5 MB/s. Every 200 s a flow of 1 MB joins the class: 0.75 MB/s each,
        // so it ends after 1,333,333,333.3 ns, rounded up; meanwhile the other loses a quarter of that time.
        let mut network = network(Some(1.5));
        network.start(at(0), flow(0, Direction::Down, 1.0, 1_000_000_000_000));
        for id in 1..=5000 {
            let start = at(id * 200_000);
            network.start(start, flow(id, Direction::Down, 1.0, 1_000_000));
            let end = start.as_nanos() + 1_333_333_334;
            assert_eq!(network.next(), Some(SimTime::from_nanos(end)), "flow {id}");
            assert_eq!(network.finish(SimTime::from_nanos(end)), Some(id));
        }
        // 1,000,000 s + 5000 x 0.3333333335 s, to a microsecond.
        let end = network.next().expect("the long flow").as_nanos();
        assert!(end.abs_diff(1_001_666_666_667_500) < 1000, "{end}");
    }

    /// The same fluid, done the long way: a remainder for each flow, advanced at each change.
    struct Fluid {
        capacity: f64,
        now: u64,
        flows: BTreeMap<u64, (Direction, f64, f64)>,
    }

    impl Fluid {
        /// Raises all rates together; who reaches its cap stays there; until the link is full.
        fn rates(&self) -> BTreeMap<u64, f64> {
            let mut rates = BTreeMap::new();
            for direction in [Direction::Down, Direction::Up] {
                let mut open: Vec<_> = self.flows.iter().filter(|(_, flow)| flow.0 == direction).collect();
                let mut capacity = self.capacity;
                while !open.is_empty() {
                    let fair = capacity / open.len() as f64;
                    let (capped, rest): (Vec<_>, Vec<_>) = open.iter().partition(|(_, flow)| flow.1 <= fair);
                    rates.extend(capped.iter().map(|(id, flow)| (**id, flow.1)));
                    if capped.is_empty() {
                        rates.extend(rest.iter().map(|(id, _)| (**id, fair)));
                        break;
                    }
                    capacity -= capped.iter().map(|(_, flow)| flow.1).sum::<f64>();
                    open = rest;
                }
            }
            rates
        }

        fn advance(&mut self, now: u64) {
            let rates = self.rates();
            for (id, flow) in &mut self.flows {
                flow.2 -= rates[id] * (now - self.now) as f64 * 1e-9;
            }
            self.now = now;
        }

        fn next(&self) -> Option<(u64, u64)> {
            let rates = self.rates();
            let end = |left: f64, rate: f64| self.now + (left / rate * 1e9 - 1e-3).ceil().max(0.0) as u64;
            self.flows.iter().map(|(id, flow)| (end(flow.2, rates[id]), *id)).min()
        }
    }

    #[derive(Debug, Clone)]
    struct Transfer {
        start: u64,
        direction: Direction,
        cap: f64,
        bytes: u64,
        cancelled_after: Option<u64>,
    }

    fn transfers() -> impl Strategy<Value = Vec<Transfer>> {
        let cap = prop_oneof![Just(0.31), Just(1.7), Just(23.0), 0.01f64..50.0];
        let direction = prop_oneof![Just(Direction::Down), Just(Direction::Up)];
        let cancelled = prop::option::weighted(0.3, 0u64..20_000_000_000);
        let one = (0u64..30_000_000_000, direction, cap, 1u64..20_000_000, cancelled);
        let one = one.prop_map(|(start, direction, cap, bytes, cancelled_after)| Transfer {
            start,
            direction,
            cap,
            bytes,
            cancelled_after,
        });
        prop::collection::vec(one, 1..60)
    }

    /// What became of each transfer: when it ended, or what it had moved when it was cancelled.
    type Outcome = BTreeMap<u64, Result<u64, u64>>;

    fn actions(transfers: &[Transfer]) -> Vec<(u64, u64, bool)> {
        let mut actions = Vec::new();
        for (transfer, id) in transfers.iter().zip(0u64..) {
            actions.push((transfer.start, id, true));
            actions.extend(transfer.cancelled_after.map(|after| (transfer.start + 1 + after, id, false)));
        }
        actions.sort_unstable();
        actions
    }

    fn by_model(transfers: &[Transfer], mb_per_s: f64) -> Outcome {
        let mut network = network(Some(mb_per_s));
        let mut outcome = Outcome::new();
        for (time, id, start) in actions(transfers).into_iter().chain([(u64::MAX, 0, false)]) {
            while let Some(now) = network.next().filter(|next| next.as_nanos() <= time) {
                let id = network.finish(now).expect("a flow ends at the time announced");
                outcome.insert(id, Ok(now.as_nanos()));
            }
            let (now, transfer) = (SimTime::from_nanos(time), &transfers[id as usize]);
            if start {
                network.start(now, flow(id, transfer.direction, transfer.cap, transfer.bytes));
            } else if time < u64::MAX {
                outcome.entry(id).or_insert_with(|| Err(network.cancel(now, id).get()));
            }
        }
        outcome
    }

    fn by_fluid(transfers: &[Transfer], mb_per_s: f64) -> Outcome {
        let mut fluid = Fluid { capacity: mb_per_s * 1e6, now: 0, flows: BTreeMap::new() };
        let mut outcome = Outcome::new();
        for (time, id, start) in actions(transfers).into_iter().chain([(u64::MAX, 0, false)]) {
            while let Some((end, id)) = fluid.next().filter(|(end, _)| *end <= time) {
                fluid.advance(end);
                fluid.flows.remove(&id);
                outcome.insert(id, Ok(end));
            }
            if time < u64::MAX {
                fluid.advance(time);
            }
            let transfer = &transfers[id as usize];
            if start {
                fluid.flows.insert(id, (transfer.direction, transfer.cap * 1e6, transfer.bytes as f64));
            } else if let Some((_, _, left)) = fluid.flows.remove(&id).filter(|_| time < u64::MAX) {
                outcome.insert(id, Err((transfer.bytes as f64 - left + 1e-6).floor() as u64));
            }
        }
        outcome
    }

    proptest! {
        /// Whatever starts and is cancelled when, the ends are those of the fluid, to a billionth (and the nanosecond
        /// to which both round), and so are the bytes of what was cancelled.
        #[test]
        fn it_is_the_fluid(transfers in transfers(), mb_per_s in 0.5f64..60.0) {
            let (model, fluid) = (by_model(&transfers, mb_per_s), by_fluid(&transfers, mb_per_s));
            prop_assert_eq!(model.len(), transfers.len());
            for (id, outcome) in &model {
                match (outcome, &fluid[id]) {
                    (Ok(end), Ok(expected)) => {
                        let allowed = 2 + (*expected as f64 * 1e-9) as u64;
                        prop_assert!(end.abs_diff(*expected) <= allowed, "flow {id} ended at {end}, not {expected}");
                    }
                    (Err(moved), Err(expected)) => {
                        prop_assert!(moved.abs_diff(*expected) <= 1, "flow {id} moved {moved}, not {expected}");
                    }
                    both => prop_assert!(false, "flow {id}: {both:?}"),
                }
            }
        }

        /// A link that is never idle moves its capacity: what arrived and what was moved in vain add up to it. `sizes`
        /// also says whether the end of a flow has another one cancelled.
        #[test]
        fn a_full_link_moves_its_capacity(sizes in prop::collection::vec((1u64..5_000_000, any::<bool>()), 1..40)) {
            let mut network = network(Some(1.0));
            for (&(bytes, _), id) in sizes.iter().zip(0u64..) {
                network.start(at(0), flow(id, Direction::Down, 7.0 + id as f64, bytes));
            }
            let mut in_flight: BTreeSet<u64> = (0..sizes.len() as u64).collect();
            let (mut moved, mut now) = (0, SimTime::ZERO);
            while let Some(end) = network.next() {
                now = end;
                let id = network.finish(now).expect("a flow ends at the time announced");
                in_flight.remove(&id);
                moved += sizes[id as usize].0;
                if sizes[id as usize].1 && let Some(doomed) = in_flight.pop_last() {
                    moved += network.cancel(now, doomed).get();
                }
            }
            // Each cancellation rounds down by less than a byte, each end up by less than a nanosecond.
            let capacity = now.as_secs_f64() * 1e6;
            prop_assert!((capacity - moved as f64).abs() <= sizes.len() as f64 + 1.0, "{capacity} against {moved}");
        }

        /// What a cancelled flow has moved never falls with time and never exceeds its size.
        #[test]
        fn moved_bytes_grow(mut times in prop::collection::vec(0u64..4_000_000_000, 1..20), bytes in 1u64..2_000_000) {
            times.sort_unstable();
            let mut last = 0;
            for time in times {
                let mut network = network(Some(1.0));
                network.start(at(0), flow(1, Direction::Down, 0.7, bytes));
                network.start(at(0), flow(2, Direction::Down, 3.0, 9_000_000));
                network.start(at(0), flow(3, Direction::Down, 3.0, 9_000_000));
                let mut ended = false;
                while let Some(now) = network.next().filter(|next| next.as_nanos() <= time) {
                    ended |= network.finish(now) == Some(1);
                }
                let moved = if ended { bytes } else { network.cancel(SimTime::from_nanos(time), 1).get() };
                prop_assert!(last <= moved && moved <= bytes);
                last = moved;
            }
        }
    }
}
