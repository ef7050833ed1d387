//! DistilBERT (Sanh et al. 2019, arXiv 1910.01108): BERT's layers without token types and pooler, under other names.

use candle_core::{Result, Tensor};
use serde_json::{Map, Value};

use super::keys::{decimal, object};
use super::{Family, Keys, Tensors, linear_tensors, text};
use crate::model::hooked::Model;
use crate::model::{Batch, EncoderConfig, EncoderKind, HiddenAct, Init, Pass, Projection, Sublayer, ops};

pub(super) struct DistilBert;

/// Added to the variance in layer normalisation: fixed in transformers, no key of `config.json`.
const EPS: f64 = 1e-12;

impl Family for DistilBert {
    fn name(&self) -> &'static str {
        "distilbert"
    }

    fn prefix(&self) -> &'static str {
        "distilbert."
    }

    fn read(&self, keys: &Keys<'_>) -> std::result::Result<EncoderConfig, String> {
        text::check(keys)?;
        keys.only("activation", "gelu")?;
        let (hidden_size, heads) = keys.width_and_heads("dim", "n_heads")?;
        text::check_tables(EncoderConfig {
            kind: EncoderKind::DistilBert,
            hidden_size,
            layers: keys.layers("n_layers")?,
            heads,
            intermediate: keys.size("hidden_dim")?,
            vocab_size: keys.size("vocab_size")?,
            max_positions: keys.size("max_position_embeddings")?,
            type_vocab_size: 0,
            layer_norm_eps: EPS,
            pad_token_id: keys.token_or("pad_token_id", 0)?,
            hidden_dropout: keys.probability_or("dropout", 0.1)?,
            attention_dropout: keys.probability_or("attention_dropout", 0.1)?,
            classifier_dropout: keys.probability_or("seq_classif_dropout", 0.2)?,
            hidden_act: HiddenAct::Gelu,
            initializer_range: keys.positive_or("initializer_range", 0.02)?,
            qkv_bias: true,
            sinusoidal_positions: keys.flag_or("sinusoidal_pos_embds", false)?,
            vision: None,
        })
    }

    fn write(&self, config: &EncoderConfig) -> Map<String, Value> {
        let HiddenAct::Gelu = config.hidden_act;
        object(serde_json::json!({
            "activation": "gelu",
            "architectures": ["DistilBertForMaskedLM"],
            "attention_dropout": decimal(config.attention_dropout),
            "dim": config.hidden_size,
            "dropout": decimal(config.hidden_dropout),
            "hidden_dim": config.intermediate,
            "initializer_range": config.initializer_range,
            "max_position_embeddings": config.max_positions,
            "model_type": config.kind.name(),
            "n_heads": config.heads,
            "n_layers": config.layers,
            "pad_token_id": config.pad_token_id,
            "seq_classif_dropout": decimal(config.classifier_dropout),
            "sinusoidal_pos_embds": config.sinusoidal_positions,
            "vocab_size": config.vocab_size,
        }))
    }

    fn layers(&self) -> &'static str {
        "transformer.layer"
    }

    fn projection(&self, projection: Projection) -> &'static str {
        match projection {
            Projection::Query => "attention.q_lin",
            Projection::Key => "attention.k_lin",
            Projection::Value => "attention.v_lin",
            Projection::AttentionOutput => "attention.out_lin",
            Projection::Intermediate => "ffn.lin1",
            Projection::Output => "ffn.lin2",
        }
    }

    fn norm(&self, sublayer: Sublayer) -> &'static str {
        match sublayer {
            Sublayer::Attention => "sa_layer_norm",
            Sublayer::FeedForward => "output_layer_norm",
        }
    }

    /// The output of the attention is not dropped out.
    fn drops_out(&self, sublayer: Sublayer) -> bool {
        sublayer == Sublayer::FeedForward
    }

    fn embedding_tensors(&self, config: &EncoderConfig) -> Tensors {
        let mut tensors = text::embedding_tensors(config, None);
        if config.sinusoidal_positions {
            tensors
                .iter_mut()
                .filter(|(spec, _)| spec.name == text::POSITIONS)
                .for_each(|(_, init)| *init = Init::Waves);
        }
        tensors
    }

    fn embed(&self, model: &Model<'_>, batch: &Batch, pass: &mut Pass) -> Result<(Tensor, Tensor)> {
        text::embed(model, batch, pass)
    }

    fn head_modules(&self) -> &'static [&'static str] {
        &["pre_classifier", "classifier"]
    }

    fn head_tensors(&self, config: &EncoderConfig, n_labels: usize) -> Tensors {
        let mut tensors = linear_tensors(config, "pre_classifier", config.hidden_size, config.hidden_size);
        tensors.extend(linear_tensors(config, "classifier", config.hidden_size, n_labels));
        tensors
    }

    /// `pre_classifier`, ReLU, `classifier` on the first token.
    fn classify(&self, model: &Model<'_>, first: Tensor, pass: &mut Pass) -> Result<Tensor> {
        let dense = ops::relu(&model.linear("pre_classifier", &first)?)?;
        let p = model.config().classifier_dropout;
        model.linear("classifier", &model.drop_out(dense, p, pass)?)
    }
}
