//! `straggler schema`: the JSON Schema of a scenario.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::init::write;
use super::{CliError, Console};
use crate::scenario::json_schema;

/// Arguments of `schema`.
#[derive(Debug, Clone, Args)]
pub(super) struct SchemaArgs {
    /// Write it to this file, in place of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// Prints or writes it.
pub(super) fn execute(args: &SchemaArgs, console: &Console) -> Result<(), CliError> {
    let Some(path) = &args.output else { return console.result(schema_text().trim_end()) };
    write(path, &schema_text())?;
    match console.is_json() {
        true => console.result(json!({ "file": path.display().to_string() })),
        false => console.result(format_args!("wrote {}", path.display())),
    }
}

/// As the file holds it.
pub(super) fn schema_text() -> String {
    format!("{:#}\n", json_schema())
}
