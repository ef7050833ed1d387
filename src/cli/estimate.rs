//! What a run will take, told before it begins: `run --dry-run` in full, and a line at the start of `run`.
//!
//! Simulated time and traffic come from playing the same plan without learning: the clock never asks what was learnt, so a
//! play that reaches the end gives the very end of the run. It is cut off after a short while of host time. Host time comes
//! from training once on a few rows of median length, scaled by operations. Nothing of it touches the run.

mod calibration;
mod play;

use serde_json::{Value, json};

use self::calibration::{Calibration, calibrate};
use self::play::{Played, play};
use super::prepare::prepare_to_run;
use super::progress::{duration, size};
use super::run::RunArgs;
use super::{CliError, Console, Exit, fetch};
use crate::actors::setup::Setup;
use crate::petuning::TuningConfig;
use crate::report::{available_memory, human_bytes};
use crate::scenario::{self, Scenario};
use crate::units::Bytes;

/// Seconds of host time that the play of `--dry-run` may take.
const PLAY_S: f64 = 2.0;
/// The same at the start of a run.
const SHORT_PLAY_S: f64 = 0.3;
/// How much of N workers' time N workers use: the quickstart takes 1.88 times as long on one as on two
/// (`results/README.md`).
const EFFICIENCY: f64 = 0.94;

/// What a run will take.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Estimate {
    played: Played,
    rounds: u32,
    /// Why the end of the play need not be the end of the run.
    reservation: Option<&'static str>,
    learning: Option<LearningEstimate>,
}

#[derive(Debug, Clone, PartialEq)]
struct LearningEstimate {
    calibration: Calibration,
    workers: usize,
    host_s: f64,
    memory: Bytes,
}

/// `run --dry-run`.
pub(super) fn dry_run(args: &RunArgs, console: &Console) -> Result<(), CliError> {
    let scenario = scenario::load(&args.scenario.input(), &args.scenario.overrides())?;
    console.left_out_sweep(&scenario);
    console.warnings(&scenario);
    let inputs = fetch::from_cache(&scenario, console)?;
    let mut setup = prepare_to_run(&scenario, &inputs)?;
    console.warn(&scenario.warnings_of(&setup.doubts));
    check_memory(&scenario, &setup)?;
    let estimate = estimate(&scenario, &mut setup, PLAY_S)?;
    match console.is_json() {
        true => console.result(estimate.to_json(scenario.name())),
        false => console.result(estimate.table(&match scenario.repeats() {
            1 => scenario.name().to_string(),
            n => format!("each of the {n} runs of {}", scenario.name()),
        })),
    }
}

