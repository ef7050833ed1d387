//! A heap whose items can be found again: the smallest key on top, any item taken out or given another key in
//! O(log n).

use serde::{Deserialize, Serialize};

/// A number that stands for an item, such as its index in a list.
pub(super) type Slot = u32;

/// Children of a node. Four make a flat heap whose siblings lie side by side.
const ARITY: usize = 4;

/// Items by rising key. Where each item stands is kept in a list by slot, which heaps of disjoint items share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Heap<K> {
    items: Vec<(K, Slot)>,
}

impl<K: Ord + Copy> Heap<K> {
    pub(super) fn new() -> Self {
        Self { items: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The item of the smallest key.
    pub(super) fn top(&self) -> Option<(K, Slot)> {
        self.items.first().copied()
    }

    /// Adds an item that is in none of the heaps that share `positions`, which has room for its slot.
    pub(super) fn push(&mut self, positions: &mut [u32], key: K, slot: Slot) {
        self.items.push((key, slot));
        self.rise(positions, self.items.len() - 1, (key, slot));
    }

    /// Takes out an item of this heap.
    pub(super) fn remove(&mut self, positions: &mut [u32], slot: Slot) {
        let index = positions[slot as usize] as usize;
        debug_assert_eq!(self.items[index].1, slot, "an item is in the heap it is taken from");
        let last = self.items.pop().expect("a heap with an item is not empty");
        if last.1 != slot {
            self.place(positions, index, last);
        }
    }

    /// Gives an item of this heap another key.
    pub(super) fn set(&mut self, positions: &mut [u32], key: K, slot: Slot) {
        self.place(positions, positions[slot as usize] as usize, (key, slot));
    }

    fn place(&mut self, positions: &mut [u32], index: usize, item: (K, Slot)) {
        if index > 0 && item.0 < self.items[(index - 1) / ARITY].0 {
            self.rise(positions, index, item);
        } else {
            self.sink(positions, index, item);
        }
    }

    fn rise(&mut self, positions: &mut [u32], mut index: usize, item: (K, Slot)) {
        while index > 0 {
            let parent = (index - 1) / ARITY;
            if self.items[parent].0 <= item.0 {
                break;
            }
            self.put(positions, index, self.items[parent]);
            index = parent;
        }
        self.put(positions, index, item);
    }

    fn sink(&mut self, positions: &mut [u32], mut index: usize, item: (K, Slot)) {
        loop {
            let first = index * ARITY + 1;
            let least = |a: usize, b: usize| if self.items[b].0 < self.items[a].0 { b } else { a };
            let child = if first + ARITY <= self.items.len() {
                least(least(first, first + 1), least(first + 2, first + 3))
            } else if first < self.items.len() {
                (first..self.items.len()).reduce(least).expect("there is a first one")
            } else {
                break;
            };
            if item.0 <= self.items[child].0 {
                break;
            }
            self.put(positions, index, self.items[child]);
            index = child;
        }
        self.put(positions, index, item);
    }

    fn put(&mut self, positions: &mut [u32], index: usize, item: (K, Slot)) {
        positions[item.1 as usize] = index as u32;
        self.items[index] = item;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Whatever is added, changed and taken out, the top is that of an ordered set of the same items.
        #[test]
        fn it_is_an_ordered_set(steps in prop::collection::vec((0u32..40, 0u32..1000), 1..300)) {
            let (mut heap, mut positions) = (Heap::new(), vec![0; 40]);
            let mut keys = [None; 40];
            for (slot, key) in steps {
                match keys[slot as usize] {
                    None => heap.push(&mut positions, key, slot),
                    Some(_) if key % 2 == 0 => heap.set(&mut positions, key, slot),
                    Some(_) => heap.remove(&mut positions, slot),
                }
                let is_out = keys[slot as usize].is_some() && key % 2 == 1;
                keys[slot as usize] = (!is_out).then_some(key);
                let set: BTreeSet<u32> = keys.iter().flatten().copied().collect();
                prop_assert_eq!(heap.top().map(|(key, _)| key), set.first().copied());
                if let Some((key, slot)) = heap.top() {
                    prop_assert_eq!(keys[slot as usize], Some(key));
                }
                prop_assert_eq!(heap.len(), keys.iter().flatten().count());
            }
        }
    }
}
