//! Finding runs: in a run's folder, a sweep's, or one that holds several.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::CompareError;
use super::index::{CellStatus, SWEEP_LOCK_FILE, SweepIndex};
use super::run::Run;

/// A run that was found and is not compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its folder.
    pub folder: PathBuf,
    /// Why, in words that follow the folder's name.
    pub reason: String,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) runs: Vec<Run>,
    pub(super) left_out: Vec<LeftOut>,
    /// Sweeps that are not finished.
    pub(super) notes: Vec<String>,
    /// Folders as the system knows them, so that none counts twice.
    seen: BTreeSet<PathBuf>,
}

impl Found {
    /// Adds what a folder holds.
    pub(super) fn add(&mut self, folder: &Path) -> Result<(), CompareError> {
        if !folder.is_dir() {
            return Err(CompareError::NoFolder(folder.into()));
        }
        if self.add_if_any(folder)? {
            return Ok(());
        }
        let mut is_any = false;
        for inside in folders_in(folder) {
            is_any |= self.add_if_any(&inside)?;
        }
        if is_any { Ok(()) } else { Err(CompareError::NoRuns(folder.into())) }
    }

    /// Adds a run's folder or a sweep's. False when it is neither.
    fn add_if_any(&mut self, folder: &Path) -> Result<bool, CompareError> {
        if folder.join(SWEEP_LOCK_FILE).is_file() {
            self.add_sweep(folder)?;
            return Ok(true);
        }
        let is_run =
            ["summary.json", "rounds.csv", "scenario.lock.yaml"].iter().any(|file| folder.join(file).is_file());
        if is_run {
            self.add_run(folder, None);
        }
        Ok(is_run)
    }

    fn add_sweep(&mut self, folder: &Path) -> Result<(), CompareError> {
        // A sweep that was cut off before its first cell ended has no index yet.
        let is_begun = folder.join(super::INDEX_FILE).exists();
        let index = if is_begun { SweepIndex::read(folder)? } else { SweepIndex::default() };
        for row in &index.rows {
            let run = folder.join(row.folder());
            match row.status {
                CellStatus::Ok | CellStatus::AssertUnmet => self.add_run(&run, Some(&row.cell)),
                CellStatus::Failed => {
                    self.left_out.push(LeftOut { folder: run, reason: format!("it failed: {}", row.message) });
                }
            }
        }
        if let Some(state) = unfinished(folder, index.rows.len()) {
            self.notes.push(format!("the sweep in `{}` is {state}", folder.display()));
        }
        for cell in folders_in(&folder.join("cells")) {
            for run in folders_in(&cell) {
                if !index.rows.iter().any(|row| folder.join(row.folder()) == run) {
                    let reason = "it is not in index.csv: it was cut off, or is still running".into();
                    self.left_out.push(LeftOut { folder: run, reason });
                }
            }
        }
        Ok(())
    }

    fn add_run(&mut self, folder: &Path, cell: Option<&str>) {
        let known = folder.canonicalize().unwrap_or_else(|_| folder.into());
        if !self.seen.insert(known) {
            return;
        }
        match Run::read(folder, cell) {
            Ok(run) => self.runs.push(run),
            Err(reason) => self.left_out.push(LeftOut { folder: folder.into(), reason }),
        }
    }
}

/// `unfinished: 1 of 4 runs`, where the lock of a sweep's folder says that there are to be more runs than have ended.
pub(in crate::report) fn unfinished(folder: &Path, n_ended: usize) -> Option<String> {
    #[derive(Deserialize)]
    struct Planned {
        seeds: Vec<u64>,
        cells: Vec<IgnoredAny>,
    }
    let lock = std::fs::read_to_string(folder.join(SWEEP_LOCK_FILE)).ok()?;
    let planned: Planned = serde_saphyr::from_str(&lock).ok()?;
    let n_planned = planned.seeds.len() * planned.cells.len();
    (n_ended < n_planned).then(|| format!("unfinished: {n_ended} of {n_planned} runs"))
}

/// The folders in a folder, in the order of their names; links such as `latest` are not followed.
fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> =
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect();
    folders.sort();
    folders
}
