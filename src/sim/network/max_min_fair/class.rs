//! Flows that always run at the same rate.

use serde::{Deserialize, Serialize};

use super::fixed::{Clock, quanta};
use super::heap::{Heap, Slot};
use super::index::Index;
use crate::sim::NEVER;
use crate::units::SimTime;

/// The flows of one region whose clients have equal rates. They share a count of virtual bytes, what each of them would
/// have been served since the class came up; a flow ends when the count reaches the flow's tag, its value at the start
/// plus the flow's size.
///
/// Where each client has its own rate there are as many classes as flows, and what a change costs is to fetch them from
/// memory: a class fills one cache line.
#[derive(Serialize, Deserialize)]
#[repr(align(64))]
pub(super) struct Class {
    /// Rate of the clients' links, bytes per second; its bits are the class's key in its region.
    pub(super) cap: f64,
    pub(super) region: u32,
    /// The flow that ends next, apart from the others, since many classes have one flow alone; `NO_FLOW` without flows.
    first: Slot,
    /// Its tag.
    first_tag: i128,
    /// At its cap: virtual parts of a byte at `since`. Sharing: so much beyond the region's count.
    parts: i128,
    /// [`NEVER`] when the class shares.
    since: SimTime,
    /// The other flows by tag.
    rest: Option<Box<Heap<i128>>>,
}

const NO_FLOW: Slot = Slot::MAX;

/// What counts the virtual bytes of a class.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// Its flows run at their own cap.
    Capped(Clock),
    /// Its flows run at the level of the region: this much, in parts, beyond the region's count.
    Shared(i128),
}

impl Class {
    /// The rate of its clients' links in quanta.
    pub(super) fn quanta(&self) -> i128 {
        quanta(self.cap)
    }

    /// The rates of its flows at their caps together, in quanta.
    pub(super) fn total_quanta(&self) -> i128 {
        self.quanta() * i128::from(self.n_flows())
    }

    pub(super) fn is_shared(&self) -> bool {
        self.since == NEVER
    }

    fn pace(&self) -> Pace {
        if self.is_shared() {
            Pace::Shared(self.parts)
        } else {
            Pace::Capped(Clock::showing(self.parts, self.since, self.cap))
        }
    }

    /// Virtual bytes, in parts, at `now`, when its region's are `virtual_parts`.
    pub(super) fn served(&self, now: SimTime, virtual_parts: i128) -> i128 {
        match self.pace() {
            Pace::Capped(clock) => clock.at(now),
            Pace::Shared(offset) => virtual_parts + offset,
        }
    }

    pub(super) fn n_flows(&self) -> u32 {
        let n_others = self.rest.as_ref().map_or(0, |rest| rest.len() as u32);
        n_others + u32::from(self.first != NO_FLOW)
    }

    /// The flow that ends next, of a class with flows.
    pub(super) fn first(&self) -> Slot {
        debug_assert_ne!(self.first, NO_FLOW, "a class in use has flows");
        self.first
    }
}

/// All classes of one direction, and those that run at their caps in the order of their next ends.
#[derive(Serialize, Deserialize)]
pub(super) struct Classes {
    all: Vec<Class>,
    /// Places in `all` that are free.
    free: Vec<Slot>,
    /// Where in `all` each class in use is, by the bits of its cap and its region.
    #[serde(skip)]
    by_cap: Index,
    /// Where each class stands: in `capped_ends`, or among its region's ends.
    positions: Vec<u32>,
    /// Where each class stands among the capped or the shared ones of its region.
    pub(super) side_positions: Vec<u32>,
    /// Where each flow stands among the others of its class.
    pub(super) flow_positions: Vec<u32>,
    /// When the next flow of each class at its cap ends.
    pub(super) capped_ends: Heap<SimTime>,
}

