//! Directories as people have them: whole, in shards, damaged, mixed.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};

use super::*;
use crate::model::{Backbone, EncoderConfig, EncoderKind, ModelDtype, fixture};

/// A directory with `config.json` and these shards of a backbone's tensors, each with names to write them under.
fn sharded(config: &EncoderConfig, shards: &[BTreeMap<String, Tensor>]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), config.to_json()).unwrap();
    let mut weight_map = serde_json::Map::new();
    for (i, tensors) in shards.iter().enumerate() {
        let file = shard(i + 1, shards.len());
        write_safetensors(&dir.path().join(&file), tensors, Storage::F32).unwrap();
        weight_map.extend(tensors.keys().map(|name| (name.clone(), file.clone().into())));
    }
    let index = serde_json::json!({ "metadata": { "total_size": 0 }, "weight_map": weight_map });
    std::fs::write(dir.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    dir
}

fn shard(i: usize, n: usize) -> String {
    format!("model-{i:05}-of-{n:05}.safetensors")
}

/// The tensors of an encoder in two halves, with the family's prefix.
fn halves(backbone: &Backbone) -> [BTreeMap<String, Tensor>; 2] {
    let prefix = backbone.config().kind.prefix();
    let mut parts = [BTreeMap::new(), BTreeMap::new()];
    for (i, (name, tensor)) in backbone.tensors().iter().enumerate() {
        parts[usize::from(i >= backbone.tensors().len() / 2)].insert(format!("{prefix}{name}"), tensor.clone());
    }
    parts
}

fn refusal(dir: &Path) -> String {
    let message = Backbone::open(dir).unwrap_err().to_string();
    message.replace(&dir.display().to_string(), "DIR")
}

#[test]
fn shards_give_the_same_encoder_as_one_file() {
    for kind in EncoderKind::ALL {
        let backbone = fixture::backbone(kind);
        let dir = sharded(backbone.config(), &halves(&backbone));
        let again = Backbone::open(dir.path()).unwrap();
        assert_eq!(again.hash(), backbone.hash());
        assert_eq!(again.unused_tensors(), Vec::<String>::new());
        // Read in 16 bits at once, or rounded afterwards: the same.
        let narrow = Backbone::open_in(dir.path(), ModelDtype::Bf16).unwrap();
        assert_eq!(narrow.hash(), backbone.kept_in(ModelDtype::Bf16).unwrap().hash());
    }
}

#[test]
fn a_bert_without_its_pooler_gets_one_and_with_half_of_it_is_refused() {
    let backbone = fixture::backbone(EncoderKind::Bert);
    let without = |names: &[&str]| {
        let mut tensors = backbone.tensors().clone();
        assert!(names.iter().all(|name| tensors.remove(*name).is_some()));
        sharded(backbone.config(), &[tensors])
    };
    let (weight, bias) = ("pooler.dense.weight", "pooler.dense.bias");
    let dir = without(&[weight, bias]);
    let drawn = Backbone::open(dir.path()).unwrap();
    assert_eq!(drawn.drawn_tensors(), [weight, bias]);
    for (name, tensor) in backbone.tensors().iter().filter(|(name, _)| !name.starts_with("pooler")) {
        let same = drawn.tensor(name).unwrap().eq(tensor).unwrap().to_dtype(candle_core::DType::F32).unwrap();
        assert_eq!(same.mean_all().unwrap().to_scalar::<f32>().unwrap(), 1.0, "{name}");
    }
    // Normal with `initializer_range` as deviation, whose mean square over n numbers is within 4 sqrt(2 / n) of its own.
    let values = drawn.tensor(weight).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let variance = backbone.config().initializer_range.powi(2);
    let mean_square = values.iter().map(|value| f64::from(value * value)).sum::<f64>() / values.len() as f64;
    let bound = 4.0 * (2.0 / values.len() as f64).sqrt();
    assert!((mean_square / variance - 1.0).abs() < bound, "{mean_square} {variance} {bound}");
    assert_eq!(drawn.tensor(bias).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap(), 0.0);
    // A checkpoint has one hash, with the weights in 16 bits as well.
    assert_eq!(Backbone::open(dir.path()).unwrap().hash(), drawn.hash());
    let narrow = Backbone::open_in(dir.path(), ModelDtype::Bf16).unwrap();
    assert_eq!(narrow.hash(), drawn.kept_in(ModelDtype::Bf16).unwrap().hash());

    let half = without(&[bias]);
    assert!(refusal(half.path()).ends_with("lacks 1 of the tensors that `config.json` asks for: `pooler.dense.bias`"));
}

#[test]
fn missing_and_cut_shards_are_named() {
    let backbone = fixture::backbone(EncoderKind::Bert);
    let dir = sharded(backbone.config(), &halves(&backbone));
    let second = dir.path().join(shard(2, 2));
    let bytes = std::fs::read(&second).unwrap();
    std::fs::write(&second, &bytes[..bytes.len() - 100]).unwrap();
    let (expected, found) = (bytes.len(), bytes.len() - 100);
    assert_eq!(
        refusal(dir.path()),
        format!(
            "DIR/{}: the file is damaged: by its header it has {expected} bytes, but there are {found}; \
             download it again",
            shard(2, 2)
        )
    );
    std::fs::remove_file(&second).unwrap();
    assert_eq!(
        refusal(dir.path()),
        format!(
            "`DIR/model.safetensors.index.json` names 2 files, of which 1 are missing: `{}`; download them again",
            shard(2, 2)
        )
    );
}

