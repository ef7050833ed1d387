//! A folder of results is written by one program at a time: while it lives, it holds a file of the folder.
//!
//! The system lets go of the file when the program ends, however it ends: a run that was killed can be gone on with.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::ReportError;

/// The file of a sweep's folder that is held. A run's is its log.
const HELD_FILE: &str = ".lock";

/// The folder of a sweep that no other program writes to, until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold(#[expect(dead_code, reason = "what counts is that it is open")] File);

impl Hold {
    /// Takes hold of a folder.
    ///
    /// # Errors
    /// When another program holds it, or the file cannot be made.
    pub(crate) fn of(folder: &Path) -> Result<Self, ReportError> {
        let path = folder.join(HELD_FILE);
        let opened = File::options().write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(ReportError::write(&path))?;
        hold(&file, "sweep", folder)?;
        Ok(Self(file))
    }
}

/// Takes hold of an open file of a folder, until it is closed. `what` is a run or a sweep.
pub(super) fn hold(file: &File, what: &'static str, folder: &Path) -> Result<(), ReportError> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ReportError::UnderWay { what, folder: folder.into() }),
        // Some file systems of networks have no locks: a run is worth more there than the guard.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_until_it_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let held = Hold::of(folder.path()).unwrap();
        let refusal = Hold::of(folder.path()).unwrap_err();
        assert!(
            matches!(&refusal, ReportError::UnderWay { what: "sweep", folder: found } if found == folder.path()),
            "{refusal}"
        );
        drop(held);
        Hold::of(folder.path()).unwrap();
    }
}
