//! The folder of one repository in the cache.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{HubError, Progress, Repo, RepoFile, is_commit};

/// The folder of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RepoCache {
    cache: PathBuf,
    folder_name: String,
}

impl RepoCache {
    pub(super) fn new(cache: &Path, repo: &Repo) -> Self {
        Self { cache: cache.into(), folder_name: repo.folder() }
    }

    fn folder(&self) -> PathBuf {
        self.cache.join(&self.folder_name)
    }

    /// The commit that a revision stood for when it was last fetched.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.into());
        }
        let commit = fs::read_to_string(self.folder().join("refs").join(revision)).ok()?;
        Some(commit.trim().to_string()).filter(|commit| is_commit(commit))
    }

    /// Remembers which commit a branch or tag stands for.
    pub(super) fn write_ref(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if is_commit(revision) || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        write_whole(&self.folder().join("refs").join(revision), commit.as_bytes())
    }

    /// The folder of a commit's files.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit)
    }

    /// True when the file is in the cache.
    pub(super) fn has(&self, commit: &str, file: &str) -> bool {
        self.snapshot(commit).join(file).is_file()
    }

    /// The content with this etag.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(etag)
    }

    /// What came of this content before a download was cut.
    pub(super) fn incomplete(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(format!("{etag}.incomplete"))
    }

    /// The list of a commit's files, if this program has once seen it.
    pub(super) fn listing(&self, commit: &str) -> Option<Vec<RepoFile>> {
        serde_json::from_slice(&fs::read(self.listing_path(commit)).ok()?).ok()
    }

    /// Keeps the list of a commit's files.
    pub(super) fn write_listing(&self, commit: &str, files: &[RepoFile]) -> Result<(), HubError> {
        if self.listing(commit).is_some_and(|there| there == files) {
            return Ok(());
        }
        let content = serde_json::to_vec(files).expect("names and sizes are what JSON can hold");
        write_whole(&self.listing_path(commit), &content)
    }

    fn listing_path(&self, commit: &str) -> PathBuf {
        self.folder().join(".straggler").join(format!("{commit}.json"))
    }

    /// The files of a commit that are in the cache, sorted.
    pub(super) fn files(&self, commit: &str) -> Vec<RepoFile> {
        let root = self.snapshot(commit);
        let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let (Ok(meta), Ok(name)) = (fs::metadata(&path), path.strip_prefix(&root)) {
                    let name = name.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
                    found.push(RepoFile { name, size: Some(meta.len()), checksum: None });
                }
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Puts the content with this etag into a commit under its name.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), HubError> {
        let pointer = self.snapshot(commit).join(file);
        if pointer.is_file() {
            return Ok(());
        }
        make_folder_of(&pointer)?;
        if fs::symlink_metadata(&pointer).is_ok() {
            // a link to content that is gone
            fs::remove_file(&pointer).map_err(|source| failed(&pointer, source))?;
        }
        let ups = "../".repeat(2 + file.matches('/').count());
        point(&pointer, &format!("{ups}blobs/{etag}"), &self.blob(etag)).map_err(|source| failed(&pointer, source))
    }

    /// Waits until no other process brings the same content. The lock ends with the file that is returned; it is the one
    /// that `huggingface_hub` takes.
    pub(super) fn lock(&self, etag: &str, progress: &dyn Progress) -> Result<File, HubError> {
        let path = self.cache.join(".locks").join(&self.folder_name).join(format!("{etag}.lock"));
        make_folder_of(&path)?;
        let file = File::options().create(true).append(true).open(&path).map_err(|source| failed(&path, source))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => progress.note("another process is downloading the same file; waiting"),
            Err(TryLockError::Error(source)) => return Err(failed(&path, source)),
        }
        file.lock().map_err(|source| failed(&path, source))?;
        Ok(file)
    }
}

#[cfg(unix)]
fn point(pointer: &Path, relative: &str, _blob: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(relative, pointer)
}

/// Without links that anybody may make, a copy serves.
#[cfg(not(unix))]
fn point(pointer: &Path, _relative: &str, blob: &Path) -> io::Result<()> {
    fs::copy(blob, pointer).map(|_| ())
}

/// A failed use of the cache.
pub(super) fn failed(path: &Path, source: io::Error) -> HubError {
    HubError::Cache { path: path.into(), source }
}

/// Makes the folder that a file lies in.
pub(super) fn make_folder_of(path: &Path) -> Result<(), HubError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))
}

/// Writes a file so that others see it whole or not at all.
fn write_whole(path: &Path, content: &[u8]) -> Result<(), HubError> {
    make_folder_of(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Another process, or another thread of this one, may be writing the same.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let partial = path.with_file_name(format!(".{name}.{}.{number}", std::process::id()));
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(content)?;
        // or a crash may leave the name and no content
        file.sync_all()
    };
    write().map_err(|source| failed(&partial, source))?;
    fs::rename(&partial, path).map_err(|source| failed(path, source))
}

/// True for a name that stays inside the folder it is put in.
pub(super) fn is_safe_name(name: &str) -> bool {
    let path = Path::new(name);
    !name.is_empty()
        && !name.contains(['\\', '\0'])
        && !name.contains("//")
        && !name.ends_with('/')
        && path.components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::RepoKind;

    #[test]
    fn names_that_lead_out_of_the_cache_are_told_from_others() {
        for name in ["config.json", "data/train.csv", ".gitattributes", "a/b/c d.txt"] {
            assert!(is_safe_name(name), "{name}");
        }
        for name in ["", "/etc/passwd", "../a", "a/../b", "a//b", "a\\b", "a/"] {
            assert!(!is_safe_name(name), "{name}");
        }
    }

    #[test]
    fn a_damaged_or_outdated_listing_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let cache = RepoCache::new(dir.path(), &Repo::new(RepoKind::Model, "org/name", "main"));
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let file = |name: &str| RepoFile { name: name.into(), size: Some(1), checksum: None };
        cache.write_listing(commit, &[file("a")]).unwrap();
        fs::write(cache.listing_path(commit), "[{\"name").unwrap();
        assert_eq!(cache.listing(commit), None);
        for files in [vec![file("a")], vec![file("a"), file("b")]] {
            cache.write_listing(commit, &files).unwrap();
            assert_eq!(cache.listing(commit), Some(files));
        }
    }

    #[test]
    fn a_link_leads_from_any_depth_to_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repo::new(RepoKind::Model, "org/name", "main");
        let cache = RepoCache::new(dir.path(), &repo);
        let commit = "0123456789abcdef0123456789abcdef01234567";
        make_folder_of(&cache.blob("e1")).unwrap();
        fs::write(cache.blob("e1"), "content").unwrap();
        for name in ["a.txt", "one/two/b.txt"] {
            cache.link(commit, name, "e1").unwrap();
            assert_eq!(fs::read_to_string(cache.snapshot(commit).join(name)).unwrap(), "content");
        }
        let names: Vec<String> = cache.files(commit).into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["a.txt", "one/two/b.txt"]);
        assert_eq!(cache.commit("main"), None);
        cache.write_ref("main", commit).unwrap();
        assert_eq!(cache.commit("main").as_deref(), Some(commit));
    }
}
