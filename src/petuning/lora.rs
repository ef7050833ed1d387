//! LoRA: `h = W x + b + s B A x` with `s = lora_alpha / r`, A random and B zero at the start (Hu et al. 2021, arXiv
//! 2106.09685, equation 3); with `use_rslora` `s = lora_alpha / sqrt(r)` (Kalajdzievski 2023, arXiv 2312.03732).

use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::saved_modules::{names_for_peft, saved_module_names, tensors_of_module};
use super::targets::{module_names, problems, shortest_names, sites, task_type};
use super::{InsertedMaps, Method, TrainableTensor, TrainableVars, TuningError};
use crate::model::{Backbone, EncoderConfig, Hooks, Init, Pass, Site, backbone_tensors, ops};
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
    /// Multiply the update by `lora_alpha / sqrt(r)`: its size then does not shrink as the rank grows.
    pub use_rslora: bool,
    /// Probability in [0, 1) that an input of A is dropped in training.
    pub lora_dropout: f64,
    /// Which biases are trained too.
    pub bias: Bias,
    /// Linear maps that get an update: those whose name is, or ends with a dot and, one of these. Of each layer there
    /// are `query`, `key`, `value`, `attention.output.dense`, `intermediate.dense` and `output.dense` (the last matches
    /// `attention.output.dense` too); the checkpoint's own names, such as DistilBERT's `q_lin`, serve as well.
    pub target_modules: Vec<String>,
    /// Modules trained in full. The head, `classifier`, must be there; modules of the encoder may be, such as `pooler`
    /// or `LayerNorm`. PEFT cannot save a module inside another, such as the tables of `embeddings`: exports then name them
    /// one by one; what cannot be told apart so (a ViT's `embeddings`) is exported as `delta.safetensors`.
    pub modules_to_save: Vec<String>,
}

/// Which of the encoder's biases are trained beside a method's own tensors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    /// No biases.
    #[default]
    None,
    /// All of them.
    All,
    /// Those of the linear maps that get an update.
    LoraOnly,
}

impl Bias {
    /// As PEFT writes it.
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::All => "all",
            Self::LoraOnly => "lora_only",
        }
    }
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 8.0,
            use_rslora: false,
            lora_dropout: 0.0,
            bias: Bias::None,
            target_modules: vec!["query".into(), "value".into()],
            modules_to_save: vec![HEAD.into()],
        }
    }
}

/// The largest rank: more than any map has inputs.
const R_MAX: usize = 1 << 16;
/// The name of the classification head in `modules_to_save`.
const HEAD: &str = "classifier";
/// Other names under which PEFT or a family knows parts of the head; they say nothing new.
const HEAD_ALIASES: [&str; 3] = [HEAD, "pre_classifier", "score"];

impl LoraConfig {
    /// The linear maps that get an update, in the order in which the encoder uses them.
    ///
    /// # Errors
    /// When a target names none of the encoder's linear maps.
    pub fn sites(&self, config: &EncoderConfig) -> std::result::Result<Vec<Site>, TuningError> {
        sites("target_modules", &self.target_modules, config)
    }

    /// The backbone with the updates added to its weights, `W + s B A`, and with its trained tensors in place. It gives
    /// the same outputs without the method's extra work.
    ///
    /// # Errors
    /// When the targets or `params` do not fit the backbone.
    pub fn merge(&self, backbone: &Backbone, params: &Params) -> std::result::Result<Backbone, TuningError> {
        let values = TrainableVars::constants(params, backbone.device())?;
        let mut tensors = backbone.tensors().clone();
        for (name, tensor) in &mut tensors {
            if let Some(trained) = values.get(name) {
                *tensor = trained.clone();
            }
        }
        for site in self.sites(backbone.config())? {
            let pair = (values.get(&name_of(site, "lora_A")), values.get(&name_of(site, "lora_B")));
            let weight = tensors.get_mut(&format!("{site}.weight"));
            if let ((Some(a), Some(b)), Some(weight)) = (pair, weight) {
                *weight = (weight.to_dtype(b.dtype())? + (b.matmul(a)? * self.scale())?)?;
            }
        }
        Ok(Backbone::from_tensors(backbone.config().clone(), &tensors)?)
    }

    /// The modules to save that are not the head.
    fn saved_modules(&self) -> Vec<&str> {
        let modules = self.modules_to_save.iter().map(String::as_str);
        modules.filter(|module| !HEAD_ALIASES.contains(module)).collect()
    }

    fn scale(&self) -> f64 {
        let r = self.r as f64;
        self.lora_alpha / if self.use_rslora { r.sqrt() } else { r }
    }

