//! Reading and writing tensors in the files of the Hugging Face world.
//!
//! `files` finds the files of a directory, `size` looks for cut ones, `gather` picks an encoder's tensors out of them.

mod files;
mod gather;
mod size;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::pickle::PthTensors;
use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;

use super::{ModelError, Storage};
use crate::params::TensorSpec;
pub(crate) use files::{PLACES, Place, WeightsFiles, read_index};
pub(crate) use gather::{Gathered, Part, gather};

/// A weights file that has been opened.
pub(crate) enum Weights<'a> {
    /// The bytes of a `.safetensors` file.
    Safetensors(SafeTensors<'a>),
    /// A `.bin` file of PyTorch.
    Pickle(PthTensors),
}

impl<'a> Weights<'a> {
    pub(crate) fn safetensors(bytes: &'a [u8], origin: &str) -> Result<Self, ModelError> {
        size::check_safetensors(bytes).map_err(|message| damaged(origin, message))?;
        let opened = SafeTensors::deserialize(bytes);
        opened.map(Self::Safetensors).map_err(|error| damaged(origin, format!("no safetensors file: {error}")))
    }

    pub(crate) fn pickle(path: &Path, origin: &str) -> Result<Self, ModelError> {
        size::check_archive(path)
            .map_err(|source| ModelError::Read { path: path.into(), source })?
            .map_err(|message| damaged(origin, message))?;
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

    /// The dimensions of one tensor.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match self {
            Self::Safetensors(file) => Some(file.tensor(name).ok()?.shape().to_vec()),
            Self::Pickle(file) => Some(file.tensor_infos().get(name)?.layout.dims().to_vec()),
        }
    }

    /// One tensor rounded to `bf16`. Where the file allows it this is done in parts, so that its numbers are never held in
    /// `f32` all together.
    pub(crate) fn rounded(&self, name: &str, origin: &str) -> Result<Tensor, ModelError> {
        const PART: usize = 1 << 16;
        if let Self::Safetensors(file) = self
            && let Ok(view) = file.tensor(name)
            && let Ok(dtype @ (DType::F32 | DType::F16 | DType::BF16 | DType::F64)) = DType::try_from(view.dtype())
        {
            let size = dtype.size_in_bytes();
            let mut values: Vec<half::bf16> = Vec::with_capacity(view.data().len() / size);
            for part in view.data().chunks(PART * size) {
                let part = Tensor::from_raw_buffer(part, dtype, &[part.len() / size], &Device::Cpu)?;
                values.extend(part.to_dtype(DType::F32)?.to_dtype(DType::BF16)?.to_vec1::<half::bf16>()?);
            }
            return Ok(Tensor::from_vec(values, view.shape(), &Device::Cpu)?);
        }
        Ok(self.tensor(name, origin)?.to_dtype(DType::BF16)?)
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

pub(crate) fn check_shape(spec: &TensorSpec, found: &[usize], origin: &str) -> Result<(), ModelError> {
    if found == spec.shape {
        return Ok(());
    }
    Err(ModelError::Shape {
        origin: origin.into(),
        name: spec.name.clone(),
        found: found.to_vec(),
        expected: spec.shape.clone(),
    })
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
