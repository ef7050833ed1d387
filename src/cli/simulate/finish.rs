//! What is written when a run is over: the test, clients, adapters, summary, figures, page and trace.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::actors::plan::Plan;
use crate::actors::setup::Setup;
use crate::actors::world::Outcome;
use crate::cli::checkpoint::Evaluated;
use crate::cli::recorder::{Recorder, to_millijoules};
use crate::cli::{CliError, Exit};
use crate::report::export::perfetto;
use crate::report::{
    ClientRow, EnergySpent, ReportError, ResultsWriter, SCHEMA_VERSION, Status, Summary, Target, Test, Traffic,
    Validation, html,
};
use crate::scenario::{Assertion, Outcome as Asserted, Scenario};
use crate::training::{Evaluation, Learner, Split};

/// What a run found out.
pub(in crate::cli) struct Found {
    pub(in crate::cli) summary: Summary,
    /// Where its files are.
    pub(in crate::cli) directory: PathBuf,
    /// A trace was written, which is left out where the timeline is long.
    pub(super) has_trace: bool,
    /// Clients whose availability is left empty.
    pub(super) n_unknown_availabilities: u32,
    best: Option<Evaluation>,
    last: Option<Evaluation>,
    test: Option<Evaluation>,
}

/// Evaluates the best model on the test split, and writes all that is written at the end.
pub(super) fn finish(
    scenario: &Scenario,
    setup: &Setup,
    outcome: &Outcome,
    recorder: Recorder<'_>,
) -> Result<Found, CliError> {
    let (best, last, reached) = (recorder.best.clone(), recorder.last.clone(), recorder.reached);
    let mut writer = recorder.into_writer();
    let n_unknown = write_clients(&mut writer, &setup.plan, outcome)?;
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
        // Without training nothing could reach it.
        target: scenario.evaluation().target.filter(|_| best.is_some()).map(|target| Target {
            value: target,
            reached_round: reached.map(|reached| reached.round),
            sim_time: reached.map(|reached| reached.at),
            bytes: reached.map(|reached| reached.bytes),
        }),
        updates: totals.updates(),
        bytes: Traffic { up: totals.bytes_up, down: totals.bytes_down, wasted: totals.bytes_wasted },
        energy: setup.plan.population.counts_energy().then(|| EnergySpent {
            total: to_millijoules(totals.energy_j),
            wasted: to_millijoules(totals.energy_wasted_j),
        }),
    };
    writer.flush()?;
    writer.summary(&summary)?;
    html::write_with_figures(writer.directory())?;
    let has_trace = perfetto::write_unless_long(writer.directory())?.is_some();
    Ok(Found {
        summary,
        has_trace,
        n_unknown_availabilities: n_unknown,
        directory: writer.directory().to_owned(),
        best: best.map(|best| best.evaluation),
        last: last.map(|last| last.evaluation),
        test,
    })
}

/// So many periods of availability are gone through for what `clients.csv` says of it, some two minutes' work.
const PERIODS_MAX: f64 = 1e9;

/// Writes a row for each client; gives how many of them leave their availability empty. Those whose periods take too long to
/// go through do: first the ones that were never asked, then all.
fn write_clients(writer: &mut ResultsWriter, plan: &Plan, outcome: &Outcome) -> Result<u32, ReportError> {
    let names = |names: Vec<&String>| names.into_iter().map(|name| Arc::from(name.as_str())).collect::<Vec<Arc<str>>>();
    let devices = names(plan.population.devices.iter().map(|class| &class.name).collect());
    let networks = names(plan.population.networks.iter().map(|class| &class.name).collect());
    let power: Vec<bool> = plan.population.devices.iter().map(|class| class.model.power().is_some()).collect();
    let regions = names(plan.population.regions.iter().map(|(name, _)| name).collect());
    let periods = plan.availability.periods_until(outcome.end);
    let n_asked = outcome.clients.iter().filter(|ledger| ledger.selected > 0).count();
    let is_told_of_all = outcome.clients.len() as f64 * periods <= PERIODS_MAX;
    let is_told_of_asked = n_asked as f64 * periods <= PERIODS_MAX;
    let mut n_unknown = 0;
    for (client_id, ledger) in (0..).zip(&outcome.clients) {
        let is_told = is_told_of_all || (is_told_of_asked && ledger.selected > 0);
        n_unknown += u32::from(!is_told);
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
            availability: is_told.then(|| plan.availability.online_fraction(client_id, outcome.end)),
            region: regions.get(plan.population.region(client_id)).cloned(),
        })?;
    }
    Ok(n_unknown)
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
    // Left by a run that was killed after it had written them, and has been gone on with.
    if whole.exists() {
        fs::remove_dir_all(&whole)
            .map_err(|error| failed(&format!("cannot replace `{}`: {error}", whole.display())))?;
    }
    fs::rename(&partial, &whole).map_err(|error| failed(&format!("cannot make `{}`: {error}", whole.display())))
}

/// Checks what the scenario wants to hold at the end.
pub(in crate::cli) fn check_assertions(assertions: &[Assertion], found: &Found) -> Result<(), CliError> {
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
