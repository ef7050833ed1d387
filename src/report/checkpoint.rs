//! Checkpoints of a run: folders under `checkpoints/` that are whole or absent, whose files are checksummed.
//!
//! What the files mean is the business of who writes them. `checkpoint.json` names each with its length and SHA-256.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ReportError;

/// Checkpoints that are kept of a run; older ones are removed.
const KEPT: usize = 2;
const MANIFEST: &str = "checkpoint.json";
/// Version of the format.
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    bytes: u64,
    sha256: String,
}

impl Entry {
    fn of(content: &[u8]) -> Self {
        let sha256 = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes: content.len() as u64, sha256 }
    }
}

/// The files of a checkpoint by name.
pub type CheckpointFiles = BTreeMap<String, Vec<u8>>;

fn folder(run: &Path) -> PathBuf {
    run.join("checkpoints")
}

/// Writes a checkpoint of the run in a folder, and removes all but the last two. The numbers in names must rise
/// in the order of time.
/// Gives the checkpoint's folder.
///
/// # Errors
/// When something cannot be written; the earlier checkpoints are still there then.
pub fn write_checkpoint(run: &Path, name: &str, files: &CheckpointFiles) -> Result<PathBuf, ReportError> {
    let parent = folder(run);
    let partial = parent.join(".partial");
    // Left by a run that was killed while it wrote.
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(ReportError::write(&partial))?;
    }
    fs::create_dir_all(&partial).map_err(ReportError::write(&partial))?;
    let manifest =
        Manifest { format: FORMAT, files: files.iter().map(|(name, file)| (name.clone(), Entry::of(file))).collect() };
    let manifest = serde_json::to_vec_pretty(&manifest).expect("texts and numbers are what JSON can hold");
    for (name, content) in files.iter().map(|(name, file)| (name.as_str(), file)).chain([(MANIFEST, &manifest)]) {
        let path = partial.join(name);
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
        written.map_err(ReportError::write(&path))?;
    }
    let whole = parent.join(name);
    // Of two states between which nothing was recorded, the later one is kept.
    if whole.exists() {
        fs::remove_dir_all(&whole).map_err(ReportError::write(&whole))?;
    }
    fs::rename(&partial, &whole).map_err(ReportError::write(&whole))?;
    let mut all = checkpoints_of(run)?;
    all.truncate(all.len().saturating_sub(KEPT));
    all.iter().filter(|old| **old != whole).try_for_each(|old| remove(old))?;
    Ok(whole)
}

fn remove(checkpoint: &Path) -> Result<(), ReportError> {
    fs::remove_dir_all(checkpoint).map_err(ReportError::write(checkpoint))
}

/// Removes the checkpoints of a run that were written after one of them.
///
/// # Errors
/// When one cannot be removed.
pub(crate) fn remove_checkpoints_after(checkpoint: &Path) -> Result<(), ReportError> {
    let run = checkpoint.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let later = checkpoints_of(run)?.into_iter().skip_while(|path| path != checkpoint).skip(1);
    later.collect::<Vec<_>>().iter().try_for_each(|path| remove(path))
}

/// What checkpoints are sorted by: the numbers in the name, whatever their digits, then the name.
fn age(checkpoint: &Path) -> (Vec<u64>, String) {
    let name = checkpoint.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let digits = name.split(|c: char| !c.is_ascii_digit());
    (digits.filter_map(|digits| digits.parse().ok()).collect(), name)
}

/// The checkpoints of the run in a folder, oldest first; none when there is no such folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn checkpoints_of(run: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let parent = folder(run);
    if !parent.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&parent).map_err(ReportError::read(&parent))? {
        let entry = entry.map_err(ReportError::read(&parent))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.path());
        }
    }
    found.sort_by_cached_key(|path| age(path));
    Ok(found)
}

