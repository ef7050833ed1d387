//! The weights of a Hugging Face directory: one file, or several with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ModelError, Part, damaged};

/// Where the weights may lie, in the order of preference; an index names the files that hold them.
pub(crate) const PLACES: [Place; 4] = [
    Place { file: "model.safetensors", is_index: false, is_pickle: false },
    Place { file: "model.safetensors.index.json", is_index: true, is_pickle: false },
    Place { file: "pytorch_model.bin", is_index: false, is_pickle: true },
    Place { file: "pytorch_model.bin.index.json", is_index: true, is_pickle: true },
];

/// A file of weights, or an index of such files.
pub(crate) struct Place {
    pub(crate) file: &'static str,
    pub(crate) is_index: bool,
    is_pickle: bool,
}

/// The files that hold a checkpoint's weights.
#[derive(Debug)]
pub(crate) struct WeightsFiles {
    /// The file, or the index of them.
    pub(crate) entry: PathBuf,
    /// All files with tensors, sorted by name.
    pub(crate) files: Vec<PathBuf>,
    /// Whether they are archives of PyTorch.
    pub(crate) is_pickle: bool,
    /// Where the index says that each tensor lies; empty without one.
    pub(crate) places: BTreeMap<String, PathBuf>,
}

/// The file that each tensor lies in, as the index at `path` says: all of them beside it.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub(crate) fn read_index(path: &Path) -> Result<BTreeMap<String, String>, ModelError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let refuse = |message: String| damaged(&path.display().to_string(), message);
    let bytes = std::fs::read(path).map_err(|source| ModelError::Read { path: path.into(), source })?;
    let Index { weight_map } = serde_json::from_slice(&bytes).map_err(|error| refuse(format!("no index: {error}")))?;
    if weight_map.is_empty() {
        return Err(refuse("no index: `weight_map` names no file".into()));
    }
    // Anything else would read files that nobody named.
    match weight_map.values().find(|file| Path::new(file.as_str()).file_name() != Some(file.as_ref())) {
        Some(elsewhere) => Err(refuse(format!("`weight_map` names `{elsewhere}`, which is no file of this directory"))),
        None => Ok(weight_map),
    }
}

impl WeightsFiles {
    /// Finds the weights of a directory. `None`: there are none.
    ///
    /// # Errors
    /// When an index is damaged, or a file that it names is missing.
    pub(crate) fn find(directory: &Path) -> Result<Option<Self>, ModelError> {
        let Some(place) = PLACES.iter().find(|place| directory.join(place.file).is_file()) else { return Ok(None) };
        let entry = directory.join(place.file);
        let mut found = Self { files: vec![entry.clone()], entry, is_pickle: place.is_pickle, places: BTreeMap::new() };
        if place.is_index {
            found.read_index(directory)?;
        }
        Ok(Some(found))
    }

    fn read_index(&mut self, directory: &Path) -> Result<(), ModelError> {
        let path = &self.entry;
        let index = read_index(path)?;
        let shards: BTreeSet<&String> = index.values().collect();
        let missing: Vec<String> =
            shards.iter().filter(|shard| !directory.join(shard).is_file()).map(|shard| shard.to_string()).collect();
        if !missing.is_empty() {
            return Err(ModelError::MissingShards { index: path.clone(), of: shards.len(), names: missing });
        }
        self.files = shards.into_iter().map(|shard| directory.join(shard)).collect();
        self.places = index.iter().map(|(name, shard)| (name.clone(), directory.join(shard))).collect();
        Ok(())
    }

    /// Refuses a file that lacks a tensor which the index places in it: the two are of different checkpoints.
    pub(crate) fn check_index(&self, parts: &[Part<'_>]) -> Result<(), ModelError> {
        for (file, part) in self.files.iter().zip(parts) {
            let names = part.weights.names();
            let expected = self.places.iter().filter(|(_, place)| *place == file).map(|(name, _)| name);
            let lacking: Vec<&String> = expected.filter(|name| names.binary_search(name).is_err()).collect();
            if let Some(name) = lacking.first() {
                let (n, index) = (lacking.len(), self.entry.display());
                let message =
                    format!("`{index}` places {n} tensors here that are not, such as `{name}`; download both again");
                return Err(damaged(&part.origin, message));
            }
        }
        Ok(())
    }
}
