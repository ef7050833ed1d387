//! Masked language modelling (Devlin et al. 2019, arXiv 1810.04805; Liu et al. 2019, arXiv 1907.11692): makes the
//! encoder that comes with the program.
//!
//! In each step 15 % of the tokens are chosen; 80 % of these are replaced by the mask token, 10 % by a random token, 10 %
//! stay, and the model has to name what was there. A step's sentences are cut into parts of a fixed size whose gradients
//! are added in a fixed order, so the number of threads does not show in the result.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use candle_nn::loss::cross_entropy;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::optimizer::{Optimizer, clip};
use super::{Schedule, TrainConfig, TrainingError};
use crate::model::{Backbone, Batch, EncoderConfig, Hooks, Pass, backbone_tensors, encode, masked_lm};
use crate::params::{Layout, Params};
use crate::petuning::{FullConfig, Method, TrainableVars};
use crate::seed::{Purpose, Seeds, Stream};

/// Sentences whose gradient is computed in one piece.
const PART: usize = 32;

/// Probability that a token is chosen.
const CHOSEN: f64 = 0.15;

/// How to pretrain.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainSettings {
    /// Passes over the sentences, >= 1.
    pub epochs: usize,
    /// Sentences per step, >= 1.
    pub batch_size: usize,
    /// Peak step size; it rises over the first tenth of the steps and falls linearly to zero.
    pub learning_rate: f64,
    /// Threads, >= 1. Their number does not show in the result.
    pub threads: usize,
}

/// How far pretraining has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PretrainProgress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub n_steps: usize,
    /// Mean cross-entropy of the chosen tokens of the last step, in nats.
    pub loss: f64,
}

/// What pretraining gives.
#[derive(Debug)]
pub struct Pretrained {
    /// The encoder.
    pub backbone: Backbone,
    /// The tensors of the masked-language-modelling head, by name.
    pub head: BTreeMap<String, Tensor>,
    /// Mean cross-entropy of chosen tokens in sentences that were held out, in nats.
    pub held_out_loss: f64,
    /// Fraction of chosen tokens in sentences that were held out that were named correctly.
    pub held_out_accuracy: f64,
}

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
pub fn pretrain(
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
    let failed = |source| TrainingError::Tensor { what: "pretraining".into(), source };
    let model = Mlm { backbone: Backbone::random(config, seeds).map_err(backbone_failed)?, mask_token, seeds: *seeds };
    let mut params = model.initial();
    let train_config = TrainConfig {
        learning_rate: settings.learning_rate,
        weight_decay: 0.01,
        adam_beta2: 0.98,
        adam_epsilon: 1e-6,
        warmup_ratio: 0.1,
        ..TrainConfig::default()
    };
    let mut optimizer = Optimizer::new(&train_config, params.layout());
    let n_steps = settings.epochs * train.len().div_ceil(settings.batch_size);
    let schedule = Schedule::new(&train_config, n_steps);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build();
    let threads = threads.map_err(|error| TrainingError::Pretraining(format!("cannot start threads: {error}")))?;
    let mut step = 0;
    for epoch in 0..settings.epochs {
        let mut order: Vec<usize> = (0..train.len()).collect();
        order.shuffle(&mut seeds.step(Purpose::Shuffle, 0, 0, epoch as u32));
        for batch in order.chunks(settings.batch_size) {
            let mut batch: Vec<&[u32]> = batch.iter().map(|&i| train[i].as_slice()).collect();
            // Sentences of like length share a part, so that little is padded.
            batch.sort_by_key(|sentence| sentence.len());
            let parts: Vec<_> = batch.chunks(PART).enumerate().collect();
            let gradients: Vec<_> = threads
                .install(|| {
                    let gradient = |&(part, sentences): &(usize, &[&[u32]])| {
                        model.gradient(&params, sentences, step as u32, part as u32)
                    };
                    parts.par_iter().map(gradient).collect::<candle_core::Result<_>>()
                })
                .map_err(failed)?;
            let n_chosen: f64 = gradients.iter().map(|(_, _, n)| *n as f64).sum();
            let mut sum = vec![0f32; params.values().len()];
            let mut loss = 0.0;
            for (gradient, part_loss, n) in &gradients {
                let weight = *n as f64 / n_chosen;
                loss += weight * part_loss;
                sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += weight as f32 * value);
            }
            clip(&mut sum, train_config.max_grad_norm);
            optimizer.step(&mut params, &sum, settings.learning_rate * schedule.factor(step));
            if !params.is_finite() {
                return Err(TrainingError::Pretraining(format!("diverged in step {step}; lower the step size")));
            }
            step += 1;
            progress(PretrainProgress { step, n_steps, loss });
        }
    }
    model.finish(&params, held_out).map_err(failed)?
}

