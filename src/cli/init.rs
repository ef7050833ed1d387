//! `straggler init`: writes a scenario to start from.

mod presets;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

pub(super) use self::presets::Preset;
use super::schema::schema_text;
use super::{CliError, Console, Exit};
use crate::report::name_problem;

/// The schema's file, as the starter's first line names it.
const SCHEMA_FILE: &str = "scenario.schema.json";

/// Arguments of `init`.
#[derive(Debug, Clone, Args)]
pub(super) struct InitArgs {
    /// The file to write; its name becomes the scenario's
    #[arg(value_name = "FILE", default_value = "scenario.yaml")]
    pub(super) file: PathBuf,
    /// What the scenario is about
    #[arg(long, value_enum, default_value = "text")]
    pub(super) preset: Preset,
    /// Replace files that exist
    #[arg(long)]
    pub(super) force: bool,
}

/// Writes the starter, and beside it the schema that editors read.
pub(super) fn execute(args: &InitArgs, console: &Console) -> Result<(), CliError> {
    let file = &args.file;
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(problem) = name_problem(&name) {
        let message = format!("`{}` cannot name a scenario: {}", file.display(), problem.message);
        return Err(CliError::new(Exit::BadInput, "bad-name", message).help("write `straggler init study.yaml`"));
    }
    if !args.force && file.exists() {
        let message = format!("`{}` is there already", file.display());
        return Err(CliError::new(Exit::BadInput, "exists", message).help("name another file, or add --force"));
    }
    write(file, &args.preset.starter(&file.display().to_string(), &name))?;
    let schema_file = file.with_file_name(SCHEMA_FILE);
    let schema = schema_text();
    let found = std::fs::read_to_string(&schema_file).ok();
    match found {
        Some(found) if found == schema => {}
        Some(_) if !args.force => console.note(format_args!(
            "`{}` is of another version and stays; `straggler schema -o` replaces it",
            schema_file.display()
        )),
        _ => write(&schema_file, &schema)?,
    }
    if console.is_json() {
        let (file, schema) = (file.display().to_string(), schema_file.display().to_string());
        return console.result(json!({ "file": file, "schema": schema }));
    }
    console.result(format_args!(
        "wrote {file}, and {schema} for editors\n\n  straggler run {file}\n  straggler validate --explain {file}",
        file = file.display(),
        schema = schema_file.display()
    ))
}

/// Writes a whole file.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text).map_err(|error| {
        CliError::new(Exit::Environment, "write", format!("cannot write `{}`: {error}", path.display()))
            .help("check that the folder is there and can be written to")
    })
}
