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

use super::{Direction, Flow, NetworkModel, ServerNetworkConfig, Sharing, transfer_time, whole_bytes};
use crate::units::{Bandwidth, Bytes, SimTime};

/// Max-min fairness (water filling). Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxMinFairConfig {}

impl Sharing for MaxMinFairConfig {
    fn build(&self, server: &ServerNetworkConfig) -> Box<dyn NetworkModel> {
        Box::new(MaxMinFair {
            links: [Direction::Down, Direction::Up].map(|direction| Link::new(server.rate(direction))),
            flows: BTreeMap::new(),
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
    /// Flows that have left their link and wait to be taken out, all since `ended_at`.
    ended: BTreeSet<u64>,
    ended_at: SimTime,
}

/// A flow on a link.
struct InFlight {
    direction: Direction,
    /// Rate of the client's link, bytes per second: names the cap class.
    cap: f64,
    /// Virtual bytes of the class at which the flow ends.
    tag: f64,
    bytes: Bytes,
}

impl MaxMinFair {
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
        let cap = flow.client_rate.bytes_per_s();
        assert!(cap > 0.0 && cap.is_finite(), "flow {} has no usable rate", flow.id);
        let link = &mut self.links[flow.direction as usize];
        let tag = link.add(now, flow.id, cap, flow.bytes.get() as f64);
        let in_flight = InFlight { direction: flow.direction, cap, tag, bytes: flow.bytes };
        let before = self.flows.insert(flow.id, in_flight);
        assert!(before.is_none(), "flow {} is in flight already", flow.id);
        link.share(now, &mut self.flows);
    }

    fn cancel(&mut self, now: SimTime, id: u64) -> Bytes {
        self.settle(now);
        let flow = self.flows.remove(&id).unwrap_or_else(|| panic!("flow {id} is not in flight"));
        if self.ended.remove(&id) {
            return flow.bytes;
        }
        let link = &mut self.links[flow.direction as usize];
        let left = link.remove(now, flow.cap, flow.tag);
        link.share(now, &mut self.flows);
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
    fn add(&mut self, now: SimTime, id: u64, cap: f64, bytes: f64) -> f64 {
        let index = self.position(cap).unwrap_or_else(|index| {
            self.classes.insert(index, CapClass::new(cap, now));
            index
        });
        let class = &mut self.classes[index];
        let tag = class.served_at(now) + bytes;
        class.tags.push(Reverse(Tag { bytes: tag, id }));
        class.n_flows += 1;
        self.n_flows += 1;
        tag
    }

    /// Removes a flow that has not ended and returns how many bytes it had left. Its entry in the heap stays until it
    /// comes to the top.
    fn remove(&mut self, now: SimTime, cap: f64, tag: f64) -> f64 {
        let index = self.position(cap).expect("the class of a flow in flight exists");
        let class = &mut self.classes[index];
        class.n_flows -= 1;
        self.n_flows -= 1;
        tag - class.served_at(now)
    }

    /// Moves the flows that end by `now` to `ended`.
    fn take_ended(&mut self, now: SimTime, flows: &BTreeMap<u64, InFlight>, ended: &mut BTreeSet<u64>) {
        for class in &mut self.classes {
            while let Some(Reverse(tag)) = class.tags.peek()
                && class.end_of(tag.bytes) <= now
            {
                // The entry of a cancelled flow may come to the top here. One whose id and tag are in use again counts
                // once.
                if tag.is_live(flows) && ended.insert(tag.id) {
                    class.n_flows -= 1;
                    self.n_flows -= 1;
                }
                class.tags.pop();
            }
        }
    }

    /// Water filling: gives each class its rate from `now` on and finds the next end. Goes through the classes by
    /// rising cap; those below an equal share of what is left run at their caps, the others share the rest.
    fn share(&mut self, now: SimTime, flows: &mut BTreeMap<u64, InFlight>) {
        self.classes.retain(|class| class.n_flows > 0);
        let (mut capacity, mut n_flows) = (self.capacity, self.n_flows);
        let mut level = None;
        self.next = None;
        for class in &mut self.classes {
            let fair = level.unwrap_or(capacity / n_flows as f64);
            let rate = if class.cap <= fair { class.cap } else { *level.insert(fair) };
            capacity -= rate * class.n_flows as f64;
            n_flows -= class.n_flows;
            class.set_rate(now, rate, flows);
            let end = class.next_end(now, flows);
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
    /// Tags of the flows, the next to end on top, and of cancelled ones that have not come there.
    tags: BinaryHeap<Reverse<Tag>>,
}

impl CapClass {
    fn new(cap: f64, now: SimTime) -> Self {
        Self { cap, rate: 0.0, since: now, served: 0.0, n_flows: 0, tags: BinaryHeap::new() }
    }

    /// Virtual bytes at `now`.
    fn served_at(&self, now: SimTime) -> f64 {
        self.served + self.rate * now.since(self.since).as_secs_f64()
    }

    /// When a flow with this tag ends at the present rate. Counted from the last change of the rate, so that changes
    /// elsewhere do not add rounding errors.
    fn end_of(&self, tag: f64) -> SimTime {
        self.since + transfer_time(tag - self.served, self.rate)
    }

    fn set_rate(&mut self, now: SimTime, rate: f64, flows: &mut BTreeMap<u64, InFlight>) {
        if rate == self.rate {
            return;
        }
        self.served = self.served_at(now);
        self.since = now;
        self.rate = rate;
        if self.served > VIRTUAL_BYTES_MAX {
            self.count_anew(flows);
        }
    }

    /// Shifts all virtual bytes so that the class stands at zero. The differences are exact in `f64`, since tags lie at
    /// most a flow's size above.
    fn count_anew(&mut self, flows: &mut BTreeMap<u64, InFlight>) {
        let shift = std::mem::take(&mut self.served);
        let mut tags = std::mem::take(&mut self.tags).into_vec();
        tags.retain(|Reverse(tag)| tag.is_live(flows));
        for Reverse(tag) in &mut tags {
            tag.bytes -= shift;
            flows.get_mut(&tag.id).expect("live tags have flows").tag = tag.bytes;
        }
        self.tags = tags.into();
    }

    /// When the next flow of a class with flows ends, not before `now`. Drops entries of cancelled flows from the top.
    fn next_end(&mut self, now: SimTime, flows: &BTreeMap<u64, InFlight>) -> SimTime {
        loop {
            let Reverse(tag) = *self.tags.peek().expect("a class with flows has their tags");
            if tag.is_live(flows) {
                return self.end_of(tag.bytes).max(now);
            }
            self.tags.pop();
        }
    }
}

/// Where a flow ends in virtual bytes; equal ends are ordered by flow id.
#[derive(Debug, Clone, Copy)]
struct Tag {
    bytes: f64,
    id: u64,
}

impl Tag {
    /// False for a cancelled flow, also when its id is in use again.
    fn is_live(&self, flows: &BTreeMap<u64, InFlight>) -> bool {
        flows.get(&self.id).is_some_and(|flow| flow.tag == self.bytes)
    }
}

impl Ord for Tag {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.total_cmp(&other.bytes).then(self.id.cmp(&other.id))
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
