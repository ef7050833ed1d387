//! Reading and writing tensors in the files of the Hugging Face world.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::pickle::PthTensors;
use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;

use super::{EncoderKind, ModelError, Storage};
use crate::params::TensorSpec;

/// A weights file that has been opened.
pub(crate) enum Weights<'a> {
    /// The bytes of a `.safetensors` file.
    Safetensors(SafeTensors<'a>),
    /// A `.bin` file of PyTorch.
    Pickle(PthTensors),
}

impl<'a> Weights<'a> {
    pub(crate) fn safetensors(bytes: &'a [u8], origin: &str) -> Result<Self, ModelError> {
        let opened = SafeTensors::deserialize(bytes);
        opened.map(Self::Safetensors).map_err(|error| damaged(origin, format!("no safetensors file: {error}")))
    }

    pub(crate) fn pickle(path: &Path, origin: &str) -> Result<Self, ModelError> {
        let opened = PthTensors::new(path, None).map_err(|error| {
            damaged(origin, format!("no PyTorch file of version 1.6 or later: {error}; save it as model.safetensors"))
        })?;
        Ok(Self::Pickle(opened))
    }

    /// The names in the file, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Self::Safetensors(file) => file.names().into_iter().map(String::from).collect(),
            Self::Pickle(file) => file.tensor_infos().keys().cloned().collect(),
        };
        names.sort();
        names
    }

    /// One tensor, widened or narrowed to `f32`.
    pub(crate) fn tensor(&self, name: &str, origin: &str) -> Result<Tensor, ModelError> {
        let read = || -> candle_core::Result<Tensor> {
            let tensor = match self {
                Self::Safetensors(file) => file.tensor(name)?.load(&Device::Cpu)?,
                Self::Pickle(file) => match file.get(name)? {
                    Some(tensor) => tensor.contiguous()?,
                    None => candle_core::bail!("it is gone"),
                },
            };
            match tensor.dtype() {
                DType::F32 => Ok(tensor),
                DType::F16 | DType::BF16 | DType::F64 => tensor.to_dtype(DType::F32),
                other => candle_core::bail!("its number type {other:?} is no floating point"),
            }
        };
        read().map_err(|error| damaged(origin, format!("cannot read tensor `{name}`: {error}")))
    }
}

/// The tensors `wanted` of a checkpoint, and the names in the file that are not used.
pub(crate) fn gather(
    weights: &Weights<'_>,
    kind: EncoderKind,
    wanted: &[TensorSpec],
    origin: &str,
) -> Result<(BTreeMap<String, Tensor>, Vec<String>), ModelError> {
    let mut by_name = BTreeMap::new();
    let mut unused = Vec::new();
    for in_file in weights.names() {
        let name = canonical(&in_file, kind);
        let is_wanted = wanted.iter().any(|spec| spec.name == name);
        if !is_wanted || by_name.contains_key(&name) {
            unused.push(in_file);
        } else {
            by_name.insert(name, in_file);
        }
    }
    let missing: Vec<String> =
        wanted.iter().filter(|spec| !by_name.contains_key(&spec.name)).map(|spec| spec.name.clone()).collect();
    if !missing.is_empty() {
        return Err(ModelError::MissingTensors { origin: origin.into(), names: missing });
    }
    let mut tensors = BTreeMap::new();
    for spec in wanted {
        let tensor = weights.tensor(&by_name[&spec.name], origin)?;
        check_shape(spec, &tensor, origin)?;
        tensors.insert(spec.name.clone(), tensor);
    }
    Ok((tensors, unused))
}

pub(crate) fn check_shape(spec: &TensorSpec, tensor: &Tensor, origin: &str) -> Result<(), ModelError> {
    if tensor.dims() == spec.shape {
        return Ok(());
    }
    Err(ModelError::Shape {
        origin: origin.into(),
        name: spec.name.clone(),
        found: tensor.dims().to_vec(),
        expected: spec.shape.clone(),
    })
}

/// The name without the model's prefix, in the spelling used here, and with today's names of layer normalisation:
/// checkpoints converted from the first BERT release say `gamma` and `beta`.
fn canonical(name: &str, kind: EncoderKind) -> String {
    let name = name.strip_prefix(kind.prefix()).unwrap_or(name);
    if let Some(name) = kind.family().other_spelling(name) {
        return name;
    }
    if let Some(stem) = name.strip_suffix("LayerNorm.gamma") {
        return format!("{stem}LayerNorm.weight");
    }
    if let Some(stem) = name.strip_suffix("LayerNorm.beta") {
        return format!("{stem}LayerNorm.bias");
    }
    name.to_string()
}

/// Writes tensors to a `.safetensors` file; the same tensors give the same bytes.
pub(crate) fn write_safetensors(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    storage: Storage,
) -> Result<(), ModelError> {
    let dtype = match storage {
        Storage::F32 => DType::F32,
        Storage::F16 => DType::F16,
    };
    let mut stored = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        stored.push((name.as_str(), tensor.to_device(&Device::Cpu)?.to_dtype(dtype)?));
    }
    // transformers refuses files whose metadata do not name a framework.
    let metadata = [("format".to_string(), "pt".to_string())];
    let bytes = safetensors::serialize(stored, Some(metadata.into()))
        .map_err(|error| damaged(&path.display().to_string(), error.to_string()))?;
    std::fs::write(path, bytes).map_err(|source| ModelError::Write { path: path.into(), source })
}

pub(crate) fn damaged(origin: &str, message: String) -> ModelError {
    ModelError::Weights { origin: origin.into(), message }
}
