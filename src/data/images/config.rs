//! What the scenario says about own pictures.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::paths::plain;
use crate::registry::Problem;

/// Own pictures, relative to the scenario file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagesConfig {
    /// How the pictures are stored.
    pub format: ImageFormat,
    /// Training pictures.
    pub train: String,
    /// Validation pictures. Carved out of the training pictures when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// Test pictures, evaluated once at the end. No test result when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
}

/// How pictures are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    /// A folder with one folder of `.png`, `.jpg` or `.jpeg` files per label, named like the label.
    Folder,
    /// IDX, the form of MNIST: a file named like `train-images-idx3-ubyte` and beside it its labels, named like
    /// `train-labels-idx1-ubyte`; plain or `.gz`.
    Idx,
    /// The binary form of CIFAR-10: records of a label byte and 32 x 32 red, green and blue bytes; plain or `.gz`.
    /// Several files become one by appending them to each other.
    Cifar,
}

impl ImagesConfig {
    /// The paths of the splits, with their settings below `images`.
    pub fn paths(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let splits =
            [("train", Some(&self.train)), ("validation", self.validation.as_ref()), ("test", self.test.as_ref())];
        splits.into_iter().filter_map(|(key, path)| path.map(|path| (key, path)))
    }

    /// What is wrong with these settings by themselves.
    pub(in crate::data) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let paths: Vec<_> = self.paths().collect();
        for (i, (key, path)) in paths.iter().enumerate() {
            if path.trim().is_empty() {
                problems.push(Problem::new(format!("images.{key}"), "names no file or folder"));
            } else if self.format == ImageFormat::Idx && super::idx::labels_name(name_of(path)).is_none() {
                let message =
                    format!("`{path}` has no `images-idx3` in its name, so the file of its labels is not known");
                let problem = Problem::new(format!("images.{key}"), message);
                problems.push(problem.help("name it like train-images-idx3-ubyte, its labels train-labels-idx1-ubyte"));
            }
            if let Some((earlier, _)) = paths[..i].iter().find(|(_, other)| plain(other) == plain(path)) {
                problems.push(Problem::new(format!("images.{key}"), format!("`{path}` is already `images.{earlier}`")));
            }
        }
        problems
    }
}

/// The last part of a path.
fn name_of(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
