//! `straggler pretrain`: makes the built-in encoder.

use super::args::PretrainArgs;
use super::{CliError, Console, Exit};

/// Pretrains and writes the folder.
pub(super) fn execute(args: &PretrainArgs, console: &Console) -> Result<(), CliError> {
    console.note(format_args!("{} sentences, {} epochs, seed {}", args.sentences, args.epochs, args.seed));
    Err(CliError::new(Exit::RunFailed, "no-engine", format!("nothing is written to {}", args.out.display())))
}
