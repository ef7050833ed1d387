//! Gradients of trained tensors against central differences.
//!
//! Gradients come from the path that training takes: `f32` and fused kernels. Differences are taken in `f64`, where the
//! same functions are composed of candle's operations: with a step of 1e-5 their error is about 1e-9, far below that of
//! the gradients, so a comparison to 1e-4 of the largest element is meaningful.

use candle_core::{DType, Result, Tensor};

use super::TrainableVars;
use crate::model::{Backbone, Init};
use crate::params::Params;
use crate::seed::{Purpose, Seeds};

/// How a tensor's gradient compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GradientState {
    /// It agrees with the differences.
    Sound,
    /// It is not there: the graph is cut between the tensor and the loss.
    Cut,
    /// It differs from the differences, or is not finite.
    Wrong,
}

/// One trained tensor's gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientCheck {
    /// The tensor.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Elements compared.
    pub n_compared: usize,
    /// The largest magnitude in the gradient; 0 when it is cut, NaN when one element is.
    pub largest: f64,
    /// The largest difference found, divided by the larger of `largest` and 0.01; NaN when the gradient is not finite
    /// throughout.
    pub error: f64,
    /// The verdict: sound up to an error of 1e-4.
    pub state: GradientState,
}

const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 1e-4;
/// Gradients below this are compared as if they had this size: what is that small is rounding.
const FLOOR: f64 = 1e-2;

/// Compares the gradients of `loss` at `params` for `n_elements` elements of each tensor: the one with the largest
/// gradient, and others evenly spread. `loss` is called with the backbone in `f32` and in `f64`, and must draw the same
/// dropout masks at each call.
///
/// # Errors
/// When a loss cannot be computed.
pub fn check_gradients(
    backbone: &Backbone,
    params: &Params,
    n_elements: usize,
    loss: &dyn Fn(&Backbone, TrainableVars) -> Result<Tensor>,
) -> Result<Vec<GradientCheck>> {
    let wide = backbone.with_dtype(DType::F64)?;
    let variables = TrainableVars::variables(params, backbone.device())?;
    let gradients = loss(backbone, variables.clone())?.backward()?;
    let mut checks = Vec::new();
    for (index, spec) in params.layout().tensors().iter().enumerate() {
        let gradient = match gradients.get(&variables.tensors()[index]) {
            Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>()?,
            None => Vec::new(),
        };
        let largest = gradient.iter().fold(0f64, |largest, g| larger(largest, f64::from(g.abs())));
        let compared = if gradient.is_empty() { Vec::new() } else { chosen(&gradient, n_elements) };
        let mut error = if largest.is_finite() { 0f64 } else { f64::NAN };
        for &element in &compared {
            let at = |change: f64| {
                let move_one = |tensor: usize, values: &mut [f64]| {
                    if tensor == index {
                        values[element] += change;
                    }
                };
                let values = TrainableVars::in_f64(params, backbone.device(), move_one)?;
                loss(&wide, values)?.to_dtype(DType::F64)?.to_scalar::<f64>()
            };
            let expected = (at(STEP)? - at(-STEP)?) / (2.0 * STEP);
            error = larger(error, (f64::from(gradient[element]) - expected).abs() / larger(largest, FLOOR));
        }
        let state = match gradient.is_empty() {
            true => GradientState::Cut,
            false if error < TOLERANCE => GradientState::Sound,
            false => GradientState::Wrong,
        };
        let (name, shape) = (spec.name.clone(), spec.shape.clone());
        checks.push(GradientCheck { name, shape, n_compared: compared.len(), largest, error, state });
    }
    Ok(checks)
}

/// Values to check at in place of initial ones, where many gradients are zero: each tensor gets a normal change of the
/// given standard deviation, the same for the same name.
pub fn stirred(params: &Params, sd: f64) -> Params {
    let mut stirred = params.clone();
    let (init, seeds) = (Init::Normal { sd }, Seeds::new(0));
    for (index, spec) in params.layout().tensors().iter().enumerate() {
        let changes = init.draw(spec, Purpose::RandomBackbone, &seeds);
        let values = &mut stirred.values_mut()[params.layout().range(index)];
        values.iter_mut().zip(changes).for_each(|(value, change)| *value += change);
    }
    stirred
}

