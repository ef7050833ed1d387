//! Keeps the books: records of what happens, counts per round and client, evaluations that are still being computed.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::WorldError;
use super::ledger::{ClientLedger, Totals, Traffic, check_conservation};
use super::observer::{HostWork, Observer, RoundReport};
use super::snapshot::Snapshot;
use super::tasks::{Stage, Task};
use crate::actors::messages::{RoundEnd, TaskId, Unused};
use crate::actors::plan::Plan;
use crate::actors::pool::Job;
use crate::actors::trainer::LearningError;
use crate::params::Params;
use crate::report::{EventKind, Reason, Record, ReportError};
use crate::sim::Phase;
use crate::training::Evaluation;
use crate::units::{Bytes, SimTime};

/// Evaluations that may be under way while the rounds go on; the oldest is waited for beyond that.
const PENDING_EVALUATIONS_MAX: usize = 2;

pub(super) type EvaluationJob = Job<Result<Evaluation, LearningError>>;

/// The books as they are kept in a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalState {
    /// Of clients that were ever asked.
    clients: Vec<(u32, ClientLedger)>,
    totals: Totals,
    traffic: Traffic,
    tally: RoundReport,
    open: Option<u32>,
    last_ended: u32,
    /// Rounds that are over and not yet reported, and whether their models are being evaluated.
    pub(super) pending: Vec<(RoundReport, bool)>,
}

impl JournalState {
    /// The highest number of a client that was asked.
    pub(super) fn last_client(&self) -> Option<u32> {
        self.clients.last().map(|(client_id, _)| *client_id)
    }
}

struct Pending {
    report: RoundReport,
    evaluation: Option<(Arc<Params>, EvaluationJob)>,
}

pub(super) struct Journal<'a> {
    observer: &'a mut dyn Observer,
    clients: Vec<ClientLedger>,
    totals: Totals,
    traffic: Traffic,
    /// What happened since the last round ended. Tasks can end between two rounds; they count in the next.
    tally: RoundReport,
    /// The evaluation of the open round.
    evaluation: Option<(Arc<Params>, EvaluationJob)>,
    /// The round that is open.
    open: Option<u32>,
    /// The round that ended last; 0 when none has.
    last_ended: u32,
    /// Rounds that are over and not yet reported, oldest first.
    pending: VecDeque<Pending>,
}

impl<'a> Journal<'a> {
    pub(super) fn new(plan: &Plan, observer: &'a mut dyn Observer) -> Self {
        let clients = vec![ClientLedger::default(); plan.population.n_clients as usize];
        Self {
            observer,
            clients,
            totals: Totals::default(),
            traffic: Traffic::default(),
            tally: RoundReport::begin(1, SimTime::ZERO),
            evaluation: None,
            open: None,
            last_ended: 0,
            pending: VecDeque::new(),
        }
    }

    pub(super) fn save(&self) -> JournalState {
        let is_worth_keeping = |(_, ledger): &(u32, ClientLedger)| *ledger != ClientLedger::default();
        JournalState {
            clients: (0..).zip(self.clients.iter().copied()).filter(is_worth_keeping).collect(),
            totals: self.totals.clone(),
            traffic: self.traffic,
            tally: self.tally.clone(),
            open: self.open,
            last_ended: self.last_ended,
            pending: self.pending.iter().map(|p| (p.report.clone(), p.evaluation.is_some())).collect(),
        }
    }

    /// Goes on with saved books; `evaluate` submits the evaluation of a round's model anew.
    pub(super) fn restore(
        plan: &Plan,
        observer: &'a mut dyn Observer,
        state: JournalState,
        evaluate: impl Fn(&RoundReport) -> Option<(Arc<Params>, EvaluationJob)>,
    ) -> Self {
        let mut journal = Self::new(plan, observer);
        for (client_id, ledger) in state.clients {
            journal.clients[client_id as usize] = ledger;
        }
        journal.totals = state.totals;
        journal.traffic = state.traffic;
        journal.tally = state.tally;
        journal.open = state.open;
        journal.last_ended = state.last_ended;
        for (report, is_evaluated) in state.pending {
            let evaluation = is_evaluated.then(|| evaluate(&report)).flatten();
            journal.pending.push_back(Pending { report, evaluation });
        }
        journal
    }

    /// The models of rounds that wait for their evaluation.
    pub(super) fn models(&self) -> impl Iterator<Item = (u32, &Arc<Params>)> {
        let evaluated = |pending: &'_ Pending| pending.report.model_version;
        self.pending.iter().filter_map(move |p| Some((evaluated(p), &p.evaluation.as_ref()?.0)))
    }

