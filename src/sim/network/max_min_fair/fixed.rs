//! Exact sums: rates and virtual bytes as whole numbers, water levels as fractions, and the clocks that count bytes.
//!
//! Rates are added up and taken away millions of times. As whole numbers they leave nothing behind, so the state of a
//! link depends on the flows that are on it alone and never on those that have been, and comparisons with a level are
//! exact: the search for the level cannot go round in circles.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::sim::network::transfer_time;
use crate::units::{SimDuration, SimTime};

/// Quanta in a byte per second.
const QUANTA: f64 = (1u64 << 40) as f64;
/// Rates from here on, 9 petabits per second, count as this one; links of such capacity have no limit.
const QUANTA_MAX: i128 = 1 << 90;
/// Virtual bytes are counted in these parts of a byte.
const PARTS: f64 = (1u64 << 50) as f64;

/// A rate above zero in whole quanta, at least one.
pub(super) fn quanta(bytes_per_s: f64) -> i128 {
    whole(bytes_per_s * QUANTA).clamp(1, QUANTA_MAX)
}

/// The nearest whole number, halves away from zero.
fn whole(number: f64) -> i128 {
    if number.abs() < (1u64 << 62) as f64 {
        let towards_zero = number as i64;
        let rest = number - towards_zero as f64;
        i128::from(towards_zero + i64::from(rest >= 0.5) - i64::from(rest <= -0.5))
    } else {
        number as i128 // From 2^52 on there are no fractions.
    }
}

/// The capacity of a link in quanta; `None` without a limit that could matter.
pub(super) fn capacity(bytes_per_s: Option<f64>) -> Option<i128> {
    bytes_per_s.map(quanta).filter(|quanta| *quanta < QUANTA_MAX)
}

/// So many whole bytes, in parts.
pub(super) fn parts(bytes: u64) -> i128 {
    i128::from(bytes) << 50
}

/// Whole bytes in so many parts; what is missing by a millionth of a byte counts as there, since it is rounding.
pub(super) fn whole_bytes(parts: i128) -> u64 {
    u64::try_from((parts + (1 << 30)) >> 50).unwrap_or(0)
}

/// A rate that flows are held to: a number of quanta over a number of flows, with both infinities.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Level {
    quanta: i128,
    /// 0 at the infinities, which have one quantum or minus one.
    n_flows: u32,
}

impl Level {
    /// No limit.
    pub(super) const INFINITE: Self = Self { quanta: 1, n_flows: 0 };

    /// That of a class at its cap.
    pub(super) fn of_cap(quanta: i128) -> Self {
        Self { quanta, n_flows: 1 }
    }

    /// What is left of a capacity when `used` is taken, for each of `n_flows`. With no flows: infinite, or minus
    /// infinite when more is used than there is.
    pub(super) fn of_rest(capacity: Option<i128>, used: i128, n_flows: u32) -> Self {
        match capacity {
            None => Self::INFINITE,
            Some(capacity) if n_flows == 0 => Self { quanta: if used <= capacity { 1 } else { -1 }, n_flows },
            Some(capacity) => Self { quanta: capacity - used, n_flows },
        }
    }

    /// True for [`INFINITE`](Self::INFINITE).
    pub(super) fn is_infinite(self) -> bool {
        self.n_flows == 0 && self.quanta > 0
    }

    /// In bytes per second; 0 at the infinities, where no flow is held to it.
    pub(super) fn bytes_per_s(self) -> f64 {
        if self.n_flows == 0 { 0.0 } else { self.quanta as f64 / f64::from(self.n_flows) / QUANTA }
    }
}

impl Ord for Level {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.n_flows == other.n_flows {
            return self.quanta.cmp(&other.quanta);
        }
        // At most 2^91 quanta times 2^32 flows.
        (self.quanta * i128::from(other.n_flows)).cmp(&(other.quanta * i128::from(self.n_flows)))
    }
}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Level {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Level {}

/// The bytes, in parts, that a flow would have been served at a rate that changes now and then.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Clock {
    /// At the last change.
    pub(super) parts: i128,
    since: SimTime,
    bytes_per_s: f64,
}

