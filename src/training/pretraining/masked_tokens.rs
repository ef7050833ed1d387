//! Masked language modelling (Devlin et al. 2019, arXiv 1810.04805; Liu et al. 2019, arXiv 1907.11692): makes
//! `builtin:tiny-roberta`.
//!
//! In each step 15 % of the tokens are chosen; 80 % of these are replaced by the mask token, 10 % by a random token, 10 %
//! stay, and the model has to name what was there.

use candle_core::{Device, Tensor};
use candle_nn::loss::cross_entropy;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::{
    Objective, PART, Place, PretrainProgress, PretrainSettings, Pretrained, backbone_failed, initial, optimise, parts,
};
use crate::model::{Backbone, Batch, EncoderConfig, Hooks, Pass, encode, masked_lm};
use crate::params::Params;
use crate::petuning::{FullConfig, Method, TrainableVars};
use crate::seed::{Purpose, Seeds, Stream};
use crate::training::TrainingError;

/// Probability that a token is chosen.
const CHOSEN: f64 = 0.15;

/// Chosen tokens of some sentences.
struct Masked {
    inputs: Vec<Vec<u32>>,
    /// Row in `batch x longest`, for each chosen token.
    positions: Vec<u32>,
    /// What was there.
    targets: Vec<u32>,
}

/// Trains an encoder of this shape, from random values, on sentences of token ids (special tokens included). One
/// sentence in twenty is held out. `mask_token` is the mask's id; ids up to it are special and never chosen.
///
/// # Errors
/// When there are too few sentences, one is too long, the numbers diverge or the device fails.
pub fn pretrain_texts(
    config: EncoderConfig,
    settings: &PretrainSettings,
    sentences: &[Vec<u32>],
    mask_token: u32,
    seeds: &Seeds,
    progress: &mut dyn FnMut(PretrainProgress),
) -> Result<Pretrained, TrainingError> {
    let n_held_out = sentences.len() / 20;
    let (train, held_out) = sentences.split_at(sentences.len() - n_held_out);
    if held_out.is_empty() {
        return Err(TrainingError::Pretraining(format!("{} sentences are too few; use 20 or more", sentences.len())));
    }
    let max = config.max_tokens();
    if let Some(longest) = sentences.iter().map(Vec::len).max().filter(|&longest| longest > max) {
        return Err(TrainingError::Pretraining(format!("a sentence has {longest} tokens; the encoder takes {max}")));
    }
    let head = masked_lm::tensors(&config);
    let backbone = Backbone::random(config, seeds).map_err(backbone_failed)?;
    let start = initial(&backbone, &head, seeds);
    let model = MaskedTokens { backbone, mask_token, seeds: *seeds };
    let n_steps = settings.epochs * train.len().div_ceil(settings.batch_size);
    let steps = (0..settings.epochs).flat_map(|epoch| {
        let mut order: Vec<usize> = (0..train.len()).collect();
        order.shuffle(&mut seeds.step(Purpose::Shuffle, 0, 0, epoch as u32));
        let batches: Vec<Vec<usize>> = order.chunks(settings.batch_size).map(<[usize]>::to_vec).collect();
        batches.into_iter().map(|batch| {
            let mut batch: Vec<&[u32]> = batch.into_iter().map(|i| train[i].as_slice()).collect();
            // Sentences of like length share a part, so that little is padded.
            batch.sort_by_key(|sentence| sentence.len());
            batch.chunks(PART).map(<[&[u32]]>::to_vec).collect()
        })
    });
    let params = optimise(&model, start, settings, n_steps, steps, progress)?;
    let failed = |source| TrainingError::Tensor { what: "pretraining".into(), source };
    let (held_out_loss, held_out_accuracy) = model.measure(&params, held_out).map_err(failed)?;
    let (backbone, head) = parts(&params, &model.backbone)?;
    Ok(Pretrained { backbone, head, held_out_loss, held_out_accuracy })
}

/// The model in training.
struct MaskedTokens {
    backbone: Backbone,
    mask_token: u32,
    seeds: Seeds,
}

impl<'a> Objective<Vec<&'a [u32]>> for MaskedTokens {
    fn seeds(&self) -> &Seeds {
        &self.seeds
    }

    fn loss(
        &self,
        sentences: &Vec<&'a [u32]>,
        place: Place,
        hooks: &dyn Hooks,
        pass: &mut Pass,
    ) -> candle_core::Result<(Tensor, usize)> {
        let masked = self.mask(sentences, &mut self.seeds.step(Purpose::MaskedTokens, place.part, 0, place.step));
        let logits = self.logits(&masked, hooks, pass)?;
        let loss = cross_entropy(&logits, &Tensor::new(masked.targets.as_slice(), &Device::Cpu)?)?;
        Ok((loss, masked.targets.len()))
    }
}

