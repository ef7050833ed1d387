//! The links in one direction: those of the regions, and the server's above them.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::class::Classes;
use super::fixed::{Clock, Level};
use super::heap::Slot;
use super::region::Region;
use super::tournament::Tournament;
use crate::sim::NEVER;
use crate::units::SimTime;

/// The flows in one direction.
#[derive(Serialize, Deserialize)]
pub(super) struct Tree {
    /// Of the server's link, in quanta.
    capacity: Option<i128>,
    regions: Vec<Region>,
    classes: Classes,
    /// The level that the server's link sets.
    level: Level,
    /// Virtual bytes of the flows at that level.
    clock: Clock,
    /// What the regions demand together: quanta whatever the level, and flows that share the rest.
    demand: (i128, u32),
    /// The level above which a region changes: a class reaches its cap, or the region its own link's.
    rises: Tournament<Reverse<Level>>,
    /// The level below which a region changes: a class falls under its cap, or the region under its own link's.
    falls: Tournament<Level>,
    /// When the next shared flow of a tight region ends.
    tight_ends: Tournament<Reverse<SimTime>>,
    /// At which virtual bytes the next shared flow of a loose region ends.
    loose_ends: Tournament<Reverse<i128>>,
    /// Regions whose flows have changed since the levels were found.
    marked: Vec<usize>,
    is_marked: Vec<bool>,
    /// When the next flow ends.
    next: Option<SimTime>,
}

impl Tree {
    /// Without flows; capacities in quanta, of the server's link and of each region's.
    pub(super) fn new(capacity: Option<i128>, regions: &[Option<i128>]) -> Self {
        Self {
            capacity,
            regions: (0..).zip(regions).map(|(number, capacity)| Region::new(number, *capacity)).collect(),
            classes: Classes::new(),
            level: Level::INFINITE,
            clock: Clock::new(SimTime::ZERO, 0.0),
            demand: (0, 0),
            rises: Tournament::new(regions.len()),
            falls: Tournament::new(regions.len()),
            tight_ends: Tournament::new(regions.len()),
            loose_ends: Tournament::new(regions.len()),
            marked: Vec::new(),
            is_marked: vec![false; regions.len()],
            next: None,
        }
    }

    /// When the next flow ends, if nothing else happens.
    pub(super) fn next(&self) -> Option<SimTime> {
        self.next
    }

    /// Adds a flow of which so many parts of bytes are left, and returns its class and tag. The rates hold again after
    /// [`share`](Self::share).
    pub(super) fn add(&mut self, now: SimTime, region: usize, cap: f64, flow: Slot, left: i128) -> (Slot, i128) {
        let n_slots = (flow as usize + 1).max(self.classes.flow_positions.len());
        self.classes.flow_positions.resize(n_slots, 0);
        let server_parts = self.clock.at(now);
        let server_level = self.level;
        self.mark(region);
        self.change(region, |region, classes| {
            let level = if region.is_tight() { region.own_level() } else { server_level };
            let at = (now, region.parts(now, server_parts));
            region.add(classes, at, cap, level, (flow, left))
        })
    }

    /// Makes anew what is not kept when the tree is saved.
    pub(super) fn reindex(&mut self) {
        self.classes.reindex();
    }

    /// True when the links are those of another tree.
    pub(super) fn has_the_links_of(&self, other: &Self) -> bool {
        let links = |tree: &Self| tree.regions.iter().map(Region::capacity).collect::<Vec<_>>();
        self.capacity == other.capacity && links(self) == links(other)
    }

    /// True when there is a region of this number.
    pub(super) fn has_region(&self, number: usize) -> bool {
        number < self.regions.len()
    }

    /// How many parts of bytes a flow that has not ended has left.
    pub(super) fn left(&self, now: SimTime, class: Slot, tag: i128) -> i128 {
        let class = self.classes.get(class);
        tag - class.served(now, self.regions[class.region as usize].parts(now, self.clock.at(now)))
    }

    /// Removes a flow that has not ended and returns how many parts of bytes it had left. The rates hold again after
    /// [`share`](Self::share).
    pub(super) fn remove(&mut self, now: SimTime, class: Slot, flow: Slot, tag: i128) -> i128 {
        let left = self.left(now, class, tag);
        let number = self.classes.get(class).region as usize;
        self.mark(number);
        self.change(number, |region, classes| region.remove(classes, class, flow));
        left
    }

    /// Removes the flows that end by `now` and gives their slots to `ended`. The rates hold again after
    /// [`share`](Self::share).
    pub(super) fn take_ended(&mut self, now: SimTime, mut ended: impl FnMut(Slot)) {
        while let Some(class) = self.class_ended(now) {
            let flow = self.classes.get(class).first();
            let number = self.classes.get(class).region as usize;
            self.mark(number);
            self.change(number, |region, classes| region.remove(classes, class, flow));
            self.enter_ends(number);
            ended(flow);
        }
    }