fn backbone_failed(error: crate::model::ModelError) -> TrainingError {
    TrainingError::Pretraining(error.to_string())
}

/// The model in training: a backbone whose tensors are all replaced, and the head.
struct Mlm {
    backbone: Backbone,
    mask_token: u32,
    seeds: Seeds,
}

impl Mlm {
    fn initial(&self) -> Params {
        let config = self.backbone.config();
        let head = masked_lm::tensors(config);
        let specs = backbone_tensors(config).into_iter().chain(head.iter().map(|(spec, _)| spec.clone()));
        let layout = Layout::new(specs.collect());
        let head: BTreeMap<_, _> = head.iter().map(|(spec, init)| (spec.name.as_str(), init)).collect();
        let mut values = Vec::with_capacity(layout.n_elements());
        for spec in layout.tensors() {
            match (head.get(spec.name.as_str()), self.backbone.tensor(&spec.name)) {
                (Some(init), _) => values.extend(init.draw(spec, Purpose::RandomBackbone, &self.seeds)),
                (None, Some(tensor)) => values.extend(
                    tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).expect("a backbone is f32 on the CPU"),
                ),
                (None, None) => unreachable!("every tensor is the backbone's or the head's"),
            }
        }
        Params::new(Arc::clone(&layout), values)
    }

    /// Gradient of the mean loss of some sentences, that loss, and the number of chosen tokens.
    fn gradient(
        &self,
        params: &Params,
        sentences: &[&[u32]],
        step: u32,
        part: u32,
    ) -> candle_core::Result<(Vec<f32>, f64, usize)> {
        let variables = TrainableVars::variables(params, &Device::Cpu)?;
        let hooks = FullConfig {}.hooks(variables.clone());
        let masked = self.mask(sentences, &mut self.seeds.step(Purpose::MaskedTokens, part, 0, step));
        let key = self.seeds.step(Purpose::DropoutMask, part, 0, step).next_u64();
        let logits = self.logits(&masked, hooks.as_ref(), &mut Pass::training(key, None))?;
        let loss = cross_entropy(&logits, &Tensor::new(masked.targets.as_slice(), &Device::Cpu)?)?;
        let gradients = loss.backward()?;
        let mut flat = Vec::with_capacity(params.values().len());
        for (tensor, spec) in variables.tensors().iter().zip(params.layout().tensors()) {
            match gradients.get(tensor) {
                Some(gradient) => flat.extend(gradient.flatten_all()?.to_vec1::<f32>()?),
                // Without a pooler in the objective its tensors have no gradient.
                None => flat.resize(flat.len() + spec.n_elements(), 0.0),
            }
        }
        Ok((flat, f64::from(loss.to_scalar::<f32>()?), masked.targets.len()))
    }

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

    fn finish(&self, params: &Params, held_out: &[Vec<u32>]) -> candle_core::Result<Result<Pretrained, TrainingError>> {
        let values = TrainableVars::constants(params, &Device::Cpu)?;
        let hooks = FullConfig {}.hooks(values.clone());
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
        let all = params.layout().tensors().iter().zip(values.tensors());
        let all: BTreeMap<String, Tensor> = all.map(|(spec, tensor)| (spec.name.clone(), tensor.clone())).collect();
        let backbone = Backbone::from_tensors(self.backbone.config().clone(), &all);
        let is_head = |name: &str| self.backbone.tensor(name).is_none();
        Ok(backbone.map_err(backbone_failed).map(|backbone| Pretrained {
            backbone,
            head: all.iter().filter(|(name, _)| is_head(name)).map(|(n, t)| (n.clone(), t.clone())).collect(),
            held_out_loss: loss / n_chosen as f64,
            held_out_accuracy: n_right as f64 / n_chosen as f64,
        }))
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
        pretrain(config(), &settings, &sentences(), 4, &Seeds::new(3), &mut |_| {}).expect("it trains")
    }

    #[test]
    fn it_learns_what_the_context_tells_and_threads_do_not_show() {
        let (one, two) = (run(1), run(2));
        assert!(one.held_out_accuracy > 0.9, "{}", one.held_out_accuracy);
        assert_eq!(one.backbone.hash(), two.backbone.hash());
        assert_eq!(one.held_out_loss, two.held_out_loss);
    }
}
