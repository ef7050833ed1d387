//! The classes of one region: which of them run at their caps, and which share what the others leave.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::class::{Classes, Pace};
use super::fixed::{Clock, Level, quanta};
use super::heap::{Heap, Slot};
use crate::units::SimTime;

/// The flows of one region in one direction.
///
/// The caps of the capped classes are all below those of the shared ones; the region's level lies between them. A
/// region is *tight* when its own link sets its level, else *loose*, and the level is that of the server's link.
#[derive(Serialize, Deserialize)]
pub(super) struct Region {
    number: u32,
    /// Of the region's link, in quanta.
    capacity: Option<i128>,
    /// Classes that run at their caps, the highest on top: by the bits of the cap, which rise with it.
    capped: Heap<Reverse<u64>>,
    /// Classes that run at the region's level, the lowest on top.
    shared: Heap<u64>,
    /// Rates of the capped flows together, in quanta.
    capped_quanta: i128,
    n_shared_flows: u32,
    /// Shared classes by what the region's count will be when their next flow ends.
    ends: Heap<i128>,
    /// Counts the virtual bytes of the shared classes.
    count: Count,
}

/// What counts the virtual bytes of a region.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Count {
    /// The region is tight and has its own clock.
    Tight(Clock),
    /// The region is loose: this much, in parts, beyond the count of the server's link.
    Loose(i128),
}

impl Region {
    pub(super) fn new(number: u32, capacity: Option<i128>) -> Self {
        Self {
            number,
            capacity,
            capped: Heap::new(),
            shared: Heap::new(),
            capped_quanta: 0,
            n_shared_flows: 0,
            ends: Heap::new(),
            count: Count::Loose(0),
        }
    }

    /// Capacity of the region's link, in quanta.
    pub(super) fn capacity(&self) -> Option<i128> {
        self.capacity
    }

    pub(super) fn is_tight(&self) -> bool {
        matches!(self.count, Count::Tight(_))
    }

    /// What it takes of the server's link whatever the level there, in quanta, and how many of its flows share the
    /// rest.
    pub(super) fn demand(&self) -> (i128, u32) {
        match (self.count, self.capacity) {
            (Count::Tight(_), Some(capacity)) => (capacity, 0),
            _ => (self.capped_quanta, self.n_shared_flows),
        }
    }

    /// The level that its own link would set, as its classes stand.
    pub(super) fn own_level(&self) -> Level {
        Level::of_rest(self.capacity, self.capped_quanta, self.n_shared_flows)
    }

    /// Highest cap of the capped classes.
    pub(super) fn highest_capped(&self) -> Option<Level> {
        self.capped.top().map(|(Reverse(cap), _)| level_of(cap))
    }

    /// Lowest cap of the shared classes.
    pub(super) fn lowest_shared(&self) -> Option<Level> {
        self.shared.top().map(|(cap, _)| level_of(cap))
    }

    /// Virtual bytes at `now`, in parts, when those of the server's link are `server_parts`.
    pub(super) fn parts(&self, now: SimTime, server_parts: i128) -> i128 {
        match self.count {
            Count::Tight(clock) => clock.at(now),
            Count::Loose(offset) => server_parts + offset,
        }
    }

    /// The shared class whose next flow ends first.
    pub(super) fn next_shared(&self) -> Option<Slot> {
        self.ends.top().map(|(_, slot)| slot)
    }

    /// When the next shared flow of a tight region ends.
    pub(super) fn tight_end(&self) -> Option<SimTime> {
        match self.count {
            Count::Tight(clock) => self.ends.top().map(|(parts, _)| clock.time_of(parts)),
            Count::Loose(_) => None,
        }
    }

    /// What the server's count will be when the next shared flow of a loose region ends.
    pub(super) fn loose_end(&self) -> Option<i128> {
        match self.count {
            Count::Tight(_) => None,
            Count::Loose(offset) => self.ends.top().map(|(parts, _)| parts - offset),
        }
    }

    /// Adds a flow of which `left` parts of bytes are left, when the region's count is at `parts`, and returns its
    /// class and tag. Where it is in doubt whether the class is capped, `level` decides.
    pub(super) fn add(
        &mut self,
        classes: &mut Classes,
        at: (SimTime, i128),
        cap: f64,
        level: Level,
        flow: (Slot, i128),
    ) -> (Slot, i128) {
        let ((now, parts), (flow, left)) = (at, flow);
        let known = classes.find(cap, self.number);
        let slot = known.unwrap_or_else(|| self.create(classes, now, parts, cap, level));
        let class = classes.get(slot);
        let tag = class.served(now, parts) + left;
        if class.is_shared() {
            self.n_shared_flows += 1;
        } else {
            self.capped_quanta += class.quanta();
        }
        let is_next = classes.add_flow(slot, flow, tag);
        match known {
            None => classes.enter(slot, &mut self.ends),
            Some(_) if is_next => classes.reorder(slot, &mut self.ends),
            Some(_) => {}
        }
        (slot, tag)
    }

