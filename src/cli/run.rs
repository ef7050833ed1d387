//! `straggler run`: simulates a scenario.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::args::RunArgs;
use super::recorder::{Evaluated, Recorder, to_millijoules};
use super::{CliError, Console, Exit, fetch};
use crate::actors::plan::Plan;
use crate::actors::setup::{self, Setup, SetupError};
use crate::actors::world::{self, Outcome, WorldError};
use crate::data::CacheUse;
use crate::hub::HubError;
use crate::model::ModelError;
use crate::petuning::TuningError;
use crate::report::{
    ClientRow, EnergySpent, ReportError, ResultsWriter, SCHEMA_VERSION, Status, Summary, Target, Test, Traffic,
    Updates, Validation, figures, summary_text,
};
use crate::scenario::{self, Assertion, LockHeader, Mode, Outcome as Asserted, Scenario};
use crate::training::{Evaluation, Learner, Split, TrainingError};

/// Runs it.
pub(super) fn execute(args: &RunArgs, console: &Console) -> Result<(), CliError> {
    let scenario = scenario::load(&args.scenario.input(), &args.scenario.overrides())?;
    let inputs = fetch::gather(&scenario, args.scenario.hub(), console)?;
    let setup = setup::prepare(&scenario, &inputs)?;
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
        console
            .note(format_args!("the checkpoint has {n} tensors that the encoder does not use: {}", names_of(&setup)));
    }
    setup.notes.iter().for_each(|note| console.note(note));
    let lock = scenario.to_lock_yaml(LockHeader {
        straggler: env!("CARGO_PKG_VERSION").into(),
        model_commit: inputs.model_commit.clone(),
        model_hash: setup.model_hash.clone(),
        dataset_commit: inputs.dataset_commit.clone(),
        dataset_hash: setup.dataset_hash.clone(),
        kernel: (scenario.mode() == Mode::Real).then(|| setup::kernel(scenario.device()).to_owned()),
        init_hash: setup.init_hash.clone(),
    });
    let hash: String = Sha256::digest(lock.as_bytes()).iter().take(2).map(|byte| format!("{byte:02x}")).collect();
    let out = args.out.clone().unwrap_or_else(|| scenario.output().dir.clone().into());
    let metric = scenario.metric();
    let writer = ResultsWriter::create(&out, scenario.name(), &hash, metric.key())?;
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
    let found = finish(&scenario, &setup, &outcome, recorder)?;
    match console.is_json() {
        true => console.result(found.summary.to_json().trim_end())?,
        false => console.result(summary_text(
            &found.summary,
            &found.directory,
            &next_steps(scenario.name(), &found.directory),
        ))?,
    }
    check_assertions(scenario.assertions(), &found)
}

/// Commands worth trying after a run.
fn next_steps(name: &str, directory: &Path) -> Vec<String> {
    let lock = directory.join("scenario.lock.yaml");
    let mut commands = vec![format!("straggler run {}    repeats it, byte for byte", lock.display())];
    if name == "quickstart" {
        commands.push("straggler run quickstart --set clients.dropout.during_train=0.3    what dropout does".into());
        commands.push("straggler run quickstart --set tuning=full    what full tuning costs in traffic".into());
        commands.push("straggler validate --explain quickstart    what the clients got and what a task costs".into());
    }
    commands
}

fn names_of(setup: &Setup) -> String {
    const SHOWN: usize = 4;
    let shown = setup.unused_tensors.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if setup.unused_tensors.len() > SHOWN { format!("{shown}, …") } else { shown }
}

/// What a run found out.
struct Found {
    summary: Summary,
    directory: std::path::PathBuf,
    best: Option<Evaluation>,
    last: Option<Evaluation>,
    test: Option<Evaluation>,
}

