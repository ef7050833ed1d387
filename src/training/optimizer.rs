//! Optimizers on flat vectors, with a fixed order of operations.

use super::{Optim, TrainConfig};
use crate::params::{Layout, Params};

/// The state of one client's optimizer; new in each round.
#[derive(Debug, Clone)]
pub struct Optimizer {
    optim: Optim,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
    decayed: Vec<bool>,
    first: Vec<f32>,
    second: Vec<f32>,
    n_steps: i32,
}

impl Optimizer {
    /// An optimizer without memory for tensors of this layout.
    pub fn new(config: &TrainConfig, layout: &Layout) -> Self {
        let n_moments = if config.optim == Optim::Adamw { layout.n_elements() } else { 0 };
        Self {
            optim: config.optim,
            beta1: config.adam_beta1,
            beta2: config.adam_beta2,
            epsilon: config.adam_epsilon,
            weight_decay: config.weight_decay,
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
            let decay = if self.decayed[index] { (1.0 - learning_rate * self.weight_decay) as f32 } else { 1.0 };
            let values = &mut params.values_mut()[range.clone()];
            match self.optim {
                Optim::Adamw => self.adamw(values, &gradient[range.clone()], range.start, decay, learning_rate),
                Optim::Sgd => {
                    let rate = learning_rate as f32;
                    for (value, gradient) in values.iter_mut().zip(&gradient[range]) {
                        *value = *value * decay - rate * gradient;
                    }
                }
            }
        }
    }

    fn adamw(&mut self, values: &mut [f32], gradient: &[f32], start: usize, decay: f32, learning_rate: f64) {
        let first = &mut self.first[start..start + values.len()];
        let second = &mut self.second[start..start + values.len()];
        let correction1 = 1.0 - self.beta1.powi(self.n_steps);
        let correction2 = 1.0 - self.beta2.powi(self.n_steps);
        let rate = (learning_rate / correction1) as f32;
        let root = correction2.sqrt() as f32;
        let (beta1, beta2, epsilon) = (self.beta1 as f32, self.beta2 as f32, self.epsilon as f32);
        for (((value, gradient), m), v) in values.iter_mut().zip(gradient).zip(first).zip(second) {
            *m = beta1 * *m + (1.0 - beta1) * gradient;
            *v = beta2 * *v + (1.0 - beta2) * gradient * gradient;
            *value = *value * decay - rate * *m / (v.sqrt() / root + epsilon);
        }
    }
}

/// Biases and layer normalisation are not decayed, as in Hugging Face's trainer.
fn is_decayed(name: &str) -> bool {
    !name.ends_with(".bias") && !name.contains("LayerNorm") && !name.contains("layer_norm")
}

/// Scales the gradient so that its norm is at most `max_norm` (0: any), as `torch.nn.utils.clip_grad_norm_` does.
/// Gives the norm before.
pub(super) fn clip(gradient: &mut [f32], max_norm: f64) -> f64 {
    let norm = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
    // PyTorch guards the division with 1e-6.
    let factor = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && factor < 1.0 {
        gradient.iter_mut().for_each(|g| *g *= factor as f32);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn sgd_follows_the_gradient() {
        let config = TrainConfig { optim: Optim::Sgd, ..TrainConfig::default() };
        let mut weight = params("a.weight", &[1.0]);
        Optimizer::new(&config, weight.layout()).step(&mut weight, &[0.5], 0.1);
        assert!((weight.values()[0] - 0.95).abs() < 1e-7);
    }

    #[test]
    fn clipping_keeps_the_direction_and_bounds_the_norm() {
        let mut gradient = [3.0, 4.0];
        assert_eq!(clip(&mut gradient, 1.0), 5.0);
        assert!((gradient[0] - 0.6).abs() < 1e-6 && (gradient[1] - 0.8).abs() < 1e-6);
        let mut small = [0.3, 0.4];
        clip(&mut small, 1.0);
        assert_eq!(small, [0.3, 0.4]);
        let mut unbounded = [3.0, 4.0];
        clip(&mut unbounded, 0.0);
        assert_eq!(unbounded, [3.0, 4.0]);
    }
}
