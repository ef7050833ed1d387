//! The head of masked language modelling, for pretraining an encoder.
//!
//! `dense`, GELU and layer normalisation at the masked tokens, then scores over the vocabulary with the word embeddings
//! as weights and a bias of their own. Tensors are named as in transformers' `RobertaForMaskedLM`.

use candle_core::{Result, Tensor};

use super::hooked::Model;
use super::initial::Init;
use super::ops;
use super::{Backbone, EncoderConfig, Hooks};
use crate::params::TensorSpec;

/// The tensors of the head, beside the word embeddings, with their initial values.
pub fn tensors(config: &EncoderConfig) -> Vec<(TensorSpec, Init)> {
    let hidden = config.hidden_size;
    vec![
        (TensorSpec::new("lm_head.bias", [config.vocab_size]), Init::Zeros),
        (TensorSpec::new("lm_head.dense.bias", [hidden]), Init::Zeros),
        (TensorSpec::new("lm_head.dense.weight", [hidden, hidden]), Init::Normal { sd: config.initializer_range }),
        (TensorSpec::new("lm_head.layer_norm.bias", [hidden]), Init::Zeros),
        (TensorSpec::new("lm_head.layer_norm.weight", [hidden]), Init::Ones),
    ]
}

/// Scores over the vocabulary (logits), `[n, vocab]`, at some tokens.
///
/// `hidden` is what [`encode`](super::encode) gave, `[batch, seq, hidden]`; `positions` are `u32` numbers `[n]` into its
/// `batch x seq` rows. The hooks give the head's tensors, and the word embeddings if those are trained.
///
/// # Errors
/// When a position exceeds the rows, or the hooks do not give the head.
pub fn logits(backbone: &Backbone, hidden: &Tensor, positions: &Tensor, hooks: &dyn Hooks) -> Result<Tensor> {
    let model = Model { backbone, hooks };
    let rows = hidden.flatten(0, 1)?.index_select(positions, 0)?;
    let x = ops::gelu(&model.linear("lm_head.dense", &rows)?)?;
    let x = model.layer_norm("lm_head.layer_norm", &x)?;
    let bias = model.tensor("lm_head.bias")?;
    ops::linear(&x, &model.tensor("embeddings.word_embeddings.weight")?, Some(&bias))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use candle_core::Device;

    use super::*;
    use crate::model::checkpoint::Weights;
    use crate::model::{Batch, NoHooks, Pass, encode, fixture};

    struct Head(BTreeMap<String, Tensor>);

    impl Hooks for Head {
        fn parameter(&self, name: &str) -> Option<Tensor> {
            self.0.get(name).cloned()
        }
    }

    #[test]
    fn scores_are_those_of_transformers() {
        let dir = fixture::peers().join("masked_lm");
        let backbone = Backbone::open(&dir).unwrap();
        let bytes = std::fs::read(dir.join("model.safetensors")).unwrap();
        let weights = Weights::safetensors(&bytes, "masked_lm").unwrap();
        let head = tensors(backbone.config()).into_iter().map(|(spec, _)| {
            let tensor = weights.tensor(&spec.name, "masked_lm").unwrap();
            assert_eq!(tensor.dims(), spec.shape);
            (spec.name, tensor)
        });
        let head = Head(head.collect());
        let golden: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.join("golden.json")).unwrap()).unwrap();
        let numbers = |key: &str| -> Vec<u32> { serde_json::from_value(golden[key].clone()).unwrap() };
        let (example, positions) = (numbers("example"), numbers("positions"));
        let types = vec![0; example.len()];
        let batch = Batch::new(&[(&example, &types)], backbone.config(), &Device::Cpu).unwrap();
        let hidden = encode(&backbone, &batch, &NoHooks, &mut Pass::evaluation()).unwrap();
        let positions = Tensor::new(positions, &Device::Cpu).unwrap();
        let ours = logits(&backbone, &hidden, &positions, &head).unwrap().to_vec2::<f32>().unwrap();
        let theirs: Vec<Vec<f32>> = serde_json::from_value(golden["logits"].clone()).unwrap();
        for (ours, theirs) in ours.iter().flatten().zip(theirs.iter().flatten()) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
        }
    }
}
