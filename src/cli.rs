//! The command line, one file per verb.
//!
//! stdout carries the result only; stderr carries progress, warnings and errors. What went wrong decides the exit code:
//! see [`Exit`].

mod args;
mod check_grads;
mod checkpoint;
mod compare;
mod completions;
mod console;
mod error;
mod estimate;
mod explain;
mod export;
mod fetch;
mod import;
mod init;
mod interrupt;
mod list;
mod params;
mod prepare;
mod pretrain;
mod progress;
mod recorder;
mod report;
mod resume;
mod run;
mod run_folder;
mod run_log;
mod schema;
mod shell;
mod simulate;
mod sweep;
mod validate;
mod verb;

use std::process::ExitCode;

use args::Arguments;
pub use console::Console;
pub use error::{CliError, Exit};
use run::RunArgs;
use verb::Verb;

/// The scenario that a bare `straggler` runs.
pub const QUICKSTART: &str = include_str!("../scenarios/quickstart.yaml");

/// Reads the command line, does what it says, reports what went wrong.
pub fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(help_or_error) => {
            // an error of writing to a closed terminal has nowhere to go
            let _ = help_or_error.print();
            return if help_or_error.use_stderr() { Exit::BadInput.into() } else { ExitCode::SUCCESS };
        }
    };
    let console = Console::new(&arguments.global);
    let done = match arguments.verb.unwrap_or_else(|| Verb::Run(RunArgs::quickstart())) {
        Verb::Run(args) if args.dry_run => estimate::dry_run(&args, &console),
        Verb::Run(args) => run::execute(&args, &console),
        Verb::Resume(args) => resume::execute(&args, &console),
        Verb::Validate(args) => validate::execute(&args, &console),
        Verb::Sweep(args) => sweep::execute(&args, &console),
        Verb::Compare(args) => compare::execute(&args, &console),
        Verb::Report(args) => report::execute(&args, &console),
        Verb::Export(args) => export::execute(&args, &console),
        Verb::Fetch(args) => fetch::execute(&args, &console),
        Verb::CheckGrads(args) => check_grads::execute(&args, &console),
        Verb::Init(args) => init::execute(&args, &console),
        Verb::Schema(args) => schema::execute(&args, &console),
        Verb::Completions(args) => completions::completions(&args, &console),
        Verb::Man(args) => completions::man(&args, &console),
        Verb::List(args) => list::execute(&args, &console),
        Verb::Params(args) => params::execute(&args, &console),
        Verb::Pretrain(args) => pretrain::execute(&args, &console),
        Verb::Import(args) => import::execute(&args, &console),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.error(&error);
            error.exit().into()
        }
    }
}
