//! Max-min fairness on the server's links, and on those of the regions below them, each transfer capped by its client's
//! own link.
//!
//! In each direction the rate of a flow is `r_i = min(c_i, l, w)`: its client's rate, the level `l` of its region, at
//! which the region's flows would fill the region's link if there were no other (infinite if they cannot), and the
//! level `w` of the server, at which they all fill the server's link (Bertsekas and Gallager, *Data Networks*, section
//! 6.5.2, for a tree of two levels; it is what SimGrid's CM02 model computes for this topology). The rates change only
//! when a flow starts or ends or its client's rate changes, so the ends are exact: no time step is involved.
//!
//! - A [`class`] holds the flows of a region whose clients have equal rates. They always run at the same rate, so one
//!   count of virtual bytes serves them all, whatever their rate does.
//! - A [`region`] parts its classes into those that run at their caps and those that share its level. The shared ones
//!   have one count again: when the level changes, none of them is touched, only those that change sides.
//! - The [`tree`] does the same with the regions: those whose own link is the narrow one keep their level, the others
//!   share the server's count.
//!
//! A change costs O(log n) and O(log n) for each class that changes sides: few, whether there are few classes or each
//! flow has its own, for then the level moves by less. Sums are exact ([`fixed`]): the state is a function of the flows
//! on the links alone.

mod class;
mod fixed;
mod flows;
mod heap;
mod index;
mod region;
mod tournament;
mod tree;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::flows::{Flows, InFlight, Place};
use self::heap::Slot;
use self::tree::Tree;
use super::{Direction, Flow, NetworkModel, RegionConfig, ServerNetworkConfig, Sharing, unusable};
use crate::sim::SimError;
use crate::units::{Bandwidth, Bytes, SimTime};

/// Max-min fairness (water filling). Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxMinFairConfig {}

impl Sharing for MaxMinFairConfig {
    fn build(&self, server: &ServerNetworkConfig, regions: &[RegionConfig]) -> Box<dyn NetworkModel> {
        Box::new(MaxMinFair::new(server, regions))
    }

