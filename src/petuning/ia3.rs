//! IA3: learnt vectors scale what linear maps give, or what they take: `h = l * (W x + b)` for keys and values,
//! `h = W (l * x) + b` in the feed-forward part, with l one at the start (Liu et al. 2022, arXiv 2205.05638, section 3.3).

use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::targets::{head_modules, is_target, module_names, problems, shortest_names, sites, task_type};
use super::{Method, TrainableTensor, TrainableVars, TuningError};
use crate::model::{EncoderConfig, Hooks, Init, Pass, Site};
use crate::params::TensorSpec;
use crate::registry::Problem;

/// Settings of IA3, with the names of Hugging Face PEFT and its choice for BERT and RoBERTa as default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ia3Config {
    /// Linear maps that get a vector, named as in `lora`. `output.dense` is also the end of `attention.output.dense`.
    pub target_modules: Vec<String>,
    /// Those among them whose input is scaled, not their output; each must be the end of a target.
    pub feedforward_modules: Vec<String>,
}

impl Default for Ia3Config {
    fn default() -> Self {
        Self {
            target_modules: vec!["key".into(), "value".into(), "output.dense".into()],
            feedforward_modules: vec!["output.dense".into()],
        }
    }
}

impl Method for Ia3Config {
    fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.target_modules.is_empty() {
            let help = "name linear maps, such as [key, value, output.dense]";
            found.push(Problem::new("target_modules", "there is no target").help(help));
        }
        found.extend(problems("target_modules", &self.target_modules));
        for (i, module) in self.feedforward_modules.iter().enumerate() {
            if !self.target_modules.contains(module) {
                let message = format!("`{module}` is not among the targets");
                let problem = Problem::new(format!("feedforward_modules.{i}"), message);
                found.push(problem.help("write it in `target_modules` as well"));
            }
        }
        found
    }

    fn tensors(&self, config: &EncoderConfig) -> std::result::Result<Vec<TrainableTensor>, TuningError> {
        let vector = |site: Site| {
            let (n_in, n_out) = site.projection.size(config);
            // PEFT's shapes, which tell the two uses apart.
            let shape = if is_target(&self.feedforward_modules, site) { [1, n_in] } else { [n_out, 1] };
            TrainableTensor { spec: TensorSpec::new(name_of(site), shape), init: Some(Init::Ones) }
        };
        Ok(sites("target_modules", &self.target_modules, config)?.into_iter().map(vector).collect())
    }

    fn hooks(&self, values: TrainableVars) -> Box<dyn Hooks> {
        Box::new(Ia3Hooks { values, feedforward_modules: self.feedforward_modules.clone() })
    }

    fn scales_input(&self, site: Site) -> bool {
        is_target(&self.feedforward_modules, site)
    }

    fn meaning(&self, config: &EncoderConfig) -> Vec<(&'static str, String)> {
        let names = |targets: &[String]| shortest_names(targets, config).join(", ");
        vec![("target_modules", names(&self.target_modules)), ("feedforward_modules", names(&self.feedforward_modules))]
    }

    fn peft_config(&self, config: &EncoderConfig) -> Option<serde_json::Value> {
        Some(serde_json::json!({
            "base_model_name_or_path": null,
            "fan_in_fan_out": false,
            "feedforward_modules": module_names(&self.feedforward_modules, config),
            "inference_mode": true,
            "init_ia3_weights": true,
            "modules_to_save": head_modules(config),
            "peft_type": "IA3",
            "target_modules": module_names(&self.target_modules, config),
            "task_type": task_type(config),
        }))
    }
}

struct Ia3Hooks {
    values: TrainableVars,
    feedforward_modules: Vec<String>,
}

impl Ia3Hooks {
    /// The vector of a linear map, if it acts on its input (or on its output).
    fn vector(&self, site: Site, on_input: bool) -> Result<Option<Tensor>> {
        match self.values.get(&name_of(site)) {
            Some(vector) if is_target(&self.feedforward_modules, site) == on_input => vector.flatten_all().map(Some),
            _ => Ok(None),
        }
    }
}

impl Hooks for Ia3Hooks {
    fn parameter(&self, name: &str) -> Option<Tensor> {
        self.values.get(name).cloned()
    }

    fn input(&self, site: Site, input: Tensor) -> Result<Tensor> {
        match self.vector(site, true)? {
            Some(vector) => input.broadcast_mul(&vector),
            None => Ok(input),
        }
    }

    fn projection(&self, site: Site, _: &Tensor, output: Tensor, _: &mut Pass) -> Result<Tensor> {
        match self.vector(site, false)? {
            Some(vector) => output.broadcast_mul(&vector),
            None => Ok(output),
        }
    }
}

fn name_of(site: Site) -> String {
    format!("{site}.ia3_l")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;
    use crate::petuning::TuningConfig;
    use crate::petuning::gradients::same_scores_as_the_head_alone;

    #[test]
    fn ones_change_nothing() {
        same_scores_as_the_head_alone(&TuningConfig::Ia3(Ia3Config::default()));
    }

    #[test]
    fn roberta_base_gets_keys_values_and_both_output_maps() {
        let tensors = Ia3Config::default().tensors(&fixture::roberta_base()).unwrap();
        let n: usize = tensors.iter().map(|tensor| tensor.spec.n_elements()).sum();
        // A layer: key and value 768 each; the attention's output map takes 768, that of the feed-forward part 3072.
        assert_eq!(n, 12 * (3 * 768 + 3072));
    }

    #[test]
    fn a_feedforward_module_must_be_a_target() {
        assert_eq!(Ia3Config::default().problems(), []);
        let config = Ia3Config { target_modules: vec!["key".into()], ..Ia3Config::default() };
        let problems = config.problems();
        assert_eq!(problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["feedforward_modules.0"]);
    }
}
