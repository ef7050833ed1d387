//! What a run writes to its `log.jsonl` at its start and at its end.

use std::path::Path;

use super::CliError;
use super::simulate::{Found, check_assertions};
use crate::actors::setup::{self, Setup};
use crate::report::{LogCheckpoint, LogEntry, ReportError, RunLog, Status};
use crate::scenario::{Diagnostics, Mode, Scenario};
use crate::units::SimTime;

/// Says what begins, or goes on from a checkpoint. `hash` is that of the run's lock file.
pub(super) fn begin(
    log: &RunLog,
    scenario: &Scenario,
    setup: &Setup,
    hash: &str,
    from: Option<LogCheckpoint>,
) -> Result<(), ReportError> {
    log.write(&LogEntry::Start {
        straggler: env!("CARGO_PKG_VERSION").into(),
        scenario: scenario.name().into(),
        scenario_sha256: hash.into(),
        seed: scenario.seed(),
        workers: setup.plan.learning.as_ref().map_or(0, |learning| learning.workers as u32),
        kernel: (scenario.mode() == Mode::Real).then(|| setup::kernel(scenario.device()).to_owned()),
        rounds: scenario.rounds(),
        from,
    })?;
    let told = [scenario.warnings(), scenario.left_out_sweep(), scenario.warnings_of(&setup.doubts)];
    let of_scenario = told.iter().flat_map(Diagnostics::list).map(|warning| warning.message().to_owned());
    for message in of_scenario.chain(setup.notes.iter().map(ToString::to_string)) {
        log.write(&LogEntry::Warning { message })?;
    }
    Ok(())
}

/// A state that was saved in a folder.
pub(super) fn saved(folder: &Path, round: u32, at: SimTime) -> LogCheckpoint {
    let checkpoint = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    LogCheckpoint { checkpoint, round, sim_time_s: at.as_secs_f64() }
}

/// Says how the run ended, and gives that back.
pub(super) fn end(log: &RunLog, scenario: &Scenario, ended: Result<Found, CliError>) -> Result<Found, CliError> {
    let wrong = match &ended {
        Ok(found) => check_assertions(scenario.assertions(), found).err(),
        Err(error) => Some(error.clone()),
    };
    let status = match &ended {
        Ok(_) => Status::Completed,
        Err(error) if error.is_interruption() => Status::Interrupted,
        Err(_) => Status::Failed,
    };
    let exit = wrong.as_ref().map_or(0, |error| error.exit() as u8);
    let written = log.write(&LogEntry::End { status, exit, message: wrong.map(|error| error.message()) });
    let found = ended?;
    written?;
    Ok(found)
}
