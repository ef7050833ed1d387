//! Whether what is here is what a lock file was written for.

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
            return Err(SetupError::Lock { what, locked: locked.into(), found: found.into() });
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
            Err(SetupError::Lock { what, locked: locked.into(), found: found.into() })
        }
        _ => Ok(()),
    }
}
