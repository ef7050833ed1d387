//! Quantities as types: simulated time, bytes, rates and operations.
//!
//! In YAML every quantity carries its unit (`250 ms`, `64 KiB`, `10 Mbps`, `600 GFLOPS`); a bare number or a unit of
//! another kind is refused with the right spelling. Rates are SI bits per second, sizes are bytes.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a quantity could not be read. Each text says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// There is no number in front.
    #[error("`{text}` is not a {kind}; write a number and a unit, such as `{example}`")]
    NotANumber {
        /// What was written.
        text: String,
        /// The kind of quantity wanted.
        kind: &'static str,
        /// A right spelling.
        example: &'static str,
    },
    /// A bare number.
    #[error("`{text}` has no unit; a {kind} is written like `{example}`")]
    MissingUnit {
        /// What was written.
        text: String,
        /// The kind of quantity wanted.
        kind: &'static str,
        /// The same number with a unit.
        example: String,
    },
    /// A unit of another kind, or none that is known.
    #[error("`{unit}` is not a unit of {kind}; use one of {units}{hint}")]
    WrongUnit {
        /// The unit written.
        unit: String,
        /// The kind of quantity wanted.
        kind: &'static str,
        /// Units of this kind.
        units: String,
        /// What was probably meant, with a leading separator, or nothing.
        hint: String,
    },
    /// Negative, infinite or too large.
    #[error("`{text}` is out of range for a {kind}")]
    OutOfRange {
        /// What was written.
        text: String,
        /// The kind of quantity wanted.
        kind: &'static str,
    },
}

type Units = &'static [(&'static str, f64)];

/// Reads `text` as a number of base units.
fn parse(text: &str, kind: &'static str, units: Units, example: &'static str) -> Result<f64, UnitError> {
    let trimmed = text.trim();
    let is_numeric = |(i, c): (usize, char)| {
        c.is_ascii_digit()
            || matches!(c, '.' | '+' | '-' | '_')
            || (matches!(c, 'e' | 'E')
                && trimmed[i + 1..].starts_with(|next: char| next.is_ascii_digit() || matches!(next, '+' | '-')))
    };
    let end = trimmed.char_indices().find(|&at| !is_numeric(at)).map_or(trimmed.len(), |(i, _)| i);
    let (number, unit) = (trimmed[..end].replace('_', ""), trimmed[end..].trim());
    let Ok(value) = number.parse::<f64>() else {
        return Err(UnitError::NotANumber { text: text.into(), kind, example });
    };
    if unit.is_empty() {
        let default_unit = example.split_whitespace().nth(1).unwrap_or_default();
        let example = format!("{trimmed} {default_unit}");
        return Err(UnitError::MissingUnit { text: text.into(), kind, example });
    }
    let Some(&(_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        let hint = hint_for(&number, unit, kind);
        return Err(UnitError::WrongUnit { unit: unit.into(), kind, units: names.join(" "), hint });
    };
    let base = value * factor;
    if !(0.0..=1.8e19).contains(&base) {
        return Err(UnitError::OutOfRange { text: text.into(), kind });
    }
    Ok(base)
}

/// What somebody who mixed up bits and bytes, or a letter's case, meant.
fn hint_for(number: &str, unit: &str, kind: &'static str) -> String {
    let times_eight = |prefix: &str| number.parse::<f64>().map(|v| format!("{} {prefix}bps", v * 8.0));
    match kind {
        "rate" => {
            let bytes = unit.strip_suffix("B/s").or_else(|| unit.strip_suffix("Bps"));
            if let Some(Ok(spelling)) = bytes.map(times_eight) {
                return format!("; {number} {unit} is `{spelling}`");
            }
            let bits =
                unit.strip_suffix("b/s").or_else(|| unit.strip_suffix("bit/s")).or_else(|| unit.strip_suffix('b'));
            if let Some(prefix) = bits {
                return format!("; did you mean `{number} {prefix}bps`?");
            }
        }
        "size" => {
            if let Some(prefix) = unit.strip_suffix('b') {
                return format!("; sizes are bytes: did you mean `{number} {prefix}B`?");
            }
        }
        _ => {}
    }
    let all = [DURATION_UNITS, SIZE_UNITS, RATE_UNITS, SPEED_UNITS].concat();
    match all.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
        Some((name, _)) if *name != unit => format!("; did you mean `{number} {name}`?"),
        _ => String::new(),
    }
}

