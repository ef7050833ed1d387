//! Trained tensors in the files of Hugging Face PEFT.
//!
//! LoRA becomes `adapter_config.json` and `adapter_model.safetensors`, which `peft.PeftModel.from_pretrained` puts on
//! an `AutoModelForSequenceClassification`. Methods that PEFT does not know become `delta.safetensors`: the trained
//! tensors under transformers' names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde_json::Value;

use super::{Bias, LoraConfig, Method, TuningConfig, TuningError, trainable_tensors};
use crate::model::checkpoint::{Weights, write_safetensors};
use crate::model::{EncoderConfig, EncoderKind, Storage};
use crate::params::{Layout, Params};

/// Writes the trained tensors into `dir`, which is made when it does not exist. Gives the files written.
///
/// # Errors
/// When a file cannot be written.
pub fn export_adapter(
    tuning: &TuningConfig,
    config: &EncoderConfig,
    params: &Params,
    dir: &Path,
) -> Result<Vec<PathBuf>, TuningError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| TuningError::Write { path, source }
    };
    std::fs::create_dir_all(dir).map_err(failed(dir))?;
    let adapter_config = tuning.implementation().peft_config(config);
    let (file, prefix) = match adapter_config {
        Some(_) => ("adapter_model.safetensors", PEFT_PREFIX),
        None => ("delta.safetensors", ""),
    };
    let mut tensors = BTreeMap::new();
    for (spec, values) in params.iter() {
        let tensor = Tensor::from_slice(values, spec.shape.as_slice(), &candle_core::Device::Cpu)?;
        tensors.insert(format!("{prefix}{}", name_with_head(&spec.name, config.kind)), tensor);
    }
    let path = dir.join(file);
    write_safetensors(&path, &tensors, Storage::F32)?;
    let mut written = vec![path];
    if let Some(adapter_config) = adapter_config {
        let path = dir.join("adapter_config.json");
        std::fs::write(&path, format!("{adapter_config:#}\n")).map_err(failed(&path))?;
        written.push(path);
    }
    Ok(written)
}

/// Reads a LoRA adapter in PEFT layout, made for an encoder of this shape: its settings and its tensors with the
/// head's, under this program's names. The number of labels is that of the head.
///
/// # Errors
/// When a file is missing or damaged, the adapter is no plain LoRA, or tensors are missing or do not fit.
pub fn import_adapter(dir: &Path, config: &EncoderConfig) -> Result<(LoraConfig, Params), TuningError> {
    let lora = read_lora_config(&dir.join("adapter_config.json"))?;
    let path = dir.join("adapter_model.safetensors");
    let bytes = read(&path)?;
    let origin = path.display().to_string();
    let weights = Weights::safetensors(&bytes, &origin)?;
    let stored_name = |name: &str| format!("{PEFT_PREFIX}{}", name_with_head(name, config.kind));
    let output_bias = format!("{}.bias", config.kind.output_map());
    let n_labels = weights.tensor(&stored_name(&output_bias), &origin)?.elem_count();
    let tuning = TuningConfig::Lora(lora.clone());
    let layout = Layout::new(trainable_tensors(&tuning, config, n_labels)?.into_iter().map(|t| t.spec).collect());
    let mut params = Params::zeros(layout.clone());
    for (index, spec) in layout.tensors().iter().enumerate() {
        let tensor = weights.tensor(&stored_name(&spec.name), &origin)?;
        if tensor.dims() != spec.shape {
            let message = format!("tensor `{}` has shape {:?}, expected {:?}", spec.name, tensor.dims(), spec.shape);
            return Err(TuningError::Adapter { path, message });
        }
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        params.values_mut()[layout.range(index)].copy_from_slice(&values);
    }
    Ok((lora, params))
}

/// What PEFT puts before the names of the model that it wraps.
const PEFT_PREFIX: &str = "base_model.model.";

/// The name in transformers' model with a classification head.
fn name_with_head(name: &str, kind: EncoderKind) -> String {
    if kind.is_head(name) { name.into() } else { format!("{}{name}", kind.prefix()) }
}

