//! LoRA: `h = W x + b + (lora_alpha / r) B A x`, with A random and B zero at the start (Hu et al. 2021, arXiv 2106.09685).

use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bias, InsertedMaps, Method, TrainableTensor, TrainableVars, TuningError};
use crate::model::{Backbone, EncoderConfig, EncoderKind, Hooks, Init, Pass, Projection, Site, ops};
use crate::params::{Params, TensorSpec};
use crate::registry::Problem;

/// Settings of LoRA, with the names of Hugging Face PEFT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rank, >= 1.
    pub r: usize,
    /// Scale of the update, > 0: it is multiplied by `lora_alpha / r`.
    pub lora_alpha: f64,
    /// Probability in [0, 1) that an input of A is dropped in training.
    pub lora_dropout: f64,
    /// Which biases are trained too.
    pub bias: Bias,
    /// Linear maps that get an update: those whose name is, or ends with a dot and, one of these. Of each layer there
    /// are `attention.self.query`, `attention.self.key`, `attention.self.value`, `attention.output.dense`,
    /// `intermediate.dense` and `output.dense` (the last matches `attention.output.dense` too).
    pub target_modules: Vec<String>,
    /// Modules trained in full; must be the head.
    pub modules_to_save: Vec<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 8.0,
            lora_dropout: 0.0,
            bias: Bias::None,
            target_modules: vec!["query".into(), "value".into()],
            modules_to_save: vec!["classifier".into()],
        }
    }
}

impl LoraConfig {
    /// The linear maps that get an update, in the order in which the encoder uses them.
    ///
    /// # Errors
    /// When a target names none of the encoder's linear maps.
    pub fn sites(&self, config: &EncoderConfig) -> std::result::Result<Vec<Site>, TuningError> {
        for target in &self.target_modules {
            if !Site::all(config).any(|site| matches(target, &site.to_string())) {
                return Err(TuningError::UnknownTarget { target: target.clone(), known: known_targets(config.kind) });
            }
        }
        let is_target = |site: &Site| {
            let name = site.to_string();
            self.target_modules.iter().any(|target| matches(target, &name))
        };
        Ok(Site::all(config).filter(is_target).collect())
    }

    /// The backbone with the updates added to its weights: `W + (lora_alpha / r) B A`. It gives the same outputs
    /// without the method's extra work.
    ///
    /// # Errors
    /// When the targets or `params` do not fit the backbone.
    pub fn merge(&self, backbone: &Backbone, params: &Params) -> std::result::Result<Backbone, TuningError> {
        let values = TrainableVars::constants(params, backbone.device())?;
        let mut tensors = backbone.tensors().clone();
        for site in self.sites(backbone.config())? {
            let pair = (values.get(&name_of(site, "lora_A")), values.get(&name_of(site, "lora_B")));
            let weight = tensors.get_mut(&format!("{site}.weight"));
            if let ((Some(a), Some(b)), Some(weight)) = (pair, weight) {
                *weight = (weight.to_dtype(b.dtype())? + (b.matmul(a)? * self.scale())?)?;
            }
        }
        Ok(Backbone::from_tensors(backbone.config().clone(), &tensors)?)
    }

    fn scale(&self) -> f64 {
        self.lora_alpha / self.r as f64
    }
}

