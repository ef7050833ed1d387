//! Writes what a run makes known, keeps the best model, shows progress.

use std::path::{Path, PathBuf};

use super::checkpoint::{self, Evaluated, Progress, Reached, Saved};
use super::progress::{self, Bar, Throttle};
use super::{Console, interrupt, run_log};
use crate::actors::plan::Plan;
use crate::actors::world::{HostWork, Observer, RoundReport, Snapshot};
use crate::report::{
    LogEntry, PerfRow, Record, ReportError, ResultsWriter, RoundRow, RunLog, Stopwatch, peak_rss_mib, read_rounds,
};
use crate::scenario::{Metric, Scenario};
use crate::units::SimTime;

/// The observer of `straggler run`.
pub(super) struct Recorder<'a> {
    writer: ResultsWriter,
    log: RunLog,
    console: &'a Console,
    bar: Bar,
    throttle: Throttle,
    metric: Metric,
    target: Option<f64>,
    n_rounds: u32,
    workers: u32,
    counts_energy: bool,
    /// SHA-256 of the run's lock file.
    scenario: String,
    /// The checkpoint that was written last.
    pub(super) checkpoint: Option<PathBuf>,
    pub(super) best: Option<Evaluated>,
    pub(super) last: Option<Evaluated>,
    pub(super) reached: Option<Reached>,
    lap: Stopwatch,
    work_before: HostWork,
}

impl<'a> Recorder<'a> {
    /// The recorder of a plan's run; `scenario_hash` is that of its lock file.
    pub(super) fn new(
        writer: ResultsWriter,
        log: RunLog,
        scenario: &Scenario,
        scenario_hash: String,
        plan: &Plan,
        console: &'a Console,
    ) -> Self {
        Self {
            writer,
            log,
            console,
            bar: Bar::new(console, "rounds"),
            throttle: Throttle::every_10_s(),
            metric: scenario.metric(),
            target: scenario.evaluation().target,
            n_rounds: scenario.rounds(),
            workers: plan.learning.as_ref().map_or(0, |learning| learning.workers as u32),
            counts_energy: plan.population.counts_energy(),
            scenario: scenario_hash,
            checkpoint: None,
            best: None,
            last: None,
            reached: None,
            lap: Stopwatch::start(),
            work_before: HostWork::default(),
        }
    }

    /// Takes over what was known when the state was saved. A branch may have another target than the run had: when it was
    /// first met is then looked up in the rounds that it shares with the run.
    pub(super) fn restore(&mut self, saved: &Saved, is_fork: bool) -> Result<(), ReportError> {
        self.best = saved.best.clone();
        self.last = saved.last.clone();
        self.throttle.goes_on_after(saved.state.round);
        self.bar.goes_on_at(saved.state.round.into(), self.n_rounds.into());
        self.reached = match is_fork {
            true => self.reached_in(&read_rounds(&self.directory().join("rounds.csv"))?.rows),
            false => saved.state.reached,
        };
        Ok(())
    }

    fn reached_in(&self, rounds: &[RoundRow]) -> Option<Reached> {
        let target = self.target?;
        let first = rounds.iter().find(|row| row.eval_metric.is_some_and(|value| value >= target))?;
        Some(Reached { round: first.round, at: first.sim_end, bytes: first.cum_bytes })
    }

    /// The folder of the run.
    pub(super) fn directory(&self) -> &Path {
        self.writer.directory()
    }

    pub(super) fn into_writer(self) -> ResultsWriter {
        self.writer
    }

    /// Simulated time, and the last evaluation that is there.
    fn status(&self, now: SimTime) -> String {
        let metric = self.last.as_ref().map_or(String::new(), |last| {
            format!(", {} {:.4} in round {}", self.metric.key(), self.metric.of(&last.evaluation), last.round)
        });
        format!("{:.1} s simulated{metric}", now.as_secs_f64())
    }
}

