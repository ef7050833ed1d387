//! `straggler import`: traces of other projects into our CSV files.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{CliError, Console, Exit};
use crate::import::{self, ImportError, Recorded};

/// Arguments of `import`.
#[derive(Debug, Clone, Args)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    pub(super) source: ImportSource,
}

/// What is imported.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum ImportSource {
    /// FedScale's pickle `client_device_capacity`: latency and bandwidth of each client
    FedscaleCapacity(CapacityImport),
    /// FedScale's pickle `client_behave_trace`: when each client is active
    FedscaleAvailability(AvailabilityImport),
    /// FLASH's `state_traces.json`: phones that are locked, charging and on Wi-Fi
    Flash(AvailabilityImport),
}

/// From where, to where.
#[derive(Debug, Clone, Args)]
pub(super) struct ImportTarget {
    /// The file to read
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The CSV file to write
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// Number the clients from 0 in the order of their ids, for `assign: by_id`
    #[arg(long)]
    pub(super) renumber: bool,
    /// Replace files that exist
    #[arg(long)]
    pub(super) force: bool,
}

/// Arguments of `import fedscale-capacity`.
#[derive(Debug, Clone, Args)]
pub(super) struct CapacityImport {
    #[command(flatten)]
    pub(super) target: ImportTarget,
    /// Also write the clients' bandwidth here
    #[arg(long, value_name = "FILE")]
    pub(super) bandwidth: Option<PathBuf>,
    /// Training takes this many times the latency in the file, which is of inference; FedScale takes 3
    #[arg(long, value_name = "FACTOR", default_value_t = 3.0)]
    pub(super) training_factor: f64,
}

/// Arguments of `import fedscale-availability` and `import flash`.
#[derive(Debug, Clone, Args)]
pub(super) struct AvailabilityImport {
    #[command(flatten)]
    pub(super) target: ImportTarget,
    /// Also write what was recorded of each client here, for the trace's `devices_file`
    #[arg(long, value_name = "FILE")]
    pub(super) spans: Option<PathBuf>,
}

/// Reads one file, writes one or two.
pub(super) fn execute(args: &ImportArgs, console: &Console) -> Result<(), CliError> {
    match &args.source {
        ImportSource::FedscaleCapacity(args) => capacity(args, console),
        ImportSource::FedscaleAvailability(args) => availability(args, import::fedscale_availability, console),
        ImportSource::Flash(args) => availability(args, import::flash_availability, console),
    }
}

fn capacity(args: &CapacityImport, console: &Console) -> Result<(), CliError> {
    if !(args.training_factor > 0.0 && args.training_factor.is_finite()) {
        let message = format!("--training-factor {} is not above 0", args.training_factor);
        return Err(CliError::new(Exit::BadInput, "out-of-range", message));
    }
    let target = &args.target;
    let bytes = read(target, args.bandwidth.as_deref())?;
    let clients = import::fedscale_capacity(&bytes, args.training_factor).map_err(|error| failed(target, &error))?;
    let fail = |error: ImportError| failed(target, &error);
    let mut written = Vec::new();
    let n = import::write_devices(&target.output, &clients, target.renumber, target.force).map_err(fail)?;
    written.push((target.output.as_path(), n));
    if let Some(path) = &args.bandwidth {
        let n = import::write_bandwidth(path, &clients, target.renumber, target.force).map_err(fail)?;
        written.push((path, n));
    }
    tell(clients.len(), &written, &[], console)
}

fn availability(
    args: &AvailabilityImport,
    parse: impl Fn(&[u8]) -> Result<Recorded, ImportError>,
    console: &Console,
) -> Result<(), CliError> {
    let target = &args.target;
    let bytes = read(target, args.spans.as_deref())?;
    let fail = |error: ImportError| failed(target, &error);
    let recorded = parse(&bytes).map_err(fail)?;
    let devices = &recorded.devices;
    let mut written = Vec::new();
    let n = import::write_availability(&target.output, devices, target.renumber, target.force).map_err(fail)?;
    written.push((target.output.as_path(), n));
    if let Some(path) = &args.spans {
        let n = import::write_spans(path, devices, target.renumber, target.force).map_err(fail)?;
        written.push((path, n));
    }
    tell(devices.len(), &written, &recorded.notes, console)
}

/// The input, once it is certain that the outputs may be written: nothing is done by halves.
fn read(target: &ImportTarget, second: Option<&Path>) -> Result<Vec<u8>, CliError> {
    let outputs = [Some(target.output.as_path()), second];
    let places = outputs.map(|path| path.map(resolved));
    if places[0] == places[1] {
        let message = format!("`{}` would hold both files", target.output.display());
        return Err(CliError::new(Exit::BadInput, "import", message).help("name two files"));
    }
    let input = resolved(&target.file);
    let is_read = |(_, place): &(&Path, PathBuf)| *place == input;
    if let Some((path, _)) = outputs.into_iter().flatten().zip(places.into_iter().flatten()).find(is_read) {
        let message = format!("`{}` is the file that is read", path.display());
        return Err(CliError::new(Exit::BadInput, "import", message).help("name another file to write"));
    }
    for path in outputs.into_iter().flatten().filter(|path| path.exists()) {
        if !target.force {
            return Err(failed(target, &ImportError::Exists { path: path.display().to_string() }));
        }
    }
    std::fs::read(&target.file).map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file".to_string(),
            _ => error.to_string(),
        };
        CliError::new(Exit::BadInput, "missing-file", format!("cannot read `{}`: {reason}", target.file.display()))
    })
}

/// Where a path leads, also where nothing is yet: two that are written in different ways may be one.
fn resolved(path: &Path) -> PathBuf {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let of_new = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(of_new).unwrap_or_else(|| path.to_owned())
}

fn failed(target: &ImportTarget, error: &ImportError) -> CliError {
    let (exit, help) = match error {
        ImportError::Exists { .. } => (Exit::BadInput, Some("name another file, or add --force to replace it")),
        ImportError::Write { .. } => (Exit::Environment, None),
        ImportError::Object { .. } => {
            (Exit::BadInput, Some("nothing of it was run; write the file again with plain numbers, such as `float(x)`"))
        }
        _ => (Exit::BadInput, None),
    };
    let message = match error {
        ImportError::Exists { .. } | ImportError::Write { .. } => error.to_string(),
        _ => format!("{}: {error}", target.file.display()),
    };
    let error = CliError::new(exit, "import", message);
    match help {
        Some(help) => error.help(help),
        None => error,
    }
}

fn tell(n_clients: usize, written: &[(&Path, usize)], notes: &[String], console: &Console) -> Result<(), CliError> {
    if console.is_json() {
        let files: Vec<_> = written.iter().map(|(path, n)| json!({ "file": path, "rows": n })).collect();
        return console.result(json!({ "clients": n_clients, "written": files, "notes": notes }));
    }
    for note in notes {
        console.note(note);
    }
    for (path, n) in written {
        console.result(format_args!("{}: {n} rows, {n_clients} clients", path.display()))?;
    }
    Ok(())
}
