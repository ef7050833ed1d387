//! Encoders of our own with hook points, and the checkpoints that fill them.
//!
//! [`load`] turns `model.name` into a shared, frozen [`Backbone`] and its tokenizer or image processor. [`encode`] runs a [`Batch`] through
//! the backbone; a tuning method acts inside it through [`Hooks`]: it may replace a tensor by name, change what a
//! projection or a sublayer gives, put keys and values in front of an attention layer, or change the input. [`classify`]
//! puts the classification head of the Hugging Face model on top, [`masked_lm`] the one of masked language modelling.
//!
//! Tensors are named as in the Hugging Face checkpoint without its prefix:
//! `encoder.layer.0.attention.self.query.weight`.

mod backbone;
mod batch;
mod builtin;
pub(crate) mod checkpoint;
mod config;
mod device;
mod encoder;
mod encoder_config;
mod error;
mod family;
#[cfg(test)]
pub(crate) mod fixture;
mod head;
mod hooked;
mod hooks;
mod initial;
mod load;
pub mod masked_lm;
pub mod ops;
mod place;
mod repository;
mod shapes;
mod tensors;
mod vocabulary;

pub use backbone::{Backbone, Storage};
pub use batch::{Batch, ImageBatch, TextBatch};
pub use config::{ModelConfig, ModelDtype, ModelSource};
pub use device::HostDevice;
pub use encoder::encode;
pub use encoder_config::{EncoderConfig, HiddenAct, VisionConfig};
pub use error::ModelError;
pub use family::EncoderKind;
pub(crate) use family::WORD_EMBEDDINGS;
pub use head::{classify, head_tensors};
pub use hooks::{Hooks, NoHooks, Pass, Projection, Site, Sublayer};
pub use initial::Init;
pub(crate) use initial::named_stream;
pub use load::{Preprocessor, PreprocessorFile, find_weights, load, load_config, settings_hash};
pub use place::Place;
pub use repository::{description_files, weight_files};
pub use shapes::ENTRIES as SHAPES;
pub(crate) use shapes::example_of_each_family;
pub use tensors::backbone_tensors;
pub(crate) use tensors::is_kept_in_16_bits;
pub use vocabulary::vocabulary_files;
