//! Which files of a repository on the hub make a model.

use std::collections::BTreeSet;
use std::path::Path;

use super::ModelError;
use super::checkpoint::{PLACES, Place, read_index};

/// What a tokenizer can be built from where there is no `tokenizer.json`.
const VOCABULARY: [&str; 4] = ["vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json"];

/// The small files that say what the model is: they are needed to know which others are. `names` are those of the
/// repository `repo`.
///
/// # Errors
/// When there is no `config.json`.
pub fn description_files(repo: &str, names: &[&str]) -> Result<Vec<String>, ModelError> {
    if !names.contains(&"config.json") {
        return Err(no_model(repo, "config.json", names));
    }
    let mut wanted = vec!["config.json"];
    match names.contains(&"tokenizer.json") {
        true => wanted.push("tokenizer.json"),
        false => wanted.extend(VOCABULARY),
    }
    wanted.push("preprocessor_config.json");
    wanted.extend(weights_of(names).filter(|weights| weights.is_index).map(|weights| weights.file));
    Ok(wanted.into_iter().filter(|name| names.contains(name)).map(String::from).collect())
}

/// The files with the weights. `folder` holds the [`description_files`].
///
/// # Errors
/// When there are none that this program reads, or the index of those in pieces is damaged.
pub fn weight_files(repo: &str, names: &[&str], folder: &Path) -> Result<Vec<String>, ModelError> {
    let weights = weights_of(names).ok_or_else(|| no_model(repo, "model.safetensors or pytorch_model.bin", names))?;
    if !weights.is_index {
        return Ok(vec![weights.file.into()]);
    }
    let pieces: BTreeSet<String> = read_index(&folder.join(weights.file))?.into_values().collect();
    Ok(pieces.into_iter().collect())
}

/// The weights that a directory of these files would be read from.
fn weights_of(names: &[&str]) -> Option<&'static Place> {
    PLACES.iter().find(|place| names.contains(&place.file))
}

fn no_model(repo: &str, missing: &'static str, names: &[&str]) -> ModelError {
    const SHOWN: usize = 12;
    let mut found = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        found.push_str(", …");
    }
    ModelError::NoModelOnHub { repo: repo.into(), missing, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safetensors_go_before_the_pickle_and_a_vocabulary_stands_in_for_a_tokenizer() {
        let names = ["README.md", "config.json", "merges.txt", "model.safetensors", "pytorch_model.bin", "vocab.json"];
        assert_eq!(description_files("a/b", &names).unwrap(), ["config.json", "vocab.json", "merges.txt"]);
        assert_eq!(weight_files("a/b", &names, Path::new("none")).unwrap(), ["model.safetensors"]);
        let names = ["config.json", "pytorch_model.bin", "tokenizer.json", "vocab.txt", "preprocessor_config.json"];
        assert_eq!(
            description_files("a/b", &names).unwrap(),
            ["config.json", "tokenizer.json", "preprocessor_config.json"]
        );
        assert_eq!(weight_files("a/b", &names, Path::new("none")).unwrap(), ["pytorch_model.bin"]);
    }

    #[test]
    fn weights_in_pieces_are_found_through_their_index() {
        const INDEX: &str = "model.safetensors.index.json";
        let dir = tempfile::tempdir().unwrap();
        let index = r#"{ "metadata": {}, "weight_map": { "a": "m-1.safetensors", "b": "m-2.safetensors", "c": "m-1.safetensors" } }"#;
        std::fs::write(dir.path().join(INDEX), index).unwrap();
        let names = ["config.json", "m-1.safetensors", "m-2.safetensors", INDEX];
        assert_eq!(description_files("a/b", &names).unwrap(), ["config.json", INDEX]);
        assert_eq!(weight_files("a/b", &names, dir.path()).unwrap(), ["m-1.safetensors", "m-2.safetensors"]);
    }

    #[test]
    fn a_repository_without_a_model_is_told_with_what_it_has() {
        let message = description_files("a/b", &["README.md", "x.gguf"]).unwrap_err().to_string();
        assert!(
            message.contains("`a/b`") && message.contains("no config.json") && message.contains("x.gguf"),
            "{message}"
        );
        let message = weight_files("a/b", &["config.json", "tf_model.h5"], Path::new("")).unwrap_err().to_string();
        assert!(message.contains("no model.safetensors or pytorch_model.bin"), "{message}");
    }
}