    /// Tensors of the backbone that are trained too: biases, and the modules to save that are not the head.
    fn replaced(&self, config: &EncoderConfig, sites: &[Site]) -> std::result::Result<Vec<TensorSpec>, TuningError> {
        let mut replaced: Vec<TensorSpec> = match self.bias {
            Bias::None => Vec::new(),
            Bias::All => backbone_tensors(config).into_iter().filter(|spec| spec.name.ends_with(".bias")).collect(),
            Bias::LoraOnly => {
                let names: Vec<String> = sites.iter().map(|site| format!("{site}.bias")).collect();
                backbone_tensors(config).into_iter().filter(|spec| names.contains(&spec.name)).collect()
            }
        };
        for (i, module) in self.modules_to_save.iter().enumerate() {
            if HEAD_ALIASES.contains(&module.as_str()) {
                continue;
            }
            let path = format!("modules_to_save.{i}");
            let found = tensors_of_module(&path, module, config)?;
            if let Some(site) = sites.iter().find(|site| found.iter().any(|s| s.name == format!("{site}.weight"))) {
                let problem = Problem::new(path, format!("`{module}` holds `{site}`, which is a target too"));
                return Err(problem.help("take one of them off").into());
            }
            replaced.extend(found);
        }
        replaced.sort_by(|a, b| a.name.cmp(&b.name));
        replaced.dedup();
        Ok(replaced)
    }
}

