//! Several methods together: a list under `tuning`. Each acts with its own tensors; where two act at the same place, the
//! first of the list acts first.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use super::{
    InsertedMaps, Method, Reparameterisation, StepMaps, TrainableTensor, TrainableVars, TuningConfig, TuningError,
};
use crate::model::{Backbone, EncoderConfig, Hooks, Pass, Site, Sublayer, example_of_each_family};
use crate::registry::Problem;
use crate::seed::Seeds;

/// Methods that are trained together, in order. The head is trained under every method; a list says nothing of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CombinedConfig {
    /// The methods, at least one.
    pub methods: Vec<TuningConfig>,
}

impl CombinedConfig {
    /// Methods that train a tensor of an earlier one of the list in every family of encoders that has what both ask for.
    /// What only the shape of the model tells is left to [`tensors`](Method::tensors).
    fn overlaps(&self) -> Vec<Problem> {
        let families = example_of_each_family();
        let names_by_family = |method: &TuningConfig| -> Vec<Option<BTreeSet<String>>> {
            let names = |config| {
                let tensors = method.implementation().tensors(config).ok()?;
                Some(tensors.into_iter().map(|tensor| tensor.spec.name).collect())
            };
            families.iter().map(names).collect()
        };
        let names: Vec<_> = self.methods.iter().map(names_by_family).collect();
        let mut problems = Vec::new();
        for (i, second) in names.iter().enumerate() {
            for (j, first) in names[..i].iter().enumerate() {
                let both =
                    first.iter().zip(second).filter_map(|(first, second)| Some((first.as_ref()?, second.as_ref()?)));
                let shared: Option<Vec<&String>> =
                    both.map(|(first, second)| first.intersection(second).next()).collect();
                if let Some([name, ..]) = shared.as_deref() {
                    let (first, second) = (self.methods[j].key(), self.methods[i].key());
                    let message = format!("`{first}` and `{second}` both train the same tensors, such as `{name}`");
                    problems.push(Problem::new(i.to_string(), message).help("leave them to one of the two"));
                }
            }
        }
        problems
    }
}

