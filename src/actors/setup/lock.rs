//! Whether what is here is what a lock file was written for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::{SetupError, kernel};
use crate::scenario::{LockHeader, Scenario};

/// Refuses a lock file that was written for something else than what is here.
pub(super) fn check_lock(
    scenario: &Scenario,
    model_hash: Option<&str>,
    model_settings_hash: &str,
    dataset_hash: Option<&str>,
) -> Result<(), SetupError> {
    let Some(lock) = scenario.lock() else { return Ok(()) };
    let pairs = [
        ("program version", Some(lock.straggler.as_str()), Some(env!("CARGO_PKG_VERSION"))),
        ("model", lock.model_hash.as_deref(), model_hash),
        (
            "model's configuration, tokenizer or image processor",
            lock.model_settings_hash.as_deref(),
            Some(model_settings_hash),
        ),
        ("data set", lock.dataset_hash.as_deref(), dataset_hash),
        ("arithmetic kernel", lock.kernel.as_deref(), Some(kernel(scenario.device()))),
    ];
    for (what, locked, found) in pairs {
        if let (Some(locked), Some(found)) = (locked, found)
            && locked != found
        {
            return Err(SetupError::Lock { what: what.into(), locked: locked.into(), found: found.into() });
        }
    }
    Ok(())
}

/// Refuses a lock file that was written for another input of this kind.
pub(super) fn check_locked(
    scenario: &Scenario,
    what: &'static str,
    locked: impl Fn(&LockHeader) -> Option<&str>,
    found: Option<&str>,
) -> Result<(), SetupError> {
    match (scenario.lock().and_then(locked), found) {
        (Some(locked), Some(found)) if locked != found => {
            Err(SetupError::Lock { what: what.into(), locked: locked.into(), found: found.into() })
        }
        _ => Ok(()),
    }
}

/// SHA-256 of each recording that the simulated world follows, by its path.
///
/// # Errors
/// A lock file was written for other contents, or a file cannot be read.
pub(super) fn recording_hashes(scenario: &Scenario) -> Result<BTreeMap<String, String>, SetupError> {
    let mut hashes = BTreeMap::new();
    for (setting, path) in scenario.recordings() {
        let found = hash_of(&path).map_err(|source| SetupError::Recording { setting: setting.clone(), source })?;
        let path = path.to_string_lossy().into_owned();
        if let Some(locked) = scenario.lock().and_then(|lock| lock.recording_hashes.get(&path))
            && *locked != found
        {
            let what = format!("recording (`{setting}: {path}`)");
            return Err(SetupError::Lock { what, locked: locked.clone(), found });
        }
        hashes.insert(path, found);
    }
    Ok(hashes)
}

fn hash_of(path: &std::path::Path) -> io::Result<String> {
    let (mut file, mut sha) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            n => sha.update(&buffer[..n]),
        }
    }
}
