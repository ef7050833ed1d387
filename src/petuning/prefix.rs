//! Prefix tuning: in each layer, learnt keys and values stand in front of those of every input (Li and Liang 2021, arXiv
//! 2101.00190, equations 2 and 3). With `prefix_projection` they are made by a small network that the layers share,
//! `[K_1, V_1, .., K_L, V_L] = W' tanh(W e + b) + b'` for the embedding e of each virtual token; training it is steadier
//! than training keys and values themselves (section 4.3).
//!
//! As in Hugging Face PEFT the virtual tokens also take the first positions: a text's own positions start behind them.

use std::cell::OnceCell;

use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Method, Reparameterisation, StepMaps, TrainableTensor, TrainableVars, TuningError};
use crate::model::{EncoderConfig, EncoderKind, Hooks, Init, ops};
use crate::params::TensorSpec;
use crate::registry::Problem;

/// Settings of prefix tuning, with the names of Hugging Face PEFT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrefixConfig {
    /// Virtual tokens in front of every input, >= 1.
    pub num_virtual_tokens: usize,
    /// Make keys and values by a network of one hidden layer, which is trained in their place.
    pub prefix_projection: bool,
    /// Width of the network's hidden layer, >= 1. None: the encoder's hidden width, as in PEFT. FedPETuning: 512.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder_hidden_size: Option<usize>,
    /// Width of the virtual tokens' embeddings, which the network takes, >= 1. None: the encoder's hidden width, as in
    /// PEFT. FedPETuning: 512.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_size: Option<usize>,
    /// What is sent, both ways. Must be given with `prefix_projection`; without it there are only keys and values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub travels: Option<Travels>,
}

/// What travels between server and clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Travels {
    /// The network that makes keys and values, and the embeddings that it takes.
    Mlp,
    /// The keys and values. A client trains a network of its own around those it received; the network stays.
    Kv,
}

impl Default for PrefixConfig {
    fn default() -> Self {
        Self {
            num_virtual_tokens: 20,
            prefix_projection: false,
            encoder_hidden_size: None,
            embedding_size: None,
            travels: None,
        }
    }
}

/// Keys and values of all layers, `[n, layers * 2, hidden]`: keys of layer 0, values of layer 0, keys of layer 1 and so on.
/// PEFT saves the same numbers as `[n, layers * 2 * hidden]`.
const KEYS_AND_VALUES: &str = "prefix.prompt_embeddings";
const EMBEDDING: &str = "prefix.embedding.weight";
const FIRST: &str = "prefix.transform.0";
const SECOND: &str = "prefix.transform.2";

impl PrefixConfig {
    /// True when the network travels.
    fn sends_network(&self) -> bool {
        self.prefix_projection && self.travels == Some(Travels::Mlp)
    }

    fn network(&self, config: &EncoderConfig) -> Network {
        Network {
            n: self.num_virtual_tokens,
            embedding: self.embedding_size.unwrap_or(config.hidden_size),
            hidden: self.encoder_hidden_size.unwrap_or(config.hidden_size),
            out: [config.layers * 2, config.hidden_size],
        }
    }
}

