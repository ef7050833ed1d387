//! What can go wrong with a model.

use std::path::PathBuf;

/// Why a model cannot be used. Each text names the file or tensor and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// `model.name` is empty.
    #[error("the model has no name; write a directory or `builtin:tiny-roberta`")]
    EmptyName,
    /// `builtin:` with another name.
    #[error("there is no built-in model `{name}`; built in are {known}")]
    UnknownBuiltin {
        /// As written.
        name: String,
        /// What there is.
        known: String,
    },
    /// `shape-only:` with another name.
    #[error("the shape `{name}` is not known; known are {known}")]
    UnknownShape {
        /// As written.
        name: String,
        /// What there is.
        known: String,
    },
    /// A model without weights was asked for them.
    #[error(
        "`shape-only:` models have neither weights nor a tokenizer; give the directory of a model, or run with \
        `compute.mode: timing_only` and without a data set"
    )]
    ShapeOnly,
    /// `model.name` is no directory.
    #[error(
        "`{}` is not a directory; give the path of a downloaded Hugging Face model (config.json, tokenizer.json, \
         model.safetensors) or a built-in model ({known})", path.display()
    )]
    NotADirectory {
        /// Where it was looked for.
        path: PathBuf,
        /// The built-in models.
        known: String,
    },
    /// A repository on the hub holds no model that this program reads.
    #[error(
        "`{repo}` on the hub has no {missing} (it has {found}); choose a repository with a BERT, RoBERTa, DistilBERT or \
         ViT encoder in transformers' format"
    )]
    NoModelOnHub {
        /// The repository.
        repo: String,
        /// What a model needs.
        missing: &'static str,
        /// What there is.
        found: String,
    },
    /// A model on the hub was to be read before it was fetched.
    #[error("`{repo}` is a model on the hub that has not been fetched; run `straggler fetch`")]
    NotFetched {
        /// The repository.
        repo: String,
    },
    /// A file of the directory is not there.
    #[error("`{}` has no {file}; {help}", directory.display())]
    MissingFile {
        /// The model's directory.
        directory: PathBuf,
        /// The name of the file.
        file: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `config.json` is no JSON, or a key is missing, of the wrong type or out of range.
    #[error("{origin}: {message}")]
    Config {
        /// The file, or the built-in model.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// A weights file is damaged or of another kind.
    #[error("{origin}: {message}")]
    Weights {
        /// The file, or the built-in model.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// Files that an index names are not there.
    #[error("`{}` names {of} files, of which {count} are missing: {names}; download them again", index.display(),
        count = names.len(), names = listed(names))]
    MissingShards {
        /// The index.
        index: PathBuf,
        /// How many files it names.
        of: usize,
        /// Those that are missing.
        names: Vec<String>,
    },
    /// The weights are those of another family.
    #[error(
        "{origin}: these are the weights of a `{found}` encoder, but `config.json` says `{expected}`; \
        take both files from one model"
    )]
    OtherFamily {
        /// The file, or the built-in model.
        origin: String,
        /// The family of the weights.
        found: &'static str,
        /// The family that the configuration says.
        expected: &'static str,
    },
    /// The weights have another number of layers.
    #[error(
        "{origin}: the weights have {found} layers, but `config.json` says {expected}; \
        take both files from one model"
    )]
    Layers {
        /// The file, or the built-in model.
        origin: String,
        /// How many there are.
        found: usize,
        /// How many the configuration asks for.
        expected: usize,
    },
    /// One tensor stands in two places with different numbers.
    #[error(
        "{origin}: a mixed checkpoint: tensor `{name}` is there twice with different numbers, as {places}; \
        remove the files that belong to another model"
    )]
    MixedCheckpoint {
        /// The file, or the directory.
        origin: String,
        /// The tensor's name, without prefix.
        name: String,
        /// Its two names and their files.
        places: String,
    },
    /// Tensors that the encoder needs are not in the weights.
    #[error("{origin} lacks {count} of the tensors that `config.json` asks for: {names}", count = names.len(),
        names = listed(names))]
    MissingTensors {
        /// The file, or the built-in model.
        origin: String,
        /// Their names, without prefix.
        names: Vec<String>,
    },
    /// A tensor has another shape than the configuration says.
    #[error(
        "{origin}: tensor `{name}` has shape {found:?}, but `config.json` asks for {expected:?}; \
        take both files from one model"
    )]
    Shape {
        /// The file, or the built-in model.
        origin: String,
        /// The tensor's name, without prefix.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// `tokenizer.json` cannot be used.
    #[error("{origin}: {message}")]
    Tokenizer {
        /// The file, or the built-in model.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// The device cannot be used.
    #[error("no GPU can be used: {message}; write `cpu`, or see whether `nvidia-smi` finds the GPU and its driver")]
    Device {
        /// Why.
        message: String,
    },
    /// The arithmetic library refuses.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// The first few names, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}