    pub(super) fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        self.observer.record(record)
    }

    /// The round that ended last; 0 when none has.
    pub(super) fn last_ended(&self) -> u32 {
        self.last_ended
    }

    pub(super) fn checkpoint(&mut self, snapshot: &Snapshot) -> Result<(), ReportError> {
        self.observer.checkpoint(snapshot)
    }

    pub(super) fn is_to_stop(&self) -> bool {
        self.observer.is_to_stop()
    }

    pub(super) fn is_open(&self, round: u32) -> bool {
        self.open == Some(round)
    }

    /// Tasks that a client was asked for so far.
    pub(super) fn n_selected(&self, client_id: u32) -> u32 {
        self.clients[client_id as usize].selected
    }

    pub(super) fn run_event(&mut self, now: SimTime, event: EventKind) -> Result<(), ReportError> {
        self.observer.record(&Record::new(now, event))
    }

    pub(super) fn round_event(&mut self, now: SimTime, event: EventKind, round: u32) -> Result<(), ReportError> {
        self.observer.record(&Record { round: Some(round), ..Record::new(now, event) })
    }

    fn task_record(now: SimTime, event: EventKind, id: TaskId, task: &Task) -> Record {
        Record {
            client_id: Some(task.client_id),
            round: Some(task.round),
            task_id: Some(id),
            model_version: Some(task.model.version),
            ..Record::new(now, event)
        }
    }

    pub(super) fn begin_round(&mut self, now: SimTime, round: u32) -> Result<(), ReportError> {
        self.open = Some(round);
        self.tally.round = round;
        self.tally.start = now;
        self.round_event(now, EventKind::RoundStart, round)
    }

    pub(super) fn select(&mut self, now: SimTime, id: TaskId, task: &Task) -> Result<(), ReportError> {
        self.tally.selected += 1;
        self.totals.selected += 1;
        self.clients[task.client_id as usize].selected += 1;
        self.observer.record(&Self::task_record(now, EventKind::Selected, id, task))
    }

    /// A task goes into its next phase; a transfer is to move `bytes`.
    pub(super) fn phase_starts(
        &mut self,
        now: SimTime,
        event: EventKind,
        id: TaskId,
        task: &Task,
        bytes: Option<Bytes>,
    ) -> Result<(), ReportError> {
        self.traffic.offered += bytes.unwrap_or_default();
        self.observer.record(&Record { bytes, ..Self::task_record(now, event, id, task) })
    }

    pub(super) fn phase_ends(
        &mut self,
        now: SimTime,
        event: EventKind,
        id: TaskId,
        task: &Task,
        bytes: Option<Bytes>,
    ) -> Result<(), ReportError> {
        if event == EventKind::UploadEnd {
            self.tally.completed += 1;
            self.clients[task.client_id as usize].completed += 1;
        }
        let duration = Some(now.since(task.stage_start));
        self.observer.record(&Record { bytes, duration, ..Self::task_record(now, event, id, task) })
    }

    /// A transfer that is over has moved this much, all of it or not.
    pub(super) fn moved(&mut self, bytes: Bytes) {
        self.traffic.moved += bytes;
    }

    /// Charges a task that is over to its client, its round and the run.
    fn charge(&mut self, task: &Task, is_used: bool) {
        self.clients[task.client_id as usize].charge(task);
        let moved = task.bytes_down + task.bytes_up;
        let wasted = if is_used { task.discarded.bytes } else { moved };
        let open = &mut self.tally;
        open.bytes_down += task.bytes_down;
        open.bytes_up += task.bytes_up;
        open.bytes_wasted += wasted;
        let energy_j = task.energy_j();
        open.energy_j += energy_j;
        self.totals.energy_j += energy_j;
        self.totals.energy_wasted_j += if is_used { task.discarded_energy_j() } else { energy_j };
        self.totals.bytes_down += task.bytes_down;
        self.totals.bytes_up += task.bytes_up;
        self.totals.bytes_wasted += wasted;
    }

    pub(super) fn accept(&mut self, now: SimTime, id: TaskId, task: &Task, staleness: u32) -> Result<(), ReportError> {
        self.charge(task, true);
        self.totals.aggregated += 1;
        self.tally.staleness_sum += u64::from(staleness);
        let record = Self::task_record(now, EventKind::Accepted, id, task);
        self.observer.record(&Record { staleness: Some(staleness), ..record })
    }

    /// Records the end of a task that was stopped: what the interrupted transfer had moved, and how long its stage lasted.
    fn stop(&mut self, now: SimTime, event: EventKind, id: TaskId, task: &Task, reason: Reason) -> Record {
        let offered = match task.stage {
            Stage::Download => Some(task.model.payload),
            Stage::Upload => Some(task.to_upload),
            Stage::Train | Stage::Paused | Stage::Arrived => None,
        };
        let bytes = offered.map(|_| task.moved_now);
        self.traffic.lost += offered.map(|offered| offered - task.moved_now).unwrap_or_default();
        let duration = (!matches!(task.stage, Stage::Paused | Stage::Arrived)).then(|| now.since(task.stage_start));
        Record { bytes, duration, reason: Some(reason), ..Self::task_record(now, event, id, task) }
    }

    /// An upload breaks off after `moved` bytes and will be tried again.
    pub(super) fn interrupt(
        &mut self,
        now: SimTime,
        id: TaskId,
        task: &Task,
        reason: Reason,
        moved: Bytes,
    ) -> Result<(), ReportError> {
        self.traffic.lost += task.to_upload - moved;
        let duration = Some(now.since(task.stage_start));
        let record = Self::task_record(now, EventKind::Interrupted, id, task);
        self.observer.record(&Record { bytes: Some(moved), duration, reason: Some(reason), ..record })
    }

    pub(super) fn drop_out(
        &mut self,
        now: SimTime,
        id: TaskId,
        task: &mut Task,
        reason: Reason,
        phase: Phase,
    ) -> Result<(), ReportError> {
        let record = self.stop(now, EventKind::Dropout, id, task, reason);
        self.observer.record(&record)?;
        *self.totals.dropped.entry((reason, phase)).or_default() += 1;
        self.clients[task.client_id as usize].dropped += 1;
        self.tally.dropped += 1;
        task.charge(now);
        self.charge(task, false);
        Ok(())
    }

    pub(super) fn refuse(
        &mut self,
        now: SimTime,
        id: TaskId,
        task: &mut Task,
        why: Unused,
        staleness: Option<u32>,
    ) -> Result<(), ReportError> {
        let reason = Reason::from(why);
        let record = self.stop(now, EventKind::Rejected, id, task, reason);
        self.observer.record(&Record { staleness, ..record })?;
        match why {
            Unused::Deadline | Unused::OverSelected | Unused::RunEnded => {
                *self.totals.late.entry(reason).or_default() += 1;
                self.clients[task.client_id as usize].late += 1;
                self.tally.late += 1;
            }
            Unused::Diverged | Unused::RoundFailed | Unused::Stale => {
                *self.totals.rejected.entry(reason).or_default() += 1;
                self.tally.rejected += 1;
                self.tally.stale += u32::from(why == Unused::Stale);
            }
        }
        task.charge(now);
        self.charge(task, false);
        Ok(())
    }

    pub(super) fn expect_evaluation(&mut self, params: Arc<Params>, job: EvaluationJob) {
        self.evaluation = Some((params, job));
    }

    pub(super) fn end_round(&mut self, now: SimTime, end: RoundEnd) -> Result<(), WorldError> {
        assert!(self.open.take() == Some(end.round), "round {} ends and is not open", end.round);
        self.last_ended = end.round;
        let report = std::mem::replace(&mut self.tally, RoundReport::begin(end.round + 1, now));
        let mut ended = Pending { report, evaluation: self.evaluation.take() };
        let report = &mut ended.report;
        report.end = now;
        report.model_version = end.model_version;
        report.aggregated = end.aggregated;
        report.train_loss = end.train_loss;
        report.cum_bytes = self.traffic.moved;
        let model_version = Some(end.model_version);
        if end.aggregated > 0 {
            let record = Record { round: Some(end.round), model_version, ..Record::new(now, EventKind::Aggregate) };
            self.observer.record(&record)?;
        }
        if ended.evaluation.is_some() {
            let record = Record { round: Some(end.round), model_version, ..Record::new(now, EventKind::Eval) };
            self.observer.record(&record)?;
        }
        let duration = Some(now.since(ended.report.start));
        let record =
            Record { round: Some(end.round), model_version, duration, ..Record::new(now, EventKind::RoundEnd) };
        self.observer.record(&record)?;
        self.pending.push_back(ended);
        self.settle_evaluations(PENDING_EVALUATIONS_MAX)
    }

    /// Reports rounds, oldest first: those whose evaluation is done, and others, which are waited for, until at most
    /// `pending_max` evaluations are under way. How early a round is reported depends on this machine; what is reported of
    /// it, and in which order, does not.
    pub(super) fn settle_evaluations(&mut self, pending_max: usize) -> Result<(), WorldError> {
        let mut n_evaluated = self.pending.iter().filter(|pending| pending.evaluation.is_some()).count();
        while let Some(oldest) = self.pending.front() {
            if let Some((_, job)) = &oldest.evaluation {
                if n_evaluated <= pending_max && !job.is_done() {
                    break;
                }
                n_evaluated -= 1;
            }
            let Some(Pending { mut report, evaluation }) = self.pending.pop_front() else { break };
            if let Some((params, job)) = evaluation {
                let metrics = job.wait()?.map_err(|source| WorldError::Learning {
                    what: format!("evaluation of round {}", report.round),
                    source,
                })?;
                report.evaluation = Some((metrics, params));
            }
            self.observer.round(&report)?;
        }
        Ok(())
    }

    pub(super) fn host(&mut self, round: u32, now: SimTime, work: &HostWork) -> Result<(), ReportError> {
        self.observer.host(round, now, work)
    }

    /// Checks the books when nothing is under way any more; see [`check_conservation`].
    pub(super) fn check_conservation(&self) {
        check_conservation(&self.totals, &self.traffic, &self.clients);
    }

    pub(super) fn into_ledgers(self) -> (Vec<ClientLedger>, Totals) {
        (self.clients, self.totals)
    }
}