impl MaskedTokens {
    fn logits(&self, masked: &Masked, hooks: &dyn Hooks, pass: &mut Pass) -> candle_core::Result<Tensor> {
        let types: Vec<Vec<u32>> = masked.inputs.iter().map(|ids| vec![0; ids.len()]).collect();
        let inputs: Vec<_> = masked.inputs.iter().zip(&types).map(|(ids, types)| (&ids[..], &types[..])).collect();
        let batch = Batch::new(&inputs, self.backbone.config(), &Device::Cpu)?;
        let hidden = encode(&self.backbone, &batch, hooks, pass)?;
        let positions = Tensor::new(masked.positions.as_slice(), &Device::Cpu)?;
        masked_lm::logits(&self.backbone, &hidden, &positions, hooks)
    }

    /// Chooses tokens; at least one in each sentence that has any.
    fn mask(&self, sentences: &[&[u32]], stream: &mut Stream) -> Masked {
        let longest = sentences.iter().map(|sentence| sentence.len()).max().unwrap_or(0);
        let mut masked = Masked { inputs: Vec::new(), positions: Vec::new(), targets: Vec::new() };
        for (row, sentence) in sentences.iter().enumerate() {
            let mut input = sentence.to_vec();
            let words: Vec<usize> = (0..input.len()).filter(|&i| input[i] > self.mask_token).collect();
            let mut chosen: Vec<usize> = words.iter().copied().filter(|_| stream.random_bool(CHOSEN)).collect();
            if chosen.is_empty() && !words.is_empty() {
                chosen.push(words[stream.random_range(0..words.len())]);
            }
            for i in chosen {
                masked.positions.push((row * longest + i) as u32);
                masked.targets.push(input[i]);
                match stream.random_range(0..10) {
                    0..8 => input[i] = self.mask_token,
                    8 => {
                        let n_tokens = self.backbone.config().vocab_size as u32;
                        input[i] = stream.random_range(self.mask_token + 1..n_tokens);
                    }
                    _ => {}
                }
            }
            masked.inputs.push(input);
        }
        masked
    }

    /// Mean loss of chosen tokens, and the fraction that is named correctly.
    fn measure(&self, params: &Params, held_out: &[Vec<u32>]) -> candle_core::Result<(f64, f64)> {
        let hooks = FullConfig {}.hooks(TrainableVars::constants(params, &Device::Cpu)?);
        let (mut loss, mut n_right, mut n_chosen) = (0.0, 0usize, 0usize);
        for (part, sentences) in held_out.chunks(PART).enumerate() {
            let sentences: Vec<&[u32]> = sentences.iter().map(Vec::as_slice).collect();
            let masked = self.mask(&sentences, &mut self.seeds.step(Purpose::MaskedTokens, part as u32, 1, 0));
            let logits = self.logits(&masked, hooks.as_ref(), &mut Pass::evaluation())?;
            let targets = Tensor::new(masked.targets.as_slice(), &Device::Cpu)?;
            loss += f64::from(cross_entropy(&logits, &targets)?.to_scalar::<f32>()?) * masked.targets.len() as f64;
            let named = logits.argmax(candle_core::D::Minus1)?.to_vec1::<u32>()?;
            n_right += named.iter().zip(&masked.targets).filter(|(named, target)| named == target).count();
            n_chosen += masked.targets.len();
        }
        Ok((loss / n_chosen as f64, n_right as f64 / n_chosen as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> EncoderConfig {
        let json = serde_json::json!({
            "model_type": "roberta", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 64, "vocab_size": 40, "max_position_embeddings": 20, "type_vocab_size": 1,
            "layer_norm_eps": 1e-5, "pad_token_id": 1, "hidden_act": "gelu",
        });
        EncoderConfig::from_json(json.to_string().as_bytes(), "test").expect("a tiny RoBERTa")
    }

    /// Each sentence repeats one of five words, so a masked one is told by its neighbours.
    fn sentences() -> Vec<Vec<u32>> {
        (0..400).map(|i| [vec![0], vec![10 + i % 5; 4 + i as usize % 3], vec![2]].concat()).collect()
    }

    fn run(threads: usize) -> Pretrained {
        let settings = PretrainSettings { epochs: 40, batch_size: 64, learning_rate: 3e-3, threads };
        pretrain_texts(config(), &settings, &sentences(), 4, &Seeds::new(3), &mut |_| {}).expect("it trains")
    }

    #[test]
    fn it_learns_what_the_context_tells_and_threads_do_not_show() {
        let (one, two) = (run(1), run(2));
        assert!(one.held_out_accuracy > 0.9, "{}", one.held_out_accuracy);
        assert_eq!(one.backbone.hash(), two.backbone.hash());
        assert_eq!(one.held_out_loss, two.held_out_loss);
    }
}
