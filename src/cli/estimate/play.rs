//! A run without learning, cut off after some host time.

use std::cell::Cell;
use std::sync::Arc;

use crate::actors::plan::{Plan, Population};
use crate::actors::world::{self, HostWork, Observer, RoundReport, WorldError};
use crate::cli::{CliError, Exit};
use crate::report::{EventKind, Record, ReportError, Stopwatch};
use crate::scenario::Scenario;
use crate::units::{SimDuration, SimTime};

/// How far a play came.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Played {
    /// It reached the end of the run.
    pub(super) is_complete: bool,
    /// Rounds that ended.
    pub(super) rounds: u32,
    /// End of the last of them, or of the run; how far the play came, where none has ended.
    end: SimTime,
    /// Tasks.
    pub(super) selected: u64,
    /// Updates that were used: the only ones whose values a run computes.
    aggregated: u64,
    bytes: u64,
    /// Operations of the used updates.
    pub(super) flops: f64,
}

impl Played {
    /// The part of a run of `rounds` that was played, in (0, 1].
    pub(super) fn share_of(&self, rounds: u32) -> f64 {
        if self.is_complete { 1.0 } else { f64::from(self.rounds.max(1)) / f64::from(rounds.max(1)) }
    }

    /// A count of the whole run.
    pub(super) fn scaled(&self, count: u64, rounds: u32) -> u64 {
        (count as f64 / self.share_of(rounds)).round() as u64
    }

    /// End of the whole run in simulated seconds.
    pub(super) fn end_s(&self, rounds: u32) -> f64 {
        self.end.as_secs_f64() / self.share_of(rounds)
    }

    pub(super) fn bytes_of(&self, rounds: u32) -> u64 {
        self.scaled(self.bytes, rounds)
    }

    pub(super) fn trainings_of(&self, rounds: u32) -> u64 {
        self.scaled(self.aggregated, rounds)
    }
}

/// How much longer than it should a play may take to come to the end of its first round.
const PATIENCE: f64 = 2.0;
/// Events between two looks at this machine's clock.
const EVENTS_PER_LOOK: u64 = 256;

/// Plays a plan without learning for at most `seconds` of host time; twice as long where no round has ended by then.
///
/// # Errors
/// Why the run cannot come to its end, as the run itself would say.
pub(super) fn play(plan: &Plan, scenario: &Scenario, seconds: f64) -> Result<Played, CliError> {
    let mut count = Count {
        population: plan.population.clone(),
        played: Played::default(),
        watch: Stopwatch::start(),
        seconds,
        n_events: Cell::new(0),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| CliError::new(Exit::Environment, "runtime", error))?;
    let outcome = runtime.block_on(world::run(plan, &mut count));
    let mut played = count.played;
    match outcome {
        Ok(outcome) => {
            played.is_complete = true;
            played.end = outcome.end;
            played.bytes = outcome.totals.bytes_up.get() + outcome.totals.bytes_down.get();
        }
        Err(WorldError::Stopped { seconds, .. }) if played.rounds == 0 => {
            played.end = SimTime::ZERO + SimDuration::from_secs_f64(seconds).unwrap_or_default();
        }
        Err(WorldError::Stopped { .. }) => {}
        Err(error) => return Err(CliError::of_run(error, scenario)),
    }
    Ok(played)
}

struct Count {
    population: Arc<Population>,
    played: Played,
    watch: Stopwatch,
    seconds: f64,
    n_events: Cell<u64>,
}

impl Observer for Count {
    fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        if let (EventKind::Accepted, Some(client_id)) = (record.event, record.client_id) {
            let population = &self.population;
            let samples = f64::from(population.num_examples(client_id)) * population.n_epochs as f64;
            self.played.flops += samples * population.flops_per_sample(client_id).0;
        }
        Ok(())
    }

    fn round(&mut self, report: &RoundReport) -> Result<(), ReportError> {
        let played = &mut self.played;
        played.rounds = report.round;
        played.end = report.end;
        played.selected += u64::from(report.selected);
        played.aggregated += u64::from(report.aggregated);
        played.bytes = report.cum_bytes.get();
        Ok(())
    }

    fn host(&mut self, _: u32, _: SimTime, _: &HostWork) -> Result<(), ReportError> {
        Ok(())
    }

    fn is_to_stop(&self) -> bool {
        let n_events = self.n_events.get() + 1;
        self.n_events.set(n_events);
        let patience = if self.played.rounds > 0 { 1.0 } else { PATIENCE };
        n_events.is_multiple_of(EVENTS_PER_LOOK) && self.watch.seconds() > self.seconds * patience
    }
}
