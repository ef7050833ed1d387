//! Prompt tuning: learnt vectors stand in front of the word embeddings of every text (Lester et al. 2021, arXiv
//! 2104.08691, section 2). In a ViT they stand behind the class token, `[x_cls, P, E]` (visual prompts, Jia et al. 2022,
//! arXiv 2203.12119, equations 4 to 7): shallow ones at the input alone; deep ones anew in every layer, where they replace
//! what the layer below made of its own.

use candle_core::{DType, Result, Tensor};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use super::{Method, TrainableTensor, TrainableVars, TuningError};
use crate::model::{Backbone, EncoderConfig, Hooks, Init, WORD_EMBEDDINGS, named_stream};
use crate::params::TensorSpec;
use crate::registry::Problem;
use crate::seed::{Purpose, Seeds};

/// Settings of prompt tuning, with the names of Hugging Face PEFT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromptConfig {
    /// Vectors in front of every input, >= 1. With a text they must fit into the position table together.
    pub num_virtual_tokens: usize,
    /// Vectors for every layer, not for the input alone; images only.
    pub deep: bool,
    /// Where the vectors in front of a text start; those of images start random.
    pub prompt_tuning_init: PromptTuningInit,
    /// The text that they start from; with `TEXT`, and only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tuning_init_text: Option<String>,
}

/// Where the vectors of a prompt start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PromptTuningInit {
    /// Normal with deviation 1.
    #[default]
    Random,
    /// At the word embeddings of a text's tokens, special ones included; cut, or repeated, to the number of vectors.
    Text,
    /// At the word embeddings of tokens that are drawn from the vocabulary, each as likely as any other.
    SampleVocab,
}

impl Default for PromptConfig {
    fn default() -> Self {
        let (prompt_tuning_init, prompt_tuning_init_text) = (PromptTuningInit::Random, None);
        Self { num_virtual_tokens: 20, deep: false, prompt_tuning_init, prompt_tuning_init_text }
    }
}

const INIT: &str = "prompt_tuning_init";

/// `[n, hidden]`, at the input.
const EMBEDDING: &str = "prompt.embedding.weight";
/// `[n, hidden]`, behind the class token of the first layer.
const VISUAL: &str = "prompt.visual.weight";
/// `[layers - 1, n, hidden]`, behind the class token of the later layers.
const DEEP: &str = "prompt.deep.weight";

