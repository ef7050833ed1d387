//! A frozen encoder that all workers share.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

use super::checkpoint::{self, Weights};
use super::tensors::initialised;
use super::{EncoderConfig, ModelError, backbone_tensors};
use crate::seed::{Purpose, Seeds};

/// The number type of a stored file. Arithmetic is always in `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// 32 bits, exact.
    F32,
    /// 16 bits: half the size, rounded to 11 significant bits.
    F16,
}

/// The tensors of an encoder, without a head. They carry no graph and are never changed.
#[derive(Debug, Clone)]
pub struct Backbone {
    config: EncoderConfig,
    tensors: BTreeMap<String, Tensor>,
    hash: String,
    unused: Vec<String>,
}

impl Backbone {
    /// Reads an encoder from the bytes of its `config.json` and `model.safetensors`.
    ///
    /// # Errors
    /// When the configuration is not supported, or the tensors do not fit it.
    pub fn from_parts(config_json: &[u8], weights: &[u8], origin: &str) -> Result<Self, ModelError> {
        let config = EncoderConfig::from_json(config_json, origin)?;
        Self::read(config, &Weights::safetensors(weights, origin)?, origin)
    }

    pub(crate) fn read(config: EncoderConfig, weights: &Weights<'_>, origin: &str) -> Result<Self, ModelError> {
        let (tensors, unused) = checkpoint::gather(weights, config.kind, &backbone_tensors(&config), origin)?;
        Ok(Self { hash: hash_of(&tensors)?, config, tensors, unused })
    }

    /// An encoder of these tensors, by canonical name. Tensors of other names are left out.
    ///
    /// # Errors
    /// When a tensor is missing or has the wrong shape.
    pub fn from_tensors(config: EncoderConfig, tensors: &BTreeMap<String, Tensor>) -> Result<Self, ModelError> {
        let mut chosen = BTreeMap::new();
        let mut missing = Vec::new();
        for spec in backbone_tensors(&config) {
            match tensors.get(&spec.name) {
                None => missing.push(spec.name),
                Some(tensor) => {
                    checkpoint::check_shape(&spec, tensor, "the encoder")?;
                    chosen.insert(spec.name, tensor.detach());
                }
            }
        }
        if !missing.is_empty() {
            return Err(ModelError::MissingTensors { origin: "the encoder".into(), names: missing });
        }
        Ok(Self { hash: hash_of(&chosen)?, config, tensors: chosen, unused: Vec::new() })
    }

    /// An encoder with random weights, as transformers initialises them: normal with `initializer_range` as standard
    /// deviation; biases and the embeddings of padding 0; layer normalisation the identity.
    ///
    /// # Errors
    /// When memory for the tensors cannot be had.
    pub fn random(config: EncoderConfig, seeds: &Seeds) -> Result<Self, ModelError> {
        let mut tensors = BTreeMap::new();
        for (spec, init) in initialised(&config) {
            let values = init.draw(&spec, Purpose::RandomBackbone, seeds);
            tensors.insert(spec.name, Tensor::from_vec(values, spec.shape, &Device::Cpu)?);
        }
        Ok(Self { hash: hash_of(&tensors)?, config, tensors, unused: Vec::new() })
    }

    /// The encoder's shape.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Where the tensors lie.
    pub fn device(&self) -> &Device {
        self.tensors.values().next().map_or(&Device::Cpu, Tensor::device)
    }

    /// The tensor of this canonical name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All tensors by canonical name, sorted.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// SHA-256 over names, shapes and `f32` values, in hexadecimal: equal for equal weights in any file format.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Names in the checkpoint that the encoder does not use, such as those of a pretraining head.
    pub fn unused_tensors(&self) -> &[String] {
        &self.unused
    }

