//! `straggler resume`: goes on with a run that was interrupted or killed, or branches from one.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::checkpoint::{self, Opened};
use super::run::tell;
use super::run_folder::RunFolder;
use super::shell::quoted;
use super::simulate::{Begun, check_assertions, go_on, hash_of, prepare, tell_latest};
use super::{CliError, Console, Exit};
use crate::hub::HubSettings;
use crate::report::{ResultsWriter, RunLog, checkpoints_of};
use crate::scenario::{self, Input, Overrides, Scenario};

/// Arguments of `resume`.
#[derive(Debug, Clone, Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    folder: RunFolder,
    /// Folder for the results of the new run [default: where runs are looked up]
    #[arg(long, value_name = "DIR", requires = "fork")]
    out: Option<PathBuf>,
    /// Go on from this checkpoint of the run, in place of its last
    #[arg(long, value_name = "NAME")]
    checkpoint: Option<String>,
    /// Leave the run as it is and go on in a new one, which may differ from here on
    #[arg(long)]
    fork: bool,
    /// Change one setting of the new run, such as `server.network.downlink=10 Mbps`
    #[arg(long, value_name = "KEY.PATH=VALUE", requires = "fork")]
    set: Vec<String>,
    /// Training threads [default: those of the run]
    #[arg(short = 'j', long, value_name = "N")]
    workers: Option<usize>,
    /// Use models and data sets of the hub from its cache alone
    #[arg(long)]
    offline: bool,
}

/// Settings that a branch may change: all that does not change what clients, models and values are.
const FORKABLE: [&str; 23] = [
    "name",
    "clients.train",
    "clients.devices",
    "clients.networks",
    "clients.regions",
    "clients.availability",
    "clients.dropout",
    "clients.crashes",
    "clients.outages",
    "clients.uploads",
    "server.rounds",
    "server.clients_per_round",
    "server.over_selection",
    "server.deadline",
    "server.min_updates",
    "server.below_min_updates",
    "server.late_updates",
    "server.give_up_after",
    "server.strategy",
    "server.selection",
    "server.network",
    "evaluation",
    "output",
];

/// Goes on.
pub(super) fn execute(args: &ResumeArgs, console: &Console) -> Result<(), CliError> {
    let directory = locate(&args.folder)?;
    // The page is what a run writes last.
    if !args.fork && directory.join("summary.json").exists() && directory.join("report.html").exists() {
        let message = format!("the run in `{}` is complete", directory.display());
        let repeat = format!("repeat it: straggler run {}", quoted(&directory.join("scenario.lock.yaml")));
        let help = match checkpoints_of(&directory)?.is_empty() {
            true => repeat,
            false => format!("branch from one of its checkpoints with --fork, or {repeat}"),
        };
        return Err(CliError::new(Exit::BadInput, "complete", message).help(help));
    }
    // A branch leaves the run as it is, and may begin while it is under way.
    let held = if args.fork { None } else { Some(RunLog::open(&directory)?) };
    let opened = checkpoint::open(&choose(&directory, args.checkpoint.as_deref())?)?;
    let path = directory.join("scenario.lock.yaml");
    let lock = fs::read_to_string(&path).map_err(|error| {
        CliError::new(Exit::BadInput, "resume", format!("cannot read `{}`: {error}", path.display()))
    })?;
    refuse_others(&opened, &lock, &path)?;
    let mut set = args.set.clone();
    set.extend(args.workers.map(|n| format!("compute.workers={n}")));
    let scenario = scenario::load(&Input::File(path.clone()), &Overrides { profiles: Vec::new(), set })?;
    let hub = HubSettings::from_env();
    let hub = HubSettings { is_offline: hub.is_offline || args.offline, ..hub };
    let round = opened.state.round;
    if args.fork {
        check_changes(&path, &scenario, &args.set, round)?;
    }
    let (setup, mut header) = prepare(&scenario, hub, console)?;
    console.note(format_args!("going on after round {round}, at {:.1} s", opened.state.at.as_secs_f64()));
    let (directory, lock, log) = match held {
        Some(log) => (directory, lock, log),
        None => {
            header.forked_from = Some(origin_of(&directory, opened.path()));
            let lock = scenario.to_lock_yaml(header);
            let out = args.out.as_ref().unwrap_or(&args.folder.results);
            let branch = branch(&directory, out, &scenario, &lock)?;
            let log = RunLog::open(&branch)?;
            tell_latest(&branch, console);
            (branch, lock, log)
        }
    };
    let begun = Begun { directory: &directory, log, lock: &lock, checkpoint: opened, is_fork: args.fork };
    let found = go_on(&scenario, &setup, begun, console)?;
    tell(&scenario, &found, !args.fork, console)?;
    check_assertions(scenario.assertions(), &found)
}

/// The folder of a run; `latest` is the latest of all.
fn locate(folder: &RunFolder) -> Result<PathBuf, CliError> {
    if folder.run.as_os_str() == "latest" && !folder.run.exists() {
        let scenarios = fs::read_dir(&folder.results).into_iter().flatten().flatten();
        let latest = scenarios.filter_map(|entry| entry.path().join("latest").canonicalize().ok());
        // Names begin with the time.
        let is_run = |path: &PathBuf| path.join("scenario.lock.yaml").is_file();
        if let Some(latest) = latest.filter(is_run).max_by_key(|path| path.file_name().map(ToOwned::to_owned)) {
            return Ok(latest);
        }
    }
    folder.find()
}