    fn create(&mut self, classes: &mut Classes, now: SimTime, parts: i128, cap: f64, level: Level) -> Slot {
        let key = cap.to_bits();
        let below = self.capped.top().is_some_and(|(Reverse(highest), _)| key < highest);
        let above = self.shared.top().is_some_and(|(lowest, _)| key > lowest);
        let is_capped = below || (!above && level_of(key) <= level);
        let pace = if is_capped { Pace::Capped(Clock::new(now, cap)) } else { Pace::Shared(-parts) };
        let slot = classes.create(cap, self.number, pace);
        if is_capped {
            self.capped.push(&mut classes.side_positions, Reverse(key), slot);
        } else {
            self.shared.push(&mut classes.side_positions, key, slot);
        }
        slot
    }

    /// Removes a flow.
    pub(super) fn remove(&mut self, classes: &mut Classes, slot: Slot, flow: Slot) {
        let class = classes.get(slot);
        let (is_last, is_shared) = (class.n_flows() == 1, class.is_shared());
        if is_shared {
            self.n_shared_flows -= 1;
        } else {
            self.capped_quanta -= class.quanta();
        }
        if is_last {
            match is_shared {
                true => self.shared.remove(&mut classes.side_positions, slot),
                false => self.capped.remove(&mut classes.side_positions, slot),
            }
            classes.leave(slot, &mut self.ends);
        }
        let was_next = classes.remove_flow(slot, flow);
        if is_last {
            classes.free(slot);
        } else if was_next {
            classes.reorder(slot, &mut self.ends);
        }
    }

    /// Lets the highest of the capped classes share.
    pub(super) fn lower(&mut self, classes: &mut Classes, now: SimTime, parts: i128) {
        let (Reverse(key), slot) = self.capped.top().expect("a capped class is to be lowered");
        self.capped.remove(&mut classes.side_positions, slot);
        self.shared.push(&mut classes.side_positions, key, slot);
        let class = classes.get(slot);
        let pace = Pace::Shared(class.served(now, parts) - parts);
        self.capped_quanta -= class.total_quanta();
        self.n_shared_flows += class.n_flows();
        self.repace(classes, slot, pace);
    }

    /// Lets the lowest of the shared classes run at its cap.
    pub(super) fn raise(&mut self, classes: &mut Classes, now: SimTime, parts: i128) {
        let (key, slot) = self.shared.top().expect("a shared class is to be raised");
        self.shared.remove(&mut classes.side_positions, slot);
        self.capped.push(&mut classes.side_positions, Reverse(key), slot);
        let class = classes.get(slot);
        let clock = Clock::showing(class.served(now, parts), now, class.cap);
        self.capped_quanta += class.total_quanta();
        self.n_shared_flows -= class.n_flows();
        self.repace(classes, slot, Pace::Capped(clock));
    }

    fn repace(&mut self, classes: &mut Classes, slot: Slot, pace: Pace) {
        classes.leave(slot, &mut self.ends);
        classes.set_pace(slot, pace);
        classes.enter(slot, &mut self.ends);
    }

    /// Lets the region's own link set its level from `now` on, and moves its classes to where they belong then.
    pub(super) fn tighten(&mut self, classes: &mut Classes, now: SimTime, server_parts: i128) {
        let parts = self.parts(now, server_parts);
        let level = loop {
            let level = self.own_level();
            if self.highest_capped().is_some_and(|cap| cap > level) {
                self.lower(classes, now, parts);
            } else if self.lowest_shared().is_some_and(|cap| cap <= level) {
                self.raise(classes, now, parts);
            } else {
                break level;
            }
        };
        self.count = Count::Tight(Clock::showing(parts, now, level.bytes_per_s()));
    }

    /// Lets the server's link set the level from `now` on.
    pub(super) fn loosen(&mut self, now: SimTime, server_parts: i128) {
        self.count = Count::Loose(self.parts(now, server_parts) - server_parts);
    }
}

/// The level at which a class stands whose cap has these bits.
fn level_of(cap: u64) -> Level {
    Level::of_cap(quanta(f64::from_bits(cap)))
}
