//! Numbers, durations and sizes for reading.

use crate::report::figures::short;
use crate::units::{Bytes, SimDuration};

/// A space at which no line breaks.
const SPACE: &str = "\u{a0}";

/// A duration in a unit that suits it, such as `2 min 53 s`.
pub(super) fn duration(duration: SimDuration) -> String {
    let seconds = duration.as_secs_f64();
    let (whole, two) = (seconds.round() as u64, |big: u64, name: &str, small: u64, of: &str| {
        if small == 0 { format!("{big}{SPACE}{name}") } else { format!("{big}{SPACE}{name}{SPACE}{small}{SPACE}{of}") }
    });
    match seconds {
        ..120.0 => format!("{}{SPACE}s", short((seconds * 100.0).round() / 100.0)),
        ..7200.0 => two(whole / 60, "min", whole % 60, "s"),
        ..172_800.0 => two(whole / 3600, "h", whole % 3600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3600, "h"),
    }
}

/// A size, such as `51.6 MB`.
pub(super) fn bytes(bytes: Bytes) -> String {
    let value = bytes.get() as f64;
    let (unit, size) = match value {
        ..1e3 => ("B", 1.0),
        ..1e6 => ("kB", 1e3),
        ..1e9 => ("MB", 1e6),
        ..1e12 => ("GB", 1e9),
        _ => ("TB", 1e12),
    };
    if unit == "B" { format!("{value}{SPACE}B") } else { format!("{:.1}{SPACE}{unit}", value / size) }
}

/// A count with groups of three digits.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A part of a whole in per cent; a dash for a part of nothing.
pub(super) fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1}{SPACE}%", 100.0 * part / whole) } else { "–".into() }
}

/// A value of the metric.
pub(super) fn metric(value: f64) -> String {
    format!("{value:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let seconds = |seconds| duration(SimDuration::from_secs_f64(seconds).unwrap());
        assert_eq!(
            [0.0705, 17.648, 172.888, 7200.0, 90_061.0].map(seconds),
            ["0.07 s", "17.65 s", "2 min 53 s", "2 h", "25 h 1 min"].map(|text| text.replace(' ', SPACE))
        );
        assert_eq!(
            [0, 999, 51_561_340].map(|n| bytes(Bytes::new(n))),
            ["0 B", "999 B", "51.6 MB"].map(|text| text.replace(' ', SPACE))
        );
        assert_eq!([7, 1_000, 1_234_567].map(count), ["7", "1,000", "1,234,567"]);
        assert_eq!((percent(1.0, 8.0), percent(1.0, 0.0)), ("12.5\u{a0}%".into(), "–".into()));
    }
}
