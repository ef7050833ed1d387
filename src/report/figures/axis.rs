//! Axes: range, round ticks, and units that suit the range.

use crate::units::{Bytes, SimDuration};

/// An axis of a chart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// What it shows, with its unit.
    pub(super) label: String,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Values with their labels, rising.
    pub(super) ticks: Vec<(f64, String)>,
}

/// About how many ticks an axis gets.
const TICKS: f64 = 6.0;

impl Axis {
    /// An axis that shows at least `min..=max`, from tick to tick.
    pub(super) fn new(label: impl Into<String>, min: f64, max: f64) -> Self {
        Self::with_step(label.into(), min, max, step(min, max))
    }

    /// The same, with ticks at whole numbers only.
    pub(super) fn whole(label: impl Into<String>, min: f64, max: f64) -> Self {
        Self::with_step(label.into(), min, max, step(min, max).max(1.0))
    }

    /// The axis cut to `min..=max`, which may end between two ticks.
    pub(super) fn cut(mut self, min: f64, max: f64) -> Self {
        self.ticks.retain(|(value, _)| (min..=max).contains(value));
        Self { min, max: if max > min { max } else { min + 1.0 }, ..self }
    }

    fn with_step(label: String, min: f64, max: f64, step: f64) -> Self {
        let decimals = (0..9).find(|decimals| is_whole(step * 10f64.powi(*decimals))).unwrap_or(9) as usize;
        let (first, last) = ((min / step).floor(), (max / step).ceil());
        let last = if last > first { last } else { first + 1.0 };
        let n = (last - first) as u64;
        let value = |index: u64| (first + index as f64) * step;
        let ticks = (0..=n).map(|index| (value(index), format!("{:.decimals$}", value(index)))).collect();
        Self { label, min: value(0), max: value(n), ticks }
    }
}

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6
}

/// A step of 1, 2 or 5 times a power of ten that divides the range into a handful of parts.
fn step(min: f64, max: f64) -> f64 {
    let range = if max > min { max - min } else { 1.0 };
    let rough = range / TICKS;
    let power = 10f64.powi(rough.log10().floor() as i32);
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough).unwrap_or(10.0);
    factor * power
}

/// A unit: its name and how much of the base unit it is.
pub(in crate::report) type Unit = (&'static str, f64);

/// A unit of time in which a span is a number of handy size; the base unit is the nanosecond.
pub(in crate::report) fn time_unit(span: SimDuration) -> Unit {
    match span.as_secs_f64() {
        ..=180.0 => ("s", 1e9),
        ..=10_800.0 => ("min", 60e9),
        ..=345_600.0 => ("h", 3600e9),
        _ => ("d", 86_400e9),
    }
}

/// A unit of size in which `bytes` is a number of handy size; the base unit is the byte.
pub(in crate::report) fn size_unit(bytes: Bytes) -> Unit {
    match bytes.get() {
        0..10_000 => ("B", 1.0),
        10_000..10_000_000 => ("kB", 1e3),
        10_000_000..10_000_000_000 => ("MB", 1e6),
        10_000_000_000..10_000_000_000_000 => ("GB", 1e9),
        _ => ("TB", 1e12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_enclose_the_range() {
        // 0.57 / 6 = 0.095: steps of 0.1.
        let axis = Axis::new("", 0.31, 0.88);
        assert_eq!(labels(&axis), ["0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]);
        assert!(axis.min <= 0.31 && axis.max >= 0.88);
        // 130 / 6 = 21.7: steps of 50.
        assert_eq!(labels(&Axis::new("", 0.0, 130.0)), ["0", "50", "100", "150"]);
        assert_eq!(labels(&Axis::whole("", 0.0, 3.0)), ["0", "1", "2", "3"]);
        assert_eq!(labels(&Axis::new("", 1.0, 8.5).cut(1.0, 8.5)), ["2", "4", "6", "8"]);
    }

    #[test]
    fn an_empty_range_still_is_an_axis() {
        let axis = Axis::new("", 0.0, 0.0);
        assert!(axis.max > axis.min && axis.ticks.len() > 1);
        assert!(Axis::new("", 5.0, 5.0).cut(5.0, 5.0).max > 5.0);
    }

    #[test]
    fn units_suit_the_range() {
        let unit = |seconds| time_unit(SimDuration::from_secs_f64(seconds).unwrap()).0;
        assert_eq!([100.0, 1000.0, 40_000.0, 1e6].map(unit), ["s", "min", "h", "d"]);
        assert_eq!([0, 50_000, 2_000_000_000].map(|n| size_unit(Bytes::new(n)).0), ["B", "kB", "MB"]);
    }
}
