//! Every method that PEFT has, in every family where it has it: scores, loss, gradients and three steps of AdamW equal
//! PyTorch's.

use candle_core::{Device, Tensor};
use candle_nn::loss::cross_entropy;

use super::optimizer::{Optimizer, clip};
use super::{Schedule, TrainConfig};
use crate::model::{Pass, classify};
use crate::petuning::TrainableVars;
use crate::petuning::golden::{Golden, cases};

/// The largest difference allowed, beside the size of the number itself.
const TOLERANCE: f32 = 1e-4;

fn assert_close(what: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((ours - theirs).abs() < TOLERANCE * (1.0 + theirs.abs()), "{what}[{i}]: {ours} but {theirs}");
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn check(golden: &Golden) {
    let case = &golden.case;
    let number = |key: &str| golden.training[key].as_f64().unwrap();
    let config = TrainConfig {
        learning_rate: number("learning_rate"),
        weight_decay: number("weight_decay"),
        max_grad_norm: number("max_grad_norm"),
        ..TrainConfig::default()
    };
    let n_steps = number("steps") as usize;
    let mut params = golden.start.clone();
    let layout = params.layout().clone();
    assert_eq!(layout.tensors().len(), golden.n_trained(), "{case}");
    let mut optimizer = Optimizer::new(&config, &layout);
    let schedule = Schedule::new(&config, n_steps);
    let mut losses = Vec::new();
    for step in 0..n_steps {
        let variables = TrainableVars::variables(&params, &Device::Cpu).unwrap();
        let hooks = golden.tuning.implementation().hooks(variables.clone());
        let logits = classify(&golden.backbone, &golden.batch, hooks.as_ref(), &mut Pass::evaluation()).unwrap();
        let loss = cross_entropy(&logits, &golden.labels).unwrap();
        losses.push(loss.to_scalar::<f32>().unwrap());
        let gradients = loss.backward().unwrap();
        let mut gradient = vec![0f32; layout.n_elements()];
        for (index, spec) in layout.tensors().iter().enumerate() {
            let found = values(gradients.get(&variables.tensors()[index]).unwrap());
            if step == 0 {
                assert_close(
                    &format!("{case}: gradient of {}", spec.name),
                    &found,
                    &golden.values("gradient", &spec.name),
                );
            }
            gradient[layout.range(index)].copy_from_slice(&found);
        }
        if step == 0 {
            assert_close(&format!("{case}: scores"), &values(&logits), &values(&golden.tensor("logits")));
        }
        clip(&mut gradient, config.max_grad_norm);
        optimizer.step(&mut params, &gradient, config.learning_rate * schedule.factor(step));
    }
    assert_close(&format!("{case}: losses"), &losses, &values(&golden.tensor("losses")));
    for (spec, ours) in params.iter() {
        // Where the gradient is nothing but rounding, Adam makes whole steps of it.
        let gradient = golden.values("gradient", &spec.name);
        let theirs = golden.values("trained", &spec.name);
        for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let is_rounding = gradient[i].abs() < 1e-6;
            let what = format!("{case}: trained {}[{i}]: {ours} but {theirs}", spec.name);
            assert!(is_rounding || (ours - theirs).abs() < TOLERANCE * (1.0 + theirs.abs()), "{what}");
        }
    }
}

#[test]
fn every_method_of_peft_is_that_of_pytorch() {
    let cases = cases();
    assert_eq!(cases.len(), 30, "six or more methods in each of four families");
    cases.iter().for_each(|dir| check(&Golden::read(dir)));
}
