//! The keys of a `config.json`. A key that is `null` counts as absent, as in transformers.

use serde_json::{Map, Value};

/// The largest size; no known encoder comes near, and products of a few of them still fit into 64 bits.
const SIZE_MAX: usize = 1 << 22;

/// The largest number of layers.
const LAYERS_MAX: usize = 1 << 12;

/// The largest side of an image or patch.
const SIDE_MAX: usize = 1 << 14;

/// The object of a `config.json`. Keys that say nothing about the encoder are ignored: such files carry many.
pub(in crate::model) struct Keys<'a>(pub(in crate::model) &'a Map<String, Value>);

impl Keys<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// A number of things, at least one.
    pub(super) fn size(&self, key: &str) -> Result<usize, String> {
        self.size_up_to(key, SIZE_MAX)
    }

    /// The number of layers.
    pub(super) fn layers(&self, key: &str) -> Result<usize, String> {
        self.size_up_to(key, LAYERS_MAX)
    }

    fn size_up_to(&self, key: &str, max: usize) -> Result<usize, String> {
        let value = self.get(key).ok_or_else(|| format!("`{key}` is missing"))?;
        let size = value.as_u64().ok_or_else(|| format!("`{key}` is {value}; it must be a whole number above 0"))?;
        match usize::try_from(size) {
            Ok(0) => Err(format!("`{key}` is 0")),
            Ok(size) if size <= max => Ok(size),
            _ => Err(format!("`{key}` is {size}; at most {max} is supported")),
        }
    }

    /// As [`size`](Self::size), with what transformers assumes for an absent key.
    pub(super) fn size_or(&self, key: &str, default: usize) -> Result<usize, String> {
        if self.get(key).is_some() { self.size(key) } else { Ok(default) }
    }

    /// One side of a square: a number, or two equal ones.
    pub(super) fn side_or(&self, key: &str, default: usize) -> Result<usize, String> {
        let Some(Value::Array(sides)) = self.get(key) else {
            return if self.get(key).is_some() { self.size_up_to(key, SIDE_MAX) } else { Ok(default) };
        };
        match sides.as_slice() {
            [height, width] if height == width => {
                Keys(&[(key.to_string(), height.clone())].into_iter().collect()).size_up_to(key, SIDE_MAX)
            }
            _ => Err(format!("`{key}` is {}; only squares are supported", Value::Array(sides.clone()))),
        }
    }

    /// The number of a token.
    pub(super) fn token_or(&self, key: &str, default: u32) -> Result<u32, String> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let token = value.as_u64().and_then(|token| u32::try_from(token).ok());
        token.ok_or_else(|| format!("`{key}` is {value}; it must be the number of a token"))
    }

    fn number_or(&self, key: &str, default: f64) -> Result<f64, String> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_f64().ok_or_else(|| format!("`{key}` is {value}; it must be a number"))
    }

    pub(super) fn positive_or(&self, key: &str, default: f64) -> Result<f64, String> {
        let value = self.number_or(key, default)?;
        if value > 0.0 && value.is_finite() {
            Ok(value)
        } else {
            Err(format!("`{key}` is {value}; it must be above 0"))
        }
    }

    pub(super) fn probability_or(&self, key: &str, default: f32) -> Result<f32, String> {
        let value = self.number_or(key, f64::from(default))? as f32;
        if (0.0..1.0).contains(&value) { Ok(value) } else { Err(format!("`{key}` is {value}; it must lie in [0, 1)")) }
    }

    pub(super) fn flag_or(&self, key: &str, default: bool) -> Result<bool, String> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| format!("`{key}` is {value}; it must be true or false"))
    }

    /// The text of a key.
    pub(in crate::model) fn text(&self, key: &str) -> Result<Option<&str>, String> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| format!("`{key}` is {value}; it must be a text"))
    }

    /// Refuses every value of a key but this one.
    pub(super) fn only(&self, key: &str, supported: &str) -> Result<(), String> {
        match self.text(key)? {
            Some(other) if other != supported => Err(format!("`{key}` is `{other}`; only `{supported}` is supported")),
            _ => Ok(()),
        }
    }

    /// Width and number of heads under these keys; the width is a multiple of the heads.
    pub(super) fn width_and_heads(&self, width: &str, heads: &str) -> Result<(usize, usize), String> {
        let (n, n_heads) = (self.size(width)?, self.size(heads)?);
        if !n.is_multiple_of(n_heads) {
            return Err(format!("`{width}` {n} is not a multiple of `{heads}` {n_heads}"));
        }
        Ok((n, n_heads))
    }
}

/// The probability with the digits that an `f32` has, not those of its widening.
pub(super) fn decimal(probability: f32) -> Value {
    probability.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// The keys of an object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(keys) => keys,
        _ => Map::new(),
    }
}
