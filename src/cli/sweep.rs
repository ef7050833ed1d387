//! `straggler sweep`: one scenario at many points, with several seeds each.

mod cell;
mod folder;
mod outcome;
mod schedule;

use std::path::PathBuf;

use clap::Args;

use self::folder::Folder;
use super::args::ScenarioArgs;
use super::run::RunArgs;
use super::{CliError, Console, Exit};
use crate::scenario::sweep::{Sweep, SweepPart, load_sweep, parse_seeds};

/// Arguments of `sweep`.
#[derive(Debug, Clone, Args)]
pub(super) struct SweepArgs {
    /// A scenario file with a `sweep` section or `repeats`
    #[arg(value_name = "FILE", required_unless_present = "resume")]
    file: Option<PathBuf>,
    /// Change one setting of every cell, such as `server.rounds=20`, or the matrix: `sweep.matrix.tuning=[lora, ia3]`
    #[arg(long, value_name = "KEY.PATH=VALUE", requires = "file")]
    set: Vec<String>,
    /// Apply a profile of the file to every cell
    #[arg(long, value_name = "NAME", requires = "file")]
    profile: Vec<String>,
    /// Run each cell with these seeds: `42..44` (both included), or `1,5,9`
    #[arg(long, value_name = "SEEDS", requires = "file", value_parser = seeds)]
    seeds: Option<Seeds>,
    /// Training threads of all cells together [default: the scenario's `compute.workers`, or one per core]
    #[arg(short = 'j', long, value_name = "N")]
    workers: Option<usize>,
    /// What trains: cpu or cuda [default: the scenario's `compute.device`]
    #[arg(long, value_name = "DEVICE", requires = "file")]
    device: Option<String>,
    /// Simulate time and traffic only; train nothing
    #[arg(long, requires = "file")]
    timing_only: bool,
    /// Use models and data sets of the hub from its cache alone, as HF_HUB_OFFLINE=1 does
    #[arg(long)]
    offline: bool,
    /// Folder for the results, in place of the scenario's `output.dir`
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Go on with the sweep in this folder; with FILE, only if it is the same sweep
    #[arg(long, value_name = "FOLDER")]
    resume: Option<PathBuf>,
    /// List the cells, run nothing
    #[arg(long)]
    dry_run: bool,
}

/// Seeds as given on the command line.
#[derive(Debug, Clone)]
struct Seeds(Vec<u64>);

fn seeds(text: &str) -> Result<Seeds, String> {
    parse_seeds(text).map(Seeds)
}

impl SweepArgs {
    fn scenario(&self) -> ScenarioArgs {
        ScenarioArgs {
            file: self.file.clone().unwrap_or_default(),
            set: self.set.clone(),
            profile: self.profile.clone(),
            device: self.device.clone(),
            timing_only: self.timing_only,
            offline: self.offline,
            ..ScenarioArgs::default()
        }
    }
}

/// Runs it.
pub(super) fn execute(args: &SweepArgs, console: &Console) -> Result<(), CliError> {
    if args.workers == Some(0) {
        let error = CliError::new(Exit::BadInput, "out-of-range", "-j 0: at least one thread is needed");
        return Err(error.help("leave it out for one per core"));
    }
    let scenario = args.scenario();
    let seeds = args.seeds.as_ref().map(|seeds| seeds.0.as_slice());
    let written = match &args.file {
        Some(_) => Some(load_sweep(&scenario.input(), &scenario.overrides(), SweepPart::Whole, seeds)?),
        None => None,
    };
    let (sweep, folder) = match (&args.resume, written) {
        (Some(path), written) => {
            let (begun, folder) = Folder::open(path, written.as_ref(), !args.dry_run)?;
            // The same but for what decides nothing, such as the number of threads.
            (written.unwrap_or(begun), Some(folder))
        }
        (None, Some(sweep)) => (sweep, None),
        (None, None) => unreachable!("the command line asks for FILE or --resume"),
    };
    if args.dry_run {
        return outcome::list(&sweep, folder.as_ref(), console);
    }
    let folder = match folder {
        Some(folder) => folder,
        None => {
            let out = args.out.clone().unwrap_or_else(|| sweep.any_scenario().output().dir.clone().into());
            Folder::create(&out, &sweep, console)?
        }
    };
    carry_out(&sweep, folder, args.workers, &scenario, console)
}

/// `run` of a scenario with `repeats`: one cell, several seeds.
pub(super) fn repeat(args: &RunArgs, console: &Console) -> Result<(), CliError> {
    let sweep = load_sweep(&args.scenario.input(), &args.scenario.overrides(), SweepPart::Repeats, None)?;
    let out = args.out.clone().unwrap_or_else(|| sweep.any_scenario().output().dir.clone().into());
    let folder = Folder::create(&out, &sweep, console)?;
    carry_out(&sweep, folder, None, &args.scenario, console)
}

fn carry_out(
    sweep: &Sweep,
    mut folder: Folder,
    workers: Option<usize>,
    scenario: &ScenarioArgs,
    console: &Console,
) -> Result<(), CliError> {
    let any = sweep.any_scenario();
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let n_threads = workers.unwrap_or_else(|| any.workers().on(any.device(), n_cores)).max(1);
    let interrupted = schedule::run_all(sweep, &mut folder, n_threads, &scenario.hub(), console)?;
    outcome::tell(sweep, &folder, interrupted, console)
}
