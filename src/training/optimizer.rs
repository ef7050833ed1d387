//! Optimizers on flat vectors, with a fixed order of operations.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::{Optim, TrainConfig};
use crate::model::ops;
use crate::params::{Layout, Params};
use crate::petuning::TrainableVars;

/// A number beyond this, either way, has diverged: sums of such numbers over clients and their examples would soon leave
/// what `f32` can hold.
const LARGEST: f32 = 1e18;

/// Whether a model of these numbers can be added up with others: all are finite, and none is beyond 1e18.
pub(super) fn is_sound(values: &[f32]) -> bool {
    values.iter().all(|value| value.abs() <= LARGEST)
}

/// The state of one client's optimizer; new in each round.
#[derive(Debug, Clone)]
pub struct Optimizer {
    optim: Optim,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
    layout: Arc<Layout>,
    decayed: Vec<bool>,
    first: Vec<f32>,
    second: Vec<f32>,
    n_steps: i32,
}

impl Optimizer {
    /// An optimizer without memory for tensors of this layout.
    pub fn new(config: &TrainConfig, layout: &Arc<Layout>) -> Self {
        let n_moments = if config.optim == Optim::Adamw { layout.n_elements() } else { 0 };
        Self {
            optim: config.optim,
            beta1: config.adam_beta1,
            beta2: config.adam_beta2,
            epsilon: config.adam_epsilon,
            weight_decay: config.weight_decay,
            layout: layout.clone(),
            decayed: layout.tensors().iter().map(|spec| is_decayed(&spec.name)).collect(),
            first: vec![0.0; n_moments],
            second: vec![0.0; n_moments],
            n_steps: 0,
        }
    }

    /// One step of size `learning_rate` against `gradient`, which lies in the order of `params`.
    ///
    /// AdamW is algorithm 2 of Loshchilov and Hutter (2019, arXiv 1711.05101) in the form of PyTorch: decay first, then
    /// `p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon)`. SGD has the same decoupled decay.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn step(&mut self, params: &mut Params, gradient: &[f32], learning_rate: f64) {
        assert_eq!(params.values().len(), gradient.len(), "every trained number has a gradient");
        self.n_steps += 1;
        let layout = params.layout().clone();
        for index in 0..layout.tensors().len() {
            let range = layout.range(index);
            let values = &mut params.values_mut()[range.clone()];
            self.step_tensor(index, values, &gradient[range], 1.0, learning_rate);
        }
    }

    /// The same step on variables where they lie, against `factor` times their gradients. Gives whether all numbers are
    /// still sound.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn step_in_place(
        &mut self,
        variables: &TrainableVars,
        gradients: &[Tensor],
        factor: f32,
        learning_rate: f64,
    ) -> Result<bool> {
        self.n_steps += 1;
        let mut all_sound = true;
        for (index, (variable, gradient)) in variables.tensors().iter().zip(gradients).enumerate() {
            ops::with_values(gradient, |gradient| {
                ops::update(variable, |values| {
                    self.step_tensor(index, values, gradient, factor, learning_rate);
                    all_sound &= is_sound(values);
                })
            })??;
        }
        Ok(all_sound)
    }

    fn step_tensor(&mut self, index: usize, values: &mut [f32], gradient: &[f32], factor: f32, learning_rate: f64) {
        let decay = if self.decayed[index] { (1.0 - learning_rate * self.weight_decay) as f32 } else { 1.0 };
        match self.optim {
            Optim::Adamw => {
                let range = self.layout.range(index);
                let correction1 = 1.0 - self.beta1.powi(self.n_steps);
                let correction2 = 1.0 - self.beta2.powi(self.n_steps);
                let step = Adamw {
                    rate: (learning_rate / correction1) as f32,
                    root: correction2.sqrt() as f32,
                    beta1: self.beta1 as f32,
                    beta2: self.beta2 as f32,
                    epsilon: self.epsilon as f32,
                    decay,
                    factor,
                };
                step.take(values, gradient, &mut self.first[range.clone()], &mut self.second[range]);
            }
            Optim::Sgd => {
                let rate = learning_rate as f32;
                for (value, gradient) in values.iter_mut().zip(gradient) {
                    *value = *value * decay - rate * (factor * gradient);
                }
            }
        }
    }
}

/// The numbers of one step of AdamW.
struct Adamw {
    rate: f32,
    root: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    decay: f32,
    factor: f32,
}

impl Adamw {
    fn take(&self, values: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        let Self { rate, root, beta1, beta2, epsilon, decay, factor } = *self;
        for (((value, gradient), m), v) in values.iter_mut().zip(gradient).zip(first).zip(second) {
            let gradient = factor * gradient;
            *m = beta1 * *m + (1.0 - beta1) * gradient;
            *v = beta2 * *v + (1.0 - beta2) * gradient * gradient;
            *value = *value * decay - rate * *m / (v.sqrt() / root + epsilon);
        }
    }
}

/// Biases and layer normalisation are not decayed, as in Hugging Face's trainer.
fn is_decayed(name: &str) -> bool {
    let name = name.to_lowercase();
    let is_norm = |module: &str| module == "norm" || module.ends_with("_norm");
    !name.contains("bias") && !name.contains("layernorm") && !name.split('.').any(is_norm)
}

/// What a gradient of this norm is multiplied with so that its norm is at most `max_norm` (0: any), as
/// `torch.nn.utils.clip_grad_norm_` does.
pub(super) fn clip_factor(norm: f64, max_norm: f64) -> f32 {
    // PyTorch guards the division with 1e-6.
    let factor = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && factor < 1.0 { factor as f32 } else { 1.0 }
}