const DURATION_UNITS: Units =
    &[("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("min", 60e9), ("h", 3600e9), ("d", 86400e9)];
const SIZE_UNITS: Units = &[
    ("B", 1.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1048576.0),
    ("GiB", 1073741824.0),
    ("TiB", 1099511627776.0),
];
const RATE_UNITS: Units = &[("bps", 1.0), ("kbps", 1e3), ("Mbps", 1e6), ("Gbps", 1e9), ("Tbps", 1e12)];
const SPEED_UNITS: Units =
    &[("FLOPS", 1.0), ("kFLOPS", 1e3), ("MFLOPS", 1e6), ("GFLOPS", 1e9), ("TFLOPS", 1e12), ("PFLOPS", 1e15)];

/// Writes `base` with the largest unit in which it is exact, so that reading it back gives the same number.
fn format_exact(base: f64, units: &[(&'static str, f64)]) -> String {
    let exact = |factor: f64| {
        let value = base / factor;
        value >= 1.0 && value * factor == base && (value * 1e6).fract() == 0.0
    };
    let (name, factor) = units.iter().rev().find(|(_, factor)| exact(*factor)).unwrap_or(&units[0]);
    format!("{} {name}", base / factor)
}

macro_rules! quantity_in_yaml {
    ($name:ident, $kind:literal, $units:expr, $example:literal, $from:expr) => {
        impl FromStr for $name {
            type Err = UnitError;

            fn from_str(text: &str) -> Result<Self, UnitError> {
                parse(text, $kind, $units, $example).map($from)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Quantity;
                impl serde::de::Visitor<'_> for Quantity {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a ", $kind, " such as `", $example, "`"))
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }

                    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Quantity)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let units: Vec<&str> = $units.iter().map(|(name, _)| *name).collect();
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!("a ", $kind, ", such as `", $example, "`"),
                    "pattern": format!("^[0-9.eE+_-]+ ?({})$", units.join("|")),
                    "x-quantity": $kind,
                })
            }
        }
    };
}

/// An instant of simulated time, in nanoseconds since the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimTime(u64);

impl SimTime {
    /// The start of the run.
    pub const ZERO: Self = Self(0);

    /// The instant `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the start.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: SimTime) -> SimDuration {
        SimDuration(self.0.saturating_sub(earlier.0))
    }
}

impl Add<SimDuration> for SimTime {
    type Output = SimTime;

    fn add(self, duration: SimDuration) -> SimTime {
        SimTime(self.0.saturating_add(duration.0))
    }
}

/// A span of simulated time, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimDuration(u64);

impl SimDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `nanos` nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A span of `seconds`, rounded up to a nanosecond so that work never takes less than it should.
    /// `None` for a negative, infinite or NaN number, or one beyond 584 years.
    pub fn from_secs_f64(seconds: f64) -> Option<Self> {
        let nanos = (seconds * 1e9).ceil();
        (nanos >= 0.0 && nanos < u64::MAX as f64).then_some(Self(nanos as u64))
    }

    /// Nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// This part of the span, for a `fraction` in [0, 1].
    pub fn scaled(self, fraction: f64) -> Self {
        Self(((self.0 as f64 * fraction) as u64).min(self.0))
    }
}

impl Add for SimDuration {
    type Output = SimDuration;

    fn add(self, other: SimDuration) -> SimDuration {
        SimDuration(self.0.saturating_add(other.0))
    }
}

impl AddAssign for SimDuration {
    fn add_assign(&mut self, other: SimDuration) {
        *self = *self + other;
    }
}

impl fmt::Display for SimDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units: Vec<_> = DURATION_UNITS.iter().copied().filter(|(name, _)| *name != "µs").collect();
        f.write_str(&format_exact(self.0 as f64, &units))
    }
}

quantity_in_yaml!(SimDuration, "duration", DURATION_UNITS, "250 ms", |nanos| SimDuration(nanos.round() as u64));

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(u64);

impl Bytes {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A number of bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This part of the bytes, rounded down, for a `fraction` in [0, 1].
    pub fn scaled(self, fraction: f64) -> Self {
        Self(((self.0 as f64 * fraction) as u64).min(self.0))
    }
}

impl Add for Bytes {
    type Output = Bytes;

    fn add(self, other: Bytes) -> Bytes {
        Bytes(self.0 + other.0)
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Bytes) {
        self.0 += other.0;
    }
}

impl Sub for Bytes {
    type Output = Bytes;

    fn sub(self, other: Bytes) -> Bytes {
        Bytes(self.0.checked_sub(other.0).expect("a part is never larger than its whole"))
    }
}

