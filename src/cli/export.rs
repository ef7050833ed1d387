//! `straggler export`: a run in the formats of other tools.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::report::refusal;
use super::run_folder::RunFolder;
use super::{CliError, Console, Exit};
use crate::report::export::{parquet, perfetto, tensorboard};
use crate::report::{ReportError, write_whole};

/// Arguments of `export`.
#[derive(Debug, Clone, Args)]
#[group(id = "formats", required = true, multiple = true, args = ["perfetto", "parquet", "tensorboard", "peft"])]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub(super) run: RunFolder,
    /// trace.json for <https://ui.perfetto.dev>: a track for each client, arrows, counters
    #[arg(long)]
    pub(super) perfetto: bool,
    /// timeline.parquet, rounds.parquet and clients.parquet
    #[arg(long)]
    pub(super) parquet: bool,
    /// An event file of TensorBoard, with simulated seconds as wall time
    #[arg(long)]
    pub(super) tensorboard: bool,
    /// The adapter of the best round in PEFT's layout
    #[arg(long)]
    pub(super) peft: bool,
    /// Folder for the files; without it, `trace.json`, `parquet`, `tensorboard` and `peft` in the run's folder
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
}

/// Writes what is asked for and prints where it is.
pub(super) fn execute(args: &ExportArgs, console: &Console) -> Result<(), CliError> {
    let run = args.run.find()?;
    let to = |name: &str| args.output.clone().unwrap_or_else(|| run.join(name));
    let failed = |error: ReportError| refusal(&run, error);
    let mut written = Vec::new();
    if args.perfetto {
        let file = args.output.clone().unwrap_or_else(|| run.clone()).join("trace.json");
        written.push(perfetto::write_to(&run, &file).map_err(failed)?);
    }
    if args.parquet {
        written.extend(parquet::write(&run, &to("parquet")).map_err(failed)?);
    }
    if args.tensorboard {
        written.push(tensorboard::write(&run, &to("tensorboard")).map_err(failed)?);
    }
    if args.peft {
        written.extend(copy_adapter(&run, &to("peft"))?);
    }
    if args.peft && !written.iter().any(|path| path.ends_with("adapter_config.json")) {
        let names: Vec<_> = written.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        console.note(format_args!(
            "PEFT cannot load this adapter: it has no type for what was trained. Written are {}: `delta.safetensors` has the \
             tensors under the names of transformers, to be put over those of the model; `straggler run FILE --init DIR` reads it",
            names.join(", ")
        ));
    }
    match console.is_json() {
        true => console.result(json!({ "run": run, "written": written })),
        false => {
            let lines: Vec<_> = written.iter().map(|path| path.display().to_string()).collect();
            console.result(lines.join("\n"))
        }
    }
}

/// Copies the files of `adapters/best`, which a run writes in PEFT's layout.
fn copy_adapter(run: &Path, to: &Path) -> Result<Vec<PathBuf>, CliError> {
    let best = run.join("adapters").join("best");
    let refused = |message: String| CliError::new(Exit::BadInput, "no-adapter", message);
    let entries = fs::read_dir(&best).map_err(|_| {
        refused(format!("`{}` has no adapter: there is no `{}`", run.display(), best.display()))
            .help("adapters come of runs that train for real (`compute.mode: real`) and come to their end")
    })?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.sort();
    let mut written = Vec::new();
    for file in files.iter().filter(|file| file.is_file()) {
        let target = to.join(file.file_name().expect("an entry of a folder has a name"));
        let content = fs::read(file).map_err(|error| refused(format!("cannot read `{}`: {error}", file.display())))?;
        write_whole(&target, &content).map_err(|error| refusal(run, error))?;
        written.push(target);
    }
    match written.is_empty() {
        true => Err(refused(format!("`{}` holds no files", best.display()))),
        false => Ok(written),
    }
}
