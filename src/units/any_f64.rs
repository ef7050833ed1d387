//! Numbers in JSON that may be infinite or no numbers, which JSON has no form for: those are texts.

use serde::{Deserialize, Deserializer, Serializer};

/// Writes the number, or `"inf"`, `"-inf"` or `"NaN"`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match number.is_finite() {
        true => serializer.serialize_f64(*number),
        false => serializer.collect_str(number),
    }
}

/// Reads what [`serialize`] wrote.
///
/// # Errors
/// When it is neither a number nor such a text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(number) => Ok(number),
        Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_number_reads_back() {
        for number in [0.1 + 0.2, -0.0, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let mut text = Vec::new();
            super::serialize(&number, &mut serde_json::Serializer::new(&mut text)).unwrap();
            let read = super::deserialize(&mut serde_json::Deserializer::from_slice(&text)).unwrap();
            assert!(number.to_bits() == read.to_bits() || (number.is_nan() && read.is_nan()), "{number}");
        }
    }
}
