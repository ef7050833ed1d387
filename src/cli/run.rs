//! `straggler run`: simulates a scenario.

use std::path::{Path, PathBuf};

use clap::Args;

use super::args::ScenarioArgs;
use super::shell::quoted;
use super::simulate::{Found, Place, check_assertions, simulate};
use super::{CliError, Console, Exit, sweep};
use crate::report::summary_text;
use crate::scenario::{self, Scenario};

/// Arguments of `run`.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) scenario: ScenarioArgs,
    /// Folder for the results, in place of the scenario's `output.dir`
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Say what the run would take in simulated time, trainings, traffic, host time and memory; run nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl RunArgs {
    /// What a bare `straggler` does.
    pub(super) fn quickstart() -> Self {
        let scenario = ScenarioArgs { file: "quickstart".into(), ..ScenarioArgs::default() };
        Self { scenario, ..Self::default() }
    }
}

/// Runs it.
pub(super) fn execute(args: &RunArgs, console: &Console) -> Result<(), CliError> {
    let scenario = scenario::load(&args.scenario.input(), &args.scenario.overrides())?;
    console.left_out_sweep(&scenario);
    if scenario.repeats() > 1 {
        return sweep::repeat(args, console);
    }
    let out = args.out.clone().unwrap_or_else(|| scenario.output().dir.clone().into());
    if let Some(origin) = scenario.lock().and_then(|lock| lock.forked_from.as_ref()) {
        let message = format!("this run branched from {origin}: its first rounds do not follow from this file");
        return Err(CliError::new(Exit::BadInput, "fork", message)
            .help("branch again: `straggler resume RUN --fork --checkpoint NAME --set …`"));
    }
    let found = simulate(&scenario, args.scenario.hub(), &Place::Under(out), console)?;
    tell(&scenario, &found, true, console)?;
    check_assertions(scenario.assertions(), &found)
}

/// Prints what a run found out. `is_repeatable` says that its lock file alone repeats it.
pub(super) fn tell(scenario: &Scenario, found: &Found, is_repeatable: bool, console: &Console) -> Result<(), CliError> {
    match console.is_json() {
        true => console.result(found.summary.to_json().trim_end()),
        false => console.result(summary_text(
            &found.summary,
            &found.directory,
            &next_steps(scenario.name(), &found.directory, is_repeatable),
        )),
    }
}

/// Commands worth trying after a run.
fn next_steps(name: &str, directory: &Path, is_repeatable: bool) -> Vec<String> {
    let lock = directory.join("scenario.lock.yaml");
    let open = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut commands = vec![format!("{open} {}    the run on a page", quoted(&directory.join("report.html")))];
    if is_repeatable {
        commands.push(format!("straggler run {}    repeats it, byte for byte", quoted(&lock)));
    }
    if name == "quickstart" {
        commands.push("straggler run quickstart --set clients.dropout.during_train=0.3    what dropout does".into());
        commands.push("straggler run quickstart --set tuning=full    what full tuning costs in traffic".into());
        commands.push("straggler validate --explain quickstart    what the clients got and what a task costs".into());
    }
    commands
}