/// The checkpoint of that name, or the last one.
fn choose(directory: &Path, name: Option<&str>) -> Result<PathBuf, CliError> {
    let all = checkpoints_of(directory)?;
    let is_wanted = |path: &&PathBuf| name.is_none_or(|name| path.file_name().is_some_and(|found| found == name));
    if let Some(found) = all.iter().rev().find(is_wanted) {
        return Ok(found.clone());
    }
    let names: Vec<_> = all.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy())).collect();
    let (message, help) = match (name, names.as_slice()) {
        (_, []) => (
            format!("the run in `{}` has no checkpoint", directory.display()),
            "run it again from its lock file; `output.checkpoint_every` saves states as it goes".to_owned(),
        ),
        (name, names) => (
            format!("the run in `{}` has no checkpoint `{}`", directory.display(), name.unwrap_or_default()),
            format!("it has {}", names.join(" and ")),
        ),
    };
    Err(CliError::new(Exit::BadInput, "no-checkpoint", message).help(help))
}

/// Refuses a state that another program, or another scenario, left.
fn refuse_others(opened: &Opened, lock: &str, path: &Path) -> Result<(), CliError> {
    let bad = |message: String| CliError::new(Exit::BadInput, "checkpoint", message);
    let (found, here) = (&opened.state.straggler, env!("CARGO_PKG_VERSION"));
    if found != here {
        let message =
            format!("checkpoint `{}` was saved by straggler {found}, this is {here}", opened.path().display());
        return Err(bad(message).help(format!("go on with straggler {found}")));
    }
    match opened.state.scenario == hash_of(lock) {
        true => Ok(()),
        false => Err(bad(format!(
            "`{}` is not the scenario that checkpoint `{}` was saved with: it was altered since",
            path.display(),
            opened.path().display()
        ))
        .help("restore the file; to go on with other settings, use --fork with --set")),
    }
}

/// Refuses changes that a saved state cannot be gone on with.
fn check_changes(lock: &Path, scenario: &Scenario, set: &[String], round: u32) -> Result<(), CliError> {
    let bad = |message: String| CliError::new(Exit::BadInput, "fork", message);
    let input = Input::File(lock.to_owned());
    let values = |set: &[String]| {
        let overrides = Overrides { profiles: Vec::new(), set: set.to_vec() };
        let scenario = scenario::load(&input, &overrides)?;
        let values = scenario::explain(&scenario);
        Ok::<_, CliError>((scenario, values))
    };
    let ((origin, before), (_, after)) = (values(&[])?, values(set)?);
    let is_in = |list: &[scenario::ResolvedValue], one: &scenario::ResolvedValue| {
        list.iter().any(|other| other.path == one.path && other.value == one.value)
    };
    let changed =
        before.iter().filter(|one| !is_in(&after, one)).chain(after.iter().filter(|one| !is_in(&before, one)));
    for value in changed {
        let is_below = |setting: &&str| value.path == **setting || value.path.starts_with(&format!("{setting}."));
        if !FORKABLE.iter().any(is_below) {
            let message = format!("a branch cannot change `{}`", value.path);
            return Err(bad(message).help(format!("it can change {}", FORKABLE.join(", "))));
        }
    }
    let names = |scenario: &Scenario| {
        let devices = scenario.device_classes().keys().cloned().collect::<Vec<_>>();
        let networks = scenario.network_classes().keys().cloned().collect::<Vec<_>>();
        (devices, networks, scenario.regions().keys().cloned().collect::<Vec<_>>())
    };
    if names(&origin) != names(scenario) {
        return Err(bad("a branch keeps the classes of devices, networks and regions".into())
            .help("change the settings of a class, but add and remove none"));
    }
    let pace = |scenario: &Scenario| std::mem::discriminant(&scenario.strategy().implementation().pace());
    if pace(&origin) != pace(scenario) {
        return Err(bad(
            "a branch keeps the way in which models are made: in rounds, whenever enough updates are there, or \
                        in periods"
                .into(),
        )
        .help("choose a strategy that works as that of the run does"));
    }
    let sharing = |scenario: &Scenario| scenario.server_network().sharing.key();
    if sharing(&origin) != sharing(scenario) {
        return Err(bad("a branch keeps `server.network.sharing`, which moves the transfers in flight".into()));
    }
    if origin.metric() != scenario.metric() {
        return Err(bad("a branch keeps the metric, which names a column of `rounds.csv`".into()));
    }
    match scenario.rounds() > round {
        true => Ok(()),
        false => Err(bad(format!("round {round} is over, and the branch is to have {} rounds", scenario.rounds()))
            .help("raise server.rounds, or choose an earlier --checkpoint")),
    }
}

fn origin_of(directory: &Path, checkpoint: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{}/{}", name(&directory.canonicalize().unwrap_or(directory.to_owned())), name(checkpoint))
}

/// A folder for the new run, with what the run that it branches from has written.
fn branch(origin: &Path, out: &Path, scenario: &Scenario, lock: &str) -> Result<PathBuf, CliError> {
    let created = ResultsWriter::create(out, scenario.name(), &hash_of(lock), scenario.metric().key());
    let writer = created.map_err(CliError::of_place)?;
    writer.file("scenario.lock.yaml", lock.as_bytes())?;
    let directory = writer.directory().to_owned();
    drop(writer);
    for name in ["timeline.csv", "rounds.csv", "clients.csv", "perf.csv"] {
        fs::copy(origin.join(name), directory.join(name)).map_err(|error| {
            let message = format!("cannot copy `{}`: {error}", origin.join(name).display());
            CliError::new(Exit::Environment, "results", message)
        })?;
    }
    Ok(directory)
}
