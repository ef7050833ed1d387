//! The shape of an encoder, read from a Hugging Face `config.json`.

use serde::Deserialize;
use serde_json::Value;

use super::ModelError;

/// Which family of encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EncoderKind {
    /// BERT (Devlin et al. 2018, arXiv 1810.04805): positions from 0, a pooler below the classifier.
    Bert,
    /// RoBERTa (Liu et al. 2019, arXiv 1907.11692): positions from `pad_token_id + 1`, a two-layer classifier.
    Roberta,
}

impl EncoderKind {
    /// All families.
    pub const ALL: [Self; 2] = [Self::Bert, Self::Roberta];

    /// `model_type` of `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
        }
    }

    /// What stands before the names of the backbone's tensors in a model with a head.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Roberta => "roberta.",
        }
    }
}

/// The activation between the two matrices of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiddenAct {
    /// Exact Gaussian error linear unit, with erf.
    Gelu,
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
    /// Rows of the token embedding table.
    pub vocab_size: usize,
    /// Rows of the position embedding table; see [`max_tokens`](Self::max_tokens) for what fits in.
    pub max_positions: usize,
    /// Rows of the token-type (segment) embedding table.
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
}

impl EncoderConfig {
    /// Reads the text of a `config.json`; `origin` names it in errors.
    ///
    /// # Errors
    /// When the text is no JSON object, a key of the shape is missing or out of range, or the encoder is of a kind that
    /// is not supported: another `model_type`, `hidden_act` or `position_embedding_type`, or a decoder.
    pub fn from_json(text: &[u8], origin: &str) -> Result<Self, ModelError> {
        let refuse = |message: String| ModelError::Config { origin: origin.into(), message };
        let raw: RawConfig = serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
        raw.checked().map_err(refuse)
    }

    /// The text of a `config.json` from which transformers builds the same encoder.
    pub fn to_json(&self) -> String {
        let HiddenAct::Gelu = self.hidden_act;
        let (architecture, bos, eos) = match self.kind {
            EncoderKind::Bert => ("BertForMaskedLM", Value::Null, Value::Null),
            EncoderKind::Roberta => ("RobertaForMaskedLM", 0.into(), 2.into()),
        };
        let value = serde_json::json!({
            "architectures": [architecture],
            "attention_probs_dropout_prob": decimal(self.attention_dropout),
            "bos_token_id": bos,
            "classifier_dropout": decimal(self.classifier_dropout),
            "eos_token_id": eos,
            "hidden_act": "gelu",
            "hidden_dropout_prob": decimal(self.hidden_dropout),
            "hidden_size": self.hidden_size,
            "initializer_range": self.initializer_range,
            "intermediate_size": self.intermediate,
            "layer_norm_eps": self.layer_norm_eps,
            "max_position_embeddings": self.max_positions,
            "model_type": self.kind.name(),
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers,
            "pad_token_id": self.pad_token_id,
            "position_embedding_type": "absolute",
            "type_vocab_size": self.type_vocab_size,
            "vocab_size": self.vocab_size,
        });
        format!("{value:#}\n")
    }

    /// The longest input in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.max_positions - self.first_position() as usize
    }

    /// The position number of an input's first token.
    pub fn first_position(&self) -> u32 {
        match self.kind {
            EncoderKind::Bert => 0,
            EncoderKind::Roberta => self.pad_token_id + 1,
        }
    }
}

