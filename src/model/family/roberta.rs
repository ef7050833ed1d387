//! RoBERTa (Liu et al. 2019, arXiv 1907.11692): BERT's layers with positions and a head of its own.

use candle_core::{Result, Tensor};
use serde_json::{Map, Value};

use super::{Family, Keys, Tensors, bert, linear_tensors, text};
use crate::model::hooked::Model;
use crate::model::{Batch, EncoderConfig, EncoderKind, Pass, Projection, Sublayer};

pub(super) struct Roberta;

impl Family for Roberta {
    fn name(&self) -> &'static str {
        "roberta"
    }

    fn prefix(&self) -> &'static str {
        "roberta."
    }

    fn read(&self, keys: &Keys<'_>) -> std::result::Result<EncoderConfig, String> {
        text::read_bert(EncoderKind::Roberta, 1, keys)
    }

    fn write(&self, config: &EncoderConfig) -> Map<String, Value> {
        bert::write(config, "RobertaForMaskedLM", 0.into(), 2.into())
    }

    fn first_position(&self, config: &EncoderConfig) -> u32 {
        config.pad_token_id + 1
    }

    /// Tokens that are no padding are counted; padding has the position `pad_token_id`.
    fn fill_positions(&self, positions: &mut [u32], ids: &[u32], config: &EncoderConfig) {
        let mut next = self.first_position(config);
        for (position, id) in positions.iter_mut().zip(ids) {
            if *id == config.pad_token_id {
                *position = config.pad_token_id;
            } else {
                *position = next;
                next += 1;
            }
        }
    }

    fn projection(&self, projection: Projection) -> &'static str {
        bert::projection_name(projection)
    }

    fn norm(&self, sublayer: Sublayer) -> &'static str {
        bert::norm_name(sublayer)
    }

    fn embedding_tensors(&self, config: &EncoderConfig) -> Tensors {
        text::embedding_tensors(config, Some(config.pad_token_id))
    }

    fn embed(&self, model: &Model<'_>, batch: &Batch, pass: &mut Pass) -> Result<(Tensor, Tensor)> {
        text::embed(model, batch, pass)
    }

    fn output_map(&self) -> &'static str {
        "classifier.out_proj"
    }

    fn head_tensors(&self, config: &EncoderConfig, n_labels: usize) -> Tensors {
        let mut tensors = linear_tensors(config, "classifier.dense", config.hidden_size, config.hidden_size);
        tensors.extend(linear_tensors(config, "classifier.out_proj", config.hidden_size, n_labels));
        tensors
    }

    /// `classifier.dense`, tanh, `classifier.out_proj` on the first token.
    fn classify(&self, model: &Model<'_>, first: Tensor, pass: &mut Pass) -> Result<Tensor> {
        let p = model.config().classifier_dropout;
        let dense = model.linear("classifier.dense", &model.drop_out(first, p, pass)?)?.tanh()?;
        model.linear("classifier.out_proj", &model.drop_out(dense, p, pass)?)
    }
}