fn read_lora_config(path: &Path) -> Result<LoraConfig, TuningError> {
    let refuse = |message: String| TuningError::Adapter { path: path.into(), message };
    let raw: Value = serde_json::from_slice(&read(path)?).map_err(|error| refuse(error.to_string()))?;
    match raw["peft_type"].as_str() {
        Some("LORA") => {}
        other => return Err(refuse(format!("`peft_type` is {other:?}; only LORA can be read"))),
    }
    for variant in ["use_dora", "lora_bias", "fan_in_fan_out"] {
        if raw[variant].as_bool() == Some(true) {
            return Err(refuse(format!("`{variant}` is on; only plain LoRA can be read")));
        }
    }
    if raw["bias"].as_str().is_some_and(|bias| bias != "none") {
        return Err(refuse(format!("`bias` is {}; only `none` can be read", raw["bias"])));
    }
    let names = |key: &str| -> Option<Vec<String>> {
        raw[key].as_array()?.iter().map(|name| name.as_str().map(String::from)).collect()
    };
    let lora = LoraConfig {
        r: raw["r"].as_u64().ok_or_else(|| refuse("`r` is missing".into()))? as usize,
        lora_alpha: raw["lora_alpha"].as_f64().ok_or_else(|| refuse("`lora_alpha` is missing".into()))?,
        use_rslora: raw["use_rslora"].as_bool().unwrap_or(false),
        lora_dropout: raw["lora_dropout"].as_f64().unwrap_or(0.0),
        bias: Bias::None,
        target_modules: names("target_modules").ok_or_else(|| refuse("`target_modules` is no list".into()))?,
        modules_to_save: vec!["classifier".into()],
    };
    match lora.problems().into_iter().next() {
        None => Ok(lora),
        Some(problem) => Err(refuse(format!("`{}`: {}", problem.path, problem.message))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TuningError> {
    std::fs::read(path).map_err(|source| TuningError::Read { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use candle_core::Device;

    use super::*;
    use crate::model::{Backbone, Batch, Pass, classify, fixture};
    use crate::petuning::{FullConfig, HeadConfig, TrainableVars, initial_params};
    use crate::seed::Seeds;

    const FAMILIES: [&str; 2] = ["bert", "roberta"];

    fn json(path: &Path) -> Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
        let bytes = std::fs::read(path).unwrap();
        let weights = Weights::safetensors(&bytes, "test").unwrap();
        let values = |name: &String| weights.tensor(name, "test").unwrap().flatten_all().unwrap().to_vec1().unwrap();
        weights.names().iter().map(|name| (name.clone(), values(name))).collect()
    }

    #[test]
    fn an_adapter_of_peft_gives_the_same_scores_here() {
        for family in FAMILIES {
            let dir = fixture::peers().join(family);
            let backbone = Backbone::open(&dir).unwrap();
            let (lora, params) = import_adapter(&dir.join("adapter"), backbone.config()).unwrap();
            let golden = json(&dir.join("golden.json"));
            let examples: Vec<Vec<u32>> = serde_json::from_value(golden["examples"].clone()).unwrap();
            let types = [0u32; 8];
            let inputs: Vec<_> = examples.iter().map(|ids| (ids.as_slice(), &types[..ids.len()])).collect();
            let batch = Batch::new(&inputs, backbone.config(), &Device::Cpu).unwrap();
            let hooks = lora.hooks(TrainableVars::constants(&params, &Device::Cpu).unwrap());
            let logits = classify(&backbone, &batch, hooks.as_ref(), &mut Pass::evaluation()).unwrap();
            let expected: Vec<Vec<f32>> = serde_json::from_value(golden["logits"].clone()).unwrap();
            for (ours, theirs) in logits.to_vec2::<f32>().unwrap().iter().flatten().zip(expected.iter().flatten()) {
                assert!((ours - theirs).abs() < 1e-5, "{family}: {ours} {theirs}");
            }
        }
    }

    #[test]
    fn an_export_is_what_peft_saves() {
        for family in FAMILIES {
            let dir = fixture::peers().join(family);
            let config = Backbone::open(&dir).unwrap().config().clone();
            let (lora, params) = import_adapter(&dir.join("adapter"), &config).unwrap();
            let out = tempfile::tempdir().unwrap();
            let files = export_adapter(&TuningConfig::Lora(lora), &config, &params, out.path()).unwrap();
            assert_eq!(files.len(), 2);
            let file = "adapter_model.safetensors";
            assert_eq!(tensors(&out.path().join(file)), tensors(&dir.join("adapter").join(file)));
            let theirs = json(&dir.join("adapter/adapter_config.json"));
            for (key, ours) in json(&out.path().join("adapter_config.json")).as_object().unwrap() {
                // PEFT keeps names in sets: their order is not its own, and the head is named twice beside `score`.
                let set = |value: &Value| -> BTreeSet<String> {
                    value.as_array().into_iter().flatten().map(Value::to_string).collect()
                };
                match key.as_str() {
                    "target_modules" => assert_eq!(set(ours), set(&theirs[key])),
                    "modules_to_save" => assert!(set(ours).is_subset(&set(&theirs[key]))),
                    _ if ours.is_number() => assert_eq!(ours.as_f64(), theirs[key].as_f64(), "{key}"),
                    _ => assert_eq!(ours, &theirs[key], "{key}"),
                }
            }
        }
    }

    #[test]
    #[ignore = "writes to STRAGGLER_EXPORT_DIR what tests/peers/check_export.py loads with Python's peft"]
    fn export_for_python() {
        let out = PathBuf::from(std::env::var("STRAGGLER_EXPORT_DIR").unwrap());
        for family in FAMILIES {
            let dir = fixture::peers().join(family);
            let backbone = Backbone::open(&dir).unwrap();
            backbone.save(&out.join(family), Storage::F32, &BTreeMap::new()).unwrap();
            let (lora, params) = import_adapter(&dir.join("adapter"), backbone.config()).unwrap();
            let adapter = out.join(family).join("adapter");
            export_adapter(&TuningConfig::Lora(lora), backbone.config(), &params, &adapter).unwrap();
        }
    }

    #[test]
    fn methods_that_peft_does_not_know_export_under_the_names_of_transformers() {
        let dir = fixture::peers().join("roberta");
        let backbone = Backbone::open(&dir).unwrap();
        let names = |tuning: TuningConfig| -> Vec<String> {
            let params = initial_params(&tuning, &backbone, 3, &Seeds::new(0)).unwrap();
            let out = tempfile::tempdir().unwrap();
            let files = export_adapter(&tuning, backbone.config(), &params, out.path()).unwrap();
            assert_eq!(files, [out.path().join("delta.safetensors")]);
            tensors(&files[0]).into_keys().collect()
        };
        let head: Vec<String> = ["dense.bias", "dense.weight", "out_proj.bias", "out_proj.weight"]
            .map(|name| format!("classifier.{name}"))
            .to_vec();
        assert_eq!(names(TuningConfig::Head(HeadConfig {})), head);
        let encoder = tensors(&dir.join("model.safetensors")).into_keys();
        assert_eq!(names(TuningConfig::Full(FullConfig {})), head.into_iter().chain(encoder).collect::<Vec<_>>());
    }

    #[test]
    fn adapters_that_cannot_be_read_say_why() {
        let source = fixture::peers().join("roberta");
        let config = Backbone::open(&source).unwrap().config().clone();
        let dir = tempfile::tempdir().unwrap();
        let refusal = |change: &dyn Fn(&mut Value)| {
            let mut adapter = json(&source.join("adapter/adapter_config.json"));
            change(&mut adapter);
            std::fs::write(dir.path().join("adapter_config.json"), adapter.to_string()).unwrap();
            import_adapter(dir.path(), &config).unwrap_err().to_string()
        };
        assert!(refusal(&|adapter| adapter["peft_type"] = "IA3".into()).contains("only LORA"));
        assert!(refusal(&|adapter| adapter["use_dora"] = true.into()).contains("`use_dora` is on"));
        assert!(refusal(&|adapter| adapter["r"] = 0.into()).contains("`r`: the rank is 0"));
        assert!(refusal(&|_| ()).contains("adapter_model.safetensors"), "the tensors are not there");
        std::fs::copy(source.join("adapter/adapter_model.safetensors"), dir.path().join("adapter_model.safetensors"))
            .unwrap();
        assert!(refusal(&|adapter| adapter["r"] = 3.into()).contains("has shape [2, 16], expected [3, 16]"));
    }
}
