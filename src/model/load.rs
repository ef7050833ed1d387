//! From `model.name` to a backbone and what prepares its inputs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

use super::checkpoint::{Part, Weights, WeightsFiles};
use super::{Backbone, EncoderConfig, EncoderKind, ModelDtype, ModelError, ModelSource, builtin, shapes, vocabulary};
use crate::seed::Seeds;

/// What a checkpoint brings to make inputs of examples.
#[derive(Debug, Clone)]
pub enum Preprocessor {
    /// For texts.
    Texts(Box<Tokenizer>),
    /// For images: `preprocessor_config.json`, if it is there.
    Images(Option<PreprocessorFile>),
}

/// A `preprocessor_config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreprocessorFile {
    /// What it says.
    pub json: Vec<u8>,
    /// Its path, or the built-in model.
    pub origin: String,
}

/// Loads a model and what prepares its inputs. A directory that is not absolute lies below `base_dir`, the scenario's
/// directory; `seeds` decide the weights of a model whose name ends in `-random`.
///
/// # Errors
/// When the directory or one of its files is missing or damaged, the encoder is not supported, tensors are missing or
/// have other shapes than `config.json` says, or the tokenizer's vocabulary does not fit the embedding table.
pub fn load(
    source: &ModelSource,
    dtype: ModelDtype,
    base_dir: &Path,
    seeds: &Seeds,
) -> Result<(Arc<Backbone>, Preprocessor), ModelError> {
    let (backbone, preprocessor) = match source {
        ModelSource::ShapeOnly(_) => return Err(ModelError::ShapeOnly),
        ModelSource::Directory(path) => {
            let directory = base_dir.join(path);
            let backbone = Backbone::open_in(&directory, dtype)?;
            let preprocessor = match backbone.config().vision {
                Some(_) => Preprocessor::Images(read_preprocessor(&directory)?),
                None => {
                    let origin = directory.join("tokenizer.json").display().to_string();
                    texts(read_tokenizer(&directory, backbone.config().kind)?, backbone.config(), &origin)?
                }
            };
            (backbone, preprocessor)
        }
        ModelSource::Hub(repo) => return Err(ModelError::NotFetched { repo: repo.id.clone() }),
        ModelSource::TinyRoberta => {
            let (parts, origin) = (builtin::TINY_ROBERTA, "builtin:tiny-roberta");
            let backbone = Backbone::from_parts(parts.config, parts.weights, origin)?.kept_in(dtype)?;
            let tokenizer = texts(parse_tokenizer(parts.preprocessor, origin)?, backbone.config(), origin)?;
            (backbone, tokenizer)
        }
        ModelSource::TinyRobertaRandom => {
            let (parts, origin) = (builtin::TINY_ROBERTA, "builtin:tiny-roberta-random");
            let backbone = Backbone::random(EncoderConfig::from_json(parts.config, origin)?, seeds)?.kept_in(dtype)?;
            let tokenizer = texts(parse_tokenizer(parts.preprocessor, origin)?, backbone.config(), origin)?;
            (backbone, tokenizer)
        }
        ModelSource::TinyVit => {
            let (parts, origin) = (builtin::TINY_VIT, "builtin:tiny-vit");
            let backbone = Backbone::from_parts(parts.config, parts.weights, origin)?.kept_in(dtype)?;
            (backbone, images(&parts, origin))
        }
        ModelSource::TinyVitRandom => {
            let (parts, origin) = (builtin::TINY_VIT, "builtin:tiny-vit-random");
            let backbone = Backbone::random(EncoderConfig::from_json(parts.config, origin)?, seeds)?.kept_in(dtype)?;
            (backbone, images(&parts, origin))
        }
    };
    Ok((Arc::new(backbone), preprocessor))
}

