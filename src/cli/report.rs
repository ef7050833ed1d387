//! `straggler report`: one page about a run or a sweep.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::run_folder::RunFolder;
use super::shell::quoted;
use super::{CliError, Console, Exit};
use crate::report::{ReportError, html};

/// Arguments of `report`.
#[derive(Debug, Clone, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    pub(super) run: RunFolder,
    /// Write the page here; without it, into the run's folder, with the figures drawn anew
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// Writes the page and prints where it is.
pub(super) fn execute(args: &ReportArgs, console: &Console) -> Result<(), CliError> {
    let run = args.run.find_any()?;
    let written = match &args.output {
        _ if html::is_sweep(&run) => {
            html::write_sweep(&run, &args.output.clone().unwrap_or_else(|| run.join("report.html")))
        }
        Some(file) => html::write_to(&run, file),
        None => html::write_with_figures(&run),
    };
    let file = written.map_err(|error| refusal(&run, error))?;
    match console.is_json() {
        true => console.result(json!({ "run": run, "report": file })),
        false => console.result(file.display()),
    }
}

/// Why the files of a run could not be read, or something be written, with the remedy.
pub(super) fn refusal(run: &Path, error: ReportError) -> CliError {
    match &error {
        ReportError::Malformed { message, .. } => {
            let refused = CliError::new(Exit::BadInput, "bad-run", &error);
            match message.starts_with("the columns are") {
                true => {
                    let lock = run.join("scenario.lock.yaml");
                    refused.help(format!(
                        "another version of straggler made this run; read it with that one, or repeat it: straggler run {}",
                        quoted(&lock)
                    ))
                }
                false => refused.help("the file was changed or damaged after the run"),
            }
        }
        ReportError::Read { .. }
        | ReportError::Altered { .. }
        | ReportError::Checkpoint { .. }
        | ReportError::UnderWay { .. } => CliError::new(Exit::BadInput, "bad-run", &error),
        ReportError::Write { .. } | ReportError::Name { .. } => CliError::of_place(error),
    }
}