#[test]
fn an_index_of_another_checkpoint_is_refused() {
    let backbone = fixture::backbone(EncoderKind::Bert);
    let dir = sharded(backbone.config(), &halves(&backbone));
    std::fs::copy(dir.path().join(shard(1, 2)), dir.path().join(shard(2, 2))).unwrap();
    let message = refusal(dir.path());
    assert!(message.contains("tensors here that are not, such as `bert."), "{message}");
    let index = dir.path().join("model.safetensors.index.json");
    std::fs::write(&index, r#"{ "weight_map": { "a": "../secret.safetensors" } }"#).unwrap();
    assert!(refusal(dir.path()).contains("`../secret.safetensors`, which is no file of this directory"));
    std::fs::write(&index, r#"{ "weight_map": {} }"#).unwrap();
    assert!(refusal(dir.path()).contains("`weight_map` names no file"));
}

#[test]
fn a_tensor_that_stands_twice_must_be_the_same() {
    let backbone = fixture::backbone(EncoderKind::Roberta);
    let name = "embeddings.LayerNorm.bias";
    // In two shards, and with and without prefix.
    for doubled in [format!("roberta.{name}"), name.to_string()] {
        let [first, mut second] = halves(&backbone);
        assert!(first.contains_key(&format!("roberta.{name}")));
        second.insert(doubled.clone(), backbone.tensor(name).unwrap().clone());
        let dir = sharded(backbone.config(), &[first.clone(), second.clone()]);
        assert_eq!(Backbone::open(dir.path()).unwrap().hash(), backbone.hash());
        second.insert(doubled.clone(), backbone.tensor(name).unwrap().affine(1.0, 1.0).unwrap());
        let dir = sharded(backbone.config(), &[first, second]);
        let message = refusal(dir.path());
        let expected = format!(
            "DIR/model.safetensors.index.json: a mixed checkpoint: tensor `{name}` is there twice with different \
             numbers, as `roberta.{name}` in DIR/{} and as `{doubled}` in DIR/{}; remove the files that belong to \
             another model",
            shard(1, 2),
            shard(2, 2)
        );
        assert_eq!(message, expected);
    }
}

#[test]
fn weights_and_configuration_must_be_of_one_model() {
    for (config, weights) in [
        (EncoderKind::Bert, EncoderKind::DistilBert),
        (EncoderKind::DistilBert, EncoderKind::Bert),
        (EncoderKind::Roberta, EncoderKind::Bert),
        (EncoderKind::Vit, EncoderKind::Roberta),
        (EncoderKind::Bert, EncoderKind::Vit),
    ] {
        let backbone = fixture::backbone(weights);
        let dir = sharded(fixture::backbone(config).config(), &halves(&backbone));
        let (found, expected) = (weights.name(), config.name());
        assert_eq!(
            refusal(dir.path()),
            format!(
                "DIR/model.safetensors.index.json: these are the weights of a `{found}` encoder, but `config.json` says \
                 `{expected}`; take both files from one model"
            )
        );
        // Without prefix the names inside a layer tell, unless the families share them.
        if (config, weights) == (EncoderKind::Bert, EncoderKind::DistilBert) {
            let bare = backbone.tensors().clone();
            let dir = sharded(fixture::backbone(config).config(), &[bare]);
            assert!(refusal(dir.path()).contains("of a `distilbert` encoder"), "{}", refusal(dir.path()));
        }
    }
}

#[test]
fn a_configuration_of_another_size_is_refused() {
    let backbone = fixture::backbone(EncoderKind::Vit);
    let config = backbone.config().clone();
    for layers in [1, 3] {
        let dir = sharded(&EncoderConfig { layers, ..config.clone() }, &halves(&backbone));
        let message = refusal(dir.path());
        assert!(message.contains(&format!("the weights have 2 layers, but `config.json` says {layers}")), "{message}");
    }
    let dir = sharded(&EncoderConfig { intermediate: 32, ..config }, &halves(&backbone));
    let message = refusal(dir.path());
    assert!(
        message.contains("`encoder.layer.0.intermediate.dense.bias` has shape [24], but `config.json` asks for [32]")
    );
}

#[test]
fn a_cut_pytorch_file_is_told_from_one_of_another_kind() {
    let source = fixture::peers().join("bert");
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(source.join("config.json"), dir.path().join("config.json")).unwrap();
    let bytes = std::fs::read(source.join("pytorch_model.bin")).unwrap();
    std::fs::write(dir.path().join("pytorch_model.bin"), &bytes[..bytes.len() - 200]).unwrap();
    let found = bytes.len() - 200;
    assert_eq!(
        refusal(dir.path()),
        format!(
            "DIR/pytorch_model.bin: the file is cut off: its end is missing after {found} bytes; download it again"
        )
    );
}

#[test]
fn half_precision_and_no_prefix_are_read() {
    let backbone = fixture::backbone(EncoderKind::DistilBert);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), backbone.config().to_json()).unwrap();
    write_safetensors(&dir.path().join("model.safetensors"), backbone.tensors(), Storage::F16).unwrap();
    let half = Backbone::open(dir.path()).unwrap();
    for (name, tensor) in half.tensors() {
        let error = (tensor - &backbone.tensors()[name]).unwrap().abs().unwrap().max_all().unwrap();
        assert!(tensor.device().same_device(&Device::Cpu) && error.to_scalar::<f32>().unwrap() < 5e-4, "{name}");
    }
}
