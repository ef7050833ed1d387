//! A frozen encoder that all workers share.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use sha2::{Digest, Sha256};

use super::checkpoint::{self, Gathered, Part, Weights, gather};
use super::tensors::{initialised, is_kept_in_16_bits};
use super::{EncoderConfig, ModelDtype, ModelError, backbone_tensors};
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
    drawn: Vec<String>,
    head_labels: Option<usize>,
}

impl Backbone {
    /// Reads an encoder from the bytes of its `config.json` and `model.safetensors`.
    ///
    /// # Errors
    /// When the configuration is not supported, or the tensors do not fit it.
    pub fn from_parts(config_json: &[u8], weights: &[u8], origin: &str) -> Result<Self, ModelError> {
        let config = EncoderConfig::from_json(config_json, origin)?;
        let parts = [Part { origin: origin.into(), weights: Weights::safetensors(weights, origin)? }];
        Self::read(config, &parts, ModelDtype::F32, origin)
    }

    pub(crate) fn read(
        config: EncoderConfig,
        parts: &[Part<'_>],
        dtype: ModelDtype,
        origin: &str,
    ) -> Result<Self, ModelError> {
        let Gathered { tensors, unused, drawn, head_labels } =
            gather(parts, &config, &backbone_tensors(&config), dtype, origin)?;
        Ok(Self { hash: hash_of(&tensors)?, config, tensors, unused, drawn, head_labels })
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
                    checkpoint::check_shape(&spec, tensor.dims(), "the encoder")?;
                    chosen.insert(spec.name, tensor.detach());
                }
            }
        }
        if !missing.is_empty() {
            return Err(ModelError::MissingTensors { origin: "the encoder".into(), names: missing });
        }
        Ok(Self::of(config, chosen)?)
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
        Ok(Self::of(config, tensors)?)
    }

    /// An encoder of no checkpoint.
    fn of(config: EncoderConfig, tensors: BTreeMap<String, Tensor>) -> candle_core::Result<Self> {
        let (hash, unused, drawn) = (hash_of(&tensors)?, Vec::new(), Vec::new());
        Ok(Self { hash, config, tensors, unused, drawn, head_labels: None })
    }

    /// The encoder's shape.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Where the tensors lie.
    pub fn device(&self) -> &Device {
        self.tensors.values().next().map_or(&Device::Cpu, Tensor::device)
    }

    /// How matrices and tables are kept.
    pub fn dtype(&self) -> ModelDtype {
        match self.tensors.values().any(|tensor| tensor.dtype() == DType::BF16) {
            true => ModelDtype::Bf16,
            false => ModelDtype::F32,
        }
    }

    /// The tensor of this canonical name, as it is kept: under `dtype: bf16` matrices and tables are `bf16`.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All tensors by canonical name, sorted.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// SHA-256 over names, shapes and values as `f32`, in hexadecimal: equal for equal weights in any file format. An
    /// encoder kept in 16 bits has another one.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The same encoder kept in another number type. What was rounded to 16 bits stays rounded.
    ///
    /// # Errors
    /// When memory for the tensors cannot be had.
    pub fn kept_in(mut self, dtype: ModelDtype) -> Result<Self, ModelError> {
        for spec in backbone_tensors(&self.config) {
            let wanted = match dtype {
                ModelDtype::Bf16 if is_kept_in_16_bits(&spec) => DType::BF16,
                ModelDtype::F32 | ModelDtype::Bf16 => DType::F32,
            };
            if let Some(tensor) = self.tensors.get_mut(&spec.name) {
                *tensor = tensor.to_dtype(wanted)?;
            }
        }
        self.hash = hash_of(&self.tensors)?;
        Ok(self)
    }

    /// Names in the checkpoint that the encoder does not use, such as those of a pretraining head.
    pub fn unused_tensors(&self) -> &[String] {
        &self.unused
    }

    /// Labels of the classification head that the checkpoint has, where it has one. An encoder does not use it: the head of
    /// a run begins anew.
    pub fn head_labels(&self) -> Option<usize> {
        self.head_labels
    }

    /// Tensors that the checkpoint lacks and that were drawn, as transformers does: BERT's pooler, where it was saved with
    /// its masked-language head alone.
    pub fn drawn_tensors(&self) -> &[String] {
        &self.drawn
    }

    /// The same encoder without its matrices and tables of these names, which something else stands in for. Vectors stay,
    /// since they weigh nothing; so does all of an encoder that is kept in 16 bits, whose tensors say so.
    #[must_use]
    pub fn without<'a>(&self, replaced: impl Iterator<Item = &'a str>) -> Self {
        let mut lighter = self.clone();
        if self.dtype() == ModelDtype::F32 {
            for name in replaced {
                if self.tensor(name).is_some_and(|tensor| tensor.rank() > 1) {
                    lighter.tensors.remove(name);
                }
            }
        }
        lighter
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

    /// The same encoder in another number type. Its hash stays that of the values it was made of.
    ///
    /// # Errors
    /// When the device fails.
    pub fn with_dtype(&self, dtype: DType) -> candle_core::Result<Self> {
        let mut other = self.clone();
        for tensor in other.tensors.values_mut() {
            *tensor = tensor.to_dtype(dtype)?;
        }
        Ok(other)
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

const HASHED_AT_ONCE: usize = 1 << 16;

fn hash_of(tensors: &BTreeMap<String, Tensor>) -> candle_core::Result<String> {
    let mut hasher = Sha256::new();
    for (name, tensor) in tensors {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update((tensor.rank() as u64).to_le_bytes());
        for dim in tensor.dims() {
            hasher.update((*dim as u64).to_le_bytes());
        }
        if tensor.dtype() == DType::BF16 {
            hasher.update(b"bf16");
        }
        // In parts, so that a large table is not copied as a whole.
        let flat = tensor.flatten_all()?;
        let n = flat.elem_count();
        for start in (0..n).step_by(HASHED_AT_ONCE) {
            let part = flat.narrow(0, start, HASHED_AT_ONCE.min(n - start))?;
            let values = part.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            hasher.update(&bytes);
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EncoderKind, Pass, classify, fixture};

    #[test]
    fn what_is_saved_loads_back_with_the_same_hash() {
        for kind in EncoderKind::ALL {
            let backbone = fixture::backbone(kind);
            let dir = tempfile::tempdir().unwrap();
            let head = [("lm_head.bias".to_string(), Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap())];
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
    fn the_head_of_a_checkpoint_is_counted_and_left_aside() {
        for kind in EncoderKind::ALL {
            let (backbone, dir) = (fixture::backbone(kind), tempfile::tempdir().unwrap());
            let head: BTreeMap<String, Tensor> = crate::model::head_tensors(backbone.config(), 5)
                .into_iter()
                .map(|(spec, _)| (spec.name, Tensor::zeros(spec.shape, DType::F32, &Device::Cpu).unwrap()))
                .collect();
            let opened = |beside: &BTreeMap<String, Tensor>| {
                backbone.save(dir.path(), Storage::F32, beside).unwrap();
                Backbone::open(dir.path()).unwrap()
            };
            let found = opened(&head);
            assert_eq!((found.head_labels(), found.hash()), (Some(5), backbone.hash()), "{kind:?}");
            assert!(found.unused_tensors().iter().eq(head.keys()));
            assert_eq!(opened(&BTreeMap::new()).head_labels(), None);
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

    /// The head with every weight 0.1 x its index, to see all of what the encoder gives.
    struct Head;

    impl crate::model::Hooks for Head {
        fn parameter(&self, name: &str) -> Option<Tensor> {
            let n = if name.starts_with("classifier.out_proj") || name.starts_with("classifier.") { 3 } else { 16 };
            let is_inner = name.starts_with("classifier.dense") || name.starts_with("pre_classifier");
            let n = if is_inner { 16 } else { n };
            let is_head = name.starts_with("classifier") || name.starts_with("pre_classifier");
            let ramp = |n: usize| Tensor::arange(0f32, n as f32, &Device::Cpu).unwrap().affine(0.01, -0.2).unwrap();
            match (is_head, name.ends_with(".weight")) {
                (false, _) => None,
                (true, true) => Some(ramp(n * 16).reshape((n, 16)).unwrap()),
                (true, false) => Some(ramp(n)),
            }
        }
    }

    #[test]
    fn an_encoder_in_16_bits_computes_with_its_rounded_weights_in_32() {
        for kind in EncoderKind::ALL {
            let exact = fixture::backbone(kind);
            let narrow = exact.clone().kept_in(ModelDtype::Bf16).unwrap();
            let rounded = narrow.clone().kept_in(ModelDtype::F32).unwrap();
            let hashes = [exact.hash(), narrow.hash(), rounded.hash()];
            assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2], "{hashes:?}");
            let batch = fixture::batch(exact.config());
            let scores = |backbone: &Backbone| {
                let scores = classify(backbone, &batch, &Head, &mut Pass::evaluation()).unwrap();
                scores.flatten_all().unwrap().to_vec1::<f32>().unwrap()
            };
            for (a, b) in scores(&narrow).iter().zip(scores(&rounded)) {
                assert!((a - b).abs() < 1e-6, "{kind:?}: {a} {b}");
            }
            assert_ne!(scores(&exact), scores(&rounded));
        }
    }

    #[test]
    fn half_the_memory_is_enough_in_16_bits() {
        let bytes = |backbone: &Backbone| -> usize {
            backbone.tensors().values().map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes()).sum()
        };
        let mut config = crate::model::encoder_config::tests::tiny(EncoderKind::Bert);
        (config.hidden_size, config.intermediate, config.vocab_size) = (64, 256, 1000);
        let exact = Backbone::random(config, &Seeds::new(1)).unwrap();
        let narrow = exact.clone().kept_in(ModelDtype::Bf16).unwrap();
        // Vectors stay in 32 bits: 15 x 64 + 2 x 256 + ... of 170,000 numbers, about one in a hundred.
        let ratio = bytes(&narrow) as f64 / bytes(&exact) as f64;
        assert!((0.5..0.51).contains(&ratio), "{ratio}");
    }
}
