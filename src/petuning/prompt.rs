//! Prompt tuning: learnt vectors stand in front of the word embeddings of every text (Lester et al. 2021, arXiv
//! 2104.08691, section 2). In a ViT they stand behind the class token, `[x_cls, P, E]` (visual prompts, Jia et al. 2022,
//! arXiv 2203.12119, equations 4 to 7): shallow ones at the input alone; deep ones anew in every layer, where they replace
//! what the layer below made of its own.

use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Method, TrainableTensor, TrainableVars, TuningError};
use crate::model::{EncoderConfig, Hooks, Init};
use crate::params::TensorSpec;
use crate::registry::Problem;

/// Settings of prompt tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromptConfig {
    /// Vectors in front of every input, >= 1. With a text they must fit into the position table together.
    pub num_virtual_tokens: usize,
    /// Vectors for every layer, not for the input alone; images only.
    pub deep: bool,
}

impl Default for PromptConfig {
    fn default() -> Self {
        Self { num_virtual_tokens: 20, deep: false }
    }
}

/// `[n, hidden]`, at the input.
const EMBEDDING: &str = "prompt.embedding.weight";
/// `[n, hidden]`, behind the class token of the first layer.
const VISUAL: &str = "prompt.visual.weight";
/// `[layers - 1, n, hidden]`, behind the class token of the later layers.
const DEEP: &str = "prompt.deep.weight";

impl Method for PromptConfig {
    fn problems(&self) -> Vec<Problem> {
        match self.num_virtual_tokens {
            0 => vec![Problem::new("num_virtual_tokens", "0 leaves no prompt").help("use 1 or more")],
            _ => Vec::new(),
        }
    }

    fn tensors(&self, config: &EncoderConfig) -> std::result::Result<Vec<TrainableTensor>, TuningError> {
        let (n, hidden) = (self.num_virtual_tokens, config.hidden_size);
        let Some(vision) = &config.vision else {
            if self.deep {
                let message = "deep prompts are for images; for texts use `tuning: prefix`, which acts in every layer";
                return Err(TuningError::Unfit { setting: "tuning.prompt.deep", message: message.into() });
            }
            // As PEFT's and PyTorch's embedding.
            let spec = TensorSpec::new(EMBEDDING, [n, hidden]);
            return Ok(vec![TrainableTensor { spec, init: Some(Init::Normal { sd: 1.0 }) }]);
        };
        // The authors' code: uniform with the bound of Glorot and Bengio for a map from a patch to a vector.
        let inputs = vision.num_channels * vision.patch_size * vision.patch_size;
        let init = Some(Init::Uniform { bound: (6.0 / (inputs + hidden) as f64).sqrt() });
        let mut tensors = vec![TrainableTensor { spec: TensorSpec::new(VISUAL, [n, hidden]), init }];
        if self.deep && config.layers > 1 {
            tensors.push(TrainableTensor { spec: TensorSpec::new(DEEP, [config.layers - 1, n, hidden]), init });
        }
        Ok(tensors)
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

    #[test]
    fn texts_get_one_prompt_and_images_one_for_each_layer_on_request() {
        let count = |kind, deep| -> std::result::Result<usize, TuningError> {
            let config = fixture::backbone(kind).config().clone();
            let tensors = PromptConfig { num_virtual_tokens: 5, deep }.tensors(&config)?;
            Ok(tensors.iter().map(|tensor| tensor.spec.n_elements()).sum())
        };
        // Width 16 and two layers.
        assert_eq!(count(EncoderKind::Bert, false).unwrap(), 5 * 16);
        assert_eq!(count(EncoderKind::Vit, false).unwrap(), 5 * 16);
        assert_eq!(count(EncoderKind::Vit, true).unwrap(), 2 * 5 * 16);
        assert!(count(EncoderKind::Roberta, true).unwrap_err().to_string().contains("tuning: prefix"));
    }
}
