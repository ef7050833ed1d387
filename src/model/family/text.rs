//! What BERT, RoBERTa and DistilBERT have in common.

use candle_core::{Result, Tensor};

use super::{Keys, Tensors, norm_tensors, table_tensor};
use crate::model::encoder::{in_front, unmasked};
use crate::model::hooked::Model;
use crate::model::{Batch, EncoderConfig, EncoderKind, HiddenAct, Pass};

/// Refuses what no family of texts supports: relative positions and decoders.
pub(super) fn check(keys: &Keys<'_>) -> std::result::Result<(), String> {
    keys.only("position_embedding_type", "absolute")?;
    if keys.flag_or("is_decoder", false)? {
        return Err("`is_decoder` is true; only encoders are supported".into());
    }
    Ok(())
}

/// The shape that the keys of BERT and RoBERTa describe. Where a key may be absent, its default is the one of
/// transformers' own configuration class.
pub(super) fn read_bert(
    kind: EncoderKind,
    default_pad: u32,
    keys: &Keys<'_>,
) -> std::result::Result<EncoderConfig, String> {
    check(keys)?;
    keys.only("hidden_act", "gelu")?;
    let (hidden_size, heads) = keys.width_and_heads("hidden_size", "num_attention_heads")?;
    let hidden_dropout = keys.probability_or("hidden_dropout_prob", 0.1)?;
    let config = EncoderConfig {
        kind,
        hidden_size,
        layers: keys.layers("num_hidden_layers")?,
        heads,
        intermediate: keys.size("intermediate_size")?,
        vocab_size: keys.size("vocab_size")?,
        max_positions: keys.size("max_position_embeddings")?,
        type_vocab_size: keys.size("type_vocab_size")?,
        layer_norm_eps: keys.positive_or("layer_norm_eps", 1e-12)?,
        pad_token_id: keys.token_or("pad_token_id", default_pad)?,
        hidden_dropout,
        attention_dropout: keys.probability_or("attention_probs_dropout_prob", 0.1)?,
        classifier_dropout: keys.probability_or("classifier_dropout", hidden_dropout)?,
        hidden_act: HiddenAct::Gelu,
        initializer_range: keys.positive_or("initializer_range", 0.02)?,
        qkv_bias: true,
        sinusoidal_positions: false,
        vision: None,
    };
    check_tables(config)
}

/// Refuses a padding token outside the vocabulary, and a position table without room for a token.
pub(super) fn check_tables(config: EncoderConfig) -> std::result::Result<EncoderConfig, String> {
    if config.pad_token_id as usize >= config.vocab_size {
        let (pad, vocab) = (config.pad_token_id, config.vocab_size);
        return Err(format!("`pad_token_id` {pad} lies outside the vocabulary of {vocab}"));
    }
    if config.first_position() as usize >= config.max_positions {
        return Err(format!("`max_position_embeddings` {} leaves no room for a token", config.max_positions));
    }
    Ok(config)
}

/// Names of the tables, the same in the three families.
pub(crate) const WORDS: &str = "embeddings.word_embeddings.weight";
pub(super) const POSITIONS: &str = "embeddings.position_embeddings.weight";
const TYPES: &str = "embeddings.token_type_embeddings.weight";
const NORM: &str = "embeddings.LayerNorm";

/// The tensors below the first layer; `empty_position` is the position of padding, where it has one.
pub(super) fn embedding_tensors(config: &EncoderConfig, empty_position: Option<u32>) -> Tensors {
    let mut tensors = vec![
        table_tensor(config, WORDS, config.vocab_size, Some(config.pad_token_id)),
        table_tensor(config, POSITIONS, config.max_positions, empty_position),
    ];
    if config.type_vocab_size > 0 {
        tensors.push(table_tensor(config, TYPES, config.type_vocab_size, None));
    }
    tensors.extend(norm_tensors(config, NORM));
    tensors
}

/// The sum of what each token's word, position and (where there are any) type give, normalised.
pub(super) fn embed(model: &Model<'_>, batch: &Batch, pass: &mut Pass) -> Result<(Tensor, Tensor)> {
    let Batch::Text(batch) = batch else { candle_core::bail!("an encoder of texts cannot take images") };
    let mut words = model.look_up(WORDS, &batch.input_ids)?;
    let (mut positions, mut types) = (batch.position_ids.clone(), batch.token_type_ids.clone());
    let mut mask = batch.attention_mask.clone();
    let device = mask.device().clone();
    let mut first = model.config().first_position();
    let free = model.hooks.free_positions() as u32;
    if free > 0 {
        first += free;
        positions = positions.broadcast_add(&Tensor::new(&[free], &device)?)?;
    }
    if let Some(prompt) = model.hooks.prompt()? {
        let (n_examples, n) = (batch.input_ids.dim(0)?, prompt.dim(0)? as u32);
        let row = |numbers: Vec<u32>| Tensor::new(numbers, &device)?.broadcast_as((n_examples, n as usize));
        positions = positions.broadcast_add(&Tensor::new(&[n], &device)?)?;
        positions = Tensor::cat(&[&row((first..first + n).collect())?, &positions], 1)?;
        types = Tensor::cat(&[&row(vec![0; n as usize])?, &types], 1)?;
        words = in_front(&prompt, &words)?;
        mask = unmasked(&prompt, &mask)?;
    }
    if model.config().type_vocab_size > 0 {
        words = (words + model.look_up(TYPES, &types)?)?;
    }
    let x = model.layer_norm(NORM, &(words + model.look_up(POSITIONS, &positions)?)?)?;
    Ok((model.drop_out(x, model.config().hidden_dropout, pass)?, mask))
}