impl Method for PrefixConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.num_virtual_tokens == 0 {
            problems.push(Problem::new("num_virtual_tokens", "0 leaves no prefix").help("use 1 or more"));
        }
        for (path, value) in
            [("encoder_hidden_size", self.encoder_hidden_size), ("embedding_size", self.embedding_size)]
        {
            if value == Some(0) {
                problems.push(Problem::new(path, "the network would have no width").help("use 1 or more"));
            } else if value.is_some() && !self.prefix_projection {
                let problem = Problem::new(path, "applies only with `prefix_projection: true`");
                problems.push(problem.help("remove it, or add `prefix_projection: true`"));
            }
        }
        match (self.prefix_projection, self.travels) {
            (true, None) => {
                let problem = Problem::new("prefix_projection", "it must be said what travels");
                let help = "add `travels: mlp` (the network) or `travels: kv` (the keys and values that it makes)";
                problems.push(problem.help(help));
            }
            (false, Some(Travels::Mlp)) => {
                let problem = Problem::new("travels", "there is no network without `prefix_projection: true`");
                problems.push(problem.help("write `travels: kv`, or add `prefix_projection: true`"));
            }
            _ => {}
        }
        problems
    }

    fn tensors(&self, config: &EncoderConfig) -> std::result::Result<Vec<TrainableTensor>, TuningError> {
        let network = self.network(config);
        if self.sends_network() {
            return Ok(network.tensors());
        }
        // As PEFT's embedding. With a network of the client's own, where that one starts takes its place.
        let spec = TensorSpec::new(KEYS_AND_VALUES, [network.n, network.out[0], network.out[1]]);
        Ok(vec![TrainableTensor { spec, init: Some(Init::Normal { sd: 1.0 }) }])
    }

    fn reparameterisations(&self, config: &EncoderConfig) -> Vec<Box<dyn Reparameterisation>> {
        match self.prefix_projection && !self.sends_network() {
            true => vec![Box::new(self.network(config))],
            false => Vec::new(),
        }
    }

    fn hooks(&self, values: TrainableVars) -> Box<dyn Hooks> {
        Box::new(PrefixHooks { values, n: self.num_virtual_tokens, made: OnceCell::new() })
    }

    fn extra_keys(&self) -> usize {
        self.num_virtual_tokens
    }

    fn per_step(&self, config: &EncoderConfig) -> Vec<StepMaps> {
        if !self.prefix_projection {
            return Vec::new();
        }
        let Network { n, embedding, hidden, out } = self.network(config);
        vec![StepMaps { times: n, sizes: vec![(embedding, hidden), (hidden, out[0] * out[1])] }]
    }

    fn positions(&self, config: &EncoderConfig) -> usize {
        if config.vision.is_some() { 0 } else { self.num_virtual_tokens }
    }

    fn meaning(&self, config: &EncoderConfig) -> Vec<(&'static str, String)> {
        let (network, sends_network) = (self.network(config), self.sends_network());
        let width = |width: usize| if sends_network { width.to_string() } else { "any".into() };
        vec![
            ("travels", if sends_network { "mlp" } else { "kv" }.into()),
            ("num_virtual_tokens", self.num_virtual_tokens.to_string()),
            ("encoder_hidden_size", width(network.hidden)),
            ("embedding_size", width(network.embedding)),
        ]
    }

    fn virtual_tokens(&self, values: &TrainableVars) -> Result<Option<Tensor>> {
        let all = match values.get(KEYS_AND_VALUES) {
            Some(all) => all.clone(),
            None => made_by_network(values)?,
        };
        all.flatten_from(1).map(Some)
    }

    fn peft_config(&self, config: &EncoderConfig) -> Option<serde_json::Value> {
        // PEFT hands keys and values to encoders that can keep them from call to call: DistilBERT and ViT cannot.
        if !matches!(config.kind, EncoderKind::Bert | EncoderKind::Roberta) {
            return None;
        }
        // It knows embeddings of the hidden width only, and after training no longer looks at the network.
        Some(serde_json::json!({
            "base_model_name_or_path": null,
            "encoder_hidden_size": self.encoder_hidden_size.unwrap_or(config.hidden_size),
            "inference_mode": true,
            "modules_to_save": super::targets::head_modules(config),
            "num_attention_heads": config.heads,
            "num_layers": config.layers,
            "num_transformer_submodules": 1,
            "num_virtual_tokens": self.num_virtual_tokens,
            "peft_type": "PREFIX_TUNING",
            "prefix_projection": self.prefix_projection,
            "task_type": "SEQ_CLS",
            "token_dim": config.hidden_size,
        }))
    }
}

