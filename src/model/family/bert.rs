//! BERT (Devlin et al. 2018, arXiv 1810.04805).

use candle_core::{Result, Tensor};
use serde_json::{Map, Value};

use super::keys::decimal;
use super::{Family, Keys, Tensors, linear_tensors, text};
use crate::model::hooked::Model;
use crate::model::{Batch, EncoderConfig, EncoderKind, HiddenAct, Pass, Projection, Sublayer};

pub(super) struct Bert;

impl Family for Bert {
    fn name(&self) -> &'static str {
        "bert"
    }

    fn prefix(&self) -> &'static str {
        "bert."
    }

    fn read(&self, keys: &Keys<'_>) -> std::result::Result<EncoderConfig, String> {
        text::read_bert(EncoderKind::Bert, 0, keys)
    }

    fn write(&self, config: &EncoderConfig) -> Map<String, Value> {
        write(config, "BertForMaskedLM", Value::Null, Value::Null)
    }

    fn projection(&self, projection: Projection) -> &'static str {
        projection_name(projection)
    }

    fn norm(&self, sublayer: Sublayer) -> &'static str {
        norm_name(sublayer)
    }

    fn embedding_tensors(&self, config: &EncoderConfig) -> Tensors {
        text::embedding_tensors(config, None)
    }

    /// The pooler belongs to the backbone: it comes from pretraining.
    fn top_tensors(&self, config: &EncoderConfig) -> Tensors {
        linear_tensors(config, "pooler.dense", config.hidden_size, config.hidden_size)
    }

    /// A model saved with its masked-language head alone has no pooler; transformers draws one, too.
    fn dispensable(&self) -> &'static [&'static str] {
        &["pooler.dense.weight", "pooler.dense.bias"]
    }

    fn embed(&self, model: &Model<'_>, batch: &Batch, pass: &mut Pass) -> Result<(Tensor, Tensor)> {
        text::embed(model, batch, pass)
    }

    fn head_tensors(&self, config: &EncoderConfig, n_labels: usize) -> Tensors {
        linear_tensors(config, "classifier", config.hidden_size, n_labels)
    }

    /// `classifier` on the pooled first token.
    fn classify(&self, model: &Model<'_>, first: Tensor, pass: &mut Pass) -> Result<Tensor> {
        let pooled = model.linear("pooler.dense", &first)?.tanh()?;
        let p = model.config().classifier_dropout;
        model.linear("classifier", &model.drop_out(pooled, p, pass)?)
    }
}

/// The names inside a layer that RoBERTa took over.
pub(super) fn projection_name(projection: Projection) -> &'static str {
    match projection {
        Projection::Query => "attention.self.query",
        Projection::Key => "attention.self.key",
        Projection::Value => "attention.self.value",
        Projection::AttentionOutput => "attention.output.dense",
        Projection::Intermediate => "intermediate.dense",
        Projection::Output => "output.dense",
    }
}

pub(super) fn norm_name(sublayer: Sublayer) -> &'static str {
    match sublayer {
        Sublayer::Attention => "attention.output.LayerNorm",
        Sublayer::FeedForward => "output.LayerNorm",
    }
}

/// `config.json` with the keys that RoBERTa took over.
pub(super) fn write(config: &EncoderConfig, architecture: &str, bos: Value, eos: Value) -> Map<String, Value> {
    let HiddenAct::Gelu = config.hidden_act;
    let value = serde_json::json!({
        "architectures": [architecture],
        "attention_probs_dropout_prob": decimal(config.attention_dropout),
        "bos_token_id": bos,
        "classifier_dropout": decimal(config.classifier_dropout),
        "eos_token_id": eos,
        "hidden_act": "gelu",
        "hidden_dropout_prob": decimal(config.hidden_dropout),
        "hidden_size": config.hidden_size,
        "initializer_range": config.initializer_range,
        "intermediate_size": config.intermediate,
        "layer_norm_eps": config.layer_norm_eps,
        "max_position_embeddings": config.max_positions,
        "model_type": config.kind.name(),
        "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers,
        "pad_token_id": config.pad_token_id,
        "position_embedding_type": "absolute",
        "type_vocab_size": config.type_vocab_size,
        "vocab_size": config.vocab_size,
    });
    super::keys::object(value)
}
