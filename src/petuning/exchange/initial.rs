//! Values to start a run from.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::{TuningConfig, TuningError};
use super::NEW_HEAD;
use super::import::import_adapter;
use crate::model::{Backbone, EncoderConfig, Place};
use crate::params::Params;

/// Where the classification head of a run starts that starts from an adapter: `init_head`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitialHead {
    /// At the adapter's, which must have as many labels as the data set.
    #[default]
    Keep,
    /// At values drawn from the seed, as without an adapter: for another task than the adapter's, or one without a head.
    New,
}

impl InitialHead {
    /// True for the one that need not be written.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// An adapter that fits a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct InitialValues {
    /// What travels before the first round.
    pub params: Params,
    /// SHA-256 of names, shapes and values, in hexadecimal.
    pub hash: String,
    /// What could not be checked, for the reader.
    pub notes: Vec<String>,
}

/// Reads the adapter in `dir` for a run of `tuning` on `backbone` with these labels, which without it would start at
/// `drawn`.
///
/// # Errors
/// When it cannot be read, or was trained on another backbone, by another method or with other settings that matter, or
/// its head is to be kept and has another number of labels.
pub fn load_initial(
    dir: &Path,
    tuning: &TuningConfig,
    backbone: &Backbone,
    labels: &[String],
    head: InitialHead,
    drawn: &Params,
) -> Result<InitialValues, TuningError> {
    let config = backbone.config();
    let refuse = |message: String| TuningError::Adapter { path: dir.into(), message };
    if !dir.is_dir() {
        return Err(refuse("is not a directory; give one such as results/NAME/latest/adapters/best".into()));
    }
    let adapter = import_adapter(dir, config, head)?;
    let mut notes = Vec::new();
    match &adapter.record {
        Some(record) if record.dtype != backbone.dtype() => {
            let (there, here) = (record.dtype.name(), backbone.dtype().name());
            return Err(refuse(format!(
                "the adapter was trained with `model.dtype: {there}`, here it is `{here}`, so that the backbones cannot be \
                 compared; set it to `{there}`"
            )));
        }
        Some(record) if record.model_hash != backbone.hash() => {
            return Err(refuse(format!(
                "the adapter was trained on another backbone (sha256 {}…, here {}…); give the model it was trained on",
                start_of(&record.model_hash),
                start_of(backbone.hash())
            )));
        }
        Some(_) => {}
        None => notes.push(format!(
            "`{}` does not say on which backbone it was trained, so that cannot be checked",
            dir.display()
        )),
    }
    compare(tuning, &adapter.tuning, config).map_err(refuse)?;
    if head == InitialHead::New {
        let params = with_new_head(&adapter.params, drawn, config);
        return Ok(InitialValues { hash: hash_of(&params), params, notes });
    }
    let n_labels = adapter.n_labels.expect("a head that is kept has been read");
    if n_labels != labels.len() {
        let message = format!("the adapter's head has {n_labels} labels, the data set {}", labels.len());
        return Err(refuse(format!("{message}; give an adapter of the same task, or {NEW_HEAD}")));
    }
    if let Some(record) = adapter.record.filter(|record| record.labels != labels) {
        notes.push(format!(
            "the adapter's labels were {}, here they are {}",
            record.labels.join(", "),
            labels.join(", ")
        ));
    }
    Ok(InitialValues { hash: hash_of(&adapter.params), params: adapter.params, notes })
}

/// The adapter's values, but for those of the head.
fn with_new_head(adapter: &Params, drawn: &Params, config: &EncoderConfig) -> Params {
    let mut params = drawn.clone();
    let layout = params.layout().clone();
    for (index, spec) in layout.tensors().iter().enumerate() {
        if Place::of(&spec.name, config) != Place::Head {
            let values = adapter.get(&spec.name).expect("the same method on the same encoder has the same tensors");
            params.values_mut()[layout.range(index)].copy_from_slice(values);
        }
    }
    params
}

fn start_of(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Refuses settings under which the adapter's tensors would mean something else.
fn compare(ours: &TuningConfig, theirs: &TuningConfig, config: &EncoderConfig) -> Result<(), String> {
    let (our_keys, their_keys) = (ours.title(), theirs.title());
    if our_keys != their_keys {
        let message = format!("the adapter was trained with `tuning: {their_keys}`, here it is `{our_keys}`");
        return Err(format!("{message}; write the same method"));
    }
    for ((path, ours_one), theirs_one) in ours.with_paths().zip(theirs.methods()) {
        let meanings = [ours_one, theirs_one].map(|method| method.implementation().meaning(config));
        for ((setting, here), (_, there)) in meanings[0].iter().zip(&meanings[1]) {
            if here != there {
                let message = format!("the adapter was trained with `{path}.{setting}: {there}`, here it is `{here}`");
                return Err(format!("{message}; set it to `{there}`, or start from another adapter"));
            }
        }
    }
    Ok(())
}

fn hash_of(params: &Params) -> String {
    let mut hasher = Sha256::new();
    for (spec, values) in params.iter() {
        hasher.update((spec.name.len() as u64).to_le_bytes());
        hasher.update(spec.name.as_bytes());
        hasher.update((spec.shape.len() as u64).to_le_bytes());
        spec.shape.iter().for_each(|dim| hasher.update((*dim as u64).to_le_bytes()));
        values.iter().for_each(|value| hasher.update(value.to_le_bytes()));
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
