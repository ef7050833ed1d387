//! One run of a sweep: from its start, or from where it was cut off.

use std::path::Path;

use crate::cli::checkpoint;
use crate::cli::simulate::{Begun, Found, Place, go_on, hash_of, prepare, simulate};
use crate::cli::{CliError, Console, Exit};
use crate::hub::HubSettings;
use crate::report::{RunLog, checkpoints_of};
use crate::scenario::Scenario;

/// Runs a cell in its folder. What an earlier try saved there is gone on with; what it left otherwise is cleared.
pub(super) fn run(scenario: &Scenario, hub: &HubSettings, place: &Path, console: &Console) -> Result<Found, CliError> {
    if place.exists() {
        if let Some(found) = from_checkpoint(scenario, hub, place, console)? {
            return Ok(found);
        }
        std::fs::remove_dir_all(place).map_err(|error| {
            CliError::new(Exit::Environment, "results", format!("cannot clear `{}`: {error}", place.display()))
        })?;
    }
    simulate(scenario, hub.clone(), &Place::Exactly(place.into()), console)
}

/// Goes on from the last checkpoint of this very scenario that is whole; none where there is no such.
fn from_checkpoint(
    scenario: &Scenario,
    hub: &HubSettings,
    place: &Path,
    console: &Console,
) -> Result<Option<Found>, CliError> {
    // What another program is writing here is neither gone on with nor cleared.
    let log = RunLog::open(place)?;
    // A run that came to its end without a row in the index is run anew: its last steps may be missing.
    if place.join("summary.json").exists() {
        return Ok(None);
    }
    let mut saved = checkpoints_of(place)?;
    let Ok(lock) = std::fs::read_to_string(place.join("scenario.lock.yaml")) else { return Ok(None) };
    while let Some(path) = saved.pop() {
        let Ok(opened) = checkpoint::open(&path) else { continue };
        if opened.state.straggler != env!("CARGO_PKG_VERSION") || opened.state.scenario != hash_of(&lock) {
            continue;
        }
        let (setup, header) = prepare(scenario, hub.clone(), console)?;
        if scenario.to_lock_yaml(header) != lock {
            return Ok(None);
        }
        let begun = Begun { directory: place, log, lock: &lock, checkpoint: opened, is_fork: false };
        return go_on(scenario, &setup, begun, console).map(Some);
    }
    Ok(None)
}
