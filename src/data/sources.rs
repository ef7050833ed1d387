//! The files of a data set by what they serve for, wherever they come from.

use std::path::{Path, PathBuf};

use super::repository::{self, PromisedRows};
use super::{DataError, DatasetConfig, DatasetSource, FilesConfig, builtin};

/// A data set that came from the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedDataset {
    /// The folder of its files.
    pub folder: PathBuf,
    /// The names of all files of the repository, of which the [`data_files`](super::data_files) are in the folder.
    pub names: Vec<String>,
    /// Whether the hub told these names. Else they are those of a cache, which may lack some.
    pub is_whole: bool,
}

/// The files of a data set. A split may be in several.
pub(super) struct Sources {
    pub(super) name: String,
    pub(super) train: Vec<PathBuf>,
    pub(super) validation: Option<Vec<PathBuf>>,
    pub(super) test: Option<Vec<PathBuf>>,
    /// The names of labels that are stored by number, unless the files tell others.
    pub(super) labels: Option<Vec<String>>,
    /// How many rows there must be, where it is not known whether all files are here.
    pub(super) promised: PromisedRows,
    /// What the reader may want to know.
    pub(super) notes: Vec<String>,
}

impl PromisedRows {
    /// Reports splits that have another number of rows: files are missing that nothing else tells of.
    pub(super) fn check(
        &self,
        name: &str,
        train: usize,
        validation: Option<usize>,
        test: Option<usize>,
    ) -> Result<(), DataError> {
        let splits = [(self.train, Some(train)), (self.validation, validation), (self.test, test)];
        for (promised, found) in splits {
            let (Some(promised), Some(found)) = (promised, found) else { continue };
            if promised != found as u64 {
                return Err(DataError::BadSettings(format!(
                    "data set `{name}`: the cache has {found} rows of a split that has {promised} by its README, so files \
                     may be missing; run `straggler fetch` where there is a network"
                )));
            }
        }
        Ok(())
    }
}

impl Sources {
    /// The files that a scenario lists.
    pub(super) fn listed(files: &FilesConfig, base_dir: &Path) -> Self {
        let paths = |file: &String| vec![base_dir.join(file)];
        Self {
            name: files.train.clone(),
            train: paths(&files.train),
            validation: files.validation.as_ref().map(paths),
            test: files.test.as_ref().map(paths),
            labels: None,
            promised: PromisedRows::default(),
            notes: Vec::new(),
        }
    }

    /// The files of a data set that is laid out as on the hub: in a folder, or fetched.
    ///
    /// # Errors
    /// When it is not there, or has no such config or split.
    pub(super) fn of_repository(
        config: &DatasetConfig,
        fetched: Option<&FetchedDataset>,
        base_dir: &Path,
    ) -> Result<Self, DataError> {
        match (fetched, config.source(base_dir)) {
            (Some(fetched), _) => {
                let sources = Self::in_folder(config, &fetched.folder, &fetched.names)?;
                let promised = if fetched.is_whole { PromisedRows::default() } else { sources.promised };
                Ok(Self { promised, ..sources })
            }
            (None, DatasetSource::Hub(repo)) => {
                Err(DataError::BadSettings(format!("the {repo} has not been fetched; run `straggler fetch`")))
            }
            (None, DatasetSource::Directory(folder)) => {
                let folder = base_dir.join(folder);
                if !folder.is_dir() {
                    let known = builtin::names().join(", ");
                    return Err(DataError::BadSettings(format!(
                        "dataset.name: `{}` is not a directory, not a built-in data set ({known}) and no name on the hub",
                        folder.display()
                    )));
                }
                let sources = Self::in_folder(config, &folder, &names_below(&folder)?)?;
                // A folder of one's own may hold what one likes.
                Ok(Self { promised: PromisedRows::default(), ..sources })
            }
            (None, DatasetSource::Builtin | DatasetSource::Files) => {
                Err(DataError::BadSettings("dataset: `name` is no data set on the hub".into()))
            }
        }
    }

    fn in_folder(config: &DatasetConfig, folder: &Path, names: &[String]) -> Result<Self, DataError> {
        let card = repository::read_card(folder)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = repository::split_files(config, &names, card.as_deref())?;
        let paths = |files: &Vec<String>| files.iter().map(|file| folder.join(file)).collect::<Vec<PathBuf>>();
        let known = config.known().map(|known| known.labels).filter(|labels| !labels.is_empty());
        let labels = found.labels.or_else(|| known.map(|labels| labels.iter().map(ToString::to_string).collect()));
        let name = config.name.as_deref().unwrap_or_default();
        Ok(Self {
            name: config.config.as_ref().map_or(name.to_string(), |config| format!("{name}/{config}")),
            train: paths(&found.train),
            validation: found.validation.as_ref().map(paths),
            test: found.test.as_ref().map(paths),
            labels,
            promised: found.promised,
            notes: found.notes,
        })
    }
}

/// The names of all files below a folder, sorted.
fn names_below(root: &Path) -> Result<Vec<String>, DataError> {
    let (mut names, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        let refuse = |error: std::io::Error| DataError::Unreadable { path: folder.clone(), reason: error.to_string() };
        for entry in std::fs::read_dir(&folder).map_err(refuse)? {
            let path = entry.map_err(refuse)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(name) = path.strip_prefix(root) {
                names.push(name.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/"));
            }
        }
    }
    names.sort();
    Ok(names)
}
