//! Scores, loss and gradients of transformers' own DistilBERT and ViT; `tests/peers/make_family_goldens.py` made them.

use std::path::Path;

use candle_core::{Device, Tensor};
use candle_nn::loss::cross_entropy;
use serde_json::Value;

use super::{FullConfig, TrainableVars, TuningConfig, initial_params};
use crate::model::checkpoint::{Weights, WeightsFiles};
use crate::model::{Backbone, Batch, EncoderKind, Pass, classify, fixture};
use crate::params::Params;
use crate::seed::Seeds;

const N_LABELS: usize = 3;

/// All tensors of backbone and head, the head's from the checkpoint too.
fn params(backbone: &Backbone, dir: &Path) -> Params {
    let mut params = initial_params(&full(), backbone, None, N_LABELS, &Seeds::new(0)).unwrap();
    let found = WeightsFiles::find(dir).unwrap().unwrap();
    for file in &found.files {
        let bytes = std::fs::read(file).unwrap();
        let weights = match found.is_pickle {
            true => Weights::pickle(file, "peer").unwrap(),
            false => Weights::safetensors(&bytes, "peer").unwrap(),
        };
        for name in weights.names().iter().filter(|name| backbone.config().kind.is_head(name)) {
            let values = weights.tensor(name, "peer").unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let layout = params.layout().clone();
            params.values_mut()[layout.range(layout.position(name).unwrap())].copy_from_slice(&values);
        }
    }
    params
}

fn full() -> TuningConfig {
    TuningConfig::Full(FullConfig {})
}

fn check(kind: EncoderKind, gradient_name: impl Fn(&str) -> String) {
    let dir = fixture::peers().join(kind.name());
    let golden: Value = serde_json::from_slice(&std::fs::read(dir.join("golden.json")).unwrap()).unwrap();
    let backbone = Backbone::open(&dir).unwrap();
    let unused: Vec<_> = backbone.unused_tensors().iter().filter(|name| !kind.is_head(name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
    let batch = if backbone.config().vision.is_some() {
        let pixels: Vec<f32> = serde_json::from_value(golden["pixels"].clone()).unwrap();
        Batch::images(&pixels, 4, backbone.config(), &Device::Cpu).unwrap()
    } else {
        let examples: Vec<Vec<u32>> = serde_json::from_value(golden["examples"].clone()).unwrap();
        let types = [0u32; 8];
        let inputs: Vec<_> = examples.iter().map(|ids| (ids.as_slice(), &types[..ids.len()])).collect();
        Batch::new(&inputs, backbone.config(), &Device::Cpu).unwrap()
    };
    let params = params(&backbone, &dir);
    let variables = TrainableVars::variables(&params, &Device::Cpu).unwrap();
    let hooks = full().implementation().hooks(variables.clone());
    let logits = classify(&backbone, &batch, hooks.as_ref(), &mut Pass::evaluation()).unwrap();
    let theirs: Vec<Vec<f32>> = serde_json::from_value(golden["logits"].clone()).unwrap();
    for (ours, theirs) in logits.to_vec2::<f32>().unwrap().iter().flatten().zip(theirs.iter().flatten()) {
        assert!((ours - theirs).abs() < 1e-5 * (1.0 + theirs.abs()), "{ours} {theirs}");
    }
    let labels: Vec<u32> = serde_json::from_value(golden["labels"].clone()).unwrap();
    let loss = cross_entropy(&logits, &Tensor::new(labels, &Device::Cpu).unwrap()).unwrap();
    assert!((f64::from(loss.to_scalar::<f32>().unwrap()) - golden["loss"].as_f64().unwrap()).abs() < 1e-5);
    let gradients = loss.backward().unwrap();
    let theirs = golden["gradients"].as_object().unwrap();
    assert_eq!(theirs.len(), params.layout().tensors().len());
    for (spec, variable) in params.layout().tensors().iter().zip(variables.tensors()) {
        let gradient = gradients.get(variable).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let expected = theirs[&gradient_name(&spec.name)].as_f64().unwrap().sqrt();
        // Gradients of keys' biases are rounding: adding a vector to all keys changes no attention.
        assert!((norm - expected).abs() < 1e-4 * expected + 1e-5, "`{}`: {norm} {expected}", spec.name);
    }
}

#[test]
fn distilbert_is_that_of_transformers() {
    let kind = EncoderKind::DistilBert;
    check(kind, |name| if kind.is_head(name) { name.into() } else { format!("distilbert.{name}") });
}

#[test]
fn vit_is_that_of_transformers() {
    // The names that transformers 5 has in memory; the file has them too.
    check(EncoderKind::Vit, |name| {
        if EncoderKind::Vit.is_head(name) {
            return name.into();
        }
        let name = name.replace("encoder.layer.", "layers.");
        let pairs = [
            ("attention.attention.query", "attention.q_proj"),
            ("attention.attention.key", "attention.k_proj"),
            ("attention.attention.value", "attention.v_proj"),
            ("attention.output.dense", "attention.o_proj"),
            ("intermediate.dense", "mlp.fc1"),
            ("output.dense", "mlp.fc2"),
        ];
        format!("vit.{}", pairs.iter().fold(name, |name, (ours, theirs)| name.replace(ours, theirs)))
    });
}