/// Evaluates the best model on the test split, and writes all that is written at the end.
fn finish(scenario: &Scenario, setup: &Setup, outcome: &Outcome, recorder: Recorder<'_>) -> Result<Found, CliError> {
    let (best, last, reached) = (recorder.best.clone(), recorder.last.clone(), recorder.reached);
    let mut writer = recorder.into_writer();
    write_clients(&mut writer, &setup.plan, outcome)?;
    let metric = scenario.metric();
    let mut test = None;
    if let (Some(learner), Some(best), Some(last)) = (&setup.learner, &best, &last) {
        write_adapters(learner, best, last, outcome, writer.directory())?;
        if learner.has_test() {
            let evaluation = learner.evaluate(&best.params, Split::Test);
            test = Some(evaluation.map_err(|error| CliError::new(Exit::RunFailed, "test", error))?);
        }
    }
    let totals = &outcome.totals;
    let mut dropped = std::collections::BTreeMap::new();
    for ((reason, _), n) in &totals.dropped {
        *dropped.entry(*reason).or_insert(0) += n;
    }
    let value = |evaluation: &Evaluation| metric.of(evaluation);
    let summary = Summary {
        schema_version: SCHEMA_VERSION,
        name: scenario.name().into(),
        seed: scenario.seed(),
        status: Status::Completed,
        rounds: scenario.rounds(),
        sim_time: outcome.end,
        metric: best.is_some().then(|| metric.key().into()),
        validation: best.as_ref().zip(last.as_ref()).map(|(best, last)| Validation {
            best_round: best.round,
            best: value(&best.evaluation),
            last: value(&last.evaluation),
        }),
        test: best.as_ref().zip(test.as_ref()).map(|(best, test)| Test { round: best.round, value: value(test) }),
        target: scenario.evaluation().target.map(|target| Target {
            value: target,
            reached_round: reached.map(|reached| reached.round),
            sim_time: reached.map(|reached| reached.at),
            bytes: reached.map(|reached| reached.bytes),
        }),
        updates: Updates {
            selected: totals.selected,
            aggregated: totals.aggregated,
            late: totals.late.values().sum(),
            dropped,
            rejected: totals.rejected.clone(),
        },
        bytes: Traffic { up: totals.bytes_up, down: totals.bytes_down, wasted: totals.bytes_wasted },
        energy: setup.plan.population.counts_energy().then(|| EnergySpent {
            total: to_millijoules(totals.energy_j),
            wasted: to_millijoules(totals.energy_wasted_j),
        }),
    };
    writer.flush()?;
    figures::write_all(writer.directory())?;
    writer.summary(&summary)?;
    Ok(Found {
        summary,
        directory: writer.directory().to_owned(),
        best: best.map(|best| best.evaluation),
        last: last.map(|last| last.evaluation),
        test,
    })
}

fn write_clients(writer: &mut ResultsWriter, plan: &Plan, outcome: &Outcome) -> Result<(), ReportError> {
    let names = |names: Vec<&String>| names.into_iter().map(|name| Arc::from(name.as_str())).collect::<Vec<Arc<str>>>();
    let devices = names(plan.population.devices.iter().map(|class| &class.name).collect());
    let networks = names(plan.population.networks.iter().map(|class| &class.name).collect());
    let power: Vec<bool> = plan.population.devices.iter().map(|class| class.model.power().is_some()).collect();
    for (client_id, ledger) in (0..).zip(&outcome.clients) {
        writer.client(&ClientRow {
            client_id,
            device_class: devices[plan.population.device_class(client_id)].clone(),
            network_class: networks[plan.population.network_class(client_id)].clone(),
            num_examples: plan.population.num_examples(client_id).into(),
            selected: ledger.selected,
            completed: ledger.completed,
            dropped: ledger.dropped,
            late: ledger.late,
            download: ledger.download,
            train: ledger.train,
            upload: ledger.upload,
            bytes_down: ledger.bytes_down,
            bytes_up: ledger.bytes_up,
            energy_j: power[plan.population.device_class(client_id)].then(|| to_millijoules(ledger.energy_j)),
            availability: plan.availability.online_fraction(client_id, outcome.end),
        })?;
    }
    Ok(())
}