/// The norm of all gradients together.
///
/// # Errors
/// When the device fails.
pub(super) fn norm(gradients: &[Tensor]) -> Result<f64> {
    let squares = gradients.iter().map(|gradient| ops::with_values(gradient, sum_of_squares));
    Ok(squares.sum::<Result<f64>>()?.sqrt())
}

/// Scales the gradient so that its norm is at most `max_norm` (0: any).
pub(super) fn clip(gradient: &mut [f32], max_norm: f64) {
    let factor = clip_factor(sum_of_squares(gradient).sqrt(), max_norm);
    if factor < 1.0 {
        gradient.iter_mut().for_each(|g| *g *= factor);
    }
}

/// Summed in eight columns, so that an addition need not wait for the one before.
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut columns = [0f64; 8];
    let mut rows = values.chunks_exact(8);
    for row in &mut rows {
        for (column, value) in columns.iter_mut().zip(row) {
            *column += f64::from(*value) * f64::from(*value);
        }
    }
    let rest: f64 = rows.remainder().iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    columns.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EncoderKind, backbone_tensors, fixture};
    use crate::params::TensorSpec;

    fn params(name: &str, values: &[f32]) -> Params {
        Params::new(Layout::new(vec![TensorSpec::new(name, [values.len()])]), values.to_vec())
    }

    #[test]
    fn the_first_adamw_step_has_the_size_of_the_learning_rate() {
        // At t = 1, m / (1 - beta1) = g and sqrt(v / (1 - beta2)) = |g|: the step is lr g / (|g| + eps), the sign of g.
        let config = TrainConfig { weight_decay: 0.1, ..TrainConfig::default() };
        let mut weight = params("a.weight", &[1.0, 1.0]);
        Optimizer::new(&config, weight.layout()).step(&mut weight, &[0.5, -2.0], 0.01);
        // Decay first: 1 - 0.01 x 0.1 = 0.999, then -+ 0.01.
        for (value, expected) in weight.values().iter().zip([0.989, 1.009]) {
            assert!((value - expected).abs() < 1e-6, "{value}");
        }
        let mut bias = params("a.bias", &[1.0]);
        Optimizer::new(&config, bias.layout()).step(&mut bias, &[0.5], 0.01);
        assert!((bias.values()[0] - 0.99).abs() < 1e-6, "biases are not decayed");
    }

    #[test]
    fn a_step_in_place_is_the_step_on_a_vector() {
        for optim in [Optim::Adamw, Optim::Sgd] {
            let config = TrainConfig { optim, weight_decay: 0.1, ..TrainConfig::default() };
            let layout = Layout::new(vec![TensorSpec::new("a.weight", [3, 5]), TensorSpec::new("b.bias", [4])]);
            let mut params = Params::new(layout.clone(), (0..19).map(|i| i as f32 / 7.0 - 1.0).collect());
            let variables = TrainableVars::variables(&params, &candle_core::Device::Cpu).unwrap();
            let mut gradient: Vec<f32> = (0..19).map(|i| (i as f32).sin()).collect();
            let tensor =
                |values: &[f32], shape: &[usize]| Tensor::from_slice(values, shape, &candle_core::Device::Cpu).unwrap();
            let gradients = [tensor(&gradient[..15], &[3, 5]), tensor(&gradient[15..], &[4])];
            let (mut flat, mut in_place) = (Optimizer::new(&config, &layout), Optimizer::new(&config, &layout));
            let factor = clip_factor(norm(&gradients).unwrap(), 0.5);
            assert!(factor < 1.0);
            clip(&mut gradient, 0.5);
            for _ in 0..3 {
                flat.step(&mut params, &gradient, 0.01);
                assert!(in_place.step_in_place(&variables, &gradients, factor, 0.01).unwrap());
            }
            assert_eq!(variables.to_params().unwrap().values(), params.values());
            let broken = [tensor(&[f32::NAN; 15], &[3, 5]), tensor(&[0.0; 4], &[4])];
            assert!(!in_place.step_in_place(&variables, &broken, 1.0, 0.01).unwrap());
        }
    }

    #[test]
    fn sgd_follows_the_gradient() {
        let config = TrainConfig { optim: Optim::Sgd, ..TrainConfig::default() };
        let mut weight = params("a.weight", &[1.0]);
        Optimizer::new(&config, weight.layout()).step(&mut weight, &[0.5], 0.1);
        assert!((weight.values()[0] - 0.95).abs() < 1e-7);
    }

    #[test]
    fn clipping_keeps_the_direction_and_bounds_the_norm() {
        let mut gradient = [3.0, 4.0];
        assert_eq!(sum_of_squares(&gradient), 25.0);
        clip(&mut gradient, 1.0);
        assert!((gradient[0] - 0.6).abs() < 1e-6 && (gradient[1] - 0.8).abs() < 1e-6);
        let mut small = [0.3, 0.4];
        clip(&mut small, 1.0);
        assert_eq!(small, [0.3, 0.4]);
        let mut unbounded = [3.0, 4.0];
        clip(&mut unbounded, 0.0);
        assert_eq!(unbounded, [3.0, 4.0]);
    }

    #[test]
    fn normalisation_is_not_decayed_whatever_a_family_calls_it() {
        for kind in EncoderKind::ALL {
            let backbone = fixture::backbone(kind);
            for spec in backbone_tensors(backbone.config()) {
                // In an encoder vectors are biases and normalisation; everything else has more dimensions.
                assert_eq!(is_decayed(&spec.name), spec.shape.len() > 1, "{}", spec.name);
            }
        }
        assert!(is_decayed("encoder.layer.0.attention.self.query.lora_A.weight"));
    }
}
