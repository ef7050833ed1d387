//! Every trained tensor's gradient against central differences.
//!
//! Gradients come from the path that training takes: `f32` and fused kernels. Differences are taken in `f64`, where the
//! same functions are composed of candle's operations: with a step of 1e-5 their error is about 1e-9, far below that of
//! the gradients, so a comparison to 1e-4 of the largest element is meaningful. Dropout is on, with a fixed key.

use candle_core::{DType, Device, Tensor};
use candle_nn::loss::cross_entropy;

use super::{FullConfig, HeadConfig, LoraConfig, TrainableVars, TuningConfig, initial_params};
use crate::model::{Backbone, Batch, EncoderKind, ModelDtype, Pass, Projection, classify, fixture};
use crate::params::Params;
use crate::seed::Seeds;

const N_LABELS: usize = 3;
const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 1e-4;
/// Elements looked at in each tensor, evenly spread.
const N_CHECKED: usize = 10;

fn loss(backbone: &Backbone, batch: &Batch, tuning: &TuningConfig, values: TrainableVars) -> Tensor {
    let hooks = tuning.implementation().hooks(values);
    let logits = classify(backbone, batch, hooks.as_ref(), &mut Pass::training(99, None)).unwrap();
    let labels = Tensor::new(&[2u32, 0, 1], &Device::Cpu).unwrap();
    cross_entropy(&logits, &labels).unwrap()
}

fn check(kind: EncoderKind, tuning: TuningConfig) {
    check_in(fixture::backbone(kind), tuning);
}

fn check_in(backbone: Backbone, tuning: TuningConfig) {
    let wide = fixture::in_f64(&backbone);
    let batch = fixture::batch(backbone.config());
    let params = initial_params(&tuning, &backbone, N_LABELS, &Seeds::new(5)).unwrap();
    // Full tuning starts at values that are stirred already.
    let params = if matches!(tuning, TuningConfig::Full(_)) { params } else { fixture::stirred(&params) };
    let variables = TrainableVars::variables(&params, &Device::Cpu).unwrap();
    let gradients = loss(&backbone, &batch, &tuning, variables.clone()).backward().unwrap();
    for (index, spec) in params.layout().tensors().iter().enumerate() {
        let gradient = gradients.get(&variables.tensors()[index]);
        let gradient = gradient.unwrap_or_else(|| panic!("`{}` has no gradient", spec.name));
        assert_eq!(gradient.dims(), spec.shape);
        let gradient = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let largest = gradient.iter().fold(0f32, |largest, g| largest.max(g.abs()));
        // Adding a vector to all keys adds the same number to all scores of a query, which softmax ignores.
        assert!(
            largest > 1e-4 || spec.name.ends_with("key.bias") || spec.name.ends_with("k_lin.bias"),
            "`{}`: {largest}",
            spec.name
        );
        for element in (0..gradient.len()).step_by(gradient.len().div_ceil(N_CHECKED)) {
            let at = |change: f64| {
                let values = moved(&params, index, element, change);
                loss(&wide, &batch, &tuning, values).to_scalar::<f64>().unwrap()
            };
            let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let error = (f64::from(gradient[element]) - expected).abs();
            let bound = TOLERANCE * f64::from(largest).max(1e-2);
            assert!(error < bound, "`{}`[{element}]: {} but {expected}", spec.name, gradient[element]);
        }
    }
}

/// The values in `f64` with one element moved.
fn moved(params: &Params, index: usize, element: usize, change: f64) -> TrainableVars {
    TrainableVars::in_f64(params, |tensor, values| {
        if tensor == index {
            values[element] += change;
        }
    })
}

fn lora(kind: EncoderKind) -> TuningConfig {
    let target_modules = Projection::ALL.map(|projection| projection.name(kind).to_string()).to_vec();
    TuningConfig::Lora(LoraConfig { r: 2, lora_alpha: 3.0, lora_dropout: 0.2, target_modules, ..LoraConfig::default() })
}

#[test]
fn lora_in_every_family() {
    EncoderKind::ALL.into_iter().for_each(|kind| check(kind, lora(kind)));
}

#[test]
fn lora_and_full_in_every_family_kept_in_16_bits() {
    for kind in EncoderKind::ALL {
        let backbone = fixture::backbone(kind).kept_in(ModelDtype::Bf16).unwrap();
        check_in(backbone.clone(), lora(kind));
        check_in(backbone, TuningConfig::Full(FullConfig {}));
    }
}

#[test]
fn head_of_every_family() {
    EncoderKind::ALL.into_iter().for_each(|kind| check(kind, TuningConfig::Head(HeadConfig {})));
}

#[test]
fn full_bert() {
    check(EncoderKind::Bert, TuningConfig::Full(FullConfig {}));
}

#[test]
fn full_roberta() {
    check(EncoderKind::Roberta, TuningConfig::Full(FullConfig {}));
}

#[test]
fn full_distilbert() {
    check(EncoderKind::DistilBert, TuningConfig::Full(FullConfig {}));
}

#[test]
fn full_vit() {
    check(EncoderKind::Vit, TuningConfig::Full(FullConfig {}));
}

#[test]
fn what_is_frozen_gets_no_gradient() {
    let backbone = fixture::backbone(EncoderKind::Roberta);
    let tuning = lora(EncoderKind::Roberta);
    let params = initial_params(&tuning, &backbone, N_LABELS, &Seeds::new(5)).unwrap();
    let variables = TrainableVars::variables(&params, &Device::Cpu).unwrap();
    let batch = fixture::batch(backbone.config());
    let gradients = loss(&backbone, &batch, &tuning, variables).backward().unwrap();
    for (name, tensor) in backbone.tensors() {
        assert!(gradients.get(tensor).is_none(), "`{name}` is frozen");
        assert_eq!(tensor.dtype(), DType::F32);
    }
    let constants = TrainableVars::constants(&params, &Device::Cpu).unwrap();
    assert!(!loss(&backbone, &batch, &tuning, constants).track_op(), "an evaluation must not build a graph");
}
