//! The shape of an encoder, read from a Hugging Face `config.json`.

use serde_json::{Map, Value};

use super::family::Keys;
use super::{EncoderKind, ModelError};

/// The activation between the two matrices of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiddenAct {
    /// Exact Gaussian error linear unit, with erf.
    Gelu,
}

/// How an encoder cuts images into patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisionConfig {
    /// Height and width of an image, in pixels; a multiple of `patch_size`.
    pub image_size: usize,
    /// Height and width of a patch, in pixels.
    pub patch_size: usize,
    /// Colours of a pixel.
    pub num_channels: usize,
}

impl Default for VisionConfig {
    /// The sizes of the first ViT: 224 by 224 pixels of 3 colours in patches of 16 by 16.
    fn default() -> Self {
        Self { image_size: 224, patch_size: 16, num_channels: 3 }
    }
}

impl VisionConfig {
    /// How many patches an image has.
    pub fn n_patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// How many numbers an image has.
    pub fn n_values(&self) -> usize {
        self.num_channels * self.image_size * self.image_size
    }
}

/// The shape of an encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// The family.
    pub kind: EncoderKind,
    /// Width of a token's vector.
    pub hidden_size: usize,
    /// Number of layers.
    pub layers: usize,
    /// Attention heads per layer; divides `hidden_size`.
    pub heads: usize,
    /// Width inside the feed-forward part.
    pub intermediate: usize,
    /// Rows of the token embedding table; 0 for images.
    pub vocab_size: usize,
    /// Rows of the position embedding table; see [`max_tokens`](Self::max_tokens) for what fits in. For images the
    /// class token and the patches.
    pub max_positions: usize,
    /// Rows of the token-type (segment) embedding table; 0 for a family without.
    pub type_vocab_size: usize,
    /// Added to the variance in layer normalisation.
    pub layer_norm_eps: f64,
    /// The token that fills up short inputs.
    pub pad_token_id: u32,
    /// Dropout probability of embeddings and sublayer outputs.
    pub hidden_dropout: f32,
    /// Dropout probability of attention weights.
    pub attention_dropout: f32,
    /// Dropout probability in the classification head.
    pub classifier_dropout: f32,
    /// The activation of the feed-forward part.
    pub hidden_act: HiddenAct,
    /// Standard deviation of random initial weights.
    pub initializer_range: f64,
    /// Whether the maps to queries, keys and values have a bias; only ViT may lack it.
    pub qkv_bias: bool,
    /// Whether random positions are sinusoids (DistilBERT); a checkpoint brings its own in any case.
    pub sinusoidal_positions: bool,
    /// The images that the encoder takes; `None`: it takes texts.
    pub vision: Option<VisionConfig>,
}

impl EncoderConfig {
    /// Reads the text of a `config.json`; `origin` names it in errors.
    ///
    /// # Errors
    /// When the text is no JSON object, a key of the shape is missing or out of range, or the encoder is of a kind that
    /// is not supported: another `model_type`, `hidden_act` or `position_embedding_type`, or a decoder.
    pub fn from_json(text: &[u8], origin: &str) -> Result<Self, ModelError> {
        let refuse = |message: String| ModelError::Config { origin: origin.into(), message };
        let keys: Map<String, Value> = serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
        let keys = Keys(&keys);
        let known = || EncoderKind::ALL.map(|kind| format!("`{}`", kind.name())).join(", ");
        let kind = match keys.text("model_type").map_err(refuse)? {
            Some(name) => EncoderKind::ALL
                .into_iter()
                .find(|kind| kind.name() == name)
                .ok_or_else(|| refuse(format!("`model_type` is `{name}`; supported are {}", known())))?,
            None => return Err(refuse(format!("`model_type` is missing; it must be one of {}", known()))),
        };
        kind.family().read(&keys).map_err(refuse)
    }

