//! `straggler run`: simulates a scenario.

use std::path::Path;

use super::args::RunArgs;
use super::simulate::{Place, check_assertions, simulate};
use super::{CliError, Console};
use crate::report::summary_text;
use crate::scenario;

/// Runs it.
pub(super) fn execute(args: &RunArgs, console: &Console) -> Result<(), CliError> {
    let scenario = scenario::load(&args.scenario.input(), &args.scenario.overrides())?;
    let out = args.out.clone().unwrap_or_else(|| scenario.output().dir.clone().into());
    let found = simulate(&scenario, args.scenario.hub(), &Place::Under(out), console)?;
    match console.is_json() {
        true => console.result(found.summary.to_json().trim_end())?,
        false => console.result(summary_text(
            &found.summary,
            &found.directory,
            &next_steps(scenario.name(), &found.directory),
        ))?,
    }
    check_assertions(scenario.assertions(), &found)
}

/// Commands worth trying after a run.
fn next_steps(name: &str, directory: &Path) -> Vec<String> {
    let lock = directory.join("scenario.lock.yaml");
    let mut commands = vec![format!("straggler run {}    repeats it, byte for byte", lock.display())];
    if name == "quickstart" {
        commands.push("straggler run quickstart --set clients.dropout.during_train=0.3    what dropout does".into());
        commands.push("straggler run quickstart --set tuning=full    what full tuning costs in traffic".into());
        commands.push("straggler validate --explain quickstart    what the clients got and what a task costs".into());
    }
    commands
}
