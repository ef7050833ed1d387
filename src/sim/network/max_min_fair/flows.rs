//! The flows in flight, and where each of them is.

use serde::{Deserialize, Serialize};

use super::heap::Slot;
use super::index::Index;
use crate::sim::network::Direction;
use crate::units::Bytes;

/// One flow. Where there are many, a change costs what it takes to fetch them from memory: a flow fills one cache line.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[repr(align(64))]
pub(super) struct InFlight {
    pub(super) id: u64,
    pub(super) direction: Direction,
    pub(super) region: u32,
    /// Rate of the client's link, bytes per second.
    pub(super) cap: f64,
    pub(super) bytes: Bytes,
    pub(super) place: Place,
}

/// Where a flow is that has not been taken out.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Place {
    /// On its links, in this class with this tag.
    Moving { class: Slot, tag: i128 },
    /// Its client's rate is 0, and so many parts of bytes are left.
    Stalled { left: i128 },
    /// It has ended.
    Ended,
}

/// All flows, each in its slot as long as it is in flight.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flows {
    all: Vec<InFlight>,
    /// Places in `all` that are free.
    free: Vec<Slot>,
    #[serde(skip)]
    by_id: Index,
}

impl Flows {
    pub(super) fn new() -> Self {
        Self { all: Vec::new(), free: Vec::new(), by_id: Index::default() }
    }

    /// Makes anew what is not kept when the flows are saved.
    pub(super) fn reindex(&mut self) {
        let mut is_free = vec![false; self.all.len()];
        self.free.iter().for_each(|slot| is_free[*slot as usize] = true);
        self.by_id = Index::default();
        for ((slot, flow), _) in (0..).zip(&self.all).zip(is_free).filter(|(_, is_free)| !is_free) {
            self.by_id.insert((flow.id, 0), slot);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, slot: Slot) -> &InFlight {
        &self.all[slot as usize]
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut InFlight {
        &mut self.all[slot as usize]
    }

    /// Where the flow of this id is.
    ///
    /// # Panics
    /// If no flow of this id is in flight.
    pub(super) fn slot_of(&self, id: u64) -> Slot {
        self.by_id.get((id, 0)).unwrap_or_else(|| panic!("flow {id} is not in flight"))
    }

    /// The flows by id.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &InFlight> {
        let mut slots: Vec<_> = (0..self.all.len() as Slot).map(|slot| (self.get(slot).id, slot)).collect();
        slots.retain(|(id, slot)| self.by_id.get((*id, 0)) == Some(*slot));
        slots.sort_unstable();
        slots.into_iter().map(|(_, slot)| self.get(slot))
    }

    /// Adds a flow.
    ///
    /// # Panics
    /// If a flow of this id is in flight.
    pub(super) fn add(&mut self, flow: InFlight) -> Slot {
        let id = flow.id;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.all[slot as usize] = flow;
                slot
            }
            None => {
                self.all.push(flow);
                (self.all.len() - 1) as Slot
            }
        };
        assert!(self.by_id.insert((id, 0), slot), "flow {id} is in flight already");
        slot
    }

    /// Takes out the flow of this id and says where it was; its place is free for the next one.
    ///
    /// # Panics
    /// If no flow of this id is in flight.
    pub(super) fn remove(&mut self, id: u64) -> Slot {
        let slot = self.by_id.remove((id, 0)).unwrap_or_else(|| panic!("flow {id} is not in flight"));
        self.free.push(slot);
        slot
    }
}
