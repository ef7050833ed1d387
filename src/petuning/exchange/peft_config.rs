//! `adapter_config.json` of Hugging Face PEFT as settings.

use std::path::Path;

use serde_json::Value;

use super::super::{Bias, Ia3Config, LoraConfig, PrefixConfig, PromptConfig, TuningConfig, TuningError};
use super::{InitialHead, NEW_HEAD, read};
use crate::model::EncoderConfig;

/// Settings that make something else of a method. They must be off or absent.
const UNKNOWN_FORMS: [&str; 14] = [
    "use_dora",
    "lora_bias",
    "fan_in_fan_out",
    "use_qalora",
    "use_bdlora",
    "rank_pattern",
    "alpha_pattern",
    "layers_to_transform",
    "target_parameters",
    "alora_invocation_tokens",
    "layer_replication",
    "monteclora_config",
    "kasa_config",
    "arrow_config",
];

/// How the values of `init_lora_weights` begin under which PEFT changes the weights that the adapter is put on: without
/// that change its tensors mean something else. (Under `eva`, `orthogonal`, `mica` and `gaussian` only the adapter starts
/// elsewhere.)
const INITS_THAT_CHANGE_THE_BASE: [&str; 5] = ["pissa", "olora", "corda", "loftq", "lora_ga"];

/// The settings in a file that PEFT wrote.
///
/// # Errors
/// When the file is missing or says something that cannot be carried out, or there is no head to keep.
pub(super) fn read_peft_config(
    path: &Path,
    config: &EncoderConfig,
    head: InitialHead,
) -> Result<TuningConfig, TuningError> {
    let refuse = |message: String| TuningError::Adapter { path: path.into(), message };
    let raw: Value = serde_json::from_slice(&read(path)?).map_err(|error| refuse(error.to_string()))?;
    if let Some(form) = UNKNOWN_FORMS.iter().find(|form| is_on(&raw[**form])) {
        return Err(refuse(format!("`{form}` is on; only the plain method can be read")));
    }
    if let Some(init) = raw["init_lora_weights"].as_str()
        && INITS_THAT_CHANGE_THE_BASE.iter().any(|name| init.to_ascii_lowercase().starts_with(name))
    {
        return Err(refuse(format!(
            "`init_lora_weights` is {init}, which changes the weights of the model that the adapter is for; save it by \
             PEFT with `path_initial_model_for_weight_conversion`, as plain LoRA"
        )));
    }
    let file = File { raw: &raw, path, head };
    let tuning = match raw["peft_type"].as_str() {
        Some("LORA") => TuningConfig::Lora(file.lora()?),
        Some("IA3") => TuningConfig::Ia3(Ia3Config {
            target_modules: file.names("target_modules")?,
            feedforward_modules: file.names("feedforward_modules")?,
        }),
        Some("PROMPT_TUNING") => {
            let num_virtual_tokens = file.number("num_virtual_tokens")?;
            // Wherever they started, PEFT saves where they are.
            TuningConfig::Prompt(PromptConfig { num_virtual_tokens, ..PromptConfig::default() })
        }
        // Whatever made them, PEFT saves the keys and values.
        Some("PREFIX_TUNING") => {
            let num_virtual_tokens = file.number("num_virtual_tokens")?;
            TuningConfig::Prefix(PrefixConfig { num_virtual_tokens, ..PrefixConfig::default() })
        }
        Some(other) => {
            let known = "LORA, IA3, PROMPT_TUNING and PREFIX_TUNING can be read";
            return Err(refuse(format!("`peft_type` is {other}; {known}")));
        }
        None => return Err(refuse("`peft_type` is missing".into())),
    };
    if matches!(tuning, TuningConfig::Prompt(_)) && config.vision.is_some() {
        return Err(refuse("PEFT's prompts are for texts, but the model takes images".into()));
    }
    match tuning.implementation().problems().into_iter().next() {
        None => Ok(tuning),
        Some(problem) => Err(refuse(format!("`{}`: {}", problem.path, problem.message))),
    }
}

fn is_on(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

struct File<'a> {
    raw: &'a Value,
    path: &'a Path,
    head: InitialHead,
}

impl File<'_> {
    fn refuse(&self, message: String) -> TuningError {
        TuningError::Adapter { path: self.path.into(), message }
    }

    fn number(&self, key: &str) -> Result<usize, TuningError> {
        let number = self.raw[key].as_u64().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| self.refuse(format!("`{key}` is no whole number")))
    }

    fn names(&self, key: &str) -> Result<Vec<String>, TuningError> {
        let names = self.raw[key].as_array().and_then(|names| {
            let names: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(String::from)).collect();
            names
        });
        let refusal = || match self.raw[key].as_str() {
            Some(pattern) => format!(
                "`{key}` is the pattern `{pattern}`; patterns are not read: write the list of the modules that it stands for, \
                 such as [\"query\", \"value\"]"
            ),
            None => format!("`{key}` is no list of names, such as [\"query\", \"value\"]"),
        };
        let mut names = names.ok_or_else(|| self.refuse(refusal()))?;
        // PEFT keeps them in a set, so their order says nothing.
        names.sort();
        Ok(names)
    }

    fn lora(&self) -> Result<LoraConfig, TuningError> {
        let bias = match self.raw["bias"].as_str() {
            None | Some("none") => Bias::None,
            Some("all") => Bias::All,
            Some("lora_only") => Bias::LoraOnly,
            Some(other) => return Err(self.refuse(format!("`bias` is {other}; it can be none, all or lora_only"))),
        };
        let mut modules_to_save = match self.raw["modules_to_save"] {
            Value::Null => Vec::new(),
            _ => self.names("modules_to_save")?,
        };
        modules_to_save.dedup();
        if !modules_to_save.iter().any(|module| module == "classifier") {
            match self.head {
                InitialHead::Keep => {
                    let message = "`modules_to_save` lacks `classifier`, so the adapter has no head";
                    return Err(self.refuse(format!("{message}; {NEW_HEAD}")));
                }
                InitialHead::New => modules_to_save.push("classifier".into()),
            }
        }
        Ok(LoraConfig {
            r: self.number("r")?,
            lora_alpha: self.raw["lora_alpha"].as_f64().ok_or_else(|| self.refuse("`lora_alpha` is missing".into()))?,
            use_rslora: self.raw["use_rslora"].as_bool().unwrap_or(false),
            lora_dropout: self.raw["lora_dropout"].as_f64().unwrap_or(0.0),
            bias,
            target_modules: self.names("target_modules")?,
            modules_to_save,
        })
    }
}
