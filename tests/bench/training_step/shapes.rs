//! The encoders and inputs that are measured.

use std::sync::Arc;

use anyhow::{Context, Result};
use candle_core::Device;
use straggler::data::{EncodedDataset, TextDataset, TextExample, encode};
use straggler::model::{Backbone, Batch, EncoderConfig, ModelDtype};
use straggler::params::Params;
use straggler::petuning::{FullConfig, LoraConfig, TrainableVars, TuningConfig};
use straggler::seed::Seeds;
use straggler::training::{Learner, LrSchedule, TrainConfig, TrainJob};
use tokenizers::Tokenizer;

/// An encoder by its name, with the number of classes that its head tells apart.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    MiniLm,
    RobertaBase,
}

impl Shape {
    pub(crate) const ALL: [Self; 2] = [Self::MiniLm, Self::RobertaBase];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MiniLm => "minilm",
            Self::RobertaBase => "roberta-base",
        }
    }

    pub(crate) fn n_labels(self) -> usize {
        match self {
            Self::MiniLm => 77,
            Self::RobertaBase => 2,
        }
    }

    /// The shape of the Hugging Face model, without dropout.
    pub(crate) fn config(self) -> Result<EncoderConfig> {
        let text = match self {
            Self::MiniLm => serde_json::json!({
                "model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
                "intermediate_size": 1536, "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
                "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
            }),
            Self::RobertaBase => serde_json::json!({
                "model_type": "roberta", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                "intermediate_size": 3072, "vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1,
                "layer_norm_eps": 1e-5, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
            }),
        };
        Ok(EncoderConfig::from_json(text.to_string().as_bytes(), self.name())?)
    }

    pub(crate) fn backbone(self, dtype: ModelDtype) -> Result<Arc<Backbone>> {
        Ok(Arc::new(Backbone::random(self.config()?, &Seeds::new(1))?.kept_in(dtype)?))
    }
}

/// What is done with a batch.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Work {
    Lora,
    Full,
    Forward,
}

impl Work {
    pub(crate) const ALL: [Self; 3] = [Self::Lora, Self::Full, Self::Forward];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lora => "lora",
            Self::Full => "full",
            Self::Forward => "forward",
        }
    }

    /// This project's time over PyTorch's, at most.
    pub(crate) fn target(self) -> f64 {
        match self {
            Self::Lora => 1.1,
            Self::Full => 1.2,
            Self::Forward => 1.0,
        }
    }

    pub(crate) fn tuning(self) -> TuningConfig {
        match self {
            Self::Lora | Self::Forward => TuningConfig::Lora(LoraConfig::default()),
            Self::Full => TuningConfig::Full(FullConfig {}),
        }
    }
}

/// The project's training code on texts of `length` words each, `batch` to a step.
pub(crate) fn learner(
    shape: Shape,
    backbone: &Arc<Backbone>,
    work: Work,
    batch: usize,
    length: usize,
) -> Result<Learner> {
    let train = TrainConfig {
        per_device_train_batch_size: batch,
        lr_scheduler_type: LrSchedule::Constant,
        ..TrainConfig::default()
    };
    let data = Arc::new(data(shape, batch, length)?);
    Ok(Learner::new(backbone.clone(), None, work.tuning(), data, train, Seeds::new(1))?)
}

/// Rows of one step; the tokenizer makes one token of each word.
fn data(shape: Shape, batch: usize, length: usize) -> Result<EncodedDataset> {
    const WORDS: usize = 30_000;
    let vocabulary: serde_json::Map<_, _> = (0..WORDS).map(|id| (format!("w{id}"), id.into())).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0",
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "w0" },
    });
    let tokenizer = Tokenizer::from_bytes(tokenizer.to_string())
        .map_err(|error| anyhow::anyhow!("the word tokenizer is not read: {error}"))?;
    let example = |row: usize| {
        let word = |position: usize| format!("w{}", 3 + (row * 7919 + position * 104_729) % (WORDS - 3));
        let text = (0..length).map(word).collect::<Vec<_>>().join(" ");
        TextExample { text, text_pair: None, label: (row % shape.n_labels()) as u32 }
    };
    let rows = (0..batch).map(example).collect();
    let labels = (0..shape.n_labels()).map(|label| format!("l{label}")).collect();
    Ok(encode(&TextDataset::new("words".into(), labels, rows, vec![example(0)], None), &tokenizer, length)?)
}

/// What a learner starts from that has not handed it over.
pub(crate) fn initial(learner: &Learner) -> Result<&Arc<Params>> {
    learner.initial().context("a new learner has its values")
}

/// One step on all rows.
pub(crate) fn job(initial: &Arc<Params>, batch: usize, client_id: u32) -> TrainJob {
    let shard: Vec<u32> = (0..batch as u32).collect();
    TrainJob { start: initial.clone(), client_id, address: 0, shard: shard.into() }
}

/// One forward pass over a batch, with low-rank updates that are not merged, as an evaluation makes it.
pub(crate) fn forward(learner: &Learner, batch: usize, length: usize) -> Result<impl Fn() -> Result<()> + use<>> {
    let backbone = learner.backbone().clone();
    let values = TrainableVars::constants(initial(learner)?, &Device::Cpu)?;
    let hooks = Work::Forward.tuning().implementation().hooks(values);
    let ids: Vec<u32> = (0..length as u32).map(|i| 3 + i * 17 % 30_000).collect();
    let types = vec![0; length];
    let examples = vec![(ids.as_slice(), types.as_slice()); batch];
    let batch = Batch::new(&examples, backbone.config(), &Device::Cpu)?;
    Ok(move || {
        let mut pass = straggler::model::Pass::evaluation();
        straggler::model::classify(&backbone, &batch, hooks.as_ref(), &mut pass)?.to_vec2::<f32>()?;
        Ok(())
    })
}
