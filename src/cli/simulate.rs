//! One simulation, from a checked scenario to a folder of results: what `run` and each cell of a sweep do.

mod finish;

use std::path::PathBuf;

use sha2::{Digest, Sha256};

pub(super) use self::finish::{Found, check_assertions};
use super::recorder::Recorder;
use super::{CliError, Console, Exit, fetch};
use crate::actors::setup::{self, Setup};
use crate::actors::world;
use crate::data::CacheUse;
use crate::hub::HubSettings;
use crate::report::ResultsWriter;
use crate::scenario::{LockHeader, Mode, Scenario};

/// Where the files of a run go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// To `<folder>/<name>/<UTC>-<hash4>`, to which `<folder>/<name>/latest` then links.
    Under(PathBuf),
    /// To this very folder, which must not exist yet.
    #[allow(dead_code)]
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
    let inputs = fetch::gather(scenario, hub, console)?;
    let setup = setup::prepare(scenario, &inputs)?;
    tell_notes(scenario, &setup, console);
    let lock = scenario.to_lock_yaml(LockHeader {
        straggler: env!("CARGO_PKG_VERSION").into(),
        model_commit: inputs.model_commit.clone(),
        model_hash: setup.model_hash.clone(),
        dataset_commit: inputs.dataset_commit.clone(),
        dataset_hash: setup.dataset_hash.clone(),
        kernel: (scenario.mode() == Mode::Real).then(|| setup::kernel(scenario.device()).to_owned()),
        init_hash: setup.init_hash.clone(),
    });
    let metric = scenario.metric();
    let writer = match place {
        Place::Under(out) => {
            let hash: String =
                Sha256::digest(lock.as_bytes()).iter().take(2).map(|byte| format!("{byte:02x}")).collect();
            ResultsWriter::create(out, scenario.name(), &hash, metric.key())?
        }
        Place::Exactly(directory) => ResultsWriter::create_exactly(directory, metric.key())?,
    };
    writer.file("scenario.lock.yaml", lock.as_bytes())?;

    let workers = setup.plan.learning.as_ref().map_or(0, |learning| learning.workers as u32);
    let target = scenario.evaluation().target;
    let mut recorder = Recorder::new(
        writer,
        console,
        metric,
        target,
        scenario.rounds(),
        workers,
        setup.plan.population.counts_energy(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| CliError::new(Exit::Environment, "runtime", error))?;
    let outcome = runtime.block_on(world::run(&setup.plan, &mut recorder))?;
    finish::finish(scenario, &setup, &outcome, recorder)
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