/// At the start of a run: refuses what this machine has not the memory for, and says in a line what the run will take.
pub(super) fn before(scenario: &Scenario, setup: &mut Setup, console: &Console) -> Result<(), CliError> {
    check_memory(scenario, setup)?;
    // without learning the play would be the run itself
    if setup.plan.learning.is_some() && !console.is_quiet() {
        match estimate(scenario, setup, SHORT_PLAY_S) {
            Ok(estimate) => console.note(estimate.line()),
            // The run says so itself when it comes there, with place and remedy, and leaves what it has until then.
            Err(error) if error.exit() == Exit::RunFailed => {
                console.note(format_args!("warning: played without learning, this run fails: {}", error.message()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn estimate(scenario: &Scenario, setup: &mut Setup, play_s: f64) -> Result<Estimate, CliError> {
    let learning = setup.plan.learning.take();
    let checkpoint_every = setup.plan.checkpoint_every.take();
    let played = play(&setup.plan, scenario, play_s);
    (setup.plan.learning, setup.plan.checkpoint_every) = (learning, checkpoint_every);
    let played = played?;
    let estimated = match (&setup.plan.learning, &setup.learner) {
        (Some(learning), Some(learner)) => {
            let calibration = calibrate(scenario, setup, learner)?;
            let share = played.share_of(scenario.rounds());
            let evaluations = f64::from(scenario.rounds().div_ceil(scenario.evaluation().every));
            let seconds = calibration.training_s(played.flops / share)
                + evaluations * calibration.evaluation_s
                + calibration.test_s;
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let parallel = match learning.workers.min(cores) {
                1 => 1.0,
                n => n as f64 * EFFICIENCY,
            };
            let memory = setup.memory.with(learning.workers);
            Some(LearningEstimate { calibration, workers: learning.workers, host_s: seconds / parallel, memory })
        }
        _ => None,
    };
    let reservation = match scenario.selection().key() {
        "oort" | "power_of_choice" | "tifl" if estimated.is_some() => {
            Some("the selection looks at what clients have learnt, so the run may go another way")
        }
        _ => None,
    };
    Ok(Estimate { played, rounds: scenario.rounds(), reservation, learning: estimated })
}

/// Refuses a run that needs more memory than is free, with the flags that would fit.
fn check_memory(scenario: &Scenario, setup: &Setup) -> Result<(), CliError> {
    let (Some(learning), Some(available)) = (&setup.plan.learning, available_memory()) else { return Ok(()) };
    let need = setup.memory.with(learning.workers);
    // a GPU has its own memory
    if need <= available || scenario.device() != crate::model::HostDevice::Cpu {
        return Ok(());
    }
    let message = format!(
        "training with {} workers takes about {}, and {} of this machine's memory is free",
        learning.workers,
        size(need.get()),
        size(available.get())
    );
    let fitting = setup.memory.workers_within(available);
    Err(CliError::new(Exit::Environment, "memory", message).help(flags_that_fit(scenario, fitting)))
}

/// What to write for a run that fits: fewer workers where that is enough.
pub(super) fn flags_that_fit(scenario: &Scenario, workers: Option<usize>) -> String {
    match workers {
        Some(n) => format!("add `-j {n}`"),
        None => {
            let half = (scenario.train().per_device_train_batch_size / 2).max(1);
            let fewer = format!("add `-j 1` and `--set clients.train.per_device_train_batch_size={half}` or less");
            match scenario.tuning() {
                TuningConfig::Full(_) => fewer,
                _ => format!("{fewer}; `--set model.dtype=bf16` halves the frozen encoder"),
            }
        }
    }
}

impl Estimate {
    /// One line for the start of a run.
    fn line(&self) -> String {
        let played = &self.played;
        let about = match (played.is_complete, played.rounds) {
            (true, _) => "",
            (false, 0) => "more than ",
            (false, _) => "about ",
        };
        let end = duration(played.end_s(self.rounds));
        let traffic = human_bytes(Bytes::new(played.bytes_of(self.rounds)));
        match &self.learning {
            None => format!("{about}{end} of simulated time, {about}{traffic} of traffic"),
            Some(learning) => format!(
                "to do: {about}{} trainings, {about}{end} of simulated time, {about}{traffic} of traffic; about {} on {} \
                 workers, {} of memory",
                played.trainings_of(self.rounds),
                duration(learning.host_s),
                learning.workers,
                size(learning.memory.get())
            ),
        }
    }

    fn table(&self, name: &str) -> String {
        let played = &self.played;
        let note = match (played.is_complete, self.reservation) {
            (true, None) => String::new(),
            (true, Some(reservation)) => format!("  (about: {reservation})"),
            (false, _) if played.rounds == 0 => "  (more: the play was cut off in the first round)".into(),
            (false, _) => format!("  (about: from its first {} rounds of {})", played.rounds, self.rounds),
        };
        let mut rows = vec![
            ("simulated time", format!("{}{note}", duration(played.end_s(self.rounds)))),
            ("tasks", format!("{} asked for", played.scaled(played.selected, self.rounds))),
            ("traffic", human_bytes(Bytes::new(played.bytes_of(self.rounds)))),
        ];
        if let Some(learning) = &self.learning {
            let trainings =
                format!("{} that are computed; the others are charged alone", played.trainings_of(self.rounds));
            rows.push(("trainings", trainings));
            rows.push(("host time", format!("about {} on {} workers", duration(learning.host_s), learning.workers)));
            rows.push(("speed", format!("{:.2} GFLOPS on one thread", learning.calibration.flops_per_s / 1e9)));
            rows.push(("memory", format!("about {}", size(learning.memory.get()))));
        }
        let rows: Vec<String> = rows.iter().map(|(what, value)| format!("  {what:14}  {value}")).collect();
        format!("{name} would take\n{}", rows.join("\n"))
    }

    fn to_json(&self, name: &str) -> Value {
        let played = &self.played;
        let mut all = json!({
            "name": name,
            "sim_time_s": (played.end_s(self.rounds) * 1e6).round() / 1e6,
            "exact": played.is_complete && self.reservation.is_none(),
            "rounds_played": played.rounds,
            "selected": played.scaled(played.selected, self.rounds),
            "bytes": played.bytes_of(self.rounds),
        });
        if let Some(learning) = &self.learning {
            all["trainings"] = played.trainings_of(self.rounds).into();
            all["host_s"] = learning.host_s.into();
            all["workers"] = learning.workers.into();
            all["flops_per_s"] = learning.calibration.flops_per_s.into();
            all["memory_bytes"] = learning.memory.get().into();
        }
        all
    }
}
