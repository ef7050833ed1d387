//! Pretraining: makes the encoders that come with the program.
//!
//! [`pretrain_texts`] teaches an encoder to name masked tokens, [`pretrain_images`] one to name attributes of drawn figures.
//! Both train all tensors with AdamW. A step's examples are cut into parts of a fixed size whose gradients are added in a
//! fixed order, so the number of threads does not show in the result.

mod figures;
mod masked_tokens;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rand::Rng;
use rayon::prelude::*;

pub use self::figures::pretrain_images;
pub use self::masked_tokens::pretrain_texts;
use super::optimizer::{Optimizer, clip};
use super::{Schedule, TrainConfig, TrainingError};
use crate::model::{Backbone, Hooks, Init, ModelError, Pass, backbone_tensors};
use crate::params::{Layout, Params, TensorSpec};
use crate::petuning::{FullConfig, Method, TrainableVars};
use crate::seed::{Purpose, Seeds};

/// Examples whose gradient is computed in one piece.
const PART: usize = 32;

/// How to pretrain.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainSettings {
    /// Passes over the examples, >= 1.
    pub epochs: usize,
    /// Examples per step, >= 1.
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
    /// Mean loss of the last step, in nats.
    pub loss: f64,
}

/// What pretraining gives.
#[derive(Debug)]
pub struct Pretrained {
    /// The encoder.
    pub backbone: Backbone,
    /// The tensors of the pretraining head, by name.
    pub head: BTreeMap<String, Tensor>,
    /// Mean loss on examples that were held out, in nats.
    pub held_out_loss: f64,
    /// Fraction of masked tokens, or outlines, of examples that were held out that were named correctly.
    pub held_out_accuracy: f64,
}

/// Which part of which step.
#[derive(Debug, Clone, Copy)]
struct Place {
    step: u32,
    part: u32,
}

/// What is learnt, from parts of some kind.
trait Objective<Part>: Sync {
    fn seeds(&self) -> &Seeds;

    /// Mean loss of a part, and how much it weighs.
    fn loss(
        &self,
        part: &Part,
        place: Place,
        hooks: &dyn Hooks,
        pass: &mut Pass,
    ) -> candle_core::Result<(Tensor, usize)>;
}

/// Values to start from: those of the backbone, and drawn ones for the head.
fn initial(backbone: &Backbone, head: &[(TensorSpec, Init)], seeds: &Seeds) -> Params {
    let specs = backbone_tensors(backbone.config()).into_iter().chain(head.iter().map(|(spec, _)| spec.clone()));
    let layout = Layout::new(specs.collect());
    let head: BTreeMap<_, _> = head.iter().map(|(spec, init)| (spec.name.as_str(), init)).collect();
    let mut values = Vec::with_capacity(layout.n_elements());
    for spec in layout.tensors() {
        match (head.get(spec.name.as_str()), backbone.tensor(&spec.name)) {
            (Some(init), _) => values.extend(init.draw(spec, Purpose::RandomBackbone, seeds)),
            (None, Some(tensor)) => values.extend(
                tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).expect("a backbone is f32 on the CPU"),
            ),
            (None, None) => unreachable!("every tensor is the backbone's or the head's"),
        }
    }
    Params::new(Arc::clone(&layout), values)
}

/// Trains on the parts of each step.
fn optimise<Part: Sync>(
    objective: &impl Objective<Part>,
    mut params: Params,
    settings: &PretrainSettings,
    n_steps: usize,
    steps: impl Iterator<Item = Vec<Part>>,
    progress: &mut dyn FnMut(PretrainProgress),
) -> Result<Params, TrainingError> {
    let config = TrainConfig {
        learning_rate: settings.learning_rate,
        weight_decay: 0.01,
        adam_beta2: 0.98,
        adam_epsilon: 1e-6,
        warmup_ratio: 0.1,
        ..TrainConfig::default()
    };
    let mut optimizer = Optimizer::new(&config, params.layout());
    let schedule = Schedule::new(&config, n_steps);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build();
    let threads = threads.map_err(|error| TrainingError::Pretraining(format!("cannot start threads: {error}")))?;
    for (step, parts) in steps.enumerate() {
        let parts: Vec<_> = parts.iter().enumerate().collect();
        let gradients: Vec<_> = threads
            .install(|| {
                let gradient = |&(part, examples): &(usize, &Part)| {
                    gradient(objective, &params, examples, Place { step: step as u32, part: part as u32 })
                };
                parts.par_iter().map(gradient).collect::<candle_core::Result<_>>()
            })
            .map_err(|source| TrainingError::Tensor { what: "pretraining".into(), source })?;
        let total: f64 = gradients.iter().map(|(_, _, n)| *n as f64).sum();
        let mut sum = vec![0f32; params.values().len()];
        let mut loss = 0.0;
        for (gradient, part_loss, n) in &gradients {
            let weight = *n as f64 / total;
            loss += weight * part_loss;
            sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += weight as f32 * value);
        }
        clip(&mut sum, config.max_grad_norm);
        optimizer.step(&mut params, &sum, settings.learning_rate * schedule.factor(step));
        if !params.is_finite() {
            return Err(TrainingError::Pretraining(format!("diverged in step {step}; lower the step size")));
        }
        progress(PretrainProgress { step: step + 1, n_steps, loss });
    }
    Ok(params)
}

/// Gradient of the mean loss of a part, that loss, and its weight.
fn gradient<Part>(
    objective: &impl Objective<Part>,
    params: &Params,
    part: &Part,
    place: Place,
) -> candle_core::Result<(Vec<f32>, f64, usize)> {
    let variables = TrainableVars::variables(params, &Device::Cpu)?;
    let hooks = FullConfig {}.hooks(variables.clone());
    let key = objective.seeds().step(Purpose::DropoutMask, place.part, 0, place.step).next_u64();
    let (loss, weight) = objective.loss(part, place, hooks.as_ref(), &mut Pass::training(key, None))?;
    let gradients = loss.backward()?;
    let mut flat = Vec::with_capacity(params.values().len());
    for (tensor, spec) in variables.tensors().iter().zip(params.layout().tensors()) {
        match gradients.get(tensor) {
            Some(gradient) => flat.extend(gradient.flatten_all()?.to_vec1::<f32>()?),
            // Without a pooler in the objective its tensors have no gradient.
            None => flat.resize(flat.len() + spec.n_elements(), 0.0),
        }
    }
    Ok((flat, f64::from(loss.to_scalar::<f32>()?), weight))
}

/// The trained values as an encoder and the tensors beside it.
fn parts(params: &Params, start: &Backbone) -> Result<(Backbone, BTreeMap<String, Tensor>), TrainingError> {
    let failed = |source| TrainingError::Tensor { what: "pretraining".into(), source };
    let values = TrainableVars::constants(params, &Device::Cpu).map_err(failed)?;
    let all = params.layout().tensors().iter().zip(values.tensors());
    let all: BTreeMap<String, Tensor> = all.map(|(spec, tensor)| (spec.name.clone(), tensor.clone())).collect();
    let backbone = Backbone::from_tensors(start.config().clone(), &all).map_err(backbone_failed)?;
    let is_head = |name: &str| start.tensor(name).is_none();
    let head = all.into_iter().filter(|(name, _)| is_head(name)).collect();
    Ok((backbone, head))
}

fn backbone_failed(error: ModelError) -> TrainingError {
    TrainingError::Pretraining(error.to_string())
}