/// The probability with the digits that an `f32` has, not those of its widening.
fn decimal(probability: f32) -> Value {
    probability.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// `config.json` as written. Keys that say nothing about the encoder are ignored: such files carry many.
#[derive(Deserialize)]
struct RawConfig {
    model_type: Option<String>,
    hidden_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    intermediate_size: Option<usize>,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f64>,
    pad_token_id: Option<u32>,
    hidden_dropout_prob: Option<f32>,
    attention_probs_dropout_prob: Option<f32>,
    classifier_dropout: Option<f32>,
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
    initializer_range: Option<f64>,
    #[serde(default)]
    is_decoder: bool,
}

impl RawConfig {
    fn checked(self) -> Result<EncoderConfig, String> {
        let kind = match self.model_type.as_deref() {
            Some("bert") => EncoderKind::Bert,
            Some("roberta") => EncoderKind::Roberta,
            Some(other) => return Err(format!("`model_type` is `{other}`; supported are `bert` and `roberta`")),
            None => return Err("`model_type` is missing; it must be `bert` or `roberta`".into()),
        };
        if let Some(other) = self.position_embedding_type.filter(|kind| kind != "absolute") {
            return Err(format!("`position_embedding_type` is `{other}`; only `absolute` is supported"));
        }
        if let Some(other) = self.hidden_act.filter(|act| act != "gelu") {
            return Err(format!("`hidden_act` is `{other}`; only `gelu` is supported"));
        }
        if self.is_decoder {
            return Err("`is_decoder` is true; only encoders are supported".into());
        }
        // Where a key may be absent, its default is the one of transformers' own configuration class.
        let hidden_dropout = probability("hidden_dropout_prob", self.hidden_dropout_prob.unwrap_or(0.1))?;
        let config = EncoderConfig {
            kind,
            hidden_size: size("hidden_size", self.hidden_size)?,
            layers: size("num_hidden_layers", self.num_hidden_layers)?,
            heads: size("num_attention_heads", self.num_attention_heads)?,
            intermediate: size("intermediate_size", self.intermediate_size)?,
            vocab_size: size("vocab_size", self.vocab_size)?,
            max_positions: size("max_position_embeddings", self.max_position_embeddings)?,
            type_vocab_size: size("type_vocab_size", self.type_vocab_size)?,
            layer_norm_eps: positive("layer_norm_eps", self.layer_norm_eps.unwrap_or(1e-12))?,
            pad_token_id: self.pad_token_id.unwrap_or(match kind {
                EncoderKind::Bert => 0,
                EncoderKind::Roberta => 1,
            }),
            hidden_dropout,
            attention_dropout: probability(
                "attention_probs_dropout_prob",
                self.attention_probs_dropout_prob.unwrap_or(0.1),
            )?,
            classifier_dropout: probability("classifier_dropout", self.classifier_dropout.unwrap_or(hidden_dropout))?,
            hidden_act: HiddenAct::Gelu,
            initializer_range: positive("initializer_range", self.initializer_range.unwrap_or(0.02))?,
        };
        if !config.hidden_size.is_multiple_of(config.heads) {
            let (hidden, heads) = (config.hidden_size, config.heads);
            return Err(format!("`hidden_size` {hidden} is not a multiple of `num_attention_heads` {heads}"));
        }
        if config.pad_token_id as usize >= config.vocab_size {
            let (pad, vocab) = (config.pad_token_id, config.vocab_size);
            return Err(format!("`pad_token_id` {pad} lies outside the vocabulary of {vocab}"));
        }
        if config.first_position() as usize >= config.max_positions {
            return Err(format!("`max_position_embeddings` {} leaves no room for a token", config.max_positions));
        }
        Ok(config)
    }
}

fn size(key: &str, value: Option<usize>) -> Result<usize, String> {
    match value {
        None => Err(format!("`{key}` is missing")),
        Some(0) => Err(format!("`{key}` is 0")),
        Some(value) => Ok(value),
    }
}

fn positive(key: &str, value: f64) -> Result<f64, String> {
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err(format!("`{key}` is {value}; it must be above 0")) }
}

fn probability(key: &str, value: f32) -> Result<f32, String> {
    if (0.0..1.0).contains(&value) { Ok(value) } else { Err(format!("`{key}` is {value}; it must lie in [0, 1)")) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An encoder of two layers, small enough for tests that visit every number.
    pub(crate) fn tiny(kind: EncoderKind) -> EncoderConfig {
        EncoderConfig {
            kind,
            hidden_size: 16,
            layers: 2,
            heads: 4,
            intermediate: 24,
            vocab_size: 40,
            max_positions: 20,
            type_vocab_size: 2,
            layer_norm_eps: 1e-5,
            pad_token_id: if kind == EncoderKind::Bert { 0 } else { 1 },
            hidden_dropout: 0.1,
            attention_dropout: 0.1,
            classifier_dropout: 0.1,
            hidden_act: HiddenAct::Gelu,
            initializer_range: 0.02,
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
        for kind in [EncoderKind::Bert, EncoderKind::Roberta] {
            let config = tiny(kind);
            assert_eq!(EncoderConfig::from_json(config.to_json().as_bytes(), "config.json").unwrap(), config);
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_by_key() {
        let message = refusal(|c| _ = c.insert("model_type".into(), "distilbert".into()));
        assert_eq!(message, "m/config.json: `model_type` is `distilbert`; supported are `bert` and `roberta`");
        assert!(refusal(|c| _ = c.insert("hidden_act".into(), "relu".into())).contains("only `gelu`"));
        let relative = refusal(|c| _ = c.insert("position_embedding_type".into(), "relative_key".into()));
        assert!(relative.contains("only `absolute`"), "{relative}");
        assert!(refusal(|c| _ = c.remove("num_attention_heads")).contains("`num_attention_heads` is missing"));
        assert!(refusal(|c| _ = c.insert("num_attention_heads".into(), 5.into())).contains("not a multiple"));
        assert!(refusal(|c| _ = c.insert("pad_token_id".into(), 40.into())).contains("outside the vocabulary"));
        assert!(refusal(|c| _ = c.insert("hidden_dropout_prob".into(), 1.into())).contains("[0, 1)"));
    }

    #[test]
    fn roberta_leaves_the_first_positions_to_padding() {
        // Positions 0 and 1 (pad_token_id 1) are not used by tokens: 20 rows hold 18 tokens.
        assert_eq!(tiny(EncoderKind::Roberta).max_tokens(), 18);
        assert_eq!(tiny(EncoderKind::Bert).max_tokens(), 20);
    }
}