    /// The text of a `config.json` from which transformers builds the same encoder.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", Value::Object(self.kind.family().write(self)))
    }

    /// The longest input in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.max_positions - self.first_position() as usize
    }

    /// The position number of an input's first token.
    pub fn first_position(&self) -> u32 {
        self.kind.family().first_position(self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An encoder of two layers, small enough for tests that visit every number.
    pub(crate) fn tiny(kind: EncoderKind) -> EncoderConfig {
        let config = EncoderConfig {
            kind,
            hidden_size: 16,
            layers: 2,
            heads: 4,
            intermediate: 24,
            vocab_size: 40,
            max_positions: 20,
            type_vocab_size: 2,
            layer_norm_eps: 1e-5,
            pad_token_id: 0,
            hidden_dropout: 0.1,
            attention_dropout: 0.1,
            classifier_dropout: 0.1,
            hidden_act: HiddenAct::Gelu,
            initializer_range: 0.02,
            qkv_bias: true,
            sinusoidal_positions: false,
            vision: None,
        };
        match kind {
            EncoderKind::Bert => config,
            EncoderKind::Roberta => EncoderConfig { pad_token_id: 1, ..config },
            EncoderKind::DistilBert => EncoderConfig { type_vocab_size: 0, layer_norm_eps: 1e-12, ..config },
            EncoderKind::Vit => {
                // 3 by 3 patches and the class token.
                let vision = VisionConfig { image_size: 6, patch_size: 2, num_channels: 3 };
                let (vocab_size, type_vocab_size, max_positions, classifier_dropout) = (0, 0, 10, 0.0);
                let vision = Some(vision);
                EncoderConfig { vocab_size, type_vocab_size, max_positions, classifier_dropout, vision, ..config }
            }
        }
    }

    fn refusal(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> String {
        let mut value: Value = serde_json::from_str(&tiny(EncoderKind::Roberta).to_json()).unwrap();
        change(value.as_object_mut().unwrap());
        let error = EncoderConfig::from_json(value.to_string().as_bytes(), "m/config.json").unwrap_err();
        error.to_string()
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for kind in EncoderKind::ALL {
            let config = tiny(kind);
            assert_eq!(EncoderConfig::from_json(config.to_json().as_bytes(), "config.json").unwrap(), config);
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_by_key() {
        let message = refusal(|c| _ = c.insert("model_type".into(), "gpt2".into()));
        let known = "`bert`, `roberta`, `distilbert`, `vit`";
        assert_eq!(message, format!("m/config.json: `model_type` is `gpt2`; supported are {known}"));
        assert!(refusal(|c| _ = c.insert("hidden_act".into(), "relu".into())).contains("only `gelu`"));
        let relative = refusal(|c| _ = c.insert("position_embedding_type".into(), "relative_key".into()));
        assert!(relative.contains("only `absolute`"), "{relative}");
        assert!(refusal(|c| _ = c.remove("num_attention_heads")).contains("`num_attention_heads` is missing"));
        assert!(refusal(|c| _ = c.insert("num_attention_heads".into(), 5.into())).contains("not a multiple"));
        assert!(refusal(|c| _ = c.insert("pad_token_id".into(), 40.into())).contains("outside the vocabulary"));
        assert!(refusal(|c| _ = c.insert("hidden_dropout_prob".into(), 1.into())).contains("[0, 1)"));
        let layers = refusal(|c| _ = c.insert("num_hidden_layers".into(), 10_000_000_000u64.into()));
        assert!(layers.ends_with("`num_hidden_layers` is 10000000000; at most 4096 is supported"), "{layers}");
        let words = refusal(|c| _ = c.insert("vocab_size".into(), u64::MAX.into()));
        assert!(words.contains("`vocab_size` is 18446744073709551615; at most"), "{words}");
    }

    #[test]
    fn images_whose_numbers_cannot_be_counted_are_refused() {
        for side in [serde_json::json!(1u64 << 32), serde_json::json!([1u64 << 32, 1u64 << 32])] {
            let mut value: Value = serde_json::from_str(&tiny(EncoderKind::Vit).to_json()).unwrap();
            value["image_size"] = side;
            let error = EncoderConfig::from_json(value.to_string().as_bytes(), "config.json").unwrap_err().to_string();
            assert!(error.ends_with("`image_size` is 4294967296; at most 16384 is supported"), "{error}");
        }
    }

    #[test]
    fn roberta_leaves_the_first_positions_to_padding() {
        // Positions 0 and 1 (pad_token_id 1) are not used by tokens: 20 rows hold 18 tokens.
        assert_eq!(tiny(EncoderKind::Roberta).max_tokens(), 18);
        assert_eq!(tiny(EncoderKind::Bert).max_tokens(), 20);
    }
}
