//! Quantities as types: simulated time, bytes, rates, operations, power and energy.
//!
//! In YAML every quantity carries its unit (`250 ms`, `64 KiB`, `10 Mbps`, `600 GFLOPS`); a bare number or a unit of
//! another kind is refused with the right spelling. Rates are SI bits per second, sizes are bytes.

pub mod any_f64;
mod text;

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use text::UnitError;
use text::{
    DURATION_UNITS, ENERGY_UNITS, POWER_UNITS, RATE_UNITS, SIZE_UNITS, SPEED_UNITS, WORK_UNITS, format_exact, parse,
};

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

/// An instant of simulated time, in nanoseconds since the start of the run; in files their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
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

    /// This rate, or the limit where it is lower; none is no limit.
    #[must_use]
    pub fn at_most(self, limit: Option<Self>) -> Self {
        Self(limit.map_or(self.0, |limit| self.0.min(limit.0)))
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

/// An electrical power.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Power(f64);

impl Power {
    /// A power of `watts`.
    pub const fn from_watts(watts: f64) -> Self {
        Self(watts * 1e3)
    }

    /// Watts.
    pub const fn watts(self) -> f64 {
        self.0 / 1e3
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_exact(self.0, POWER_UNITS))
    }
}

quantity_in_yaml!(Power, "power", POWER_UNITS, "4 W", Power);

/// An amount of energy.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Energy(f64);

impl Energy {
    /// So many joules.
    pub const fn from_joules(joules: f64) -> Self {
        Self(joules)
    }

    /// Joules.
    pub const fn joules(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Energy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_exact(self.0, ENERGY_UNITS))
    }
}

quantity_in_yaml!(Energy, "energy", ENERGY_UNITS, "15 Wh", Energy);

/// A number of floating-point operations; a multiplication and an addition count as two.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Flops(pub f64);

impl fmt::Display for Flops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_exact(self.0, WORK_UNITS))
    }
}

quantity_in_yaml!(Flops, "number of operations", WORK_UNITS, "8.2 GFLOP", Flops);

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
        assert_eq!("8 GFLOP".parse(), Ok(Flops(8e9)));
        assert_eq!("500 mW".parse(), Ok(Power::from_watts(0.5)));
        assert_eq!("15 Wh".parse(), Ok(Energy::from_joules(54_000.0)));
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
        for watts in [0.0, 0.0012, 0.5, 1.2, 4.0, 1.0 / 3.0] {
            let text = Power::from_watts(watts).to_string();
            assert_eq!(text.parse(), Ok(Power::from_watts(watts)), "{text}");
        }
        for joules in [0.0, 0.1, 41_580.0, 54_000.0, 1.0 / 3.0] {
            let text = Energy(joules).to_string();
            assert_eq!(text.parse(), Ok(Energy(joules)), "{text}");
        }
    }
}