impl Observer for Recorder<'_> {
    fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        self.writer.record(record)
    }

    fn round(&mut self, report: &RoundReport) -> Result<(), ReportError> {
        let evaluation = report.evaluation.as_ref().map(|(evaluation, _)| *evaluation);
        self.writer.round(&RoundRow {
            round: report.round,
            model_version: report.model_version,
            sim_start: report.start,
            sim_end: report.end,
            selected: report.selected,
            completed: report.completed,
            dropped: report.dropped,
            late: report.late,
            stale: report.stale,
            rejected: report.rejected,
            aggregated: report.aggregated,
            staleness_mean: (report.aggregated > 0).then(|| report.staleness_sum as f64 / f64::from(report.aggregated)),
            bytes_down: report.bytes_down,
            bytes_up: report.bytes_up,
            bytes_wasted: report.bytes_wasted,
            cum_bytes: report.cum_bytes,
            energy_j: self.counts_energy.then(|| to_millijoules(report.energy_j)),
            train_loss: report.train_loss,
            eval_loss: evaluation.map(|evaluation| evaluation.loss),
            eval_metric: evaluation.map(|evaluation| self.metric.of(&evaluation)),
        })?;
        self.writer.hand_over()?;
        let Some((evaluation, params)) = report.evaluation.clone() else { return Ok(()) };
        let evaluated = Evaluated { round: report.round, model_version: report.model_version, evaluation, params };
        let value = self.metric.of(&evaluated.evaluation);
        self.log.write(&LogEntry::Evaluation { round: report.round, metric: self.metric.key().into(), value })?;
        let is_better = self.best.as_ref().is_none_or(|best| value > self.metric.of(&best.evaluation));
        if is_better {
            self.best = Some(evaluated.clone());
        }
        if self.reached.is_none() && self.target.is_some_and(|target| value >= target) {
            self.reached = Some(Reached { round: report.round, at: report.end, bytes: report.cum_bytes });
        }
        self.last = Some(evaluated);
        Ok(())
    }

    fn checkpoint(&mut self, snapshot: &Snapshot) -> Result<(), ReportError> {
        let progress = Progress {
            scenario: &self.scenario,
            files: self.writer.mark()?,
            best: self.best.as_ref(),
            last: self.last.as_ref(),
            reached: self.reached,
        };
        let folder = checkpoint::save(self.writer.directory(), snapshot, &progress)?;
        self.log.write(&LogEntry::Checkpoint(run_log::saved(&folder, snapshot.round, snapshot.at)))?;
        self.checkpoint = Some(folder);
        Ok(())
    }

    fn is_to_stop(&self) -> bool {
        interrupt::exit().is_some()
    }

    fn host(&mut self, round: u32, now: SimTime, work: &HostWork) -> Result<(), ReportError> {
        let (host_s, before) = (self.lap.lap(), std::mem::replace(&mut self.work_before, *work));
        let at_work = progress::at_work(work.pool.busy_nanos - before.pool.busy_nanos, host_s, self.workers);
        let seconds = |now: u64, before: u64| (now - before) as f64 / 1e9;
        let eval_s = seconds(work.evaluation_nanos, before.evaluation_nanos);
        let events = work.events - before.events;
        self.writer.perf(&PerfRow {
            round,
            host_s,
            train_s: (seconds(work.pool.busy_nanos, before.pool.busy_nanos) - eval_s).max(0.0),
            eval_s,
            wait_s: seconds(work.pool.wait_nanos, before.pool.wait_nanos),
            events,
            events_per_s: if host_s > 0.0 { events as f64 / host_s } else { 0.0 },
            workers: self.workers,
            jobs: work.pool.finished - before.pool.finished,
            inline_jobs: work.pool.inline - before.pool.inline,
            cancelled_jobs: work.pool.withdrawn - before.pool.withdrawn,
            peak_rss_mib: peak_rss_mib(),
        })?;
        let rounded = |seconds: f64| (seconds * 1e6).round() / 1e6;
        let (sim_time_s, host_s) = (rounded(now.as_secs_f64()), rounded(host_s));
        self.log.write(&LogEntry::Round { round, sim_time_s, host_s })?;
        let status = format!("{}{at_work}", self.status(now));
        self.bar.set(round.into(), self.n_rounds.into(), &status);
        if !self.bar.is_drawn() && (self.throttle.is_due() || round == self.n_rounds) {
            let to_go = self.throttle.to_go(round, self.n_rounds);
            self.console.note(format_args!("round {round} of {}: {status}{to_go}", self.n_rounds));
        }
        Ok(())
    }
}

/// Joules, rounded to the millijoule.
pub(super) fn to_millijoules(joules: f64) -> f64 {
    (joules * 1e3).round() / 1e3
}
