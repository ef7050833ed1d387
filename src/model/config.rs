//! What the scenario says about the model.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ModelError;
use super::{builtin, shapes};
use crate::hub::{Repo, RepoKind};
use crate::registry::Problem;

/// The model: `model`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// A built-in model, such as `builtin:tiny-roberta`; or a Hugging Face directory of a BERT, RoBERTa, DistilBERT or
    /// ViT encoder (`config.json`, `model.safetensors` or `pytorch_model.bin` in one file or in shards with their
    /// index, and for texts `tokenizer.json`), relative to the scenario file; or, for `compute.mode: timing_only`, a
    /// known encoder without weights, such as `shape-only:roberta-base`. A name that is neither is
    /// one on the Hugging Face hub, such as `FacebookAI/roberta-base`. Of a checkpoint that was fine-tuned the encoder is
    /// taken and the classification head left aside, whatever its labels: the head of a run begins anew, or at that of
    /// `init`.
    pub name: String,
    /// Branch, tag or commit of a model on the hub. Default: `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The number type in which the frozen encoder is kept: `f32`, or `bf16` for half the memory. Arithmetic and whatever
    /// is trained are in 32 bits under both, so `bf16` is refused with a method that trains the encoder's matrices, such as
    /// `full`.
    #[serde(default)]
    pub dtype: ModelDtype,
}

impl ModelConfig {
    /// What is wrong with the settings by themselves. Files are looked at by [`load`](super::load).
    pub fn problems(&self) -> Vec<Problem> {
        if let Err(error) = self.name.parse::<ModelSource>() {
            return vec![Problem::new("name", error.to_string())];
        }
        let message = self.revision.as_ref().and_then(|revision| Repo::revision_problem(revision));
        message.map(|message| Problem::new("revision", message)).into_iter().collect()
    }

    /// Where the model comes from. A name that is a directory below `base_dir`, the scenario's directory, is that
    /// directory; else one that can be a name on the hub is one.
    ///
    /// # Errors
    /// When the name starts with `builtin:` and no such model is built in, with `shape-only:` and no such shape is known,
    /// or is empty.
    pub fn source(&self, base_dir: &Path) -> Result<ModelSource, ModelError> {
        match self.name.parse()? {
            ModelSource::Hub(_) if base_dir.join(&self.name).is_dir() => {
                Ok(ModelSource::Directory(self.name.clone().into()))
            }
            ModelSource::Hub(repo) => {
                let revision = self.revision.clone().unwrap_or(repo.revision);
                Ok(ModelSource::Hub(Repo { revision, ..repo }))
            }
            other => Ok(other),
        }
    }
}

/// The number type in which the frozen encoder is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelDtype {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 16 bits with the range of 32 (bfloat16), rounded to 8 significant bits: half the memory. Arithmetic and whatever
    /// is trained stay in 32 bits.
    Bf16,
}

impl ModelDtype {
    /// Its name in scenarios.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Where a model comes from: the meaning of `model.name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// The encoder that this project pretrained: 4 layers of width 128 in RoBERTa's layout.
    TinyRoberta,
    /// The same encoder with random weights, to show what pretraining gives.
    TinyRobertaRandom,
    /// The encoder of images that this project pretrained: 4 layers of width 128, images of 32 by 32 pixels.
    TinyVit,
    /// The same encoder with random weights.
    TinyVitRandom,
    /// A known encoder without weights, for timing alone. The number is its place in the list of shapes.
    ShapeOnly(usize),
    /// A Hugging Face directory, as written in the scenario.
    Directory(PathBuf),
    /// A model on the hub.
    Hub(Repo),
}

impl FromStr for ModelSource {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, ModelError> {
        if name.trim().is_empty() {
            return Err(ModelError::EmptyName);
        }
        if let Some(shape) = name.strip_prefix(shapes::PREFIX) {
            let unknown = || ModelError::UnknownShape { name: name.into(), known: shapes::names() };
            return shapes::find(shape).map(Self::ShapeOnly).ok_or_else(unknown);
        }
        match name.strip_prefix("builtin:") {
            None if Repo::id_problem(name).is_none() => Ok(Self::Hub(Repo::new(RepoKind::Model, name, "main"))),
            None => Ok(Self::Directory(name.into())),
            Some("tiny-roberta") => Ok(Self::TinyRoberta),
            Some("tiny-roberta-random") => Ok(Self::TinyRobertaRandom),
            Some("tiny-vit") => Ok(Self::TinyVit),
            Some("tiny-vit-random") => Ok(Self::TinyVitRandom),
            Some(_) => Err(ModelError::UnknownBuiltin { name: name.into(), known: builtin::NAMES.join(", ") }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_builtin_or_a_directory() {
        assert_eq!("builtin:tiny-roberta".parse::<ModelSource>().unwrap(), ModelSource::TinyRoberta);
        assert_eq!("./models/bert".parse::<ModelSource>().unwrap(), ModelSource::Directory("./models/bert".into()));
        assert_eq!("builtin:tiny-vit-random".parse::<ModelSource>().unwrap(), ModelSource::TinyVitRandom);
        let shape = "shape-only:roberta-base".parse::<ModelSource>().unwrap();
        assert!(matches!(shape, ModelSource::ShapeOnly(_)));
        let message = "shape-only:gpt2".parse::<ModelSource>().unwrap_err().to_string();
        assert!(message.contains("shape-only:vit-base-patch16-224"), "{message}");
        let config = ModelConfig { name: "builtin:tiny-bert".into(), revision: None, dtype: ModelDtype::F32 };
        let problems = config.problems();
        assert_eq!(problems[0].path, "name");
        assert!(problems[0].message.contains("builtin:tiny-roberta-random"), "{}", problems[0].message);
    }

    #[test]
    fn a_name_with_one_slash_is_a_directory_where_there_is_one_and_else_on_the_hub() {
        let config = |name: &str, revision: Option<&str>| ModelConfig {
            name: name.into(),
            revision: revision.map(String::from),
            dtype: ModelDtype::F32,
        };
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(base.path().join("models/bert")).unwrap();
        let source = |name, revision| config(name, revision).source(base.path()).unwrap();
        assert_eq!(source("models/bert", None), ModelSource::Directory("models/bert".into()));
        let hub = |id: &str, revision: &str| ModelSource::Hub(Repo::new(RepoKind::Model, id, revision));
        assert_eq!(source("models/other", None), hub("models/other", "main"));
        assert_eq!(source("org/name", Some("v1")), hub("org/name", "v1"));
        assert_eq!(config("org/name", Some("a b")).problems()[0].path, "revision");
    }
}
