//! Reading.

use std::path::Path;

use candle_core::Tensor;

use super::super::{TuningConfig, TuningError, travelling_tensors};
use super::copies::{Names, is_original};
use super::names::{Layout as FileLayout, PROMPT_EMBEDDINGS, stored_names};
use super::peft_config::read_peft_config;
use super::record::Record;
use super::{ADAPTER_CONFIG, ADAPTER_MODEL, ADAPTER_PICKLE, DELTA, InitialHead, NEW_HEAD, RECORD, read};
use crate::model::checkpoint::Weights;
use crate::model::{EncoderConfig, Place};
use crate::params::{Layout, Params, TensorSpec};

/// What was found in a directory.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedAdapter {
    /// What was trained.
    pub tuning: TuningConfig,
    /// The tensors that travel, with the head's if it was to be kept, under this program's names.
    pub params: Params,
    /// Outputs of the head. None where it was not to be kept.
    pub n_labels: Option<usize>,
    /// What this program wrote beside them; none in a directory of PEFT's.
    pub record: Option<Record>,
}

/// Reads an adapter that [`export_adapter`](super::export_adapter) or PEFT wrote for an encoder of this shape. With a new
/// head, the adapter's need not be there and is not looked at.
///
/// # Errors
/// When a file is missing or damaged, its settings cannot be carried out, or tensors are missing, do not fit, or are not
/// explained by the settings.
pub fn import_adapter(dir: &Path, config: &EncoderConfig, head: InitialHead) -> Result<ImportedAdapter, TuningError> {
    let record = Record::read(dir, config)?;
    let adapter_config = dir.join(ADAPTER_CONFIG);
    let (tuning, file) = match &record {
        Some(record) => (record.tuning.clone(), record.tensors.as_str()),
        None if adapter_config.exists() => (read_peft_config(&adapter_config, config, head)?, ADAPTER_MODEL),
        None => {
            let message =
                format!("there is neither `{RECORD}` nor `{ADAPTER_CONFIG}`; give a folder such as adapters/best");
            return Err(TuningError::Adapter { path: dir.into(), message });
        }
    };
    let layout = match (file, &tuning) {
        (DELTA, _) => FileLayout::Delta,
        (_, TuningConfig::Prompt(_) | TuningConfig::Prefix(_)) => FileLayout::PeftPrompt,
        _ => FileLayout::PeftTuner,
    };
    let (path, pickle) = (dir.join(file), dir.join(ADAPTER_PICKLE));
    let bytes;
    let (path, weights) = if file == ADAPTER_MODEL && !path.exists() && pickle.exists() {
        let weights = Weights::pickle(&pickle, &pickle.display().to_string())?;
        (pickle, weights)
    } else {
        bytes = read(&path)?;
        let weights = Weights::safetensors(&bytes, &path.display().to_string())?;
        (path, weights)
    };
    let names = Names::new(weights.names());
    let file = File { weights, names, path: &path, layout, tuning: &tuning, config };
    let n_labels = match head {
        InitialHead::Keep => Some(file.n_labels()?),
        InitialHead::New => None,
    };
    let params = file.params(n_labels)?;
    Ok(ImportedAdapter { params, n_labels, record, tuning })
}

struct File<'a> {
    weights: Weights<'a>,
    names: Names,
    path: &'a Path,
    layout: FileLayout,
    tuning: &'a TuningConfig,
    config: &'a EncoderConfig,
}

