//! How a payload is encoded for its transfer. What a transfer costs is the length of these bytes.

mod none;

use std::sync::Arc;

pub use none::NoneConfig;

use crate::one_of;
use crate::params::{Layout, Params};
use crate::registry::Problem;
use crate::units::Bytes;

/// Why a payload could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes are not what the codec writes.
    #[error("payload cannot be decoded: {0}")]
    Malformed(String),
    /// The payload lacks a tensor, or has it in another shape.
    #[error("payload has no tensor `{name}` of shape {shape:?}")]
    MissingTensor {
        /// The tensor's name.
        name: String,
        /// The shape expected.
        shape: Vec<usize>,
    },
}

/// A way to encode a payload.
pub trait Codec: Send + Sync {
    /// Settings out of range.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Length of any payload of this layout. Known before there are values, because transfers are timed before training
    /// has run; equal to the length of what [`encode`](Codec::encode) gives.
    fn encoded_len(&self, layout: &Layout) -> Result<Bytes, CodecError>;

    /// The bytes that travel.
    fn encode(&self, params: &Params) -> Result<Vec<u8>, CodecError>;

    /// The values at the other end.
    fn decode(&self, layout: &Arc<Layout>, payload: &[u8]) -> Result<Params, CodecError>;
}

one_of! {
    /// How a payload is encoded for its transfer: `compression.uplink` and `compression.downlink`.
    pub enum CodecConfig: dyn Codec, setting "compression" {
        "none" => None(NoneConfig), "safetensors with f32 values";
    }
}

impl Default for CodecConfig {
    fn default() -> Self {
        Self::None(NoneConfig {})
    }
}
