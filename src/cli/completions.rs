//! `straggler completions` and `straggler man`: made from the description of the command line itself.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use serde_json::json;

use super::args::Arguments;
use super::{CliError, Console, Exit};

/// Arguments of `completions`.
#[derive(Debug, Clone, Args)]
pub(super) struct CompletionsArgs {
    /// The shell that completes
    #[arg(value_enum)]
    pub(super) shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
pub(super) struct ManArgs {
    /// Write one page for each verb into this folder; without it, the page of the program goes to stdout
    #[arg(value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

/// Prints the completions of a shell.
pub(super) fn completions(args: &CompletionsArgs, console: &Console) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::description(), "straggler", &mut script);
    console.result(String::from_utf8_lossy(&script).trim_end())
}

/// Prints or writes manual pages.
pub(super) fn man(args: &ManArgs, console: &Console) -> Result<(), CliError> {
    let mut command = Arguments::description();
    command.build();
    let Some(dir) = &args.dir else { return console.result(page(&command)?.trim_end()) };
    std::fs::create_dir_all(dir).map_err(|error| refused(dir, &error))?;
    let mut written = Vec::new();
    write(&command, "straggler", dir, &mut written)?;
    match console.is_json() {
        true => console.result(json!({ "files": written })),
        false => console.result(format_args!("wrote {} pages to {}", written.len(), dir.display())),
    }
}

/// The page of a verb, and those of the verbs below it.
fn write(command: &Command, name: &str, dir: &Path, written: &mut Vec<String>) -> Result<(), CliError> {
    let path = dir.join(format!("{name}.1"));
    std::fs::write(&path, page(command)?).map_err(|error| refused(&path, &error))?;
    written.push(path.display().to_string());
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        write(verb, &format!("{name}-{}", verb.get_name()), dir, written)?;
    }
    Ok(())
}

fn page(command: &Command) -> Result<String, CliError> {
    let mut page = Vec::new();
    let drawn = clap_mangen::Man::new(command.clone()).render(&mut page);
    drawn.map_err(|error| CliError::new(Exit::Environment, "write", error))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn refused(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(Exit::Environment, "write", format!("cannot write `{}`: {error}", path.display()))
        .help("check that the folder is there and can be written to")
}
