//! Writing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use super::super::{TrainableVars, TuningConfig, TuningError};
use super::names::{Layout, PROMPT_EMBEDDINGS, stored_names};
use super::record::Record;
use super::{ADAPTER_CONFIG, ADAPTER_MODEL, DELTA, RECORD};
use crate::model::checkpoint::write_safetensors;
use crate::model::{Backbone, Place, Storage};
use crate::params::Params;

/// Writes the tensors that travel into `dir`, which is made when it does not exist. Gives the files written. The same
/// arguments give the same bytes.
///
/// # Errors
/// When a file cannot be written.
pub fn export_adapter(
    tuning: &TuningConfig,
    backbone: &Backbone,
    labels: &[String],
    params: &Params,
    dir: &Path,
) -> Result<Vec<PathBuf>, TuningError> {
    let config = backbone.config();
    std::fs::create_dir_all(dir).map_err(|source| TuningError::Write { path: dir.into(), source })?;
    let values = TrainableVars::constants(params, &Device::Cpu)?;
    let virtual_tokens = tuning.implementation().virtual_tokens(&values)?;
    let stored = |layout: Layout| -> BTreeMap<String, Tensor> {
        let names = params.layout().tensors().iter().zip(values.tensors());
        let is_stored = |name: &str| layout != Layout::PeftPrompt || Place::of(name, config) == Place::Head;
        let chosen = names.filter(|(spec, _)| is_stored(&spec.name));
        chosen.map(|(spec, t)| (stored_names(&spec.name, layout, tuning, config).swap_remove(0), t.clone())).collect()
    };
    let mut written = Vec::new();
    let mut whole = DELTA;
    if let Some(adapter_config) = tuning.implementation().peft_config(config) {
        let layout = if virtual_tokens.is_some() { Layout::PeftPrompt } else { Layout::PeftTuner };
        let mut tensors = stored(layout);
        let n_left_out = params.layout().tensors().len() - tensors.len();
        if let Some(virtual_tokens) = virtual_tokens {
            tensors.insert(PROMPT_EMBEDDINGS.into(), virtual_tokens);
        }
        // One tensor became the virtual tokens; of a network they are no more than the outcome.
        if n_left_out <= 1 {
            whole = ADAPTER_MODEL;
        }
        let path = dir.join(ADAPTER_MODEL);
        write_safetensors(&path, &tensors, Storage::F32)?;
        written.push(path);
        written.push(write_text(dir.join(ADAPTER_CONFIG), &format!("{adapter_config:#}\n"))?);
    }
    if whole == DELTA {
        let path = dir.join(DELTA);
        write_safetensors(&path, &stored(Layout::Delta), Storage::F32)?;
        written.push(path);
    }
    let record = serde_json::to_string_pretty(&Record::new(tuning, backbone, labels, whole));
    let record = record.expect("a record is made of what JSON can hold");
    written.push(write_text(dir.join(RECORD), &format!("{record}\n"))?);
    Ok(written)
}

fn write_text(path: PathBuf, text: &str) -> Result<PathBuf, TuningError> {
    match std::fs::write(&path, text) {
        Ok(()) => Ok(path),
        Err(source) => Err(TuningError::Write { path, source }),
    }
}
