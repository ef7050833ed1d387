//! Quantities as text: numbers with units, read strictly and written exactly.

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

pub(super) type Units = &'static [(&'static str, f64)];

/// Reads `text` as a number of base units.
pub(super) fn parse(text: &str, kind: &'static str, units: Units, example: &'static str) -> Result<f64, UnitError> {
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
    let all = [DURATION_UNITS, SIZE_UNITS, RATE_UNITS, SPEED_UNITS, WORK_UNITS, POWER_UNITS, ENERGY_UNITS].concat();
    match all.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
        Some((name, _)) if *name != unit => format!("; did you mean `{number} {name}`?"),
        _ => String::new(),
    }
}

pub(super) const DURATION_UNITS: Units =
    &[("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("min", 60e9), ("h", 3600e9), ("d", 86400e9)];
pub(super) const SIZE_UNITS: Units = &[
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
pub(super) const RATE_UNITS: Units = &[("bps", 1.0), ("kbps", 1e3), ("Mbps", 1e6), ("Gbps", 1e9), ("Tbps", 1e12)];
pub(super) const SPEED_UNITS: Units =
    &[("FLOPS", 1.0), ("kFLOPS", 1e3), ("MFLOPS", 1e6), ("GFLOPS", 1e9), ("TFLOPS", 1e12), ("PFLOPS", 1e15)];
pub(super) const WORK_UNITS: Units =
    &[("FLOP", 1.0), ("kFLOP", 1e3), ("MFLOP", 1e6), ("GFLOP", 1e9), ("TFLOP", 1e12), ("PFLOP", 1e15)];
/// In milliwatts.
pub(super) const POWER_UNITS: Units = &[("mW", 1.0), ("W", 1e3), ("kW", 1e6)];
/// In joules.
pub(super) const ENERGY_UNITS: Units = &[("J", 1.0), ("kJ", 1e3), ("Wh", 3600.0), ("kWh", 3.6e6)];

/// Writes `base` with the largest unit in which it is exact, so that reading it back gives the same number.
pub(super) fn format_exact(base: f64, units: &[(&'static str, f64)]) -> String {
    let exact = |factor: f64| {
        let value = base / factor;
        value >= 1.0 && value * factor == base && (value * 1e6).fract() == 0.0
    };
    let (name, factor) = units.iter().rev().find(|(_, factor)| exact(*factor)).unwrap_or(&units[0]);
    format!("{} {name}", base / factor)
}