/// The network that makes keys and values.
#[derive(Debug, Clone, Copy)]
struct Network {
    n: usize,
    embedding: usize,
    hidden: usize,
    out: [usize; 2],
}

impl Reparameterisation for Network {
    fn tensors(&self) -> Vec<TrainableTensor> {
        let tensor = |name: String, shape: &[usize], init| {
            let spec = TensorSpec::new(name, shape);
            TrainableTensor { spec, init: Some(init) }
        };
        // PyTorch's: embeddings normal with deviation 1; weights and biases uniform within 1 / sqrt(inputs).
        let uniform = |n_in: usize| Init::Uniform { bound: 1.0 / (n_in as f64).sqrt() };
        vec![
            tensor(EMBEDDING.into(), &[self.n, self.embedding], Init::Normal { sd: 1.0 }),
            tensor(weight(FIRST), &[self.hidden, self.embedding], uniform(self.embedding)),
            tensor(bias(FIRST), &[self.hidden], uniform(self.embedding)),
            tensor(weight(SECOND), &[self.out[0] * self.out[1], self.hidden], uniform(self.hidden)),
            // Two dimensions, which tell where the vector of a layer ends.
            tensor(bias(SECOND), &self.out, uniform(self.hidden)),
        ]
    }

    fn makes(&self) -> Vec<String> {
        vec![KEYS_AND_VALUES.into()]
    }

    fn travelling(&self, own: &TrainableVars) -> Result<Vec<(String, Tensor)>> {
        Ok(vec![(KEYS_AND_VALUES.into(), made_by_network(own)?)])
    }
}

/// Keys and values, `[n, layers * 2, hidden]`, from the network's tensors.
fn made_by_network(values: &TrainableVars) -> Result<Tensor> {
    let get = |name: &str| match values.get(name) {
        Some(tensor) => Ok(tensor.clone()),
        None => candle_core::bail!("the prefix has no tensor `{name}`"),
    };
    let inside = ops::linear(&get(EMBEDDING)?, &get(&weight(FIRST))?, Some(&get(&bias(FIRST))?))?.tanh()?;
    let shift = get(&bias(SECOND))?;
    let (n_vectors, hidden) = shift.dims2()?;
    let made = ops::linear(&inside, &get(&weight(SECOND))?, Some(&shift.flatten_all()?))?;
    made.reshape(((), n_vectors, hidden))
}

fn weight(map: &str) -> String {
    format!("{map}.weight")
}

fn bias(map: &str) -> String {
    format!("{map}.bias")
}

struct PrefixHooks {
    values: TrainableVars,
    n: usize,
    /// What the network makes, for all layers of one pass.
    made: OnceCell<Tensor>,
}

impl PrefixHooks {
    fn keys_and_values(&self) -> Result<Tensor> {
        if let Some(tensor) = self.values.get(KEYS_AND_VALUES).or(self.made.get()) {
            return Ok(tensor.clone());
        }
        let made = made_by_network(&self.values)?;
        Ok(self.made.get_or_init(|| made).clone())
    }
}

impl Hooks for PrefixHooks {
    fn parameter(&self, name: &str) -> Option<Tensor> {
        self.values.get(name).cloned()
    }

    fn prefix(&self, layer: usize) -> Result<Option<(Tensor, Tensor)>> {
        let all = self.keys_and_values()?;
        let part = |index: usize| all.narrow(1, index, 1)?.squeeze(1)?.contiguous();
        Ok(Some((part(2 * layer)?, part(2 * layer + 1)?)))
    }