impl Method for CombinedConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.methods.is_empty() {
            problems.push(Problem::new("", "the list names no method").help("write one, such as `tuning: lora`"));
        }
        let mut seen: Vec<&str> = Vec::new();
        for (i, method) in self.methods.iter().enumerate() {
            let key = method.key();
            let mut refuse =
                |message: String, help: &str| problems.push(Problem::new(i.to_string(), message).help(help));
            match method {
                TuningConfig::Combined(_) => refuse("a list of methods cannot hold a list".into(), "write one list"),
                TuningConfig::Full(_) if self.methods.len() > 1 => {
                    refuse("full tuning trains every tensor already".into(), "write `tuning: full` alone");
                }
                TuningConfig::Head(_) if self.methods.len() > 1 => {
                    refuse("the head is trained under every method".into(), "leave `head` out");
                }
                _ if seen.contains(&key) => refuse(format!("`{key}` is named twice"), "name it once"),
                _ => {}
            }
            seen.push(key);
            let own = method.implementation().problems().into_iter();
            problems.extend(own.map(|problem| problem.below(&format!("{i}.{key}"))));
        }
        if problems.is_empty() {
            problems.extend(self.overlaps());
        }
        problems
    }

    fn tensors(&self, config: &EncoderConfig) -> std::result::Result<Vec<TrainableTensor>, TuningError> {
        let mut owners: BTreeMap<String, &'static str> = BTreeMap::new();
        let mut tensors = Vec::new();
        for (i, method) in self.methods.iter().enumerate() {
            for tensor in method.tensors(config).map_err(|error| error.below(&i.to_string()))? {
                if let Some(first) = owners.insert(tensor.spec.name.clone(), method.key()) {
                    let (second, name) = (method.key(), tensor.spec.name);
                    let problem = Problem::new(i.to_string(), format!("`{first}` and `{second}` both train `{name}`"));
                    return Err(problem.help("leave it to one of them").into());
                }
                tensors.push(tensor);
            }
        }
        Ok(tensors)
    }

    fn reparameterisations(&self, config: &EncoderConfig) -> Vec<Box<dyn Reparameterisation>> {
        self.methods.iter().flat_map(|method| method.implementation().reparameterisations(config)).collect()
    }

    fn start(
        &self,
        backbone: &Backbone,
        tokenizer: Option<&Tokenizer>,
        seeds: &Seeds,
    ) -> std::result::Result<Vec<(String, Vec<f32>)>, TuningError> {
        let start = |(i, method): (usize, &TuningConfig)| {
            let started = method.implementation().start(backbone, tokenizer, seeds);
            started.map_err(|error| error.below(&format!("{i}.{}", method.key())))
        };
        let starts = self.methods.iter().enumerate().map(start);
        Ok(starts.collect::<std::result::Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn hooks(&self, values: TrainableVars) -> Box<dyn Hooks> {
        let hooks = self.methods.iter().map(|method| method.implementation().hooks(values.clone()));
        Box::new(CombinedHooks { values: values.clone(), hooks: hooks.collect() })
    }

    fn inserted(&self, config: &EncoderConfig) -> Vec<InsertedMaps> {
        self.methods.iter().flat_map(|method| method.implementation().inserted(config)).collect()
    }

    fn extra_tokens(&self) -> usize {
        self.methods.iter().map(|method| method.implementation().extra_tokens()).sum()
    }

    fn extra_keys(&self) -> usize {
        self.methods.iter().map(|method| method.implementation().extra_keys()).sum()
    }

    fn scales_input(&self, site: Site) -> bool {
        self.methods.iter().any(|method| method.implementation().scales_input(site))
    }

    fn per_step(&self, config: &EncoderConfig) -> Vec<StepMaps> {
        self.methods.iter().flat_map(|method| method.implementation().per_step(config)).collect()
    }

    fn positions(&self, config: &EncoderConfig) -> usize {
        self.methods.iter().map(|method| method.implementation().positions(config)).sum()
    }
}

struct CombinedHooks {
    values: TrainableVars,
    hooks: Vec<Box<dyn Hooks>>,
}

impl CombinedHooks {
    /// What the first method that has one gives: no two methods of a list have the same kind of vectors.
    fn first<T>(&self, ask: impl Fn(&dyn Hooks) -> Result<Option<T>>) -> Result<Option<T>> {
        self.hooks.iter().find_map(|hooks| ask(hooks.as_ref()).transpose()).transpose()
    }
}

impl Hooks for CombinedHooks {
    fn parameter(&self, name: &str) -> Option<Tensor> {
        self.values.get(name).cloned()
    }

    fn input(&self, site: Site, input: Tensor) -> Result<Tensor> {
        self.hooks.iter().try_fold(input, |input, hooks| hooks.input(site, input))
    }

    fn projection(&self, site: Site, input: &Tensor, output: Tensor, pass: &mut Pass) -> Result<Tensor> {
        self.hooks.iter().try_fold(output, |output, hooks| hooks.projection(site, input, output, pass))
    }

    fn sublayer(&self, layer: usize, sublayer: Sublayer, output: Tensor, pass: &mut Pass) -> Result<Tensor> {
        self.hooks.iter().try_fold(output, |output, hooks| hooks.sublayer(layer, sublayer, output, pass))
    }

    fn prefix(&self, layer: usize) -> Result<Option<(Tensor, Tensor)>> {
        self.first(|hooks| hooks.prefix(layer))
    }

    fn free_positions(&self) -> usize {
        self.hooks.iter().map(|hooks| hooks.free_positions()).sum()
    }

    fn prompt(&self) -> Result<Option<Tensor>> {
        self.first(|hooks| hooks.prompt())
    }

    fn layer_prompt(&self, layer: usize) -> Result<Option<Tensor>> {
        self.first(|hooks| hooks.layer_prompt(layer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EncoderKind, fixture};

    fn tuning(yaml: &str) -> TuningConfig {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn tensors(yaml: &str) -> std::result::Result<usize, String> {
        let config = fixture::backbone(EncoderKind::Roberta).config().clone();
        let tensors = tuning(yaml).implementation().tensors(&config);
        tensors.map(|tensors| tensors.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_trains_what_its_methods_train() {
        let together = tensors("[lora, bitfit, prompt]").unwrap();
        assert_eq!(together, ["lora", "bitfit", "prompt"].iter().map(|one| tensors(one).unwrap()).sum::<usize>());
        let list = tuning("[{ lora: { r: 3 } }, { prompt: { num_virtual_tokens: 4 } }, prefix]");
        assert_eq!((list.implementation().extra_tokens(), list.implementation().extra_keys()), (4, 20));
        let written = serde_json::to_value(&list).unwrap();
        assert_eq!(written[0]["lora"]["r"], 3);
        assert_eq!(serde_json::from_value::<TuningConfig>(written).unwrap(), list);
    }

    #[test]
    fn what_cannot_be_together_is_refused_with_a_reason() {
        let paths = |yaml: &str| -> Vec<String> {
            tuning(yaml).implementation().problems().into_iter().map(|problem| problem.path).collect()
        };
        assert_eq!(paths("[lora, bitfit]"), Vec::<String>::new());
        assert_eq!(paths("[full, lora]"), ["0"]);
        assert_eq!(paths("[lora, head]"), ["1"]);
        assert_eq!(paths("[lora, { lora: { r: 0 } }]"), ["1", "1.lora.r"]);
        assert_eq!(paths("[lora, [bitfit]]"), ["1"]);
        assert_eq!(paths("[]"), [""]);
        assert_eq!(paths("[{ adapter: { bottleneck_dim: 0 } }]"), ["0.adapter.bottleneck_dim"]);
        // Wherever both fit: in all families by `bias: all`; queries are called so in three of them; a pooler has BERT alone.
        for list in [
            "[{ lora: { bias: all } }, bitfit]",
            "[bitfit, { lora: { bias: lora_only, target_modules: [query] } }]",
            "[{ lora: { modules_to_save: [classifier, pooler] } }, bitfit]",
            "[{ adapter: { train_layer_norms: true } }, bitfit]",
        ] {
            let problems = tuning(list).implementation().problems();
            let [problem] = problems.as_slice() else { panic!("{list}: {problems:?}") };
            assert_eq!(problem.path, "1");
            assert!(problem.message.contains("both train the same tensors, such as `"), "{}", problem.message);
        }
        assert_eq!(paths("[{ lora: { bias: lora_only } }, { bitfit: { biases: query_and_intermediate } }]"), ["1"]);
        let apart =
            "[{ lora: { bias: lora_only, target_modules: [value] } }, { bitfit: { biases: query_and_intermediate } }]";
        assert_eq!(paths(apart), Vec::<String>::new());
        let message = tensors("[{ lora: { bias: all } }, bitfit]").unwrap_err();
        assert!(message.starts_with("`1`: `lora` and `bitfit` both train"), "{message}");
    }
}