/// SHA-256, in hexadecimal, of what decides about results beside the weights: the encoder's configuration and, where there
/// is one, the tokenizer or the image processor.
pub fn settings_hash(config: &EncoderConfig, preprocessor: Option<&Preprocessor>) -> String {
    let mut sha = Sha256::new();
    let mut add = |what: &str, content: &[u8]| {
        sha.update(what);
        sha.update((content.len() as u64).to_le_bytes());
        sha.update(content);
    };
    add("config", config.to_json().as_bytes());
    match preprocessor {
        Some(Preprocessor::Texts(tokenizer)) => {
            add("tokenizer", tokenizer.to_string(false).expect("what was read can be written").as_bytes());
        }
        Some(Preprocessor::Images(Some(file))) => add("processor", &file.json),
        Some(Preprocessor::Images(None)) | None => {}
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the shape of a model alone: its weights and tokenizer need not be there.
///
/// # Errors
/// When the directory or its `config.json` is missing, or the encoder is not supported.
pub fn load_config(source: &ModelSource, base_dir: &Path) -> Result<EncoderConfig, ModelError> {
    match source {
        ModelSource::Directory(path) => read_config(&base_dir.join(path)),
        ModelSource::ShapeOnly(shape) => shapes::config(*shape),
        ModelSource::Hub(repo) => Err(ModelError::NotFetched { repo: repo.id.clone() }),
        ModelSource::TinyRoberta | ModelSource::TinyRobertaRandom => {
            let parts = builtin::TINY_ROBERTA;
            EncoderConfig::from_json(parts.config, "builtin:tiny-roberta")
        }
        ModelSource::TinyVit | ModelSource::TinyVitRandom => {
            EncoderConfig::from_json(builtin::TINY_VIT.config, "builtin:tiny-vit")
        }
    }
}

/// Whether a model's directory has weights, in one file or in shards. Only names are looked at.
///
/// # Errors
/// When an index is damaged, or a shard that it names is missing.
pub fn find_weights(directory: &Path) -> Result<bool, ModelError> {
    Ok(WeightsFiles::find(directory)?.is_some())
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

impl Backbone {
    /// Reads the encoder of a Hugging Face directory: `config.json` and `model.safetensors` or `pytorch_model.bin`, each
    /// in one file or in shards with an index.
    ///
    /// # Errors
    /// When a file is missing or damaged, the encoder is not supported, or the tensors do not fit the configuration.
    pub fn open(directory: &Path) -> Result<Self, ModelError> {
        Self::open_in(directory, ModelDtype::F32)
    }

    /// As [`open`](Self::open), kept in a number type of choice: rounding needs no copy of the encoder in `f32`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in(directory: &Path, dtype: ModelDtype) -> Result<Self, ModelError> {
        let config = read_config(directory)?;
        let Some(found) = WeightsFiles::find(directory)? else {
            let help = "download the weights (model.safetensors or pytorch_model.bin, or their shards with the index)";
            return Err(missing(directory, "model.safetensors", help));
        };
        // Files are mapped and not read: only the tensors are held, never the files beside them.
        let maps = if found.is_pickle { Vec::new() } else { map_files(&found.files)? };
        let mut parts = Vec::with_capacity(found.files.len());
        for (i, file) in found.files.iter().enumerate() {
            let origin = file.display().to_string();
            let weights = match maps.get(i) {
                Some(map) => Weights::safetensors(map, &origin)?,
                None => Weights::pickle(file, &origin)?,
            };
            parts.push(Part { origin, weights });
        }
        found.check_index(&parts)?;
        Backbone::read(config, &parts, dtype, &found.entry.display().to_string())
    }
}

fn map_files(files: &[PathBuf]) -> Result<Vec<Mmap>, ModelError> {
    let map = |path: &PathBuf| {
        let file = File::open(path)?;
        // Safety: the map is read once, while loading; who changes a checkpoint at that moment spoils it in any case.
        unsafe { Mmap::map(&file) }
    };
    files.iter().map(|path| map(path).map_err(|source| ModelError::Read { path: path.clone(), source })).collect()
}

/// `tokenizer.json`, else what the vocabulary of the family makes.
fn read_tokenizer(directory: &Path, kind: EncoderKind) -> Result<Tokenizer, ModelError> {
    let path = directory.join("tokenizer.json");
    if !path.is_file() {
        if let Some(tokenizer) = vocabulary::tokenizer(directory, kind)? {
            return Ok(tokenizer);
        }
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

/// A tokenizer whose every token the encoder has a row for.
fn texts(tokenizer: Tokenizer, config: &EncoderConfig, origin: &str) -> Result<Preprocessor, ModelError> {
    let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
    if (largest as usize) < config.vocab_size {
        return Ok(Preprocessor::Texts(Box::new(tokenizer)));
    }
    let message = format!(
        "the vocabulary goes up to token {largest}, but the embedding table has {} rows (`vocab_size`); \
         use the tokenizer that belongs to the weights",
        config.vocab_size
    );
    Err(ModelError::Tokenizer { origin: origin.into(), message })
}

/// The image processor of a built-in model.
fn images(parts: &builtin::Builtin, origin: &str) -> Preprocessor {
    Preprocessor::Images(Some(PreprocessorFile { json: parts.preprocessor.to_vec(), origin: origin.into() }))
}

/// The image processor of a directory; transformers has defaults for a ViT without.
fn read_preprocessor(directory: &Path) -> Result<Option<PreprocessorFile>, ModelError> {
    let path = directory.join("preprocessor_config.json");
    if !path.is_file() {
        return Ok(None);
    }
    Ok(Some(PreprocessorFile { json: read(&path)?, origin: path.display().to_string() }))
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    std::fs::read(path).map_err(|source| ModelError::Read { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{Storage, fixture};

    fn saved(storage: Storage) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fixture::backbone(EncoderKind::Bert).save(dir.path(), storage, &BTreeMap::new()).unwrap();
        std::fs::write(dir.path().join("tokenizer.json"), fixture::tokenizer_json(40)).unwrap();
        dir
    }

    fn tokenizer(preprocessor: Preprocessor) -> Tokenizer {
        match preprocessor {
            Preprocessor::Texts(tokenizer) => *tokenizer,
            Preprocessor::Images(_) => panic!("a text encoder has a tokenizer"),
        }
    }

    fn refusal(dir: &Path) -> String {
        let source = ModelSource::Directory("model".into());
        // The scenario lies beside a link to the model, so that the relative path is exercised.
        let base = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir, base.path().join("model")).unwrap();
        let message = load(&source, ModelDtype::F32, base.path(), &Seeds::new(0)).unwrap_err().to_string();
        message.replace(&base.path().display().to_string(), "BASE")
    }

    #[test]
    fn a_directory_gives_its_backbone_and_tokenizer() {
        let dir = saved(Storage::F32);
        let source = ModelSource::Directory(dir.path().into());
        let (backbone, preprocessor) = load(&source, ModelDtype::F32, "elsewhere".as_ref(), &Seeds::new(0)).unwrap();
        assert_eq!(backbone.hash(), fixture::backbone(EncoderKind::Bert).hash());
        assert_eq!(tokenizer(preprocessor).encode("t5 t7", false).unwrap().get_ids(), [5, 7]);
    }

    #[test]
    fn a_shape_has_a_configuration_and_no_weights() {
        let source = "shape-only:vit-base-patch16-224".parse().unwrap();
        assert_eq!(load_config(&source, "".as_ref()).unwrap().max_tokens(), 197);
        let message = load(&source, ModelDtype::F32, "".as_ref(), &Seeds::new(0)).unwrap_err().to_string();
        assert!(message.contains("timing_only"), "{message}");
    }

    #[test]
    fn an_encoder_of_images_brings_its_processor_if_it_has_one() {
        let dir = tempfile::tempdir().unwrap();
        fixture::backbone(EncoderKind::Vit).save(dir.path(), Storage::F32, &BTreeMap::new()).unwrap();
        let source = ModelSource::Directory(dir.path().into());
        let preprocessor = || match load(&source, ModelDtype::F32, "".as_ref(), &Seeds::new(0)).unwrap() {
            (backbone, Preprocessor::Images(file)) => {
                assert_eq!(backbone.config().vision.unwrap().image_size, 6);
                file
            }
            (_, Preprocessor::Texts(_)) => panic!("it takes images"),
        };
        assert_eq!(preprocessor(), None);
        std::fs::write(dir.path().join("preprocessor_config.json"), "{}").unwrap();
        assert_eq!(preprocessor().unwrap().json, b"{}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = refusal("nowhere".as_ref());
        assert!(message.starts_with("`BASE/model` is not a directory") && message.contains("builtin:"), "{message}");
        for (file, expected) in [
            ("config.json", "`BASE/model` has no config.json; it says"),
            ("tokenizer.json", "`BASE/model` has no tokenizer.json; save it"),
            ("model.safetensors", "`BASE/model` has no model.safetensors; download the weights"),
        ] {
            let dir = saved(Storage::F32);
            std::fs::remove_file(dir.path().join(file)).unwrap();
            let message = refusal(dir.path());
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn damaged_files_are_named() {
        for (file, expected) in [
            ("config.json", "BASE/model/config.json: "),
            ("tokenizer.json", "BASE/model/tokenizer.json: "),
            ("model.safetensors", "BASE/model/model.safetensors: no safetensors file"),
        ] {
            let dir = saved(Storage::F32);
            std::fs::write(dir.path().join(file), "what?").unwrap();
            let message = refusal(dir.path());
            assert!(message.starts_with(expected), "{message}");
        }
        let dir = saved(Storage::F32);
        std::fs::remove_file(dir.path().join("model.safetensors")).unwrap();
        std::fs::write(dir.path().join("pytorch_model.bin"), "what?").unwrap();
        assert!(refusal(dir.path()).starts_with("BASE/model/pytorch_model.bin: no PyTorch file"));
    }

    #[test]
    fn a_tokenizer_of_another_model_is_refused() {
        let dir = saved(Storage::F32);
        std::fs::write(dir.path().join("tokenizer.json"), fixture::tokenizer_json(41)).unwrap();
        let message = refusal(dir.path());
        assert!(message.contains("up to token 40, but the embedding table has 40 rows"), "{message}");
    }

    #[test]
    fn an_old_pytorch_file_with_prefix_and_gamma_is_read() {
        let backbone = Backbone::open(&fixture::peers().join("bert")).unwrap();
        assert_eq!(backbone.unused_tensors(), Vec::<String>::new());
        assert_eq!(backbone.tensor("encoder.layer.1.output.LayerNorm.weight").unwrap().dims(), [16]);
    }
}