    /// The same encoder on another device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_device(&self, device: &Device) -> Result<Self, ModelError> {
        let mut moved = self.clone();
        for tensor in moved.tensors.values_mut() {
            *tensor = tensor.to_device(device)?;
        }
        Ok(moved)
    }

    #[cfg(test)]
    pub(super) fn map_tensors(&mut self, change: impl Fn(&Tensor) -> Tensor) {
        self.tensors.values_mut().for_each(|tensor| *tensor = change(tensor));
    }

    /// Writes `config.json` and `model.safetensors` so that transformers loads them as a model with a head: the
    /// encoder's tensors get the family's prefix, the tensors of `beside` (such as a pretraining head) none.
    ///
    /// # Errors
    /// When the directory cannot be made or a file cannot be written.
    pub fn save(&self, dir: &Path, storage: Storage, beside: &BTreeMap<String, Tensor>) -> Result<(), ModelError> {
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| ModelError::Write { path, source }
        };
        std::fs::create_dir_all(dir).map_err(at(dir))?;
        let config_path = dir.join("config.json");
        std::fs::write(&config_path, self.config.to_json()).map_err(at(&config_path))?;
        let prefix = self.config.kind.prefix();
        let mut tensors: BTreeMap<String, Tensor> =
            self.tensors.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone())).collect();
        tensors.extend(beside.iter().map(|(name, tensor)| (name.clone(), tensor.clone())));
        checkpoint::write_safetensors(&dir.join("model.safetensors"), &tensors, storage)
    }
}

fn hash_of(tensors: &BTreeMap<String, Tensor>) -> candle_core::Result<String> {
    let mut hasher = Sha256::new();
    for (name, tensor) in tensors {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update((tensor.rank() as u64).to_le_bytes());
        for dim in tensor.dims() {
            hasher.update((*dim as u64).to_le_bytes());
        }
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        for chunk in values.chunks(4096) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
            hasher.update(&bytes);
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EncoderKind, fixture};

    #[test]
    fn what_is_saved_loads_back_with_the_same_hash() {
        for kind in EncoderKind::ALL {
            let backbone = fixture::backbone(kind);
            let dir = tempfile::tempdir().unwrap();
            let head = [("lm_head.bias".to_string(), Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap())];
            backbone.save(dir.path(), Storage::F32, &head.into()).unwrap();
            let read = |file: &str| std::fs::read(dir.path().join(file)).unwrap();
            let again = Backbone::from_parts(&read("config.json"), &read("model.safetensors"), "saved").unwrap();
            assert_eq!(again.hash(), backbone.hash());
            assert_eq!(again.config(), backbone.config());
            assert_eq!(again.unused_tensors(), ["lm_head.bias"]);

            backbone.save(dir.path(), Storage::F16, &BTreeMap::new()).unwrap();
            let half = Backbone::from_parts(&read("config.json"), &read("model.safetensors"), "saved").unwrap();
            assert_ne!(half.hash(), backbone.hash());
            for (name, tensor) in half.tensors() {
                let error = (tensor - &backbone.tensors()[name]).unwrap().abs().unwrap().max_all().unwrap();
                // Rounding to 11 bits: values below 2 are off by at most 2^-11 = 4.9e-4.
                assert!(error.to_scalar::<f32>().unwrap() < 5e-4, "{name}");
            }
        }
    }

    #[test]
    fn random_weights_depend_on_the_seed_and_leave_padding_empty() {
        let config = crate::model::encoder_config::tests::tiny(EncoderKind::Roberta);
        let backbone = Backbone::random(config.clone(), &Seeds::new(1)).unwrap();
        assert_eq!(backbone.hash(), Backbone::random(config.clone(), &Seeds::new(1)).unwrap().hash());
        assert_ne!(backbone.hash(), Backbone::random(config, &Seeds::new(2)).unwrap().hash());
        let words = backbone.tensor("embeddings.word_embeddings.weight").unwrap().to_vec2::<f32>().unwrap();
        assert!(words[1].iter().all(|value| *value == 0.0) && words[0].iter().any(|value| *value != 0.0));
    }

    #[test]
    fn missing_and_misshapen_tensors_are_named() {
        let backbone = fixture::backbone(EncoderKind::Bert);
        let mut tensors = backbone.tensors().clone();
        tensors.remove("pooler.dense.bias");
        let message = Backbone::from_tensors(backbone.config().clone(), &tensors).unwrap_err().to_string();
        assert_eq!(message, "the encoder lacks 1 of the tensors that `config.json` asks for: `pooler.dense.bias`");
        let mut config = backbone.config().clone();
        config.vocab_size += 1;
        let message = Backbone::from_tensors(config, backbone.tensors()).unwrap_err().to_string();
        assert!(message.contains("`embeddings.word_embeddings.weight` has shape [40, 16]"), "{message}");
    }
}
