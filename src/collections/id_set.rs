//! A set of small numbers, as client ids are.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of numbers that takes one bit for each number up to its greatest. Serialized as the rising list of its members.
#[derive(Debug, Clone, Default)]
pub struct IdSet {
    words: Vec<u64>,
    len: usize,
}

fn place(id: u32) -> (usize, u64) {
    (id as usize / 64, 1 << (id % 64))
}

impl IdSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without any member.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True for a member.
    pub fn contains(&self, id: u32) -> bool {
        let (word, bit) = place(id);
        self.words.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Adds a member; false when it is one already.
    pub fn insert(&mut self, id: u32) -> bool {
        let (word, bit) = place(id);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.len += usize::from(is_new);
        is_new
    }

    /// Takes a member out; false when it is none.
    pub fn remove(&mut self, id: u32) -> bool {
        let (word, bit) = place(id);
        let Some(bits) = self.words.get_mut(word).filter(|bits| **bits & bit != 0) else { return false };
        *bits &= !bit;
        self.len -= 1;
        true
    }

    /// Takes all members out.
    pub fn clear(&mut self) {
        self.words.fill(0);
        self.len = 0;
    }

    /// The first number from `from` on that is no member.
    pub fn next_absent(&self, from: u32) -> u32 {
        let (mut word, bit) = place(from);
        let absent = |word: usize| !self.words.get(word).copied().unwrap_or(0);
        let mut bits = absent(word) & bit.wrapping_neg();
        while bits == 0 {
            word += 1;
            bits = absent(word);
        }
        word as u32 * 64 + bits.trailing_zeros()
    }

    /// The members, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0u32..)
            .zip(&self.words)
            .flat_map(|(word, &bits)| (0..64).filter(move |bit| bits >> bit & 1 != 0).map(move |bit| 64 * word + bit))
    }
}

impl PartialEq for IdSet {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl FromIterator<u32> for IdSet {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Self {
        let mut set = Self::new();
        ids.into_iter().for_each(|id| {
            set.insert(id);
        });
        set
    }
}

impl Serialize for IdSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for IdSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<u32>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_does_what_an_ordered_set_does(steps in prop::collection::vec((0u8..8, 0u32..200), 0..300)) {
            let (mut set, mut model) = (IdSet::new(), BTreeSet::new());
            for (what, id) in steps {
                match what {
                    0..4 => prop_assert_eq!(set.insert(id), model.insert(id)),
                    4..7 => prop_assert_eq!(set.remove(id), model.remove(&id)),
                    _ => prop_assert_eq!(set.contains(id), model.contains(&id)),
                }
                prop_assert_eq!(set.len(), model.len());
            }
            prop_assert!(set.iter().eq(model.iter().copied()));
            let json = serde_json::to_string(&set).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&model).unwrap());
            prop_assert_eq!(serde_json::from_str::<IdSet>(&json).unwrap(), set);
        }
    }
}
