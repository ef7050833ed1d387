//! Finds items by a key. A table that is never walked through, so its order decides nothing.

use super::heap::Slot;

/// A key: a flow's id, or the bits of a cap and a region.
pub(super) type Key = (u64, u32);

/// Where items are, by key: open addressing with linear probing, at most half full.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of places, or none yet.
    places: Vec<Item>,
    n_items: usize,
}

/// An item; flat, so that four fill a cache line.
#[derive(Debug, Clone, Copy)]
struct Item {
    number: u64,
    region: u32,
    slot: Slot,
}

/// In the place of an item where there is none.
const EMPTY: Slot = Slot::MAX;

impl Item {
    fn key(&self) -> Key {
        (self.number, self.region)
    }
}

impl Index {
    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.n_items
    }

    pub(super) fn get(&self, key: Key) -> Option<Slot> {
        if self.places.is_empty() {
            return None;
        }
        Some(self.places[self.place_of(key)].slot).filter(|slot| *slot != EMPTY)
    }

    /// Adds an item; false when there is one of that key already.
    pub(super) fn insert(&mut self, key: Key, slot: Slot) -> bool {
        debug_assert_ne!(slot, EMPTY);
        if self.n_items * 2 >= self.places.len() {
            self.grow();
        }
        let place = self.place_of(key);
        if self.places[place].slot != EMPTY {
            return false;
        }
        self.places[place] = Item { number: key.0, region: key.1, slot };
        self.n_items += 1;
        true
    }

    /// Takes an item out and says where it was.
    pub(super) fn remove(&mut self, key: Key) -> Option<Slot> {
        if self.places.is_empty() {
            return None;
        }
        let mut hole = self.place_of(key);
        let removed = self.places[hole].slot;
        if removed == EMPTY {
            return None;
        }
        self.n_items -= 1;
        // Items behind the hole that a search would no longer come to move into it.
        let mask = self.places.len() - 1;
        let mut place = hole;
        loop {
            place = (place + 1) & mask;
            let item = self.places[place];
            if item.slot == EMPTY {
                break;
            }
            let distance_home = place.wrapping_sub(self.home(item.key())) & mask;
            if distance_home >= place.wrapping_sub(hole) & mask {
                self.places[hole] = item;
                hole = place;
            }
        }
        self.places[hole].slot = EMPTY;
        Some(removed)
    }

    fn grow(&mut self) {
        let n_places = (self.places.len() * 2).max(16);
        let before = std::mem::replace(&mut self.places, vec![Item { number: 0, region: 0, slot: EMPTY }; n_places]);
        for item in before.into_iter().filter(|item| item.slot != EMPTY) {
            let place = self.place_of(item.key());
            self.places[place] = item;
        }
    }

    /// Where an item of this key is, or the empty place at which a search for it ends.
    fn place_of(&self, key: Key) -> usize {
        let mask = self.places.len() - 1;
        let mut place = self.home(key);
        while self.places[place].slot != EMPTY && self.places[place].key() != key {
            place = (place + 1) & mask;
        }
        place
    }

    /// Where a search begins: the middle bits of a product that all bits of the key have a part in.
    fn home(&self, (number, region): Key) -> usize {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let number = number ^ u64::from(region).wrapping_mul(0xd1b5_4a32_d192_ed03);
        let product = u128::from(number) * u128::from(GOLDEN);
        ((product >> 64) as u64 ^ product as u64) as usize & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Whatever is added and taken out, it finds what a map finds.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0u64..60, 0u32..3, any::<bool>()), 1..400)) {
            let (mut index, mut map) = (Index::default(), BTreeMap::new());
            for ((number, region, is_added), slot) in steps.into_iter().zip(0..) {
                // Round numbers in floating point differ in their upper bits alone.
                let key = ((number as f64).to_bits(), region);
                if is_added {
                    let is_new = !map.contains_key(&key);
                    map.entry(key).or_insert(slot);
                    prop_assert_eq!(index.insert(key, slot), is_new);
                } else {
                    prop_assert_eq!(index.remove(key), map.remove(&key));
                }
                prop_assert_eq!(index.len(), map.len());
                for number in 0..60 {
                    let key = (f64::from(number).to_bits(), region);
                    prop_assert_eq!(index.get(key), map.get(&key).copied());
                }
            }
        }
    }
}