impl Clock {
    /// A clock that begins at `now` with nothing served.
    pub(super) fn new(now: SimTime, bytes_per_s: f64) -> Self {
        Self::showing(0, now, bytes_per_s)
    }

    /// A clock that shows `parts` at `since`.
    pub(super) fn showing(parts: i128, since: SimTime, bytes_per_s: f64) -> Self {
        Self { parts, since, bytes_per_s }
    }

    /// When its rate changed last.
    pub(super) fn since(&self) -> SimTime {
        self.since
    }

    /// What it shows at `now`.
    pub(super) fn at(&self, now: SimTime) -> i128 {
        if self.since == now || self.bytes_per_s == 0.0 {
            return self.parts;
        }
        let bytes = self.bytes_per_s * (now.since(self.since).as_nanos() as f64 * 1e-9);
        self.parts + whole(bytes * PARTS)
    }

    /// Counts on from `now`.
    pub(super) fn advance(&mut self, now: SimTime) {
        self.parts = self.at(now);
        self.since = now;
    }

    /// Runs at another rate from the last change on.
    pub(super) fn set_rate(&mut self, bytes_per_s: f64) {
        self.bytes_per_s = bytes_per_s;
    }

    /// When it will show so much, if its rate does not change. Counted from its last change, so that questions do not
    /// add rounding errors.
    pub(super) fn time_of(&self, parts: i128) -> SimTime {
        let left: SimDuration = transfer_time((parts - self.parts) as f64 / PARTS, self.bytes_per_s);
        self.since + left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_as_fractions_between_the_infinities() {
        let rest = |used, n_flows| Level::of_rest(Some(100), used, n_flows);
        // 100/3 < 34 < 70/2 = 35 = 35/1; with nobody to share, all or nothing.
        let rising = [rest(101, 0), rest(400, 5), rest(0, 3), Level::of_cap(34), rest(30, 2), rest(100, 0)];
        assert!(rising.is_sorted_by(|a, b| a < b), "{rising:?}");
        assert_eq!(rest(30, 2), Level::of_cap(35));
        assert!(
            rest(100, 0).is_infinite() && Level::of_rest(None, 500, 2).is_infinite() && !rest(101, 0).is_infinite()
        );
        assert_eq!(Level::of_rest(capacity(Some(12.0)), quanta(2.0), 4).bytes_per_s(), 2.5);
    }

    #[test]
    fn a_clock_counts_parts_of_a_byte() {
        let mut clock = Clock::new(SimTime::from_nanos(5), 3.0);
        let third = SimTime::from_nanos(333_333_338);
        assert!((clock.at(third) - parts(1)).abs() < parts(1) / 100_000_000);
        // One byte at 3 B/s: 1/3 s, rounded up.
        assert_eq!(clock.time_of(parts(1)), SimTime::from_nanos(5 + 333_333_334));
        clock.advance(third);
        clock.set_rate(0.5);
        assert_eq!(clock.time_of(clock.parts + parts(2)), SimTime::from_nanos(333_333_338 + 4_000_000_000));
        assert_eq!(
            (whole_bytes(parts(7)), whole_bytes(parts(7) - 5), whole_bytes(parts(8) - parts(1) / 100)),
            (7, 7, 7)
        );
        assert_eq!((whole_bytes(-3), whole_bytes(parts(u64::MAX))), (0, u64::MAX));
    }

    #[test]
    fn whole_numbers_are_those_of_the_standard_library() {
        let numbers =
            [0.0, 0.5, 1.5, 2.5, 0.49999999999999994, 4503599627370495.5, 4503599627370497.0, 9e15, 4e18, 5e18, 1e30];
        for number in numbers.into_iter().flat_map(|number| [number, -number]) {
            assert_eq!(whole(number), number.round() as i128, "{number}");
        }
    }

    #[test]
    fn capacities_that_nothing_reaches_are_no_limit() {
        assert_eq!((capacity(None), capacity(Some(1e30))), (None, None));
        assert_eq!((capacity(Some(1.0)), quanta(1e-30)), (Some(1 << 40), 1));
    }
}
