//! One simulation, from a checked scenario to a folder of results: what `run` and each cell of a sweep do.

mod finish;
mod remarks;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub(super) use self::finish::{Found, check_assertions};
use super::checkpoint::Opened;
use super::recorder::Recorder;
use super::shell::quoted;
use super::{CliError, Console, Exit, estimate, fetch, interrupt, run_log};
use crate::actors::setup::{self, Setup};
use crate::actors::world::{self, Outcome, WorldError};
use crate::data::CacheUse;
use crate::hub::HubSettings;
use crate::report::{LogEntry, ResultsWriter, RunLog, link_latest, remove_checkpoints_after};
use crate::scenario::{LockHeader, Mode, Scenario};

/// Where the files of a run go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// To `<folder>/<name>/<UTC>-<hash4>`, to which `<folder>/<name>/latest` then links.
    Under(PathBuf),
    /// To this very folder, which must not exist yet.
    Exactly(PathBuf),
}

/// Gathers what the scenario names, runs it and writes all of its files. Nothing goes to stdout, and the scenario's
/// assertions are left to [`check_assertions`].
pub(super) fn simulate(
    scenario: &Scenario,
    hub: HubSettings,
    place: &Place,
    console: &Console,
) -> Result<Found, CliError> {
    let (mut setup, header) = prepare(scenario, hub, console)?;
    estimate::before(scenario, &mut setup, console)?;
    let lock = scenario.to_lock_yaml(header);
    let hash = hash_of(&lock);
    let metric = scenario.metric();
    let mut writer = match place {
        Place::Under(out) => ResultsWriter::create(out, scenario.name(), &hash, metric.key()),
        Place::Exactly(directory) => ResultsWriter::create_exactly(directory, metric.key()),
    }
    .map_err(CliError::of_place)?;
    if !setup.plan.population.regions.is_empty() {
        writer.add_regions()?;
    }
    let log = RunLog::open(writer.directory())?;
    writer.file("scenario.lock.yaml", lock.as_bytes())?;
    run_log::begin(&log, scenario, &setup, &hash, None)?;
    if let Place::Under(_) = place {
        tell_latest(writer.directory(), console);
    }
    let mut recorder = Recorder::new(writer, log.clone(), scenario, hash, &setup.plan, console);
    let run = async |recorder: &mut Recorder<'_>| world::run(&setup.plan, recorder).await;
    let outcome = block_on(&mut recorder, run, scenario, console);
    let found = outcome.and_then(|outcome| results(scenario, &setup, &outcome, recorder, (&log, console)));
    run_log::end(&log, scenario, found)
}

/// Loads what a scenario names, and says what a lock file keeps of it.
pub(super) fn prepare(
    scenario: &Scenario,
    hub: HubSettings,
    console: &Console,
) -> Result<(Setup, LockHeader), CliError> {
    let inputs = fetch::gather(scenario, hub, console)?;
    let setup = super::prepare::prepare_to_run(scenario, &inputs)?;
    console.warnings(scenario);
    console.warn(&scenario.warnings_of(&setup.doubts));
    tell_notes(scenario, &setup, console);
    let header = LockHeader {
        straggler: env!("CARGO_PKG_VERSION").into(),
        model_commit: inputs.model_commit.clone(),
        model_hash: setup.model_hash.clone(),
        model_settings_hash: Some(setup.model_settings_hash.clone()),
        dataset_commit: inputs.dataset_commit.clone(),
        dataset_hash: setup.dataset_hash.clone(),
        partition_hash: setup.partition_hash.clone(),
        kernel: (scenario.mode() == Mode::Real).then(|| setup::kernel(scenario.device()).to_owned()),
        init_hash: setup.init_hash.clone(),
        recording_hashes: setup.recording_hashes.clone(),
        forked_from: None,
    };
    Ok((setup, header))
}