    fn restore(
        &self,
        server: &ServerNetworkConfig,
        regions: &[RegionConfig],
        saved: &str,
        now: SimTime,
    ) -> Result<Box<dyn NetworkModel>, SimError> {
        let mut saved: MaxMinFair = serde_json::from_str(saved).map_err(unusable)?;
        saved.flows.reindex();
        saved.trees.iter_mut().for_each(Tree::reindex);
        let fresh = MaxMinFair::new(server, regions);
        match saved.trees.iter().zip(&fresh.trees).all(|(saved, fresh)| saved.has_the_links_of(fresh)) {
            true => Ok(Box::new(saved)),
            false => saved.moved_to(fresh, now).map(|network| Box::new(network) as Box<dyn NetworkModel>),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaxMinFair {
    /// For downloads and for uploads, in the order of [`Direction`].
    trees: [Tree; 2],
    flows: Flows,
    /// Ids of the flows that have left their links and wait to be taken out, the lowest last; all since `ended_at`.
    ended: Vec<u64>,
    ended_at: SimTime,
}

impl MaxMinFair {
    fn new(server: &ServerNetworkConfig, regions: &[RegionConfig]) -> Self {
        let capacity = |rate: Option<Bandwidth>| fixed::capacity(rate.map(Bandwidth::bytes_per_s));
        let trees = [Direction::Down, Direction::Up].map(|direction| {
            let of_regions: Vec<_> = regions.iter().map(|region| capacity(region.rate(direction))).collect();
            let of_regions = if regions.is_empty() { vec![None] } else { of_regions };
            Tree::new(capacity(server.rate(direction)), &of_regions)
        });
        Self { trees, flows: Flows::new(), ended: Vec::new(), ended_at: SimTime::ZERO }
    }

    /// The flows of this network on the links of an empty one.
    fn moved_to(mut self, mut fresh: Self, now: SimTime) -> Result<Self, SimError> {
        self.settle(now);
        for flow in self.flows.in_order() {
            if !fresh.trees[flow.direction as usize].has_region(flow.region as usize) {
                let (id, region) = (flow.id, flow.region);
                return Err(unusable(format!("transfer {id} is in region {region}, which is not there")));
            }
            let left = match flow.place {
                Place::Moving { class, tag } => self.trees[flow.direction as usize].left(now, class, tag),
                Place::Stalled { left } => left,
                Place::Ended => 0,
            };
            let new = fresh.flows.add(flow.clone());
            fresh.join(now, new, Bandwidth::from_bits_per_s(flow.cap * 8.0), left);
        }
        fresh.trees.iter_mut().for_each(|tree| tree.share(now));
        Ok(fresh)
    }

    /// Takes the flows that end by `now` off their links.
    fn settle(&mut self, now: SimTime) {
        for tree in &mut self.trees {
            if tree.next().is_none_or(|next| next > now) {
                continue;
            }
            debug_assert!(tree.next() == Some(now), "the clock passed the end of a flow");
            self.ended_at = now;
            tree.take_ended(now, |slot| {
                let flow = self.flows.get_mut(slot);
                flow.place = Place::Ended;
                self.ended.push(flow.id);
            });
            self.ended.sort_unstable_by_key(|id| Reverse(*id));
            tree.share(now);
        }
    }

    /// Puts a flow of which `left` parts of bytes are left on its links, or keeps it off at rate 0.
    fn join(&mut self, now: SimTime, slot: Slot, rate: Bandwidth, left: i128) {
        let flow = self.flows.get_mut(slot);
        flow.cap = usable(rate, flow.id);
        flow.place = Place::Stalled { left };
        if flow.cap > 0.0 {
            let (class, tag) = self.trees[flow.direction as usize].add(now, flow.region as usize, flow.cap, slot, left);
            flow.place = Place::Moving { class, tag };
        } else if left <= 0 {
            flow.place = Place::Ended;
            self.ended_at = now;
            let place = self.ended.partition_point(|id| *id > flow.id);
            self.ended.insert(place, flow.id);
        }
    }

    /// Takes a flow off its links and returns how many parts of bytes it had left; `None` when it has ended.
    fn leave(&mut self, now: SimTime, slot: Slot) -> Option<i128> {
        let flow = self.flows.get(slot);
        match flow.place {
            Place::Moving { class, tag } => Some(self.trees[flow.direction as usize].remove(now, class, slot, tag)),
            Place::Stalled { left } => Some(left),
            Place::Ended => None,
        }
    }
}

fn usable(rate: Bandwidth, id: u64) -> f64 {
    let bytes_per_s = rate.bytes_per_s();
    assert!(bytes_per_s >= 0.0 && bytes_per_s.is_finite(), "flow {id} has no usable rate: {rate}");
    bytes_per_s
}

impl NetworkModel for MaxMinFair {
    fn start(&mut self, now: SimTime, flow: Flow) {
        self.settle(now);
        let Flow { id, direction, client_rate, bytes, region } = flow;
        let region = region as u32;
        let slot = self.flows.add(InFlight { id, direction, region, cap: 0.0, bytes, place: Place::Ended });
        self.join(now, slot, client_rate, fixed::parts(bytes.get()));
        self.trees[direction as usize].share(now);
    }

    fn set_rate(&mut self, now: SimTime, id: u64, rate: Bandwidth) {
        self.settle(now);
        let slot = self.flows.slot_of(id);
        let flow = self.flows.get(slot);
        if flow.cap == usable(rate, id) {
            return;
        }
        let direction = flow.direction;
        if let Some(left) = self.leave(now, slot) {
            self.join(now, slot, rate, left);
            self.trees[direction as usize].share(now);
        }
    }

    fn cancel(&mut self, now: SimTime, id: u64) -> Bytes {
        self.settle(now);
        let slot = self.flows.remove(id);
        let left = self.leave(now, slot);
        let &InFlight { bytes, direction, .. } = self.flows.get(slot);
        let Some(left) = left else {
            self.ended.retain(|ended| *ended != id);
            return bytes;
        };
        self.trees[direction as usize].share(now);
        Bytes::new(fixed::whole_bytes(fixed::parts(bytes.get()) - left).min(bytes.get()))
    }

    fn next(&self) -> Option<SimTime> {
        if !self.ended.is_empty() {
            return Some(self.ended_at);
        }
        self.trees.iter().filter_map(Tree::next).min()
    }

    fn finish(&mut self, now: SimTime) -> Option<u64> {
        self.settle(now);
        let id = self.ended.pop()?;
        self.flows.remove(id);
        Some(id)
    }

    fn n_flows(&self) -> usize {
        self.flows.len()
    }

    fn save(&self) -> String {
        serde_json::to_string(self).expect("numbers and words are what JSON can hold")
    }
}