impl Classes {
    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            free: Vec::new(),
            by_cap: Index::default(),
            positions: Vec::new(),
            side_positions: Vec::new(),
            flow_positions: Vec::new(),
            capped_ends: Heap::new(),
        }
    }

    /// Makes anew what is not kept when the classes are saved.
    pub(super) fn reindex(&mut self) {
        self.by_cap = Index::default();
        for (slot, class) in (0..).zip(&self.all).filter(|(_, class)| class.first != NO_FLOW) {
            self.by_cap.insert((class.cap.to_bits(), class.region), slot);
        }
    }

    pub(super) fn get(&self, slot: Slot) -> &Class {
        &self.all[slot as usize]
    }

    /// The class of this cap in this region.
    pub(super) fn find(&self, cap: f64, region: u32) -> Option<Slot> {
        self.by_cap.get((cap.to_bits(), region))
    }

    /// A class without flows; it is in no heap until its first flow is in and [`enter`](Self::enter) is called.
    pub(super) fn create(&mut self, cap: f64, region: u32, pace: Pace) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            let (first, since) = (NO_FLOW, NEVER);
            self.all.push(Class { cap, region, first, first_tag: 0, parts: 0, since, rest: None });
            self.positions.push(0);
            self.side_positions.push(0);
            (self.all.len() - 1) as Slot
        });
        let class = &mut self.all[slot as usize];
        (class.cap, class.region) = (cap, region);
        self.set_pace(slot, pace);
        self.by_cap.insert((cap.to_bits(), region), slot);
        slot
    }

    /// Gives back a class that is without flows and in no heap.
    pub(super) fn free(&mut self, slot: Slot) {
        let class = &self.all[slot as usize];
        debug_assert_eq!(class.n_flows(), 0);
        self.by_cap.remove((class.cap.to_bits(), class.region));
        self.free.push(slot);
    }

    /// Adds a flow; true when it is the next of its class to end.
    pub(super) fn add_flow(&mut self, slot: Slot, flow: Slot, tag: i128) -> bool {
        let class = &mut self.all[slot as usize];
        let before = (class.first_tag, class.first);
        let is_next = class.first == NO_FLOW || tag < class.first_tag;
        if is_next {
            (class.first_tag, class.first) = (tag, flow);
        }
        if before.1 != NO_FLOW {
            let (tag, flow) = if is_next { before } else { (tag, flow) };
            let rest = class.rest.get_or_insert_with(|| Box::new(Heap::new()));
            rest.push(&mut self.flow_positions, tag, flow);
        }
        is_next
    }

    /// Removes a flow; true when it was the next of its class to end.
    pub(super) fn remove_flow(&mut self, slot: Slot, flow: Slot) -> bool {
        let class = &mut self.all[slot as usize];
        let rest = class.rest.as_deref_mut();
        if class.first != flow {
            rest.expect("a flow is in its class").remove(&mut self.flow_positions, flow);
            return false;
        }
        let next = rest.and_then(|rest| {
            let next = rest.top()?;
            rest.remove(&mut self.flow_positions, next.1);
            Some(next)
        });
        (class.first_tag, class.first) = next.unwrap_or((0, NO_FLOW));
        true
    }

    /// Puts a class into the heap that it belongs to: that of the capped ones, or `ends`, that of its region.
    pub(super) fn enter(&mut self, slot: Slot, ends: &mut Heap<i128>) {
        let class = &self.all[slot as usize];
        match class.pace() {
            Pace::Capped(clock) => {
                self.capped_ends.push(&mut self.positions, clock.time_of(class.first_tag), slot);
            }
            Pace::Shared(offset) => ends.push(&mut self.positions, class.first_tag - offset, slot),
        }
    }

    /// Takes a class out of the heap that it is in.
    pub(super) fn leave(&mut self, slot: Slot, ends: &mut Heap<i128>) {
        if self.all[slot as usize].is_shared() {
            ends.remove(&mut self.positions, slot);
        } else {
            self.capped_ends.remove(&mut self.positions, slot);
        }
    }

    /// Puts a class of which another flow is the next to end where it belongs now.
    pub(super) fn reorder(&mut self, slot: Slot, ends: &mut Heap<i128>) {
        let class = &self.all[slot as usize];
        match class.pace() {
            Pace::Capped(clock) => self.capped_ends.set(&mut self.positions, clock.time_of(class.first_tag), slot),
            Pace::Shared(offset) => ends.set(&mut self.positions, class.first_tag - offset, slot),
        }
    }

    /// Lets a class that is in no heap run on at another pace.
    pub(super) fn set_pace(&mut self, slot: Slot, pace: Pace) {
        let class = &mut self.all[slot as usize];
        (class.parts, class.since) = match pace {
            Pace::Capped(clock) => (clock.parts, clock.since()),
            Pace::Shared(offset) => (offset, NEVER),
        };
    }
}
