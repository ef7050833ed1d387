//! Where a tuning method can act inside the encoder.

use std::fmt;

use candle_core::{Result, Tensor};

use super::ops::Dropout;
use super::{EncoderConfig, EncoderKind};

/// A linear map of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projection {
    /// Queries of the attention.
    Query,
    /// Keys of the attention.
    Key,
    /// Values of the attention.
    Value,
    /// The map behind the attention.
    AttentionOutput,
    /// The first, widening map of the feed-forward part.
    Intermediate,
    /// The second map of the feed-forward part.
    Output,
}

impl Projection {
    /// All of them, in the order in which a layer uses them.
    pub const ALL: [Self; 6] =
        [Self::Query, Self::Key, Self::Value, Self::AttentionOutput, Self::Intermediate, Self::Output];

    /// The name inside a layer, as in the Hugging Face checkpoint of this family.
    pub fn name(self, kind: EncoderKind) -> &'static str {
        kind.family().projection(self)
    }

    /// Number of inputs and of outputs.
    pub fn size(self, config: &EncoderConfig) -> (usize, usize) {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate);
        match self {
            Self::Query | Self::Key | Self::Value | Self::AttentionOutput => (hidden, hidden),
            Self::Intermediate => (hidden, intermediate),
            Self::Output => (intermediate, hidden),
        }
    }
}

/// A linear map of the encoder; shown as its name, such as `encoder.layer.0.attention.self.query`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// The family of the encoder, which decides the names.
    pub kind: EncoderKind,
    /// The layer, from 0.
    pub layer: usize,
    /// Which of its maps.
    pub projection: Projection,
}

impl Site {
    /// All linear maps of an encoder, in the order in which it uses them.
    pub fn all(config: &EncoderConfig) -> impl Iterator<Item = Self> + use<> {
        let kind = config.kind;
        (0..config.layers).flat_map(move |layer| Projection::ALL.map(|projection| Self { kind, layer, projection }))
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.kind.family().layers(), self.layer, self.projection.name(self.kind))
    }
}

/// One of the two parts of a layer that are added to their own input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sublayer {
    /// Attention with its output map.
    Attention,
    /// The feed-forward part.
    FeedForward,
}

/// What a tuning method does inside the encoder. Every hook is optional; without any the encoder is the checkpoint's.
pub trait Hooks {
    /// The tensor to use in place of the one called `name` in the backbone or the head, such as
    /// `encoder.layer.0.output.LayerNorm.bias` or `classifier.out_proj.weight`. `None`: the backbone's own, frozen.
    ///
    /// The head's tensors are never in a backbone: every method gives them.
    fn parameter(&self, name: &str) -> Option<Tensor> {
        let _ = name;
        None
    }

    /// Changes what a linear map takes, `[batch, seq, in]`.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn input(&self, site: Site, input: Tensor) -> Result<Tensor> {
        let _ = site;
        Ok(input)
    }

    /// Changes what a linear map gives. `input` is what it took, `[batch, seq, in]`, `output` `[batch, seq, out]`.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn projection(&self, site: Site, input: &Tensor, output: Tensor, pass: &mut Pass) -> Result<Tensor> {
        let _ = (site, input, pass);
        Ok(output)
    }

    /// Changes what a sublayer gives, `[batch, seq, hidden]`, after its dropout and before it is added to its input.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn sublayer(&self, layer: usize, sublayer: Sublayer, output: Tensor, pass: &mut Pass) -> Result<Tensor> {
        let _ = (layer, sublayer, pass);
        Ok(output)
    }

    /// Keys and values, each `[n, hidden]`, that stand in front of those of every input of a layer.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn prefix(&self, layer: usize) -> Result<Option<(Tensor, Tensor)>> {
        let _ = layer;
        Ok(None)
    }

    /// Vectors, `[n, hidden]`, that stand behind the first vector (the class token) of every input of a layer. In the
    /// first layer that has them they are inserted; in a later one they replace those that stood there, so that the
    /// outputs of the layer below at their places are dropped. They have no position and no dropout of their own.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn layer_prompt(&self, layer: usize) -> Result<Option<Tensor>> {
        let _ = layer;
        Ok(None)
    }

    /// How many positions stay free in front of the first token of a text. An encoder of images has none to spare and
    /// does not ask.
    fn free_positions(&self) -> usize {
        0
    }

    /// Vectors, `[n, hidden]`, that stand in front of the word embeddings of every text: they take the first `n`
    /// positions and, where the family has them, the first token type. Whatever looks at the first token sees the first
    /// of them.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn prompt(&self) -> Result<Option<Tensor>> {
        Ok(None)
    }
}

/// The encoder as the checkpoint has it.
#[derive(Debug, Clone, Copy)]
pub struct NoHooks;

impl Hooks for NoHooks {}

/// One run of a batch through the encoder: decides whether and with which masks dropout acts.
///
/// Each place that drops asks once, in the order of computation; the n-th place of a step has the n-th mask.
#[derive(Debug, Clone)]
pub struct Pass {
    key: Option<u64>,
    n_masks: u64,
    override_p: Option<f32>,
}

impl Pass {
    /// A run without dropout.
    pub fn evaluation() -> Self {
        Self { key: None, n_masks: 0, override_p: None }
    }

    /// A run with dropout whose masks `key` decides; `p`, when given, takes the place of the checkpoint's own
    /// probabilities, that of the head included.
    pub fn training(key: u64, p: Option<f32>) -> Self {
        Self { key: Some(key), n_masks: 0, override_p: p }
    }

    /// The next mask of a place of the encoder or the head whose own probability is `p`. `None`: nothing is dropped here.
    pub fn encoder_dropout(&mut self, p: f32) -> Option<Dropout> {
        self.dropout(self.override_p.unwrap_or(p))
    }

    /// The next mask with probability `p`. `None`: nothing is dropped here.
    pub fn dropout(&mut self, p: f32) -> Option<Dropout> {
        let key = self.key?;
        if p <= 0.0 {
            return None;
        }
        self.n_masks += 1;
        Some(Dropout { p, key: mix(key.wrapping_add(self.n_masks.wrapping_mul(0x9e37_79b9_7f4a_7c15))) })
    }
}

/// The output function of SplitMix64 (Steele, Lea and Flood 2014): neighbours in, unrelated numbers out.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_differ_between_places_and_repeat_with_the_key() {
        let draw = |key| {
            let mut pass = Pass::training(key, None);
            [pass.encoder_dropout(0.1), pass.dropout(0.0), pass.dropout(0.5)]
        };
        let [first, none, second] = draw(7);
        assert_eq!(none, None);
        assert_ne!(first.unwrap().key, second.unwrap().key);
        assert_eq!(draw(7), [first, none, second]);
        assert_ne!(draw(8)[0], first);
        assert_eq!(Pass::evaluation().dropout(0.5), None);
        assert_eq!(Pass::training(7, Some(0.0)).encoder_dropout(0.1), None);
    }
}