/// Reads a checkpoint.
///
/// # Errors
/// When a file is missing, cut, altered or of another version of the format; the error names the checkpoint and the file.
pub fn read_checkpoint(path: &Path) -> Result<CheckpointFiles, ReportError> {
    let bad = |problem: String| ReportError::Checkpoint { path: path.into(), problem };
    let read = |name: &str| fs::read(path.join(name)).map_err(|error| bad(format!("cannot read `{name}`: {error}")));
    let manifest: Manifest = serde_json::from_slice(&read(MANIFEST)?)
        .map_err(|error| bad(format!("`{MANIFEST}` is cut or altered: {error}")))?;
    if manifest.format != FORMAT {
        return Err(bad(format!("it has format {}, and this program reads format {FORMAT}", manifest.format)));
    }
    let file = |(name, entry): (String, Entry)| {
        let content = read(&name)?;
        if entry.bytes != content.len() as u64 {
            return Err(bad(format!("`{name}` was cut: {} of {} bytes are there", content.len(), entry.bytes)));
        }
        match Entry::of(&content) == entry {
            true => Ok((name, content)),
            false => Err(bad(format!("`{name}` was altered: its checksum is another one"))),
        }
    };
    manifest.files.into_iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> CheckpointFiles {
        [("state.json", text), ("model.safetensors", "numbers")]
            .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
            .into()
    }

    #[test]
    fn the_last_two_are_kept_and_read_back() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(checkpoints_of(run.path()).unwrap(), Vec::<PathBuf>::new());
        for name in ["a", "b", "c", "c"] {
            write_checkpoint(run.path(), name, &files(name)).unwrap();
        }
        // What a kill leaves behind is no checkpoint.
        fs::create_dir(run.path().join("checkpoints/.partial")).unwrap();
        let kept = checkpoints_of(run.path()).unwrap();
        assert_eq!(kept, ["b", "c"].map(|name| run.path().join("checkpoints").join(name)));
        assert_eq!(read_checkpoint(&kept[1]).unwrap(), files("c"));
        write_checkpoint(run.path(), "d", &files("d")).unwrap();
        assert_eq!(checkpoints_of(run.path()).unwrap().len(), 2);
    }

    #[test]
    fn the_newest_is_the_one_with_the_highest_numbers_whatever_their_digits() {
        let run = tempfile::tempdir().unwrap();
        let names = [
            "round-999998-row-000000007",
            "round-999999-row-000000008",
            "round-1000000-row-999999999",
            "round-1000000-row-1000000000",
        ];
        let whole = |name: &&str| write_checkpoint(run.path(), name, &files(name)).unwrap();
        let written: Vec<PathBuf> = names.iter().map(whole).collect();
        assert_eq!(checkpoints_of(run.path()).unwrap(), written[2..]);
        // Of an earlier state, which stands behind the newer ones until they are removed: it stays all the same.
        let earlier = whole(&"round-000002-row-000000001");
        assert!(checkpoints_of(run.path()).unwrap().contains(&earlier));
        remove_checkpoints_after(&earlier).unwrap();
        assert_eq!(checkpoints_of(run.path()).unwrap(), [earlier]);
    }

    #[test]
    fn what_was_cut_altered_or_lost_is_refused_by_name() {
        let run = tempfile::tempdir().unwrap();
        let refusal = |name: &str, content: Option<&[u8]>| {
            let path = write_checkpoint(run.path(), "a", &files("some state")).unwrap();
            match content {
                Some(content) => fs::write(path.join(name), content).unwrap(),
                None => fs::remove_file(path.join(name)).unwrap(),
            }
            read_checkpoint(&path).unwrap_err().to_string()
        };
        let cut = refusal("state.json", Some(b"some"));
        assert!(cut.contains("checkpoints/a`: `state.json` was cut: 4 of 10 bytes"), "{cut}");
        let altered = refusal("model.safetensors", Some(b"numberz"));
        assert!(altered.contains("`model.safetensors` was altered"), "{altered}");
        assert!(refusal("model.safetensors", None).contains("cannot read `model.safetensors`"));
        assert!(refusal(MANIFEST, Some(b"{\"format\": 1, ")).contains("`checkpoint.json` is cut or altered"));
        let newer = refusal(MANIFEST, Some(b"{\"format\": 2, \"files\": {}}"));
        assert!(newer.contains("it has format 2, and this program reads format 1"), "{newer}");
    }
}
