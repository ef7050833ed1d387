//! The folder of a sweep: what it is made of, and what is done in it.

use std::path::{Path, PathBuf};

use crate::cli::simulate::tell_latest;
use crate::cli::{CliError, Console, Exit};
use crate::report::compare::{CellStatus, INDEX_FILE, IndexRow, SWEEP_LOCK_FILE, SweepIndex, run_folder};
use crate::report::{Hold, new_directory, write_whole};
use crate::scenario::sweep::{Sweep, SweepLockError, read_sweep_lock};

/// One run of a sweep: a cell, by its number, with a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) cell: usize,
    pub(super) seed: u64,
}

/// A sweep's folder with what its index says.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    settings: Vec<String>,
    /// Every run in the order of the cells, with its row once it has ended.
    pub(super) tasks: Vec<(Task, Option<IndexRow>)>,
    /// No other program runs cells here meanwhile; none where nothing is run.
    hold: Option<Hold>,
}

impl Folder {
    /// Makes the folder of a new sweep, `<out>/<name>/<UTC>-<hash4>`, with its lock and an empty index.
    pub(super) fn create(out: &Path, sweep: &Sweep, console: &Console) -> Result<Self, CliError> {
        let lock = sweep.to_lock_yaml();
        let path = new_directory(out, sweep.name(), &sweep.hash()).map_err(CliError::of_place)?;
        write_whole(&path.join(SWEEP_LOCK_FILE), lock.as_bytes())?;
        let mut folder = Self::new(path, sweep);
        folder.hold()?;
        folder.write_index()?;
        tell_latest(&folder.path, console);
        Ok(folder)
    }

    /// Opens the folder of a sweep that was begun. With `written`, what is begun must be just that. `is_to_run` says that cells
    /// will be run in it.
    pub(super) fn open(path: &Path, written: Option<&Sweep>, is_to_run: bool) -> Result<(Sweep, Self), CliError> {
        let refuse = |message: String, help: &str| Err(CliError::new(Exit::BadInput, "resume", message).help(help));
        let lock = path.join(SWEEP_LOCK_FILE);
        let text = match std::fs::read_to_string(&lock) {
            Ok(text) => text,
            Err(error) if path.is_dir() && error.kind() == std::io::ErrorKind::NotFound => {
                let message = format!("`{}` is no sweep's folder: it has no {SWEEP_LOCK_FILE}", path.display());
                return refuse(message, "give the folder that `straggler sweep` named, such as results/NAME/latest");
            }
            Err(_) if !path.is_dir() => {
                let help = "give the folder that `straggler sweep` named, such as results/NAME/latest";
                return refuse(format!("`{}` is no folder", path.display()), help);
            }
            Err(error) => return refuse(format!("cannot read `{}`: {error}", lock.display()), "check its permissions"),
        };
        let begun = match read_sweep_lock(&text) {
            Ok(begun) => begun,
            Err(SweepLockError::Cell(problems)) => return Err((*problems).into()),
            Err(error) => {
                let message = format!("cannot go on with `{}`: {error}", lock.display());
                return refuse(message, "run the sweep anew; a folder is gone on with as it was written");
            }
        };
        if let Some(difference) = written.and_then(|written| begun.difference(written)) {
            let message = format!("`{}` holds another sweep: {difference}", path.display());
            return refuse(message, "leave FILE out to go on with what was begun, or leave --resume out to begin anew");
        }
        let mut folder = Self::new(path.into(), &begun);
        if is_to_run {
            // Before the index is read: what another program runs changes it.
            folder.hold()?;
        }
        folder.read_index(&begun)?;
        Ok((begun, folder))
    }

    fn new(path: PathBuf, sweep: &Sweep) -> Self {
        let of_cell = |cell: usize| sweep.seeds().iter().map(move |&seed| (Task { cell, seed }, None));
        let tasks = (0..sweep.cells().len()).flat_map(of_cell).collect();
        Self { path, settings: sweep.settings().to_vec(), tasks, hold: None }
    }

    /// Keeps other programs from running cells in the folder, as long as this lives.
    ///
    /// # Errors
    /// When another one does.
    pub(super) fn hold(&mut self) -> Result<(), CliError> {
        self.hold = Some(Hold::of(&self.path)?);
        Ok(())
    }

    /// Takes over the rows of runs that are done; those that failed are tried again.
    fn read_index(&mut self, sweep: &Sweep) -> Result<(), CliError> {
        if !self.path.join(INDEX_FILE).exists() {
            return Ok(());
        }
        let index = SweepIndex::read(&self.path)?;
        for (task, row) in &mut self.tasks {
            let name = sweep.cells()[task.cell].name();
            let found = index.rows.iter().find(|found| found.cell == name && found.seed == task.seed);
            let is_done = |found: &&IndexRow| {
                found.status != CellStatus::Failed && self.path.join(found.folder()).join("summary.json").is_file()
            };
            *row = found.filter(is_done).cloned();
        }
        Ok(())
    }

    /// The folder of one run.
    pub(super) fn run(&self, sweep: &Sweep, task: Task) -> PathBuf {
        self.path.join(run_folder(sweep.cells()[task.cell].name(), task.seed))
    }

    /// Writes the index whole, in the order of the cells.
    pub(super) fn write_index(&self) -> Result<(), CliError> {
        let rows = self.tasks.iter().filter_map(|(_, row)| row.clone()).collect();
        Ok(SweepIndex { settings: self.settings.clone(), rows }.write(&self.path)?)
    }

    /// Runs that ended with this status.
    pub(super) fn count(&self, status: CellStatus) -> usize {
        self.tasks.iter().flat_map(|(_, row)| row).filter(|row| row.status == status).count()
    }
}
