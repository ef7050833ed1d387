//! `straggler pretrain`: makes the built-in encoders.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::progress::{Bar, Throttle};
use super::{CliError, Console, Exit};
use crate::data::{self, tokenizer};
use crate::model::{EncoderConfig, Storage};
use crate::seed::Seeds;
use crate::training::{PretrainProgress, PretrainSettings, Pretrained, TrainingError, pretrain_images, pretrain_texts};

/// Arguments of `pretrain`.
#[derive(Debug, Clone, Args)]
pub(super) struct PretrainArgs {
    /// Which encoder
    #[arg(long, value_enum, default_value = "tiny-roberta")]
    pub(super) model: PretrainModel,
    /// Folder for the files of a Hugging Face model; must not exist
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Root of every random stream
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Sentences of the corpus [tiny-roberta]
    #[arg(long, default_value_t = 40_000)]
    pub(super) sentences: usize,
    /// Passes over the corpus [tiny-roberta]
    #[arg(long, default_value_t = 13)]
    pub(super) epochs: usize,
    /// Pictures, each seen once [tiny-vit]
    #[arg(long, default_value_t = 400_000)]
    pub(super) pictures: usize,
}

/// Encoders that can be pretrained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PretrainModel {
    /// RoBERTa that names masked tokens
    TinyRoberta,
    /// ViT that names attributes of drawn figures
    TinyVit,
}

/// Shape of the encoder of texts, as its `config.json` says it. Longest input 64 tokens.
fn text_shape(vocab_size: usize) -> Value {
    json!({
        "architectures": ["RobertaForMaskedLM"],
        "model_type": "roberta",
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "vocab_size": vocab_size,
        "max_position_embeddings": 66,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "initializer_range": 0.02,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
    })
}

/// Shape of the encoder of images. 16 patches and the class token.
fn image_shape() -> Value {
    json!({
        "architectures": ["ViTForImageClassification"],
        "model_type": "vit",
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "image_size": 32,
        "patch_size": 8,
        "num_channels": 3,
        "layer_norm_eps": 1e-12,
        "initializer_range": 0.02,
        "qkv_bias": true,
    })
}

/// What the encoder of images was pretrained with; the data room has the same as its default.
fn image_processor() -> Value {
    json!({
        "do_normalize": true,
        "do_rescale": true,
        "do_resize": true,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "ViTImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "resample": 2,
        "rescale_factor": 1.0 / 255.0,
        "size": { "height": 32, "width": 32 },
    })
}

/// Most tokens of the vocabulary.
const VOCAB_SIZE: usize = 1500;

const MASK_TOKEN: u32 = 4;

/// Pretrains and writes the folder.
pub(super) fn execute(args: &PretrainArgs, console: &Console) -> Result<(), CliError> {
    if args.out.exists() {
        let message = format!("`{}` exists already; nothing is overwritten", args.out.display());
        return Err(CliError::new(Exit::BadInput, "exists", message).help("choose another --out"));
    }
    let (pretrained, measured) = match args.model {
        PretrainModel::TinyRoberta => (texts(args, console)?, "masked tokens of held-out sentences"),
        PretrainModel::TinyVit => (images(args, console)?, "outlines of held-out pictures"),
    };
    let Pretrained { held_out_loss, held_out_accuracy, backbone, .. } = &pretrained;
    let out = args.out.display();
    let text =
        format!("{measured}: {:.1} % named, loss {held_out_loss:.3}\nwritten to {out}", 100.0 * held_out_accuracy);
    match console.is_json() {
        false => console.result(text),
        true => console.result(json!({
            "directory": args.out, "model_hash": backbone.hash(),
            "held_out": { "loss": held_out_loss, "accuracy": held_out_accuracy },
        })),
    }
}

/// Masked tokens on the project's own grammar.
fn texts(args: &PretrainArgs, console: &Console) -> Result<Pretrained, CliError> {
    let corpus = data::pretraining_corpus(args.sentences, args.seed);
    let tokenizer = tokenizer::train_byte_bpe(&corpus, VOCAB_SIZE).map_err(failed)?;
    let vocab_size = tokenizer.get_vocab_size(true);
    let config = config(&text_shape(vocab_size))?;
    let sentences = corpus.iter().map(|sentence| {
        tokenizer.encode_fast(sentence.as_str(), true).map(|encoding| {
            let mut ids = encoding.get_ids().to_vec();
            ids.truncate(config.max_tokens());
            ids
        })
    });
    let sentences: Vec<Vec<u32>> = sentences.collect::<Result<_, _>>().map_err(failed)?;
    console.note(format_args!("{} sentences, a vocabulary of {vocab_size} tokens", sentences.len()));
    let settings = settings(args.epochs, 128, 2e-3);
    let pretrained = with_progress(console, |show| {
        pretrain_texts(config, &settings, &sentences, MASK_TOKEN, &Seeds::new(args.seed), show)
    })?;
    save(&pretrained, &args.out)?;
    tokenizer.save(args.out.join("tokenizer.json"), false).map_err(|error| not_written(&args.out, error))?;
    Ok(pretrained)
}

/// Attributes of figures that the program draws.
fn images(args: &PretrainArgs, console: &Console) -> Result<Pretrained, CliError> {
    let config = config(&image_shape())?;
    let settings = settings(1, 64, 1e-3);
    let pretrained =
        with_progress(console, |show| pretrain_images(config, &settings, args.pictures, &Seeds::new(args.seed), show))?;
    save(&pretrained, &args.out)?;
    let path = args.out.join("preprocessor_config.json");
    let text = format!("{:#}\n", image_processor());
    std::fs::write(path, text).map_err(|error| not_written(&args.out, error))?;
    Ok(pretrained)
}

fn config(shape: &Value) -> Result<EncoderConfig, CliError> {
    EncoderConfig::from_json(shape.to_string().as_bytes(), "the built-in encoder").map_err(failed)
}

fn settings(epochs: usize, batch_size: usize, learning_rate: f64) -> PretrainSettings {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    PretrainSettings { epochs, batch_size, learning_rate, threads }
}

/// Trains with a bar, or with a line now and then where no bar can be drawn.
fn with_progress(
    console: &Console,
    train: impl FnOnce(&mut dyn FnMut(PretrainProgress)) -> Result<Pretrained, TrainingError>,
) -> Result<Pretrained, CliError> {
    let mut bar = Bar::new(console, "pretraining");
    let mut throttle = Throttle::every_10_s();
    let mut show = |now: PretrainProgress| {
        bar.set(now.step as u64, now.n_steps as u64, &format!("loss {:.3}", now.loss));
        if !bar.is_drawn() && (throttle.is_due() || now.step == now.n_steps) {
            console.note(format_args!("step {} of {}, loss {:.3}", now.step, now.n_steps, now.loss));
        }
    };
    train(&mut show).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::new(Exit::RunFailed, "pretrain", error)
}

fn not_written(out: &Path, error: impl std::fmt::Display) -> CliError {
    CliError::new(Exit::Environment, "write", format!("`{}`: {error}", out.display()))
}

/// Writes the folder in half precision; the head goes beside the encoder, so that transformers can go on from it.
fn save(pretrained: &Pretrained, out: &Path) -> Result<(), CliError> {
    pretrained.backbone.save(out, Storage::F16, &pretrained.head).map_err(|error| not_written(out, error))
}
