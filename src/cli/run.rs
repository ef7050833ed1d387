//! `straggler run`: simulates a scenario.

use super::args::RunArgs;
use super::{CliError, Console, Exit};
use crate::scenario;

/// Runs it.
pub(super) fn execute(args: &RunArgs, console: &Console) -> Result<(), CliError> {
    let scenario = scenario::load(&args.scenario.input(), &args.scenario.overrides())?;
    console.note(format_args!("{} is valid", scenario.name()));
    Err(CliError::new(Exit::RunFailed, "no-engine", "this build has no engine"))
}
