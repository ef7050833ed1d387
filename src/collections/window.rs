//! Values by rising number, of which the old ones go soon.

use std::collections::{BTreeMap, VecDeque};

/// A map from numbers that only rise. Found in constant time, since nearly all that is kept lies in a window over the
/// latest numbers; the few values that outlive their neighbours by far lie apart, so that they do not keep the window long.
#[derive(Debug, Clone)]
pub struct Window<T> {
    /// Number of the first slot.
    first: u64,
    slots: VecDeque<Option<T>>,
    /// Values in `slots`.
    n_filled: usize,
    /// Values whose number is below `first`.
    old: BTreeMap<u64, T>,
}

/// A window that is longer, and mostly empty, is cut.
const SLOTS_MIN: usize = 1024;

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self { first: 0, slots: VecDeque::new(), n_filled: 0, old: BTreeMap::new() }
    }
}

impl<T> Window<T> {
    /// How many values there are.
    pub fn len(&self) -> usize {
        self.n_filled + self.old.len()
    }

    /// True without any value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn index(&self, number: u64) -> Option<usize> {
        number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok())
    }

    /// Adds a value.
    ///
    /// # Panics
    /// If the number is not above all those before.
    pub fn insert(&mut self, number: u64, value: T) {
        if self.slots.is_empty() {
            assert!(number >= self.first, "numbers rise");
            self.first = number;
        }
        if self.index(number).is_some_and(|index| index > self.slots.len() + SLOTS_MIN) {
            self.put_apart(self.slots.len());
            self.first = number;
        }
        let index = self.index(number).filter(|&index| index >= self.slots.len()).expect("numbers rise");
        self.slots.resize_with(index, || None);
        self.slots.push_back(Some(value));
        self.n_filled += 1;
        if self.slots.len() > SLOTS_MIN && self.slots.len() / 8 > self.n_filled {
            self.put_apart(self.slots.len() / 2);
        }
    }

    /// Puts what lies in the first slots apart.
    fn put_apart(&mut self, n_cut: usize) {
        let cut = (self.first..).zip(self.slots.drain(..n_cut)).filter_map(|(number, slot)| Some((number, slot?)));
        let n_before = self.old.len();
        self.old.extend(cut);
        self.n_filled -= self.old.len() - n_before;
        self.first += n_cut as u64;
    }

    /// The value of a number.
    pub fn get(&self, number: u64) -> Option<&T> {
        match self.index(number) {
            Some(index) => self.slots.get(index)?.as_ref(),
            None => self.old.get(&number),
        }
    }

    /// The value of a number.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        match self.index(number) {
            Some(index) => self.slots.get_mut(index)?.as_mut(),
            None => self.old.get_mut(&number),
        }
    }

    /// Takes the value of a number out.
    pub fn remove(&mut self, number: u64) -> Option<T> {
        let Some(index) = self.index(number) else { return self.old.remove(&number) };
        let value = self.slots.get_mut(index)?.take()?;
        self.n_filled -= 1;
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first += 1;
        }
        Some(value)
    }

    /// Takes all values out.
    pub fn clear(&mut self) {
        self.first += self.slots.len() as u64;
        self.slots.clear();
        self.n_filled = 0;
        self.old.clear();
    }

    /// Numbers and values, rising.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let slots = (self.first..).zip(&self.slots).filter_map(|(number, slot)| Some((number, slot.as_ref()?)));
        self.old.iter().map(|(number, value)| (*number, value)).chain(slots)
    }

    /// The numbers, rising.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.iter().map(|(number, _)| number)
    }

    /// The values, in the order of their numbers.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, value)| value)
    }
}

impl<T> FromIterator<(u64, T)> for Window<T> {
    /// # Panics
    /// If the numbers do not rise.
    fn from_iter<I: IntoIterator<Item = (u64, T)>>(values: I) -> Self {
        let mut window = Self::default();
        values.into_iter().for_each(|(number, value)| window.insert(number, value));
        window
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_does_what_an_ordered_map_does(steps in prop::collection::vec((0u8..10, 0u64..400), 0..600)) {
            let (mut window, mut model) = (Window::default(), BTreeMap::new());
            let mut next = 0;
            for (what, n) in steps {
                match what {
                    0..4 => {
                        // Mostly the next number; now and then a wide gap, so that the window is cut.
                        next += if n == 0 { 5000 } else { 1 + n / 100 };
                        window.insert(next, n);
                        model.insert(next, n);
                    }
                    4..9 => {
                        let number = next.saturating_sub(n);
                        prop_assert_eq!(window.get(number), model.get(&number));
                        prop_assert_eq!(window.get_mut(number), model.get_mut(&number));
                        prop_assert_eq!(window.remove(number), model.remove(&number));
                    }
                    _ if n == 1 => {
                        window.clear();
                        model.clear();
                    }
                    _ => prop_assert!(window.iter().eq(model.iter().map(|(number, value)| (*number, value)))),
                }
                prop_assert_eq!(window.len(), model.len());
            }
            prop_assert!(window.numbers().eq(model.keys().copied()));
        }
    }

    #[test]
    fn one_value_that_stays_does_not_keep_the_window_long() {
        let mut window = Window::default();
        window.insert(0, "stays");
        for number in 1..100_000 {
            window.insert(number, "goes");
            window.remove(number);
        }
        assert_eq!(window.get(0), Some(&"stays"));
        assert!(window.slots.len() <= SLOTS_MIN + 1, "{} slots", window.slots.len());
    }

    #[test]
    fn a_gap_takes_no_room() {
        let mut window: Window<&str> =
            [(3, "old"), (4, "old too"), (1 << 40, "new"), ((1 << 40) + 2, "newer")].into_iter().collect();
        assert_eq!(window.slots.len(), 3);
        assert_eq!(window.numbers().collect::<Vec<_>>(), [3, 4, 1 << 40, (1 << 40) + 2]);
        assert_eq!((window.remove(4), window.remove(1 << 40), window.len()), (Some("old too"), Some("new"), 2));
    }

    #[test]
    #[should_panic(expected = "numbers rise")]
    fn a_number_that_does_not_rise_is_a_bug() {
        let mut window = Window::default();
        window.insert(5, ());
        window.insert(5, ());
    }
}
