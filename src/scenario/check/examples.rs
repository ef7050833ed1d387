//! What a data set reads, and whether the model can take it.

use super::Checker;
use crate::data::{DatasetConfig, ImageFormat};
use crate::model::EncoderConfig;

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathKind {
    File,
    Folder,
}

/// Files and folders that a data set names, with the paths of their settings.
pub(super) fn paths_of(dataset: &DatasetConfig) -> Vec<(String, &String, PathKind)> {
    let mut files = Vec::new();
    let mut add = |setting: &str, file| files.push((format!("dataset.{setting}"), file, PathKind::File));
    if let Some(own) = &dataset.files {
        add("files.train", &own.train);
        own.validation.iter().for_each(|file| add("files.validation", file));
        own.test.iter().for_each(|file| add("files.test", file));
    }
    dataset.labels_file.iter().for_each(|file| add("labels_file", file));
    dataset.partition.implementation().file().into_iter().for_each(|file| add("partition.file", file));
    if let Some(images) = &dataset.images {
        let kind = match images.format {
            ImageFormat::Folder => PathKind::Folder,
            ImageFormat::Idx | ImageFormat::Cifar => PathKind::File,
        };
        files.extend(images.paths().map(|(key, path)| (format!("dataset.images.{key}"), path, kind)));
    }
    files
}

impl Checker<'_> {
    /// Texts go with an encoder of texts, pictures with one of pictures.
    pub(super) fn kind_of_examples(&mut self, dataset: &DatasetConfig, encoder: &EncoderConfig) {
        let (holds, takes, remedy) = match (dataset.holds_images(), encoder.vision.is_some()) {
            (Some(true), false) => {
                ("pictures", "texts", "name a ViT, such as `builtin:tiny-vit`, or a data set of texts")
            }
            (Some(false), true) => {
                ("texts", "pictures", "name an encoder of texts, or a data set such as `builtin:shapes`")
            }
            _ => return,
        };
        let setting = match (&dataset.name, &dataset.files, &dataset.images) {
            (Some(_), None, None) => "dataset.name",
            (None, Some(_), None) => "dataset.files",
            (None, None, Some(_)) => "dataset.images",
            // Which of them is meant is another problem.
            _ => return,
        };
        let name = &self.raw.model.name;
        let problem = self.at("conflict", setting, format!("holds {holds}, but `model.name: {name}` takes {takes}"));
        self.problems.push(problem.other(Some(self.root.locate("model.name"))).help(remedy));
    }
}
