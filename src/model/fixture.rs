//! Small encoders and inputs for tests.

use std::path::PathBuf;

use candle_core::{Device, Tensor};

use super::encoder_config::tests::tiny;
use super::tensors::initialised;
use super::{Backbone, Batch, EncoderConfig, EncoderKind, Init};
use crate::params::{Params, TensorSpec};
use crate::seed::{Purpose, Seeds};

/// An encoder whose every tensor matters: weights far larger than at initialisation, biases that are not zero, layer
/// normalisation away from the identity.
pub(crate) fn backbone(kind: EncoderKind) -> Backbone {
    let config = tiny(kind);
    let tensor = |spec: &TensorSpec, init: Init| {
        let mut values = draw(spec, 0.3);
        if init == Init::Ones {
            values.iter_mut().for_each(|value| *value += 1.0);
        }
        Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu).unwrap()
    };
    let tensors = initialised(&config).iter().map(|(spec, init)| (spec.name.clone(), tensor(spec, *init))).collect();
    Backbone::from_tensors(config, &tensors).unwrap()
}

/// Values in place of initial ones, so that no trained tensor is zero.
pub(crate) fn stirred(params: &Params) -> Params {
    let mut stirred = params.clone();
    for (index, spec) in params.layout().tensors().iter().enumerate() {
        let values = &mut stirred.values_mut()[params.layout().range(index)];
        values.iter_mut().zip(draw(spec, 0.3)).for_each(|(value, change)| *value += change);
    }
    stirred
}

/// The shape of RoBERTa-base, for counts that papers give.
pub(crate) fn roberta_base() -> EncoderConfig {
    EncoderConfig {
        hidden_size: 768,
        layers: 12,
        heads: 12,
        intermediate: 3072,
        vocab_size: 50265,
        max_positions: 514,
        type_vocab_size: 1,
        ..tiny(EncoderKind::Roberta)
    }
}

/// Three texts of different lengths, or three images.
pub(crate) fn batch(config: &EncoderConfig) -> Batch {
    batch_on(config, &Device::Cpu)
}

/// The same on another device.
pub(crate) fn batch_on(config: &EncoderConfig, device: &Device) -> Batch {
    if config.vision.is_some() {
        return Batch::images(&pixels(config), 3, config, device).unwrap();
    }
    let examples: [(&[u32], &[u32]); 3] = [
        (&[2, 17, 5, 33, 9, 3], &[0, 0, 0, 1, 1, 1]),
        (&[2, 8, 3], &[0, 0, 0]),
        (&[2, 39, 21, 11, 3], &[0, 0, 1, 1, 1]),
    ];
    Batch::new(&examples, config, device).unwrap()
}

/// The pixels of three images, `[3, channels, height, width]`.
pub(crate) fn pixels(config: &EncoderConfig) -> Vec<f32> {
    draw(&TensorSpec::new("pixels", [3, config.vision.unwrap().n_values()]), 1.0)
}

/// A tokenizer of `n` words `t0`, `t1` and so on, whose numbers are their tokens.
pub(crate) fn tokenizer_json(n: usize) -> String {
    let vocab: serde_json::Map<String, serde_json::Value> = (0..n).map(|i| (format!("t{i}"), i.into())).collect();
    serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "WhitespaceSplit" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "t0" },
    })
    .to_string()
}

/// Where the files are that other programs made; see `make_goldens.py` there.
pub(crate) fn peers() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

fn draw(spec: &TensorSpec, sd: f64) -> Vec<f32> {
    Init::Normal { sd }.draw(spec, Purpose::RandomBackbone, &Seeds::new(11))
}