impl Method for LoraConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.r == 0 {
            problems.push(Problem::new("r", "the rank is 0, so nothing could be learnt").help("use 1 or more"));
        }
        if !(self.lora_alpha > 0.0 && self.lora_alpha.is_finite()) {
            problems.push(Problem::new("lora_alpha", format!("{} is not above 0", self.lora_alpha)));
        }
        if !(0.0..1.0).contains(&self.lora_dropout) {
            problems.push(Problem::new("lora_dropout", format!("{} does not lie in [0, 1)", self.lora_dropout)));
        }
        if self.target_modules.is_empty() {
            let help = "name linear maps, such as [query, value]; to train the head alone use `tuning: head`";
            problems.push(Problem::new("target_modules", "there is no target").help(help));
        }
        for (i, target) in self.target_modules.iter().enumerate() {
            let at = || format!("target_modules.{i}");
            if target == "dense" {
                let help = "name them: `attention.output.dense`, `intermediate.dense`, `output.dense`";
                let problem = Problem::new(at(), "`dense` would also match layers of the classification head");
                problems.push(problem.help(help));
            } else if !may_match(target) {
                let problem = Problem::new(at(), format!("encoders have no linear map `{target}`"));
                problems.push(problem.help(format!("use {}", known_targets(EncoderKind::Roberta))));
            }
        }
        if self.modules_to_save != ["classifier"] {
            let problem = Problem::new("modules_to_save", "the classification head is always trained, and it alone");
            problems.push(problem.help("write [classifier]"));
        }
        problems
    }

    fn tensors(&self, config: &EncoderConfig) -> std::result::Result<Vec<TrainableTensor>, TuningError> {
        let mut tensors = Vec::new();
        for site in self.sites(config)? {
            let (n_in, n_out) = site.projection.size(config);
            // As PEFT does: kaiming_uniform with a = sqrt 5, whose bound sqrt(6 / ((1 + a^2) n_in)) is 1 / sqrt(n_in).
            let init = Init::Uniform { bound: 1.0 / (n_in as f64).sqrt() };
            let a = TensorSpec::new(name_of(site, "lora_A"), [self.r, n_in]);
            let b = TensorSpec::new(name_of(site, "lora_B"), [n_out, self.r]);
            tensors.push(TrainableTensor { spec: a, init: Some(init) });
            tensors.push(TrainableTensor { spec: b, init: Some(Init::Zeros) });
        }
        Ok(tensors)
    }

    fn hooks(&self, values: TrainableVars) -> Box<dyn Hooks> {
        Box::new(LoraHooks { values, scale: self.scale(), dropout: self.lora_dropout as f32 })
    }

    fn inserted(&self, config: &EncoderConfig) -> Vec<InsertedMaps> {
        let sizes = |site: Site| {
            let (n_in, n_out) = site.projection.size(config);
            vec![(n_in, self.r), (self.r, n_out)]
        };
        let sites = self.sites(config).unwrap_or_default();
        sites.into_iter().map(|site| InsertedMaps { site, sizes: sizes(site) }).collect()
    }

    fn peft_config(&self) -> Option<serde_json::Value> {
        let Bias::None = self.bias;
        Some(serde_json::json!({
            "base_model_name_or_path": null,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "lora_alpha": self.lora_alpha,
            "lora_dropout": self.lora_dropout,
            "modules_to_save": self.modules_to_save,
            "peft_type": "LORA",
            "r": self.r,
            "target_modules": self.target_modules,
            "task_type": "SEQ_CLS",
        }))
    }
}

struct LoraHooks {
    values: TrainableVars,
    scale: f64,
    dropout: f32,
}

impl Hooks for LoraHooks {
    fn parameter(&self, name: &str) -> Option<Tensor> {
        self.values.get(name).cloned()
    }

    fn projection(&self, site: Site, input: &Tensor, output: Tensor, pass: &mut Pass) -> Result<Tensor> {
        let (Some(a), Some(b)) = (self.values.get(&name_of(site, "lora_A")), self.values.get(&name_of(site, "lora_B")))
        else {
            return Ok(output);
        };
        let low = match pass.dropout(self.dropout) {
            None => ops::linear(input, a, None)?,
            Some(dropout) => ops::linear(&ops::dropout(input, dropout)?, a, None)?,
        };
        ops::add_linear(&output, &low, b, self.scale)
    }
}

fn name_of(site: Site, matrix: &str) -> String {
    format!("{site}.{matrix}.weight")
}

/// PEFT's rule: a target is a full name, or the end of one behind a dot.
fn matches(target: &str, name: &str) -> bool {
    name.strip_suffix(target).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) && !target.is_empty()
}

/// Whether an encoder of some family with enough layers has a match.
fn may_match(target: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let layer = target.split('.').find(|part| is_number(part)).unwrap_or("0").parse().unwrap_or(0);
    EncoderKind::ALL.iter().any(|&kind| {
        Projection::ALL.iter().any(|&projection| matches(target, &Site { kind, layer, projection }.to_string()))
    })
}