impl Method for PromptConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.num_virtual_tokens == 0 {
            problems.push(Problem::new("num_virtual_tokens", "0 leaves no prompt").help("use 1 or more"));
        }
        let starts_from_text = self.prompt_tuning_init == PromptTuningInit::Text;
        match &self.prompt_tuning_init_text {
            None if starts_from_text => {
                let problem = Problem::new("prompt_tuning_init", "TEXT starts from a text, and there is none");
                problems.push(problem.help("write it in `prompt_tuning_init_text`"));
            }
            Some(text) if starts_from_text && text.trim().is_empty() => {
                problems.push(Problem::new("prompt_tuning_init_text", "the text is empty").help("write one"));
            }
            Some(_) if !starts_from_text => {
                let problem = Problem::new("prompt_tuning_init_text", "applies only with `prompt_tuning_init: TEXT`");
                problems.push(problem.help("remove it, or add `prompt_tuning_init: TEXT`"));
            }
            _ => {}
        }
        problems
    }

    fn tensors(&self, config: &EncoderConfig) -> std::result::Result<Vec<TrainableTensor>, TuningError> {
        let (n, hidden) = (self.num_virtual_tokens, config.hidden_size);
        let Some(vision) = &config.vision else {
            if self.deep {
                let problem = Problem::new("deep", "deep prompts are for images");
                let help = "for texts use `tuning: prefix`, which acts in every layer";
                return Err(problem.help(help).into());
            }
            // As PEFT's and PyTorch's embedding.
            let spec = TensorSpec::new(EMBEDDING, [n, hidden]);
            return Ok(vec![TrainableTensor { spec, init: Some(Init::Normal { sd: 1.0 }) }]);
        };
        if self.prompt_tuning_init != PromptTuningInit::Random {
            let problem = Problem::new(INIT, "prompts of images start random, since there is no vocabulary");
            return Err(problem.help("write RANDOM, or leave it out").into());
        }
        // The authors' code: uniform with the bound of Glorot and Bengio for a map from a patch to a vector.
        let inputs = vision.num_channels * vision.patch_size * vision.patch_size;
        let init = Some(Init::Uniform { bound: (6.0 / (inputs + hidden) as f64).sqrt() });
        let mut tensors = vec![TrainableTensor { spec: TensorSpec::new(VISUAL, [n, hidden]), init }];
        if self.deep && config.layers > 1 {
            tensors.push(TrainableTensor { spec: TensorSpec::new(DEEP, [config.layers - 1, n, hidden]), init });
        }
        Ok(tensors)
    }

    fn start(
        &self,
        backbone: &Backbone,
        tokenizer: Option<&Tokenizer>,
        seeds: &Seeds,
    ) -> std::result::Result<Vec<(String, Vec<f32>)>, TuningError> {
        if self.prompt_tuning_init == PromptTuningInit::Random {
            return Ok(Vec::new());
        }
        let refuse = |message: String| Problem::new(INIT, message).into();
        let words = backbone.tensor(WORD_EMBEDDINGS);
        let words = words.ok_or_else(|| refuse("the encoder has no word embeddings to start from".into()))?;
        let tokens = match tokenizer {
            _ if self.prompt_tuning_init == PromptTuningInit::SampleVocab => {
                let mut rng = named_stream(EMBEDDING, Purpose::Initialisation, seeds);
                let n_words = words.dim(0)? as u32;
                (0..self.num_virtual_tokens).map(|_| rng.random_range(0..n_words)).collect()
            }
            Some(tokenizer) => {
                let text = self.prompt_tuning_init_text.as_deref().unwrap_or_default();
                let encoded = tokenizer.encode(text, true).map_err(|error| refuse(error.to_string()))?;
                if encoded.is_empty() {
                    return Err(refuse("the tokenizer makes no token of the text; write another".into()));
                }
                encoded.get_ids().iter().copied().cycle().take(self.num_virtual_tokens).collect::<Vec<u32>>()
            }
            None => return Err(refuse("TEXT needs the model's tokenizer, and none is at hand".into())),
        };
        let tokens = Tensor::new(tokens, words.device())?;
        let vectors = words.index_select(&tokens, 0)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(vec![(EMBEDDING.into(), vectors)])
    }

    fn hooks(&self, values: TrainableVars) -> Box<dyn Hooks> {
        Box::new(PromptHooks(values))
    }

    fn extra_tokens(&self) -> usize {
        self.num_virtual_tokens
    }

    fn positions(&self, config: &EncoderConfig) -> usize {
        if config.vision.is_some() { 0 } else { self.num_virtual_tokens }
    }

    fn meaning(&self, _: &EncoderConfig) -> Vec<(&'static str, String)> {
        vec![("num_virtual_tokens", self.num_virtual_tokens.to_string()), ("deep", self.deep.to_string())]
    }

    fn virtual_tokens(&self, values: &TrainableVars) -> Result<Option<Tensor>> {
        Ok(values.get(EMBEDDING).cloned())
    }

    fn peft_config(&self, config: &EncoderConfig) -> Option<serde_json::Value> {
        config.vision.is_none().then(|| {
            serde_json::json!({
                "base_model_name_or_path": null,
                "inference_mode": true,
                "modules_to_save": super::targets::head_modules(config),
                "num_attention_heads": config.heads,
                "num_layers": config.layers,
                "num_transformer_submodules": 1,
                "num_virtual_tokens": self.num_virtual_tokens,
                "peft_type": "PROMPT_TUNING",
                "prompt_tuning_init": "RANDOM",
                "task_type": "SEQ_CLS",
                "token_dim": config.hidden_size,
            })
        })
    }
}

struct PromptHooks(TrainableVars);

impl Hooks for PromptHooks {
    fn parameter(&self, name: &str) -> Option<Tensor> {
        self.0.get(name).cloned()
    }

    fn prompt(&self) -> Result<Option<Tensor>> {
        Ok(self.0.get(EMBEDDING).cloned())
    }