/// The larger of two numbers, or NaN when one is: `f64::max` would give the other.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn chosen(gradient: &[f32], n_elements: usize) -> Vec<usize> {
    let n = n_elements.clamp(1, gradient.len());
    let mut chosen: Vec<usize> = (0..n).map(|i| i * gradient.len() / n).collect();
    let largest =
        (0..gradient.len()).fold(0, |best, i| if gradient[i].abs() > gradient[best].abs() { i } else { best });
    if !chosen.contains(&largest) {
        chosen[n - 1] = largest;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EncoderKind, fixture};
    use crate::params::{Layout, TensorSpec};

    /// The checks of `a^2 + b^2` summed, with `b` as `change` makes it.
    fn checks(change: fn(&Tensor) -> Tensor) -> Vec<GradientCheck> {
        let layout = Layout::new(vec![TensorSpec::new("a", [2]), TensorSpec::new("b", [3])]);
        let params = Params::new(layout, vec![1.0, 2.0, 3.0, 4.0, 5.0]);
        let loss = |_: &Backbone, values: TrainableVars| {
            let [a, b] = ["a", "b"].map(|name| values.get(name).unwrap().clone());
            a.sqr()?.sum_all()? + change(&b).sqr()?.sum_all()?
        };
        check_gradients(&fixture::backbone(EncoderKind::Bert), &params, 2, &loss).unwrap()
    }

    #[test]
    fn what_is_cut_or_wrong_is_found_and_nothing_else() {
        let states = |checks: Vec<GradientCheck>| checks.into_iter().map(|check| check.state).collect::<Vec<_>>();
        use GradientState::{Cut, Sound, Wrong};
        assert_eq!(states(checks(Tensor::clone)), [Sound, Sound]);
        assert_eq!(states(checks(Tensor::detach)), [Sound, Cut]);
        // Half of the way to `b` is cut: its gradient is half of the true one.
        let halved = |b: &Tensor| ((b * 0.5).unwrap() + (b.detach() * 0.5).unwrap()).unwrap();
        assert_eq!(states(checks(halved)), [Sound, Wrong]);
        let found = checks(halved);
        assert_eq!((found[1].largest, found[1].n_compared), (5.0, 2));
        // True gradient 10, found 5: the difference is as large as the gradient.
        assert!((found[1].error - 1.0).abs() < 1e-6);
    }

    /// The check of a loss of four numbers in which two elements are compared.
    fn check_of(values: [f32; 4], loss: fn(&Tensor) -> Result<Tensor>) -> GradientCheck {
        let layout = Layout::new(vec![TensorSpec::new("a", [4])]);
        let params = Params::new(layout, values.to_vec());
        let loss = |_: &Backbone, values: TrainableVars| loss(values.get("a").unwrap());
        check_gradients(&fixture::backbone(EncoderKind::Bert), &params, 2, &loss).unwrap().swap_remove(0)
    }

    #[test]
    fn a_gradient_that_is_not_finite_is_wrong_wherever_it_stands() {
        // The slope of the root is infinite at 0. Elements 0 and 2 are compared: 2 agrees, which must not hide 0.
        let check = check_of([0.0, 1.0, 4.0, 1.0], |a| a.sqrt()?.sum_all());
        assert_eq!((check.state, check.largest), (GradientState::Wrong, f64::INFINITY), "{check:?}");
        assert!(check.error.is_nan());
        // The root of a negative number is no number, and though the loss does not take it, its gradient, 0 / NaN, is none
        // either. Elements 0 and 3 are compared, and agree.
        let guarded = |a: &Tensor| a.lt(0.0)?.where_cond(&a.zeros_like()?, &a.sqrt()?)?.sum_all();
        let check = check_of([1.0, 4.0, -1.0, 0.25], guarded);
        assert_eq!(check.state, GradientState::Wrong, "{check:?}");
        assert!(check.largest.is_nan() && check.error.is_nan(), "{check:?}");
        // Without it: slopes 1/2, 1/4, 1/4 and 1.
        let check = check_of([1.0, 4.0, 4.0, 0.25], guarded);
        assert_eq!((check.state, check.largest), (GradientState::Sound, 1.0), "{check:?}");
    }

    #[test]
    fn stirring_moves_every_tensor() {
        let params = Params::zeros(Layout::new(vec![TensorSpec::new("a", [2]), TensorSpec::new("b", [3])]));
        assert!(stirred(&params, 0.1).values().iter().all(|value| *value != 0.0));
        assert_eq!(stirred(&params, 0.1), stirred(&params, 0.1));
    }
}