/// SHA-256 of a lock file.
pub(super) fn hash_of(lock: &str) -> String {
    Sha256::digest(lock.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs the world. A run that is interrupted has saved its state, and the error says how to go on with it.
fn block_on(
    recorder: &mut Recorder<'_>,
    run: impl AsyncFnOnce(&mut Recorder<'_>) -> Result<Outcome, WorldError>,
    scenario: &Scenario,
    console: &Console,
) -> Result<Outcome, CliError> {
    interrupt::watch(console);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| CliError::new(Exit::Environment, "runtime", error))?;
    match runtime.block_on(run(recorder)) {
        Err(error @ WorldError::Stopped { .. }) => {
            let exit = interrupt::exit().unwrap_or(Exit::Interrupted);
            let go_on = format!("straggler resume {}", quoted(recorder.directory()));
            Err(CliError::new(exit, "interrupted", error).help(format!("the state is saved; go on with: {go_on}")))
        }
        result => result.map_err(|error| CliError::of_run(error, scenario)),
    }
}

/// A run that was begun, and where it goes on.
pub(super) struct Begun<'a> {
    /// Its folder.
    pub(super) directory: &'a Path,
    /// Its log; who has it open is the only one that writes to the folder.
    pub(super) log: RunLog,
    /// Its `scenario.lock.yaml`.
    pub(super) lock: &'a str,
    pub(super) checkpoint: Opened,
    /// The scenario may differ from the one that was saved.
    pub(super) is_fork: bool,
}

/// Goes on with a run from a checkpoint, to its end. Its files are cut back to where they were then, and states that were
/// saved later are removed.
pub(super) fn go_on(
    scenario: &Scenario,
    setup: &Setup,
    begun: Begun<'_>,
    console: &Console,
) -> Result<Found, CliError> {
    let Begun { directory, log, lock, checkpoint, is_fork } = begun;
    let path = checkpoint.path().to_owned();
    let layout = setup.learner.as_ref().map(|learner| learner.layout());
    let from = run_log::saved(&path, checkpoint.state.round, checkpoint.state.at);
    let saved = checkpoint.decode(layout)?;
    if !is_fork {
        // Once the files are cut back, a later state no longer fits them.
        remove_checkpoints_after(&path)?;
    }
    let writer = ResultsWriter::reopen(directory, &saved.state.files)?;
    let hash = hash_of(lock);
    run_log::begin(&log, scenario, setup, &hash, Some(from))?;
    let mut recorder = Recorder::new(writer, log.clone(), scenario, hash, &setup.plan, console);
    recorder.restore(&saved, is_fork)?;
    let run = async |recorder: &mut Recorder<'_>| world::resume(&setup.plan, saved.snapshot, is_fork, recorder).await;
    let outcome = block_on(&mut recorder, run, scenario, console);
    let found = outcome.and_then(|outcome| results(scenario, setup, &outcome, recorder, (&log, console)));
    run_log::end(&log, scenario, found)
}

/// Lets `latest` lead to a folder of results. A run is worth no less without the link.
pub(super) fn tell_latest(directory: &Path, console: &Console) {
    if let Err(error) = link_latest(directory) {
        console.note(format_args!("no link leads to the new results: {error}"));
    }
}

/// Writes the results of a run that is over.
fn results(
    scenario: &Scenario,
    setup: &Setup,
    outcome: &Outcome,
    recorder: Recorder<'_>,
    (log, console): (&RunLog, &Console),
) -> Result<Found, CliError> {
    // A cell of a sweep is silent, and others may still be under way.
    if !console.is_quiet() {
        interrupt::finishing();
    }
    let found = finish::finish(scenario, setup, outcome, recorder)?;
    for message in remarks::of(scenario, outcome, &found) {
        console.note(&message);
        log.write(&LogEntry::Warning { message })?;
    }
    Ok(found)
}

/// What the user should know of the inputs before the run.
fn tell_notes(scenario: &Scenario, setup: &Setup, console: &Console) {
    match &setup.tokens {
        CacheUse::NotKept(reason) => {
            console.note(format_args!("the token ids cannot be kept for the next run: {reason}; see STRAGGLER_CACHE"));
        }
        CacheUse::Replaced => console.note("the kept token ids were damaged; they were made anew"),
        CacheUse::Read if console.is_verbose() => console.note("token ids as kept from an earlier run"),
        CacheUse::Read | CacheUse::Kept | CacheUse::Unused => {}
    }
    let is_own_checkpoint = !scenario.model().name.starts_with("builtin:");
    if is_own_checkpoint && !setup.unused_tensors.is_empty() {
        let n = setup.unused_tensors.len();
        console.note(format_args!("the checkpoint has {n} tensors that the encoder does not use: {}", names_of(setup)));
    }
    setup.notes.iter().for_each(|note| console.note(note));
}

fn names_of(setup: &Setup) -> String {
    const SHOWN: usize = 4;
    let shown = setup.unused_tensors.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if setup.unused_tensors.len() > SHOWN { format!("{shown}, …") } else { shown }
}
