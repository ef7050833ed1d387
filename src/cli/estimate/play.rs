//! A run without learning, cut off after some host time.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use crate::actors::plan::{Plan, Population};
use crate::actors::world::{self, HostWork, Observer, RoundReport};
use crate::cli::{CliError, Exit};
use crate::report::{EventKind, Record, ReportError, Stopwatch};
use crate::units::SimTime;

/// How far a play came.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Played {
    /// It reached the end of the run.
    pub(super) is_complete: bool,
    /// Rounds that ended.
    pub(super) rounds: u32,
    /// End of the last of them, or of the run.
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

/// Plays a plan without learning for at most `seconds` of host time, but for at least one round.
pub(super) fn play(plan: &Plan, seconds: f64) -> Result<Played, CliError> {
    let is_over = Rc::new(Cell::new(false));
    let mut count = Count {
        population: plan.population.clone(),
        played: Played::default(),
        watch: Stopwatch::start(),
        seconds,
        n_records: 0,
        is_over: is_over.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| CliError::new(Exit::Environment, "runtime", error))?;
    let outcome = runtime.block_on(async {
        let mut run = pin!(world::run(plan, &mut count));
        poll_fn(|context| if is_over.get() { Poll::Ready(None) } else { run.as_mut().poll(context).map(Some) }).await
    });
    let mut played = count.played;
    if let Some(outcome) = outcome.transpose()? {
        played.is_complete = true;
        played.end = outcome.end;
        played.bytes = outcome.totals.bytes_up.get() + outcome.totals.bytes_down.get();
    }
    Ok(played)
}

struct Count {
    population: Arc<Population>,
    played: Played,
    watch: Stopwatch,
    seconds: f64,
    n_records: u64,
    is_over: Rc<Cell<bool>>,
}

impl Observer for Count {
    fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        self.n_records += 1;
        if self.n_records.is_multiple_of(256) && self.played.rounds > 0 && self.watch.seconds() > self.seconds {
            self.is_over.set(true);
        }
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
}
