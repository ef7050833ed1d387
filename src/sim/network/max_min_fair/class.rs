//! Flows that always run at the same rate.

use serde::{Deserialize, Serialize};

use super::fixed::{Clock, quanta};
use super::heap::{Heap, Slot};
use crate::units::SimTime;

/// The flows of one region whose clients have equal rates. They share a count of virtual bytes, what each of them would
/// have been served since the class came up; a flow ends when the count reaches the flow's tag, its value at the start
/// plus the flow's size.
#[derive(Serialize, Deserialize)]
pub(super) struct Class {
    /// Rate of the clients' links, bytes per second; its bits are the class's key in its region.
    pub(super) cap: f64,
    pub(super) quanta: i128,
    pub(super) region: u32,
    pub(super) pace: Pace,
    /// The flow that ends next, with its tag; apart from the others, since many classes have one flow alone.
    first: Option<(i128, Slot)>,
    /// The other flows by tag.
    rest: Heap<i128>,
}

/// What counts the virtual bytes of a class.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Pace {
    /// Its flows run at their own cap.
    Capped(Clock),
    /// Its flows run at the level of the region: this much, in parts, beyond the region's count.
    Shared(i128),
}

impl Class {
    /// Virtual bytes, in parts, at `now`, when its region's are `virtual_parts`.
    pub(super) fn served(&self, now: SimTime, virtual_parts: i128) -> i128 {
        match self.pace {
            Pace::Capped(clock) => clock.at(now),
            Pace::Shared(offset) => virtual_parts + offset,
        }
    }

    pub(super) fn n_flows(&self) -> u32 {
        self.rest.len() as u32 + u32::from(self.first.is_some())
    }

    /// The tag of the flow that ends next, and the flow.
    pub(super) fn first(&self) -> (i128, Slot) {
        self.first.expect("a class has flows")
    }

    fn next_tag(&self) -> i128 {
        self.first().0
    }
}

/// All classes of one direction, and those that run at their caps in the order of their next ends.
#[derive(Serialize, Deserialize)]
pub(super) struct Classes {
    all: Vec<Class>,
    /// Places in `all` that are free.
    free: Vec<Slot>,
    /// Where each class stands: in `capped_ends`, or among its region's ends.
    positions: Vec<u32>,
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
            positions: Vec::new(),
            flow_positions: Vec::new(),
            capped_ends: Heap::new(),
        }
    }

    pub(super) fn get(&self, slot: Slot) -> &Class {
        &self.all[slot as usize]
    }

    /// A class without flows; it is in no heap until its first flow is in and [`enter`](Self::enter) is called.
    pub(super) fn create(&mut self, cap: f64, region: u32, pace: Pace) -> Slot {
        let quanta = quanta(cap);
        if let Some(slot) = self.free.pop() {
            let class = &mut self.all[slot as usize];
            (class.cap, class.quanta, class.region, class.pace) = (cap, quanta, region, pace);
            return slot;
        }
        self.all.push(Class { cap, quanta, region, pace, first: None, rest: Heap::new() });
        self.positions.push(0);
        (self.all.len() - 1) as Slot
    }

    /// Gives back a class that is without flows and in no heap.
    pub(super) fn free(&mut self, slot: Slot) {
        debug_assert!(self.all[slot as usize].first.is_none());
        self.free.push(slot);
    }

    /// Adds a flow; true when it is the next of its class to end.
    pub(super) fn add_flow(&mut self, slot: Slot, flow: Slot, tag: i128) -> bool {
        let class = &mut self.all[slot as usize];
        match class.first {
            Some((first, _)) if first <= tag => {
                class.rest.push(&mut self.flow_positions, tag, flow);
                false
            }
            before => {
                class.first = Some((tag, flow));
                if let Some((tag, flow)) = before {
                    class.rest.push(&mut self.flow_positions, tag, flow);
                }
                true
            }
        }
    }

    /// Removes a flow; true when it was the next of its class to end.
    pub(super) fn remove_flow(&mut self, slot: Slot, flow: Slot) -> bool {
        let class = &mut self.all[slot as usize];
        if class.first().1 != flow {
            class.rest.remove(&mut self.flow_positions, flow);
            return false;
        }
        class.first = class.rest.top();
        if let Some((_, next)) = class.first {
            class.rest.remove(&mut self.flow_positions, next);
        }
        true
    }

    /// Puts a class into the heap that it belongs to: that of the capped ones, or `ends`, that of its region.
    pub(super) fn enter(&mut self, slot: Slot, ends: &mut Heap<i128>) {
        let class = &self.all[slot as usize];
        match class.pace {
            Pace::Capped(clock) => {
                self.capped_ends.push(&mut self.positions, clock.time_of(class.next_tag()), slot);
            }
            Pace::Shared(offset) => ends.push(&mut self.positions, class.next_tag() - offset, slot),
        }
    }

    /// Takes a class out of the heap that it is in.
    pub(super) fn leave(&mut self, slot: Slot, ends: &mut Heap<i128>) {
        match self.all[slot as usize].pace {
            Pace::Capped(_) => self.capped_ends.remove(&mut self.positions, slot),
            Pace::Shared(_) => ends.remove(&mut self.positions, slot),
        }
    }

    /// Puts a class of which another flow is the next to end where it belongs now.
    pub(super) fn reorder(&mut self, slot: Slot, ends: &mut Heap<i128>) {
        let class = &self.all[slot as usize];
        match class.pace {
            Pace::Capped(clock) => self.capped_ends.set(&mut self.positions, clock.time_of(class.next_tag()), slot),
            Pace::Shared(offset) => ends.set(&mut self.positions, class.next_tag() - offset, slot),
        }
    }

    /// Lets a class that is in no heap run on at another pace.
    pub(super) fn set_pace(&mut self, slot: Slot, pace: Pace) {
        self.all[slot as usize].pace = pace;
    }
}