impl Method for LoraConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.r == 0 {
            found.push(Problem::new("r", "the rank is 0, so nothing could be learnt").help("use 1 or more"));
        }
        if self.r > R_MAX {
            found.push(Problem::new("r", format!("{} is above {R_MAX}", self.r)).help("8 is usual"));
        }
        if !(self.lora_alpha > 0.0 && self.lora_alpha.is_finite()) {
            found.push(Problem::new("lora_alpha", format!("{} is not above 0", self.lora_alpha)));
        }
        let dropout = ops::Dropout::problem(self.lora_dropout);
        found.extend(dropout.map(|message| Problem::new("lora_dropout", message)));
        if self.target_modules.is_empty() {
            let help = "name linear maps, such as [query, value]; to train the head alone use `tuning: head`";
            found.push(Problem::new("target_modules", "there is no target").help(help));
        }
        found.extend(problems("target_modules", &self.target_modules));
        if !self.modules_to_save.iter().any(|module| module == HEAD) {
            let problem = Problem::new("modules_to_save", "the classification head is always trained");
            found.push(problem.help("add `classifier`"));
        }
        found
    }

    fn tensors(&self, config: &EncoderConfig) -> std::result::Result<Vec<TrainableTensor>, TuningError> {
        let sites = self.sites(config)?;
        let replaced = self.replaced(config, &sites)?;
        let mut tensors: Vec<TrainableTensor> =
            replaced.into_iter().map(|spec| TrainableTensor { spec, init: None }).collect();
        for site in sites {
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

    fn meaning(&self, config: &EncoderConfig) -> Vec<(&'static str, String)> {
        let mut saved: Vec<String> =
            self.saved_modules().into_iter().flat_map(|module| saved_module_names(module, config)).collect();
        saved.sort_unstable();
        saved.insert(0, HEAD.into());
        vec![
            ("r", self.r.to_string()),
            ("lora_alpha", self.lora_alpha.to_string()),
            ("use_rslora", self.use_rslora.to_string()),
            ("bias", self.bias.name().into()),
            ("target_modules", shortest_names(&self.target_modules, config).join(", ")),
            ("modules_to_save", saved.join(", ")),
        ]
    }

    fn peft_config(&self, config: &EncoderConfig) -> Option<serde_json::Value> {
        let modules_to_save = names_for_peft(&self.saved_modules(), config)?;
        Some(serde_json::json!({
            "base_model_name_or_path": null,
            "bias": self.bias.name(),
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "lora_alpha": self.lora_alpha,
            "lora_dropout": self.lora_dropout,
            "modules_to_save": modules_to_save,
            "peft_type": "LORA",
            "r": self.r,
            "target_modules": module_names(&self.target_modules, config),
            "task_type": task_type(config),
            "use_rslora": self.use_rslora,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EncoderKind;
    use crate::model::fixture;
    use crate::petuning::{TuningConfig, initial_params, trainable_tensors};
    use crate::seed::Seeds;

    fn all_targets() -> LoraConfig {
        let target_modules = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"];
        LoraConfig { r: 3, target_modules: target_modules.map(String::from).to_vec(), ..LoraConfig::default() }
    }

    fn logits(backbone: &Backbone, tuning: &dyn Method, params: &Params) -> Vec<Vec<f32>> {
        let hooks = tuning.hooks(TrainableVars::constants(params, &candle_core::Device::Cpu).unwrap());
        let batch = fixture::batch(backbone.config());
        let logits = crate::model::classify(backbone, &batch, hooks.as_ref(), &mut Pass::evaluation());
        logits.unwrap().to_vec2().unwrap()
    }

    #[test]
    fn bad_settings_are_named() {
        assert_eq!(LoraConfig::default().problems(), []);
        assert_eq!(all_targets().problems(), []);
        let config = LoraConfig {
            r: 0,
            lora_alpha: 0.0,
            lora_dropout: 1.0,
            target_modules: vec!["dense".into(), "c_attn".into(), "layer.7.output.dense".into()],
            modules_to_save: vec![],
            ..LoraConfig::default()
        };
        let paths: Vec<String> = config.problems().into_iter().map(|problem| problem.path).collect();
        let expected = ["r", "lora_alpha", "lora_dropout", "target_modules.0", "target_modules.1", "modules_to_save"];
        assert_eq!(paths, expected);
    }

    #[test]
    fn the_scale_divides_by_the_rank_or_by_its_root() {
        let lora = LoraConfig { r: 16, lora_alpha: 8.0, ..LoraConfig::default() };
        assert_eq!(lora.scale(), 0.5);
        assert_eq!(LoraConfig { use_rslora: true, ..lora }.scale(), 2.0);
    }

    #[test]
    fn biases_and_modules_are_trained_beside() {
        let config = fixture::backbone(EncoderKind::Bert).config().clone();
        let names = |lora: LoraConfig| -> Vec<String> {
            let tensors = lora.tensors(&config).unwrap().into_iter().filter(|tensor| tensor.init.is_none());
            tensors.map(|tensor| tensor.spec.name).collect()
        };
        assert_eq!(names(LoraConfig::default()), Vec::<String>::new());
        let only = names(LoraConfig { bias: Bias::LoraOnly, ..LoraConfig::default() });
        assert_eq!(only.len(), 4, "query and value of two layers");
        assert_eq!(only[0], "encoder.layer.0.attention.self.query.bias");
        // Six linear maps and two normalisations in each of two layers, one normalisation after the embeddings, and the
        // pooler, whose bias is named twice here and trained once.
        let modules_to_save = vec!["classifier".into(), "pooler".into()];
        let all = names(LoraConfig { bias: Bias::All, modules_to_save, ..LoraConfig::default() });
        assert_eq!(all.len(), 2 * 8 + 1 + 2);
        let refused = |module: &str| {
            let modules_to_save = vec!["classifier".into(), module.into()];
            LoraConfig { modules_to_save, ..LoraConfig::default() }.tensors(&config).unwrap_err().to_string()
        };
        assert!(refused("attention").contains("is a target too"), "{}", refused("attention"));
        assert!(refused("lm_head").contains("no module `lm_head`"));
    }

    #[test]
    fn rank_8_on_queries_and_values_of_roberta_base_trains_887_042_numbers() {
        let tuning = TuningConfig::Lora(LoraConfig::default());
        let tensors = trainable_tensors(&tuning, &fixture::roberta_base(), 2).unwrap();
        let n: usize = tensors.iter().map(|tensor| tensor.spec.n_elements()).sum();
        // 12 layers, 2 maps, A and B of 8 x 768 each; the binary head 768 x 768 + 768 + 768 x 2 + 2.
        assert_eq!(n, 12 * 2 * 2 * 8 * 768 + 592_130);
        assert_eq!(n, 887_042);
    }

    #[test]
    fn with_b_zero_the_update_is_the_identity() {
        for kind in EncoderKind::ALL {
            let backbone = fixture::backbone(kind);
            let (lora, seeds) = (all_targets(), Seeds::new(3));
            let params = initial_params(&TuningConfig::Lora(lora.clone()), &backbone, None, 3, &seeds).unwrap();
            let head = crate::petuning::HeadConfig {};
            let head_params = initial_params(&TuningConfig::Head(head.clone()), &backbone, None, 3, &seeds).unwrap();
            // The head starts from the same values under every method, so the scores must be the same to the bit.
            assert_eq!(logits(&backbone, &lora, &params), logits(&backbone, &head, &head_params));
        }
    }

    #[test]
    fn merged_equals_unmerged() {
        for kind in EncoderKind::ALL {
            let backbone = fixture::backbone(kind);
            let (lora, seeds) = (all_targets(), Seeds::new(3));
            let params = initial_params(&TuningConfig::Lora(lora.clone()), &backbone, None, 3, &seeds).unwrap();
            let params = fixture::stirred(&params);
            let merged = lora.merge(&backbone, &params).unwrap();
            // The scores of the merged encoder with the same head and no updates.
            let head = TuningConfig::Head(crate::petuning::HeadConfig {});
            let mut head_params = initial_params(&head, &backbone, None, 3, &seeds).unwrap();
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
