//! The calendar: what happens next in simulated time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use crate::units::SimTime;

/// Pending events, which leave in the order of (time, sender, the sender's own sequence).
///
/// The order is total and does not depend on the order in which *different* senders pushed, so a run replays whatever
/// computed the events.
///
/// ```
/// use straggler::sim::Calendar;
/// use straggler::units::SimTime;
///
/// let mut calendar = Calendar::new();
/// calendar.push(SimTime::from_nanos(20), 0, "b");
/// calendar.push(SimTime::from_nanos(10), 7, "a");
/// assert_eq!(calendar.pop(), Some((SimTime::from_nanos(10), "a")));
/// assert_eq!(calendar.now(), SimTime::from_nanos(10));
/// ```
#[derive(Debug)]
pub struct Calendar<E> {
    heap: BinaryHeap<Entry<E>>,
    now: SimTime,
    pushed: u64,
    popped: u64,
}

impl<E> Default for Calendar<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Calendar<E> {
    /// An empty calendar at time zero.
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), now: SimTime::ZERO, pushed: 0, popped: 0 }
    }

    /// Schedules `event` for `time`. Of events at one time the lower `sender` leaves first; of one sender's, the one
    /// pushed first.
    ///
    /// # Panics
    /// If `time` is before [`now`](Self::now): whoever computed it is wrong, and to go on would break causality.
    pub fn push(&mut self, time: SimTime, sender: u32, event: E) {
        assert!(
            time >= self.now,
            "sender {sender} scheduled an event at {} ns, before the current time {} ns",
            time.as_nanos(),
            self.now.as_nanos()
        );
        // A count over all senders orders the events of one sender just as a count of its own would.
        self.heap.push(Entry { key: Key { time, sender, sequence: self.pushed }, event });
        self.pushed += 1;
    }

    /// Takes the next event out and moves the clock to its time.
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        let Entry { key, event } = self.heap.pop()?;
        debug_assert!(key.time >= self.now, "the calendar is ordered by time");
        self.now = key.time;
        self.popped += 1;
        Some((key.time, event))
    }

    /// Time of the next event.
    pub fn next_time(&self) -> Option<SimTime> {
        self.heap.peek().map(|entry| entry.key.time)
    }

    /// The current time: that of the event popped last.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// How many events are pending.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// True when nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// What is pending, in order: all there is to go on from.
    pub fn save(&self) -> CalendarState<E>
    where
        E: Clone,
    {
        let mut pending: Vec<_> = self.heap.iter().map(|Entry { key, event }| (*key, event.clone())).collect();
        pending.sort_unstable_by_key(|(key, _)| *key);
        CalendarState { now: self.now, pushed: self.pushed, pending }
    }

    /// A calendar that goes on from a saved state. Its count of popped events starts anew.
    pub fn restore(state: CalendarState<E>) -> Self {
        let heap = state.pending.into_iter().map(|(key, event)| Entry { key, event }).collect();
        Self { heap, now: state.now, pushed: state.pushed, popped: 0 }
    }

    /// How many events have been popped.
    pub fn n_popped(&self) -> u64 {
        self.popped
    }
}

/// A calendar as it is kept in a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarState<E> {
    now: SimTime,
    pushed: u64,
    pending: Vec<(Key, E)>,
}

/// Place of an event in the order; the derived comparison goes field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    time: SimTime,
    sender: u32,
    sequence: u64,
}

#[derive(Debug)]
struct Entry<E> {
    key: Key,
    event: E,
}

impl<E> Ord for Entry<E> {
    /// Reversed, because the heap gives its greatest entry and the earliest is wanted.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(nanos: u64) -> SimTime {
        SimTime::from_nanos(nanos)
    }

    #[test]
    fn events_leave_by_time_then_sender_then_order_of_sending() {
        let mut calendar = Calendar::new();
        for (time, sender, event) in [(5, 2, "e"), (5, 1, "c"), (3, 9, "a"), (5, 1, "d"), (4, 0, "b")] {
            calendar.push(at(time), sender, event);
        }
        let order: Vec<_> = std::iter::from_fn(|| calendar.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, ["a", "b", "c", "d", "e"]);
        assert_eq!((calendar.now(), calendar.n_popped(), calendar.is_empty()), (at(5), 5, true));
    }

    #[test]
    fn an_event_may_be_scheduled_for_the_current_time() {
        let mut calendar = Calendar::new();
        calendar.push(at(5), 0, 'a');
        calendar.pop();
        calendar.push(at(5), 0, 'b');
        assert_eq!(calendar.next_time(), Some(at(5)));
        assert_eq!(calendar.pop(), Some((at(5), 'b')));
    }

    #[test]
    #[should_panic(expected = "sender 3 scheduled an event at 4 ns, before the current time 5 ns")]
    fn the_past_is_refused() {
        let mut calendar = Calendar::new();
        calendar.push(at(5), 0, ());
        calendar.pop();
        calendar.push(at(4), 3, ());
    }

    proptest! {
        /// However the senders' pushes interleave, the order is that of a stable sort by (time, sender).
        #[test]
        fn order_is_a_stable_sort(events in prop::collection::vec((0u64..20, 0u32..5), 0..200)) {
            let mut calendar = Calendar::new();
            for (index, &(time, sender)) in events.iter().enumerate() {
                calendar.push(at(time), sender, (time, sender, index));
            }
            let mut expected: Vec<_> = events.iter().enumerate().map(|(i, &(t, s))| (t, s, i)).collect();
            expected.sort_by_key(|&(time, sender, _)| (time, sender));
            let popped: Vec<_> = std::iter::from_fn(|| calendar.pop()).map(|(_, event)| event).collect();
            prop_assert_eq!(popped, expected);
        }
    }
}