/// Writes `adapters/best` and `adapters/final`; the folder appears when both are whole.
fn write_adapters(
    learner: &Learner,
    best: &Evaluated,
    last: &Evaluated,
    outcome: &Outcome,
    directory: &Path,
) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::new(Exit::Environment, "write", error);
    let partial = directory.join(".adapters.partial");
    let last_params = outcome.last_model.params.as_ref().unwrap_or(&last.params);
    for (name, params) in [("best", &best.params), ("final", last_params)] {
        let dir = partial.join(name);
        fs::create_dir_all(&dir).map_err(|error| failed(&format!("cannot make `{}`: {error}", dir.display())))?;
        learner.export_adapter(params, &dir).map_err(|error| failed(&error))?;
    }
    let whole = directory.join("adapters");
    fs::rename(&partial, &whole).map_err(|error| failed(&format!("cannot make `{}`: {error}", whole.display())))
}

fn check_assertions(assertions: &[Assertion], found: &Found) -> Result<(), CliError> {
    let mut unmet = Vec::new();
    for assertion in assertions {
        let evaluation = match assertion.outcome {
            Asserted::Best => found.best,
            Asserted::Final => found.last,
            Asserted::Test => found.test,
        };
        let value = evaluation.map(|evaluation| assertion.metric.of(&evaluation));
        match value {
            Some(value) if assertion.comparison.holds(value, assertion.bound) => {}
            Some(value) => unmet.push(format!("{assertion} (it is {value:.4})")),
            None => unmet.push(format!("{assertion} (there is no such value)")),
        }
    }
    if unmet.is_empty() {
        return Ok(());
    }
    Err(CliError::new(Exit::AssertUnmet, "assert", format!("unmet: {}", unmet.join("; "))))
}

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> Self {
        match &error {
            SetupError::Memory { .. } => CliError::new(Exit::Environment, "memory", &error)
                .help("lower compute.workers or clients.train.per_device_train_batch_size"),
            SetupError::Lock { .. } => CliError::new(Exit::BadInput, "lock", &error)
                .help("remove that line of its `lock` section to run it all the same, with other results"),
            SetupError::Model(ModelError::Tensor { .. } | ModelError::Device { .. }) => {
                CliError::new(Exit::Environment, "model", &error)
            }
            SetupError::Model(_) => CliError::new(Exit::BadInput, "model", &error),
            SetupError::Data(_) | SetupError::ImagesForTexts { .. } | SetupError::TextsForImages { .. } => {
                CliError::new(Exit::BadInput, "dataset", &error)
            }
            SetupError::Hub(hub) => hub_error(hub),
            SetupError::Sim(_) => CliError::new(Exit::BadInput, "bad-trace", &error),
            SetupError::Metric { .. } => CliError::new(Exit::BadInput, "metric", &error),
            SetupError::Partition(_) => CliError::new(Exit::BadInput, "partition", &error),
            SetupError::Tuning(_) => CliError::new(Exit::BadInput, "tuning", &error),
            SetupError::Training(TrainingError::Tuning(TuningError::Adapter { .. })) => {
                CliError::new(Exit::BadInput, "init", &error)
            }
            SetupError::Training(_) => CliError::new(Exit::BadInput, "training", &error),
            SetupError::Codec(_) => CliError::new(Exit::RunFailed, "codec", &error),
        }
    }
}

fn hub_error(error: &HubError) -> CliError {
    let exit = if error.is_environment() { Exit::Environment } else { Exit::BadInput };
    CliError::new(exit, "hub", error)
}

impl From<ReportError> for CliError {
    fn from(error: ReportError) -> Self {
        let exit = if matches!(error, ReportError::Name { .. }) { Exit::BadInput } else { Exit::Environment };
        CliError::new(exit, "results", error)
    }
}

impl From<WorldError> for CliError {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::Observer(error) => error.into(),
            other => CliError::new(Exit::RunFailed, "run", other),
        }
    }
}
