//! No compression: the safetensors format with `f32` values (8 bytes of length, a JSON header, the numbers).

use std::borrow::Cow;
use std::sync::Arc;

use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors, View};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Codec, CodecError};
use crate::params::{Layout, Params, TensorSpec};
use crate::units::Bytes;

/// No compression. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoneConfig {}

const F32_BYTES: usize = std::mem::size_of::<f32>();

struct TensorRef<'a> {
    spec: &'a TensorSpec,
    values: &'a [f32],
}

impl View for TensorRef<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.spec.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        self.values.len() * F32_BYTES
    }
}

fn malformed(error: impl std::fmt::Display) -> CodecError {
    CodecError::Malformed(error.to_string())
}

impl Codec for NoneConfig {
    fn encoded_len(&self, layout: &Layout) -> Result<Bytes, CodecError> {
        let infos = layout.tensors().iter().enumerate().map(|(i, spec)| {
            let range = layout.range(i);
            let data_offsets = (range.start * F32_BYTES, range.end * F32_BYTES);
            (spec.name.clone(), TensorInfo { dtype: Dtype::F32, shape: spec.shape.clone(), data_offsets })
        });
        let metadata = Metadata::new(None, infos.collect()).map_err(malformed)?;
        let header = serde_json::to_string(&metadata).map_err(malformed)?.len().next_multiple_of(8);
        Ok(Bytes::new((8 + header + layout.n_elements() * F32_BYTES) as u64))
    }

    fn encode(&self, params: &Params) -> Result<Vec<u8>, CodecError> {
        let tensors = params.iter().map(|(spec, values)| (&spec.name, TensorRef { spec, values }));
        safetensors::serialize(tensors, None).map_err(malformed)
    }

    fn decode(&self, layout: &Arc<Layout>, payload: &[u8]) -> Result<Params, CodecError> {
        let tensors = SafeTensors::deserialize(payload).map_err(malformed)?;
        let mut values = Vec::with_capacity(layout.n_elements());
        for spec in layout.tensors() {
            let tensor = tensors
                .tensor(&spec.name)
                .ok()
                .filter(|tensor| tensor.shape() == spec.shape && tensor.dtype() == Dtype::F32)
                .ok_or_else(|| CodecError::MissingTensor { name: spec.name.clone(), shape: spec.shape.clone() })?;
            let (numbers, _) = tensor.data().as_chunks::<F32_BYTES>();
            values.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }
        Ok(Params::new(layout.clone(), values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        let layout = Layout::new(vec![
            TensorSpec::new("encoder.layer.0.lora_A", [2, 3]),
            TensorSpec::new("classifier.bias", [5]),
            TensorSpec::new("scale", Vec::new()),
        ]);
        Params::new(layout, (0..12).map(|v| v as f32 * 0.1 - 0.3).collect())
    }

    #[test]
    fn the_length_is_known_before_the_values_and_decoding_gives_the_same_bits() {
        let (codec, params) = (NoneConfig {}, params());
        let payload = codec.encode(&params).expect("f32 tensors can be encoded");
        assert_eq!(codec.encoded_len(params.layout()).expect("known").get(), payload.len() as u64);
        assert_eq!(codec.decode(params.layout(), &payload).expect("own payload"), params);
    }

    #[test]
    fn a_payload_of_other_tensors_is_refused_by_name() {
        let payload = NoneConfig {}.encode(&params()).expect("f32 tensors can be encoded");
        let other = Layout::new(vec![TensorSpec::new("classifier.bias", [6])]);
        let error = NoneConfig {}.decode(&other, &payload).expect_err("another shape").to_string();
        assert!(error.contains("classifier.bias"), "{error}");
        assert!(NoneConfig {}.decode(&other, &payload[..9]).is_err());
    }
}
