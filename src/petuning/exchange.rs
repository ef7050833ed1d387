//! Trained tensors in files: for use elsewhere, and to start from.
//!
//! - What Hugging Face PEFT knows (LoRA, IA3, prompt and prefix tuning) is written as PEFT writes it:
//!   `adapter_config.json` and `adapter_model.safetensors`, which `peft.PeftModel.from_pretrained` puts on the
//!   transformers model with a classification head.
//! - Everything else, a prefix of an encoder that PEFT gives none (DistilBERT, ViT), and modules to save that PEFT has no
//!   names for, is written as `delta.safetensors`: the tensors that travel, under transformers' names. A prefix whose network travels has both: PEFT
//!   keeps the keys and values that the network makes, the delta the network.
//! - `straggler.json` stands beside either, see [`Record`]: what PEFT's files do not say.
//!
//! [`import_adapter`] reads all of them, and adapters that PEFT itself made. [`load_initial`] makes sure that what was
//! read fits a scenario.

mod copies;
mod export;
mod import;
mod initial;
mod names;
mod peft_config;
mod record;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::TuningError;

pub use export::export_adapter;
pub use import::{ImportedAdapter, import_adapter};
pub use initial::{InitialHead, InitialValues, load_initial};
#[cfg(test)]
pub(crate) use names::golden_name;
pub use record::Record;

const ADAPTER_CONFIG: &str = "adapter_config.json";
const ADAPTER_MODEL: &str = "adapter_model.safetensors";
/// The same as older versions of PEFT, and `safe_serialization=False`, save it.
const ADAPTER_PICKLE: &str = "adapter_model.bin";
const DELTA: &str = "delta.safetensors";
const RECORD: &str = "straggler.json";

/// What to do with an adapter whose head does not serve.
const NEW_HEAD: &str = "write `init_head: new` to begin the head anew";

fn read(path: &Path) -> Result<Vec<u8>, TuningError> {
    std::fs::read(path).map_err(|source| TuningError::Read { path: path.into(), source })
}