impl File<'_> {
    fn refuse(&self, message: String) -> TuningError {
        TuningError::Adapter { path: self.path.into(), message }
    }

    /// The names under which a tensor lies in the file, that of its trained values first.
    fn places(&self, name: &str) -> Vec<String> {
        self.names.places(&stored_names(name, self.layout, self.tuning, self.config))
    }

    fn tensor(&self, name: &str) -> Result<Tensor, TuningError> {
        Ok(self.weights.tensor(name, &self.path.display().to_string())?)
    }

    fn n_labels(&self) -> Result<usize, TuningError> {
        let bias = format!("{}.bias", self.config.kind.output_map());
        match self.places(&bias).first() {
            Some(name) => Ok(self.tensor(name)?.elem_count()),
            None => {
                let message = format!("there is no `{bias}`: the adapter has no classification head");
                Err(self.refuse(format!("{message}; {NEW_HEAD}")))
            }
        }
    }

    /// Whether a tensor of the file is one of a head, be it such as ours or not.
    fn is_of_head(&self, stored: &str) -> bool {
        let name = stored.strip_prefix("base_model.").unwrap_or(stored);
        let module = name.strip_prefix("model.").unwrap_or(name).split('.').next();
        let heads = self.config.kind.head_modules().iter().map(|module| module.split('.').next());
        module.is_some() && heads.chain([Some("classifier"), Some("score")]).any(|head| head == module)
    }

    /// The tensors; without a number of labels, all but the head's.
    fn params(&self, n_labels: Option<usize>) -> Result<Params, TuningError> {
        let tensors = travelling_tensors(self.tuning, self.config, n_labels.unwrap_or(1));
        // The settings are the adapter's own, and not those of a scenario.
        let tensors = tensors.map_err(|error| self.refuse(error.to_string()))?;
        let mut specs: Vec<TensorSpec> = tensors.into_iter().map(|tensor| tensor.spec).collect();
        if n_labels.is_none() {
            specs.retain(|spec| Place::of(&spec.name, self.config) != Place::Head);
        }
        // The order of values in a layout.
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        // Modules as they were before training say nothing.
        let mut left: Vec<String> = self.names.all().iter().filter(|name| !is_original(name)).cloned().collect();
        let (mut missing, mut all) = (Vec::new(), Vec::new());
        for spec in &specs {
            let places = self.places(&spec.name);
            let Some((stored, others)) = places.split_first() else {
                missing.push(spec.name.clone());
                continue;
            };
            all.extend(self.values(spec, stored)?);
            others.iter().try_for_each(|other| self.check_other(stored, other))?;
            left.retain(|name| !places.contains(name));
        }
        if !missing.is_empty() {
            return Err(self.refuse(format!(
                "{} that its settings ask for are missing: {}",
                tensors_of(&missing),
                named(&missing)
            )));
        }
        left.retain(|name| n_labels.is_some() || !self.is_of_head(name));
        if !left.is_empty() {
            return Err(self.refuse(format!(
                "{} that its settings do not explain: {}",
                tensors_of(&left),
                named(&left)
            )));
        }
        // Only now that all shapes are the file's own: settings may ask for more than there is memory.
        let params = Params::new(Layout::new(specs), all);
        if !params.is_finite() {
            return Err(self.refuse("a value is NaN or infinite".into()));
        }
        Ok(params)
    }

    /// Refuses a second place of a tensor that has neither the values of the first nor those from before training.
    fn check_other(&self, stored: &str, other: &str) -> Result<(), TuningError> {
        let bits = |name: &str| -> Result<Vec<u32>, TuningError> {
            Ok(self.tensor(name)?.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f32::to_bits).collect())
        };
        let found = bits(other)?;
        if found == bits(stored)? {
            return Ok(());
        }
        match self.names.original(other) {
            Some(original) if found == bits(original)? => Ok(()),
            _ => {
                let message = format!("`{stored}` and `{other}` are one tensor with two values");
                Err(self.refuse(format!("{message}; save the adapter by PEFT's `save_pretrained` again")))
            }
        }
    }

    fn values(&self, spec: &TensorSpec, stored: &str) -> Result<Vec<f32>, TuningError> {
        let tensor = self.tensor(stored)?;
        let expected = match stored == PROMPT_EMBEDDINGS {
            true => vec![spec.shape[0], spec.shape[1..].iter().product()],
            false => spec.shape.clone(),
        };
        if tensor.dims() != expected {
            let message = format!("tensor `{stored}` has shape {:?}, expected {expected:?}", tensor.dims());
            return Err(self.refuse(message));
        }
        Ok(tensor.flatten_all()?.to_vec1::<f32>()?)
    }
}

fn tensors_of(names: &[String]) -> String {
    if names.len() == 1 { "1 tensor".into() } else { format!("{} tensors", names.len()) }
}

/// The first few names.
fn named(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, …") } else { shown }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::checkpoint::write_safetensors;
    use crate::model::{Backbone, Storage, fixture};

    /// An adapter of PEFT's with other tensors and settings.
    fn changed(
        case: &str,
        change: impl Fn(&mut BTreeMap<String, Tensor>),
        save: serde_json::Value,
    ) -> tempfile::TempDir {
        let source = fixture::peers().join("methods").join(case);
        let bytes = std::fs::read(source.join(ADAPTER_MODEL)).unwrap();
        let weights = Weights::safetensors(&bytes, "test").unwrap();
        let mut tensors: BTreeMap<String, Tensor> =
            weights.names().into_iter().map(|name| (name.clone(), weights.tensor(&name, "test").unwrap())).collect();
        change(&mut tensors);
        let dir = tempfile::tempdir().unwrap();
        write_safetensors(&dir.path().join(ADAPTER_MODEL), &tensors, Storage::F32).unwrap();
        let config = std::fs::read(source.join(ADAPTER_CONFIG)).unwrap();
        let mut config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        config["modules_to_save"] = save;
        std::fs::write(dir.path().join(ADAPTER_CONFIG), config.to_string()).unwrap();
        dir
    }

    #[test]
    fn an_adapter_without_a_head_serves_where_the_head_is_new() {
        let config = Backbone::open(&fixture::peers().join("roberta")).unwrap().config().clone();
        for (case, refusal) in
            [("roberta-lora", "`modules_to_save` lacks `classifier`"), ("roberta-ia3", "has no classification head")]
        {
            let headless = changed(
                case,
                |tensors| tensors.retain(|name, _| !name.contains("classifier")),
                serde_json::Value::Null,
            );
            let message = import_adapter(headless.path(), &config, InitialHead::Keep).unwrap_err().to_string();
            assert!(message.contains(refusal) && message.contains("write `init_head: new`"), "{message}");
            let read = import_adapter(headless.path(), &config, InitialHead::New).unwrap();
            let whole =
                import_adapter(&fixture::peers().join("methods").join(case), &config, InitialHead::Keep).unwrap();
            assert_eq!((read.n_labels, read.tuning.title()), (None, whole.tuning.title()));
            let of_modules = whole.params.iter().filter(|(spec, _)| Place::of(&spec.name, &config) != Place::Head);
            assert!(read.params.iter().eq(of_modules), "{case}");
            // A head of another form is not looked at either.
            let other = changed(
                case,
                |tensors| {
                    tensors.retain(|name, _| !name.contains("classifier"));
                    let head = Tensor::zeros((7, 16), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
                    tensors.insert("base_model.model.classifier.weight".into(), head);
                },
                serde_json::json!(["classifier"]),
            );
            assert_eq!(import_adapter(other.path(), &config, InitialHead::New).unwrap().params, read.params);
        }
    }
}