impl std::iter::Sum for Bytes {
    fn sum<I: Iterator<Item = Bytes>>(iter: I) -> Bytes {
        iter.fold(Bytes::ZERO, Add::add)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary: Vec<_> = SIZE_UNITS.iter().copied().filter(|(name, _)| name.len() != 2).collect();
        f.write_str(&format_exact(self.0 as f64, &binary))
    }
}

quantity_in_yaml!(Bytes, "size", SIZE_UNITS, "64 MiB", |bytes| Bytes(bytes.round() as u64));

/// A data rate, in bits per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Bandwidth(f64);

impl Bandwidth {
    /// A rate of `bits` per second.
    pub const fn from_bits_per_s(bits: f64) -> Self {
        Self(bits)
    }

    /// Bits per second.
    pub const fn bits_per_s(self) -> f64 {
        self.0
    }

    /// Bytes per second.
    pub fn bytes_per_s(self) -> f64 {
        self.0 / 8.0
    }

    /// How long this rate needs for so many bytes; the longest duration there is when it would be longer.
    pub fn time_for(self, bytes: Bytes) -> SimDuration {
        let seconds = bytes.get() as f64 / self.bytes_per_s();
        SimDuration::from_secs_f64(seconds).unwrap_or(SimDuration::from_nanos(u64::MAX))
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_exact(self.0, RATE_UNITS))
    }
}

quantity_in_yaml!(Bandwidth, "rate", RATE_UNITS, "10 Mbps", Bandwidth);

/// A computing speed, in floating-point operations per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct FlopRate(f64);

impl FlopRate {
    /// A speed of `flops` operations per second.
    pub const fn from_flop_per_s(flops: f64) -> Self {
        Self(flops)
    }

    /// Operations per second.
    pub const fn flop_per_s(self) -> f64 {
        self.0
    }
}

impl fmt::Display for FlopRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_exact(self.0, SPEED_UNITS))
    }
}

quantity_in_yaml!(FlopRate, "speed", SPEED_UNITS, "600 GFLOPS", FlopRate);

/// A number of floating-point operations; a multiplication and an addition count as two.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Flops(pub f64);

impl Add for Flops {
    type Output = Flops;

    fn add(self, other: Flops) -> Flops {
        Flops(self.0 + other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_in_their_units() {
        assert_eq!("250 ms".parse(), Ok(SimDuration(250_000_000)));
        assert_eq!("10min".parse(), Ok(SimDuration(600_000_000_000)));
        assert_eq!("1.5e3 ns".parse(), Ok(SimDuration(1500)));
        assert_eq!("64 KiB".parse(), Ok(Bytes(65536)));
        assert_eq!("64 KB".parse(), Ok(Bytes(64000)));
        assert_eq!("5.4 Mbps".parse(), Ok(Bandwidth(5.4e6)));
        assert_eq!("600 GFLOPS".parse(), Ok(FlopRate(6e11)));
    }

    #[test]
    fn a_wrong_or_missing_unit_is_refused_with_the_right_spelling() {
        let error = |r: Result<Bandwidth, UnitError>| r.expect_err("must be refused").to_string();
        assert!(error("10 MB/s".parse()).contains("`80 Mbps`"), "{}", error("10 MB/s".parse()));
        assert!(error("10 Mb/s".parse()).contains("did you mean `10 Mbps`"));
        assert!(error("10".parse()).contains("`10 Mbps`"));
        assert!(error("fast".parse()).contains("is not a rate"));
        assert!(error("-1 Mbps".parse()).contains("out of range"));
        let size = "10 Mb".parse::<Bytes>().expect_err("bits are no size").to_string();
        assert!(size.contains("`10 MB`"), "{size}");
        let case = "10 gflops".parse::<FlopRate>().expect_err("case matters").to_string();
        assert!(case.contains("`10 GFLOPS`"), "{case}");
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for nanos in [0, 1, 999, 1000, 60_000_000_000, 90_000_000_000, 123_456_789] {
            let text = SimDuration(nanos).to_string();
            assert_eq!(text.parse(), Ok(SimDuration(nanos)), "{text}");
        }
        for bytes in [0, 1, 1024, 1_500_000, 1 << 40] {
            let text = Bytes(bytes).to_string();
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for bits in [1.1e6, 5.4e6, 1e9, 12.0, 12_345_678.0] {
            let text = Bandwidth(bits).to_string();
            assert_eq!(text.parse(), Ok(Bandwidth(bits)), "{text}");
        }
    }
}