    /// A class with a flow that ends by `now`.
    fn class_ended(&self, now: SimTime) -> Option<Slot> {
        if let Some((_, class)) = self.classes.capped_ends.top().filter(|(end, _)| *end <= now) {
            return Some(class);
        }
        let tight = self.tight_ends.best().filter(|(Reverse(end), _)| *end <= now).map(|(_, region)| region);
        let loose = || self.loose_ends.best().filter(|(Reverse(parts), _)| self.clock.time_of(*parts) <= now);
        tight.or_else(|| loose().map(|(_, region)| region)).and_then(|region| self.regions[region].next_shared())
    }

    /// Changes a region and keeps the demand.
    fn change<T>(&mut self, number: usize, how: impl FnOnce(&mut Region, &mut Classes) -> T) -> T {
        let region = &mut self.regions[number];
        let before = region.demand();
        let result = how(region, &mut self.classes);
        let after = region.demand();
        self.demand.0 += after.0 - before.0;
        self.demand.1 = self.demand.1 + after.1 - before.1;
        result
    }

    fn mark(&mut self, number: usize) {
        if !std::mem::replace(&mut self.is_marked[number], true) {
            self.marked.push(number);
        }
    }

    /// Enters a region's numbers anew.
    fn enter(&mut self, number: usize) {
        let region = &self.regions[number];
        let own = Some(region.own_level()).filter(|level| !level.is_infinite());
        let (rise, fall) = match region.is_tight() {
            true => (None, own),
            false => (lower_of(region.lowest_shared(), own), region.highest_capped()),
        };
        self.rises.set(number, rise.map(Reverse));
        self.falls.set(number, fall);
        self.enter_ends(number);
    }

    /// Enters the next end of a region's shared flows anew.
    fn enter_ends(&mut self, number: usize) {
        let region = &self.regions[number];
        self.tight_ends.set(number, region.tight_end().map(Reverse));
        self.loose_ends.set(number, region.loose_end().map(Reverse));
    }

    /// Water filling: finds the levels that hold from `now` on and the next end.
    ///
    /// The rate that the flows take together, as a function of the server's level, rises and is straight between the
    /// levels at which a region changes. From where the classes stand, the line through the present piece says where
    /// the level would be; if that is beyond the end of the piece, so is the level, and the region at the end changes.
    /// Thus the classes that change sides are passed one by one, none of them twice.
    pub(super) fn share(&mut self, now: SimTime) {
        self.clock.advance(now);
        while let Some(number) = self.marked.pop() {
            self.is_marked[number] = false;
            self.conform(now, number);
            self.enter(number);
        }
        loop {
            let level = Level::of_rest(self.capacity, self.demand.0, self.demand.1);
            let number = if let Some((_, number)) = self.falls.best().filter(|(fall, _)| *fall > level) {
                self.fall(now, number);
                number
            } else if let Some((_, number)) = self.rises.best().filter(|(Reverse(rise), _)| *rise <= level) {
                self.rise(now, number, level);
                number
            } else {
                self.level = level;
                break;
            };
            self.enter(number);
        }
        self.clock.set_rate(self.level.bytes_per_s());
        let loose = self.loose_ends.best().map(|(Reverse(parts), _)| self.clock.time_of(parts));
        let tight = self.tight_ends.best().map(|(Reverse(end), _)| end);
        let capped = self.classes.capped_ends.top().map(|(end, _)| end);
        self.next = lower_of(lower_of(loose, tight), capped).filter(|next| *next < NEVER);
    }

    /// Brings a region that has changed to the present level of the server's link, so that the search starts from
    /// there.
    fn conform(&mut self, now: SimTime, number: usize) {
        let (level, server_parts) = (self.level, self.clock.parts);
        self.change(number, |region, classes| {
            let own = region.own_level();
            if region.is_tight() || (own <= level && !own.is_infinite()) {
                region.tighten(classes, now, server_parts);
                let own = region.own_level();
                if own > level || own.is_infinite() {
                    region.loosen(now, server_parts);
                    let parts = region.parts(now, server_parts);
                    while region.highest_capped().is_some_and(|cap| cap > level) {
                        region.lower(classes, now, parts);
                    }
                }
            }
        });
    }

    /// Passes the level below which a region changes.
    fn fall(&mut self, now: SimTime, number: usize) {
        let server_parts = self.clock.parts;
        self.change(number, |region, classes| {
            if region.is_tight() {
                region.loosen(now, server_parts);
            } else {
                let parts = region.parts(now, server_parts);
                region.lower(classes, now, parts);
            }
        });
    }

    /// Passes a level, not above the present one, above which a region changes.
    fn rise(&mut self, now: SimTime, number: usize, level: Level) {
        let server_parts = self.clock.parts;
        self.change(number, |region, classes| {
            if region.lowest_shared().is_some_and(|cap| cap <= level) {
                let parts = region.parts(now, server_parts);
                region.raise(classes, now, parts);
            } else {
                region.tighten(classes, now, server_parts);
            }
        });
    }
}

/// The lower of two, where there are two.
fn lower_of<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, None) => a,
        (None, b) => b,
    }
}
