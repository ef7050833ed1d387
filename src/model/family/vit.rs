//! ViT (Dosovitskiy et al. 2020, arXiv 2010.11929): an encoder of images.
//!
//! Patches of the image are projected to vectors, a class token stands before them, learned positions are added. Layer
//! normalisation stands before each sublayer and once behind the last layer.

use candle_core::{DType, Result, Tensor};
use serde_json::{Map, Value};

use super::keys::{decimal, object};
use super::{Family, Keys, Tensors, linear_tensors, norm_tensors};
use crate::model::hooked::Model;
use crate::model::{Batch, EncoderConfig, EncoderKind, HiddenAct, Init, Pass, Projection, Sublayer, VisionConfig};
use crate::params::TensorSpec;

pub(super) struct Vit;

const CLASS_TOKEN: &str = "embeddings.cls_token";
const POSITIONS: &str = "embeddings.position_embeddings";
const PATCHES: &str = "embeddings.patch_embeddings.projection";

impl Family for Vit {
    fn name(&self) -> &'static str {
        "vit"
    }

    fn prefix(&self) -> &'static str {
        "vit."
    }

    fn read(&self, keys: &Keys<'_>) -> std::result::Result<EncoderConfig, String> {
        keys.only("hidden_act", "gelu")?;
        let (hidden_size, heads) = keys.width_and_heads("hidden_size", "num_attention_heads")?;
        let vision = VisionConfig {
            image_size: keys.side_or("image_size", 224)?,
            patch_size: keys.side_or("patch_size", 16)?,
            num_channels: keys.size_or("num_channels", 3)?,
        };
        if !vision.image_size.is_multiple_of(vision.patch_size) {
            let VisionConfig { image_size, patch_size, .. } = vision;
            return Err(format!("`image_size` {image_size} is not a multiple of `patch_size` {patch_size}"));
        }
        Ok(EncoderConfig {
            kind: EncoderKind::Vit,
            hidden_size,
            layers: keys.layers("num_hidden_layers")?,
            heads,
            intermediate: keys.size("intermediate_size")?,
            vocab_size: 0,
            max_positions: vision.n_patches() + 1,
            type_vocab_size: 0,
            layer_norm_eps: keys.positive_or("layer_norm_eps", 1e-12)?,
            pad_token_id: 0,
            hidden_dropout: keys.probability_or("hidden_dropout_prob", 0.0)?,
            attention_dropout: keys.probability_or("attention_probs_dropout_prob", 0.0)?,
            classifier_dropout: 0.0,
            hidden_act: HiddenAct::Gelu,
            initializer_range: keys.positive_or("initializer_range", 0.02)?,
            qkv_bias: keys.flag_or("qkv_bias", true)?,
            sinusoidal_positions: false,
            vision: Some(vision),
        })
    }

    fn write(&self, config: &EncoderConfig) -> Map<String, Value> {
        let HiddenAct::Gelu = config.hidden_act;
        let vision = config.vision.unwrap_or_default();
        object(serde_json::json!({
            "architectures": ["ViTForImageClassification"],
            "attention_probs_dropout_prob": decimal(config.attention_dropout),
            "hidden_act": "gelu",
            "hidden_dropout_prob": decimal(config.hidden_dropout),
            "hidden_size": config.hidden_size,
            "image_size": vision.image_size,
            "initializer_range": config.initializer_range,
            "intermediate_size": config.intermediate,
            "layer_norm_eps": config.layer_norm_eps,
            "model_type": config.kind.name(),
            "num_attention_heads": config.heads,
            "num_channels": vision.num_channels,
            "num_hidden_layers": config.layers,
            "patch_size": vision.patch_size,
            "qkv_bias": config.qkv_bias,
        }))
    }

    fn projection(&self, projection: Projection) -> &'static str {
        match projection {
            Projection::Query => "attention.attention.query",
            Projection::Key => "attention.attention.key",
            Projection::Value => "attention.attention.value",
            Projection::AttentionOutput => "attention.output.dense",
            Projection::Intermediate => "intermediate.dense",
            Projection::Output => "output.dense",
        }
    }

    fn has_bias(&self, projection: Projection, config: &EncoderConfig) -> bool {
        match projection {
            Projection::Query | Projection::Key | Projection::Value => config.qkv_bias,
            Projection::AttentionOutput | Projection::Intermediate | Projection::Output => true,
        }
    }

    fn norm(&self, sublayer: Sublayer) -> &'static str {
        match sublayer {
            Sublayer::Attention => "layernorm_before",
            Sublayer::FeedForward => "layernorm_after",
        }
    }

    fn norms_first(&self) -> bool {
        true
    }

    fn embedding_tensors(&self, config: &EncoderConfig) -> Tensors {
        let VisionConfig { patch_size, num_channels, .. } = config.vision.unwrap_or_default();
        let normal = Init::Normal { sd: config.initializer_range };
        let hidden = config.hidden_size;
        let projection = [hidden, num_channels, patch_size, patch_size];
        vec![
            (TensorSpec::new(CLASS_TOKEN, [1, 1, hidden]), normal),
            (TensorSpec::new(POSITIONS, [1, config.max_positions, hidden]), normal),
            (TensorSpec::new(format!("{PATCHES}.weight"), projection), normal),
            (TensorSpec::new(format!("{PATCHES}.bias"), [hidden]), Init::Zeros),
        ]
    }

    fn top_tensors(&self, config: &EncoderConfig) -> Tensors {
        norm_tensors(config, "layernorm")
    }

    fn embed(&self, model: &Model<'_>, batch: &Batch, pass: &mut Pass) -> Result<(Tensor, Tensor)> {
        let Batch::Images(batch) = batch else { candle_core::bail!("an encoder of images cannot take texts") };
        if model.hooks.prompt()?.is_some() {
            candle_core::bail!("an image has no words that a prompt could stand before; ViT takes prompts by layer");
        }
        // A convolution whose windows do not overlap is a linear map of each window.
        let class = model.tensor(CLASS_TOKEN)?;
        let patches = model.linear(PATCHES, &batch.patches.to_dtype(class.dtype())?)?;
        let (n, n_patches, hidden) = patches.dims3()?;
        let class = class.broadcast_as((n, 1, hidden))?;
        let x = Tensor::cat(&[&class, &patches], 1)?.broadcast_add(&model.tensor(POSITIONS)?)?;
        let mask = Tensor::ones((n, n_patches + 1), DType::F32, x.device())?;
        Ok((model.drop_out(x, model.config().hidden_dropout, pass)?, mask))
    }

    fn finish(&self, model: &Model<'_>, x: Tensor) -> Result<Tensor> {
        model.layer_norm("layernorm", &x)
    }

    fn head_tensors(&self, config: &EncoderConfig, n_labels: usize) -> Tensors {
        linear_tensors(config, "classifier", config.hidden_size, n_labels)
    }

    /// `classifier` on the class token.
    fn classify(&self, model: &Model<'_>, first: Tensor, _: &mut Pass) -> Result<Tensor> {
        model.linear("classifier", &first)
    }

    /// transformers 5 calls the modules `layers.0.attention.q_proj` and so on in memory, and saves them under the names
    /// of earlier versions; both are read.
    fn other_spelling(&self, name: &str) -> Option<String> {
        let (layer, rest) = name.strip_prefix("layers.")?.split_once('.')?;
        let (module, tensor) = rest.rsplit_once('.')?;
        let module = match module {
            "attention.q_proj" => "attention.attention.query",
            "attention.k_proj" => "attention.attention.key",
            "attention.v_proj" => "attention.attention.value",
            "attention.o_proj" => "attention.output.dense",
            "mlp.fc1" => "intermediate.dense",
            "mlp.fc2" => "output.dense",
            other => other,
        };
        Some(format!("encoder.layer.{layer}.{module}.{tensor}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_transformers_in_memory_are_read() {
        let spelt = |name: &str| Vit.other_spelling(name);
        assert_eq!(spelt("layers.3.mlp.fc1.weight").unwrap(), "encoder.layer.3.intermediate.dense.weight");
        assert_eq!(spelt("layers.0.attention.k_proj.bias").unwrap(), "encoder.layer.0.attention.attention.key.bias");
        assert_eq!(spelt("layers.0.layernorm_after.bias").unwrap(), "encoder.layer.0.layernorm_after.bias");
        assert_eq!(spelt("encoder.layer.0.layernorm_after.bias"), None);
    }
}