    fn layer_prompt(&self, layer: usize) -> Result<Option<Tensor>> {
        match (layer, self.0.get(DEEP)) {
            (0, _) => Ok(self.0.get(VISUAL).cloned()),
            (_, Some(deep)) => deep.narrow(0, layer - 1, 1)?.squeeze(0)?.contiguous().map(Some),
            (_, None) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EncoderKind, fixture};
    use crate::petuning::{CombinedConfig, TuningConfig, initial_params};

    #[test]
    fn texts_get_one_prompt_and_images_one_for_each_layer_on_request() {
        let count = |kind, deep| -> std::result::Result<usize, TuningError> {
            let config = fixture::backbone(kind).config().clone();
            let tensors = PromptConfig { num_virtual_tokens: 5, deep, ..PromptConfig::default() }.tensors(&config)?;
            Ok(tensors.iter().map(|tensor| tensor.spec.n_elements()).sum())
        };
        // Width 16 and two layers.
        assert_eq!(count(EncoderKind::Bert, false).unwrap(), 5 * 16);
        assert_eq!(count(EncoderKind::Vit, false).unwrap(), 5 * 16);
        assert_eq!(count(EncoderKind::Vit, true).unwrap(), 2 * 5 * 16);
        assert!(count(EncoderKind::Roberta, true).unwrap_err().to_string().contains("tuning: prefix"));
    }

    fn prompt(yaml: &str) -> TuningConfig {
        serde_saphyr::from_str(&format!("prompt: {yaml}")).unwrap()
    }

    /// The rows of the word embeddings that the vectors of the prompt are, in order.
    fn starts_at(tuning: &TuningConfig, tokenizer: Option<&Tokenizer>, seed: u64) -> Vec<usize> {
        let backbone = fixture::backbone(EncoderKind::Bert);
        let params = initial_params(tuning, &backbone, tokenizer, 3, &Seeds::new(seed)).unwrap();
        let words = backbone.tensor(WORD_EMBEDDINGS).unwrap().to_vec2::<f32>().unwrap();
        let vectors = params.get(EMBEDDING).unwrap().chunks(16);
        vectors.map(|vector| words.iter().position(|word| word == vector).expect("a word's vector")).collect()
    }

    #[test]
    fn a_prompt_starts_at_the_words_of_a_text() {
        let json = fixture::tokenizer_json(40);
        let tokenizer = Tokenizer::from_bytes(json).unwrap();
        let text = |n: usize| {
            prompt(&format!(
                "{{ num_virtual_tokens: {n}, prompt_tuning_init: TEXT, prompt_tuning_init_text: t5 t7 t9 }}"
            ))
        };
        // As PEFT's PromptEmbedding: cut when it is too long, else repeated.
        assert_eq!(starts_at(&text(2), Some(&tokenizer), 1), [5, 7]);
        assert_eq!(starts_at(&text(7), Some(&tokenizer), 1), [5, 7, 9, 5, 7, 9, 5]);
        let backbone = fixture::backbone(EncoderKind::Bert);
        let message = initial_params(&text(2), &backbone, None, 3, &Seeds::new(1)).unwrap_err().to_string();
        assert!(message.contains("needs the model's tokenizer"), "{message}");
        // In a list, and on an encoder that is kept in 16 bits.
        let narrow = backbone.clone().kept_in(crate::model::ModelDtype::Bf16).unwrap();
        let list = TuningConfig::Combined(CombinedConfig { methods: vec![text(1), prompt_free_lora()] });
        let params = initial_params(&list, &narrow, Some(&tokenizer), 3, &Seeds::new(1)).unwrap();
        let expected = narrow.tensor(WORD_EMBEDDINGS).unwrap().to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(params.get(EMBEDDING).unwrap(), expected[5]);
    }

    fn prompt_free_lora() -> TuningConfig {
        serde_saphyr::from_str("lora").unwrap()
    }

    #[test]
    fn a_prompt_starts_at_words_that_the_seed_draws() {
        let sampled = prompt("{ num_virtual_tokens: 200, prompt_tuning_init: SAMPLE_VOCAB }");
        let rows = starts_at(&sampled, None, 1);
        assert_eq!(rows, starts_at(&sampled, None, 1));
        assert_ne!(rows, starts_at(&sampled, None, 2));
        // Of 40 words one is missed by 200 draws with (39/40)^200 = 0.6 %: 0.25 of them on average.
        let different: std::collections::BTreeSet<_> = rows.into_iter().collect();
        assert!(different.len() >= 36, "{}", different.len());
    }

    #[test]
    fn what_a_start_needs_is_asked_for() {
        let paths = |yaml: &str| -> Vec<String> {
            prompt(yaml).implementation().problems().into_iter().map(|problem| problem.path).collect()
        };
        assert_eq!(paths("{ prompt_tuning_init: SAMPLE_VOCAB }"), Vec::<String>::new());
        assert_eq!(paths("{ prompt_tuning_init: TEXT }"), ["prompt_tuning_init"]);
        assert_eq!(paths("{ prompt_tuning_init: TEXT, prompt_tuning_init_text: ' ' }"), ["prompt_tuning_init_text"]);
        assert_eq!(paths("{ prompt_tuning_init_text: good or bad }"), ["prompt_tuning_init_text"]);
        let vit = fixture::backbone(EncoderKind::Vit);
        let sampled = prompt("{ prompt_tuning_init: SAMPLE_VOCAB }");
        let message = sampled.implementation().tensors(vit.config()).unwrap_err().to_string();
        assert!(message.contains("prompts of images start random"), "{message}");
    }
}