    fn free_positions(&self) -> usize {
        self.n
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::model::EncoderKind;
    use crate::model::fixture;
    use crate::petuning::{LocalForm, TuningConfig, initial_params, trainable_tensors, travelling_tensors};
    use crate::seed::Seeds;

    fn projected(travels: Travels) -> PrefixConfig {
        let sizes = (Some(512), Some(512));
        PrefixConfig {
            prefix_projection: true,
            encoder_hidden_size: sizes.0,
            embedding_size: sizes.1,
            travels: Some(travels),
            ..PrefixConfig::default()
        }
    }

    fn counts(prefix: PrefixConfig) -> (usize, usize) {
        let (tuning, config) = (TuningConfig::Prefix(prefix), fixture::roberta_base());
        let count =
            |tensors: Vec<TrainableTensor>| tensors.iter().map(|tensor| tensor.spec.n_elements()).sum::<usize>();
        let trained = count(trainable_tensors(&tuning, &config, 2).unwrap());
        (trained - 592_130, count(travelling_tensors(&tuning, &config, 2).unwrap()) - 592_130)
    }

    #[test]
    fn counts_for_roberta_base() {
        // 20 tokens, 12 layers, keys and values of 768.
        let keys_and_values = 20 * 12 * 2 * 768;
        assert_eq!(counts(PrefixConfig::default()), (keys_and_values, keys_and_values));
        // FedPETuning's network: embeddings of 512, a hidden layer of 512, and 12 x 2 x 768 outputs.
        let network = 20 * 512 + 512 * 512 + 512 + 512 * 18_432 + 18_432;
        assert_eq!(counts(projected(Travels::Mlp)), (network, network));
        assert_eq!(counts(projected(Travels::Kv)), (network, keys_and_values));
    }

    #[test]
    fn settings_that_say_nothing_are_refused() {
        let paths = |prefix: PrefixConfig| -> Vec<String> {
            prefix.problems().into_iter().map(|problem| problem.path).collect()
        };
        assert_eq!(paths(PrefixConfig::default()), Vec::<String>::new());
        assert_eq!(paths(projected(Travels::Kv)), Vec::<String>::new());
        assert_eq!(paths(PrefixConfig { num_virtual_tokens: 0, ..PrefixConfig::default() }), ["num_virtual_tokens"]);
        assert_eq!(paths(PrefixConfig { travels: None, ..projected(Travels::Kv) }), ["prefix_projection"]);
        let without = PrefixConfig { prefix_projection: false, ..projected(Travels::Mlp) };
        assert_eq!(paths(without), ["encoder_hidden_size", "embedding_size", "travels"]);
    }

    #[test]
    fn a_client_starts_at_what_it_received_and_both_forms_start_alike() {
        let backbone = fixture::backbone(EncoderKind::Bert);
        let small = |travels| PrefixConfig { num_virtual_tokens: 3, ..projected(travels) };
        let seeds = Seeds::new(4);
        let (kv, mlp) = (TuningConfig::Prefix(small(Travels::Kv)), TuningConfig::Prefix(small(Travels::Mlp)));
        let initial = initial_params(&kv, &backbone, None, 3, &seeds).unwrap();
        let network =
            TrainableVars::constants(&initial_params(&mlp, &backbone, None, 3, &seeds).unwrap(), &Device::Cpu);
        let made: Vec<f32> = made_by_network(&network.unwrap()).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(initial.get(KEYS_AND_VALUES), Some(made.as_slice()));
        // Whatever it received: no training leaves it to the bit.
        let received = fixture::stirred(&initial);
        let form = LocalForm::new(&kv, backbone.config(), 3, &seeds).unwrap();
        let task = form.begin(&received, &Device::Cpu).unwrap();
        let sent = task.finish(task.start().clone(), &Device::Cpu).unwrap();
        assert_eq!(sent, received);
        let mut trained = task.start().clone();
        let at = form.trained().range(form.trained().position(EMBEDDING).unwrap());
        trained.values_mut()[at][0] += 1.0;
        let sent = task.finish(trained, &Device::Cpu).unwrap();
        assert_ne!(sent.get(KEYS_AND_VALUES), received.get(KEYS_AND_VALUES));
        assert_eq!(sent.get("classifier.weight"), received.get("classifier.weight"));
    }
}