fn known_targets(kind: EncoderKind) -> String {
    Projection::ALL.map(|projection| format!("`{}`", projection.name(kind))).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;
    use crate::petuning::{TuningConfig, initial_params};
    use crate::seed::Seeds;

    fn all_targets() -> LoraConfig {
        all_targets_of(EncoderKind::Bert)
    }

    fn all_targets_of(kind: EncoderKind) -> LoraConfig {
        let target_modules = Projection::ALL.map(|projection| projection.name(kind).to_string()).to_vec();
        LoraConfig { r: 3, target_modules, ..LoraConfig::default() }
    }

    fn logits(backbone: &Backbone, tuning: &dyn Method, params: &Params) -> Vec<Vec<f32>> {
        let hooks = tuning.hooks(TrainableVars::constants(params, &candle_core::Device::Cpu).unwrap());
        let batch = fixture::batch(backbone.config());
        let logits = crate::model::classify(backbone, &batch, hooks.as_ref(), &mut Pass::evaluation());
        logits.unwrap().to_vec2().unwrap()
    }

    #[test]
    fn targets_match_as_in_peft() {
        let config = fixture::backbone(EncoderKind::Bert).config().clone();
        let sites = |targets: &[&str]| {
            let target_modules = targets.iter().map(|target| target.to_string()).collect();
            let sites = LoraConfig { target_modules, ..LoraConfig::default() }.sites(&config);
            sites.map(|sites| sites.iter().map(Site::to_string).collect::<Vec<_>>()).map_err(|error| error.to_string())
        };
        assert_eq!(sites(&["layer.1.attention.self.key"]).unwrap(), ["encoder.layer.1.attention.self.key"]);
        // A suffix behind a dot: `output.dense` is the end of `attention.output.dense` too.
        assert_eq!(sites(&["output.dense"]).unwrap().len(), 4);
        assert_eq!(sites(&["query", "value"]).unwrap().len(), 4);
        let message = sites(&["query", "q_proj"]).unwrap_err();
        assert!(message.contains("`q_proj`") && message.contains("`attention.self.query`"), "{message}");
        assert!(sites(&["uery"]).is_err());
    }

    #[test]
    fn bad_settings_are_named() {
        assert_eq!(LoraConfig::default().problems(), []);
        assert_eq!(all_targets().problems(), []);
        let config = LoraConfig {
            r: 0,
            lora_alpha: 0.0,
            lora_dropout: 1.0,
            target_modules: vec!["dense".into(), "q_proj".into(), "layer.7.output.dense".into()],
            modules_to_save: vec![],
            ..LoraConfig::default()
        };
        let paths: Vec<String> = config.problems().into_iter().map(|problem| problem.path).collect();
        let expected = ["r", "lora_alpha", "lora_dropout", "target_modules.0", "target_modules.1", "modules_to_save"];
        assert_eq!(paths, expected);
    }

    #[test]
    fn with_b_zero_the_update_is_the_identity() {
        for kind in EncoderKind::ALL {
            let backbone = fixture::backbone(kind);
            let (lora, seeds) = (all_targets_of(kind), Seeds::new(3));
            let params = initial_params(&TuningConfig::Lora(lora.clone()), &backbone, 3, &seeds).unwrap();
            let head = crate::petuning::HeadConfig {};
            let head_params = initial_params(&TuningConfig::Head(head.clone()), &backbone, 3, &seeds).unwrap();
            // The head starts from the same values under every method, so the scores must be the same to the bit.
            assert_eq!(logits(&backbone, &lora, &params), logits(&backbone, &head, &head_params));
        }
    }

    #[test]
    fn merged_equals_unmerged() {
        for kind in EncoderKind::ALL {
            let backbone = fixture::backbone(kind);
            let (lora, seeds) = (all_targets_of(kind), Seeds::new(3));
            let params = initial_params(&TuningConfig::Lora(lora.clone()), &backbone, 3, &seeds).unwrap();
            let params = fixture::stirred(&params);
            let merged = lora.merge(&backbone, &params).unwrap();
            // The scores of the merged encoder with the same head and no updates.
            let head = TuningConfig::Head(crate::petuning::HeadConfig {});
            let mut head_params = initial_params(&head, &backbone, 3, &seeds).unwrap();
            let layout = head_params.layout().clone();
            for (index, spec) in layout.tensors().iter().enumerate() {
                let values = params.get(&spec.name).unwrap();
                head_params.values_mut()[layout.range(index)].copy_from_slice(values);
            }
            let unmerged = logits(&backbone, &lora, &params);
            let merged = logits(&merged, head.implementation(), &head_params);
            for (a, b) in unmerged.iter().flatten().zip(merged.iter().flatten()) {
                assert!((a - b).abs() < 1e-4 * (1.0 + a.abs()), "{a} {b}");
            }
            assert_ne!(unmerged, logits(&backbone, head.implementation(), &head_params), "the update must act");
        }
    }
}
