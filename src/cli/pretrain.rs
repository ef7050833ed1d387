//! `straggler pretrain`: makes the built-in encoder.

use std::path::Path;

use super::args::PretrainArgs;
use super::progress::{Bar, Throttle};
use super::{CliError, Console, Exit};
use crate::data::{self, tokenizer};
use crate::model::{EncoderConfig, Storage};
use crate::seed::Seeds;
use crate::training::{PretrainProgress, PretrainSettings, Pretrained, pretrain};

/// Shape of the encoder, as its `config.json` says it. Longest input 64 tokens.
fn shape(vocab_size: usize) -> serde_json::Value {
    serde_json::json!({
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

/// Most tokens of the vocabulary.
const VOCAB_SIZE: usize = 1500;

const MASK_TOKEN: u32 = 4;

/// Pretrains and writes the folder.
pub(super) fn execute(args: &PretrainArgs, console: &Console) -> Result<(), CliError> {
    if args.out.exists() {
        let message = format!("`{}` exists already; nothing is overwritten", args.out.display());
        return Err(CliError::new(Exit::BadInput, "exists", message).help("choose another --out"));
    }
    let failed = |error: &dyn std::fmt::Display| CliError::new(Exit::RunFailed, "pretrain", error);
    let corpus = data::pretraining_corpus(args.sentences, args.seed);
    let tokenizer = tokenizer::train_byte_bpe(&corpus, VOCAB_SIZE).map_err(|error| failed(&error))?;
    let vocab_size = tokenizer.get_vocab_size(true);
    let config = EncoderConfig::from_json(shape(vocab_size).to_string().as_bytes(), "the built-in encoder");
    let config = config.map_err(|error| failed(&error))?;
    let sentences = corpus.iter().map(|sentence| {
        tokenizer.encode_fast(sentence.as_str(), true).map(|encoding| {
            let mut ids = encoding.get_ids().to_vec();
            ids.truncate(config.max_tokens());
            ids
        })
    });
    let sentences: Vec<Vec<u32>> = sentences.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
    console.note(format_args!("{} sentences, a vocabulary of {vocab_size} tokens", sentences.len()));

    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = PretrainSettings { epochs: args.epochs, batch_size: 128, learning_rate: 2e-3, threads };
    let mut bar = Bar::new(console, "pretraining");
    let mut throttle = Throttle::every_10_s();
    let mut show = |now: PretrainProgress| {
        bar.set(now.step as u64, now.n_steps as u64, &format!("loss {:.3}", now.loss));
        if !bar.is_drawn() && (throttle.is_due() || now.step == now.n_steps) {
            console.note(format_args!("step {} of {}, loss {:.3}", now.step, now.n_steps, now.loss));
        }
    };
    let pretrained = pretrain(config, &settings, &sentences, MASK_TOKEN, &Seeds::new(args.seed), &mut show);
    let pretrained = pretrained.map_err(|error| failed(&error))?;
    drop(bar);
    save(&pretrained, &tokenizer, &args.out)?;
    let Pretrained { held_out_loss, held_out_accuracy, backbone, .. } = &pretrained;
    let out = args.out.display();
    let text = format!(
        "masked tokens of held-out sentences: {:.1} % named, loss {held_out_loss:.3}\nwritten to {out}",
        100.0 * held_out_accuracy
    );
    match console.is_json() {
        false => console.result(text),
        true => console.result(serde_json::json!({
            "directory": args.out, "model_hash": backbone.hash(),
            "held_out": { "loss": held_out_loss, "accuracy": held_out_accuracy },
        })),
    }
}

/// Writes the folder in half precision; the head goes beside the encoder, so that transformers can go on from it.
fn save(pretrained: &Pretrained, tokenizer: &tokenizers::Tokenizer, out: &Path) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| {
        CliError::new(Exit::Environment, "write", format!("`{}`: {error}", out.display()))
    };
    pretrained.backbone.save(out, Storage::F16, &pretrained.head).map_err(|error| failed(&error))?;
    tokenizer.save(out.join("tokenizer.json"), false).map_err(|error| failed(&error))
}
