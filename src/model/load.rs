//! From `model.name` to a backbone and its tokenizer.

use std::path::Path;
use std::sync::Arc;

use tokenizers::Tokenizer;

use super::checkpoint::Weights;
use super::{Backbone, EncoderConfig, ModelError, ModelSource, builtin};
use crate::seed::Seeds;

/// Loads a model. A directory that is not absolute lies below `base_dir`, the scenario's directory; `seeds` decide the
/// weights of `builtin:tiny-roberta-random`.
///
/// # Errors
/// When the directory or one of its files is missing or damaged, the encoder is not supported, tensors are missing or
/// have other shapes than `config.json` says, or the tokenizer's vocabulary does not fit the embedding table.
pub fn load(source: &ModelSource, base_dir: &Path, seeds: &Seeds) -> Result<(Arc<Backbone>, Tokenizer), ModelError> {
    let (backbone, tokenizer, origin) = match source {
        ModelSource::Directory(path) => {
            let directory = base_dir.join(path);
            let backbone = read_directory(&directory)?;
            let file = directory.join("tokenizer.json");
            (backbone, read_tokenizer(&directory)?, file.display().to_string())
        }
        ModelSource::TinyRoberta => {
            let parts = builtin::TINY_ROBERTA.ok_or(ModelError::NotPretrained)?;
            let origin = "builtin:tiny-roberta";
            let backbone = Backbone::from_parts(parts.config, parts.weights, origin)?;
            (backbone, parse_tokenizer(parts.tokenizer, origin)?, origin.to_string())
        }
        ModelSource::TinyRobertaRandom => {
            let parts = builtin::TINY_ROBERTA.ok_or(ModelError::NotPretrained)?;
            let origin = "builtin:tiny-roberta-random";
            let backbone = Backbone::random(EncoderConfig::from_json(parts.config, origin)?, seeds)?;
            (backbone, parse_tokenizer(parts.tokenizer, origin)?, origin.to_string())
        }
    };
    check_vocabulary(&tokenizer, backbone.config(), &origin)?;
    Ok((Arc::new(backbone), tokenizer))
}

/// Reads the shape of a model alone: its weights and tokenizer need not be there.
///
/// # Errors
/// When the directory or its `config.json` is missing, or the encoder is not supported.
pub fn load_config(source: &ModelSource, base_dir: &Path) -> Result<EncoderConfig, ModelError> {
    match source {
        ModelSource::Directory(path) => read_config(&base_dir.join(path)),
        ModelSource::TinyRoberta | ModelSource::TinyRobertaRandom => {
            let parts = builtin::TINY_ROBERTA.ok_or(ModelError::NotPretrained)?;
            EncoderConfig::from_json(parts.config, "builtin:tiny-roberta")
        }
    }
}

fn missing(directory: &Path, file: &'static str, help: &'static str) -> ModelError {
    ModelError::MissingFile { directory: directory.into(), file, help }
}

fn read_config(directory: &Path) -> Result<EncoderConfig, ModelError> {
    if !directory.is_dir() {
        let known = builtin::NAMES.join(", ");
        return Err(ModelError::NotADirectory { path: directory.into(), known });
    }
    let config_path = directory.join("config.json");
    if !config_path.is_file() {
        return Err(missing(directory, "config.json", "it says what kind of encoder the weights belong to"));
    }
    EncoderConfig::from_json(&read(&config_path)?, &config_path.display().to_string())
}

fn read_directory(directory: &Path) -> Result<Backbone, ModelError> {
    let config = read_config(directory)?;
    let (safetensors, pickle) = (directory.join("model.safetensors"), directory.join("pytorch_model.bin"));
    if safetensors.is_file() {
        let origin = safetensors.display().to_string();
        let bytes = read(&safetensors)?;
        Backbone::read(config, &Weights::safetensors(&bytes, &origin)?, &origin)
    } else if pickle.is_file() {
        let origin = pickle.display().to_string();
        Backbone::read(config, &Weights::pickle(&pickle, &origin)?, &origin)
    } else if directory.join("model.safetensors.index.json").is_file() {
        Err(missing(directory, "model.safetensors", "weights in several files are not supported: save them as one"))
    } else {
        Err(missing(
            directory,
            "model.safetensors",
            "download the weights (model.safetensors or pytorch_model.bin) into it",
        ))
    }
}

fn read_tokenizer(directory: &Path) -> Result<Tokenizer, ModelError> {
    let path = directory.join("tokenizer.json");
    if !path.is_file() {
        let help = "save it with transformers: AutoTokenizer.from_pretrained(…).save_pretrained(…)";
        return Err(ModelError::MissingFile { directory: directory.into(), file: "tokenizer.json", help });
    }
    parse_tokenizer(&read(&path)?, &path.display().to_string())
}

/// A tokenizer that neither cuts nor pads: the data room decides the length, batches are padded when they are made.
fn parse_tokenizer(bytes: &[u8], origin: &str) -> Result<Tokenizer, ModelError> {
    let refuse = |error: tokenizers::Error| ModelError::Tokenizer { origin: origin.into(), message: error.to_string() };
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(refuse)?;
    tokenizer.with_truncation(None).map_err(refuse)?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

fn check_vocabulary(tokenizer: &Tokenizer, config: &EncoderConfig, origin: &str) -> Result<(), ModelError> {
    let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
    if (largest as usize) < config.vocab_size {
        return Ok(());
    }
    let message = format!(
        "the vocabulary goes up to token {largest}, but the embedding table has {} rows (`vocab_size`); \
         use the tokenizer that belongs to the weights",
        config.vocab_size
    );
    Err(ModelError::Tokenizer { origin: origin.into(), message })
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    std::fs::read(path).map_err(|source| ModelError::Read { path: path.into(), source })
}
