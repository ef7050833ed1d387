//! The tasks under way.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::actors::messages::{GlobalModel, Models, TaskId};
use crate::actors::pool::Job;
use crate::actors::trainer::{LearningError, Trained};
use crate::collections::Window;
use crate::sim::{Direction, Failure, NEVER, Phase, PowerDraw, UploadConfig, WhenInterrupted};
use crate::units::{Bytes, SimDuration, SimTime};

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    Download,
    Train,
    Upload,
    /// An upload broke off and waits for its client to come online.
    Paused,
    /// The update is at the server.
    Arrived,
}

impl Stage {
    /// The part of the task that fails if it fails now.
    pub(super) fn phase(self) -> Phase {
        match self {
            Self::Download => Phase::Download,
            Self::Train => Phase::Train,
            Self::Upload | Self::Paused | Self::Arrived => Phase::Upload,
        }
    }
}

/// What attempts at an upload took that broke off and were begun anew: nothing of them was of use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Discarded {
    pub(super) bytes: Bytes,
    pub(super) time: SimDuration,
}

/// A transfer in flight: its name in the network and what it is to move.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct InFlight {
    pub(super) id: u64,
    pub(super) bytes: Bytes,
}

/// One client's part in one round.
pub(super) struct Task {
    pub(super) client_id: u32,
    pub(super) round: u32,
    pub(super) model: Arc<GlobalModel>,
    pub(super) useful_until: Option<SimTime>,
    /// Addresses the task's draws: no other task of the client has it. The round, where a client has one task in each.
    pub(super) address: u32,
    pub(super) device_class: usize,
    pub(super) network_class: usize,
    pub(super) region: usize,
    pub(super) power: Option<PowerDraw>,
    /// Watts that the task draws now, beside idle.
    pub(super) draw_w: f64,
    /// How often that has changed.
    pub(super) draws: u32,
    pub(super) failure: Option<Failure>,
    pub(super) offline_at: SimTime,
    /// When the device crashes if it stays at work.
    pub(super) crash_at: SimTime,
    pub(super) stage: Stage,
    pub(super) stage_start: SimTime,
    /// Time spent downloading, training and uploading.
    pub(super) spent: [SimDuration; 3],
    pub(super) flow: Option<InFlight>,
    /// What the upload has still to move.
    pub(super) to_upload: Bytes,
    /// When the upload broke off that waits to go on.
    pub(super) paused_at: SimTime,
    /// Uploads that broke off.
    pub(super) attempt: u32,
    /// Changes of the link's rate that were put into the calendar.
    pub(super) link_changes: u32,
    /// What the transfer had moved that the end of the task broke off.
    pub(super) moved_now: Bytes,
    pub(super) bytes_down: Bytes,
    pub(super) bytes_up: Bytes,
    pub(super) discarded: Discarded,
    /// The client has the model and has not handed its update over.
    pub(super) is_known_to_client: bool,
    pub(super) job: Option<Job<Result<Trained, LearningError>>>,
}

impl Task {
    pub(super) fn new(
        client_id: u32,
        round: u32,
        model: Arc<GlobalModel>,
        useful_until: Option<SimTime>,
        now: SimTime,
    ) -> Self {
        Self {
            client_id,
            round,
            model,
            useful_until,
            address: round,
            device_class: 0,
            network_class: 0,
            region: 0,
            power: None,
            draw_w: 0.0,
            draws: 0,
            failure: None,
            offline_at: NEVER,
            crash_at: NEVER,
            stage: Stage::Download,
            stage_start: now,
            spent: [SimDuration::ZERO; 3],
            flow: None,
            to_upload: Bytes::ZERO,
            paused_at: now,
            attempt: 0,
            link_changes: 0,
            moved_now: Bytes::ZERO,
            bytes_down: Bytes::ZERO,
            bytes_up: Bytes::ZERO,
            discarded: Discarded::default(),
            is_known_to_client: false,
            job: None,
        }
    }

    /// Ends the current stage, whose time is charged, and begins another.
    pub(super) fn enter(&mut self, stage: Stage, now: SimTime) {
        self.charge(now);
        self.stage = stage;
    }

    /// Charges the time of the current stage up to now.
    pub(super) fn charge(&mut self, now: SimTime) {
        let elapsed = now.since(self.stage_start);
        match self.stage {
            Stage::Download => self.spent[0] += elapsed,
            Stage::Train => self.spent[1] += elapsed,
            Stage::Upload => self.spent[2] += elapsed,
            Stage::Paused | Stage::Arrived => {}
        }
        self.stage_start = now;
    }

    /// True when an upload that breaks off is tried again.
    pub(super) fn can_retry(&self, uploads: &UploadConfig) -> bool {
        uploads.when_interrupted != WhenInterrupted::Fail && self.attempt < uploads.retries
    }

    /// Energy in joules that the client has spent on the task; 0 where it is not counted.
    pub(super) fn energy_j(&self) -> f64 {
        let Some(power) = self.power else { return 0.0 };
        let [download, train, upload] = self.spent.map(|spent| spent.as_secs_f64());
        let radio = download + upload;
        power.idle_w * (radio + train) + power.radio_w * radio + power.compute_w * train
    }

    /// Of that, what attempts at the upload took that were begun anew.
    pub(super) fn discarded_energy_j(&self) -> f64 {
        self.power.map_or(0.0, |power| (power.idle_w + power.radio_w) * self.discarded.time.as_secs_f64())
    }

    pub(super) fn moved(&mut self, direction: Direction, bytes: Bytes) {
        match direction {
            Direction::Down => self.bytes_down += bytes,
            Direction::Up => self.bytes_up += bytes,
        }
    }
}

/// A [`Task`] as it is kept in a checkpoint: the version in place of the model, and of its job only that there is one,
/// since its value is a pure function of the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskState {
    pub(super) id: TaskId,
    pub(super) client_id: u32,
    round: u32,
    pub(super) model_version: u32,
    useful_until: Option<SimTime>,
    address: u32,
    pub(super) device_class: usize,
    pub(super) network_class: usize,
    pub(super) region: usize,
    draw_w: f64,
    draws: u32,
    failure: Option<Failure>,
    offline_at: SimTime,
    crash_at: SimTime,
    stage: Stage,
    stage_start: SimTime,
    spent: [SimDuration; 3],
    flow: Option<InFlight>,
    to_upload: Bytes,
    paused_at: SimTime,
    attempt: u32,
    link_changes: u32,
    moved_now: Bytes,
    bytes_down: Bytes,
    bytes_up: Bytes,
    discarded: Discarded,
    is_known_to_client: bool,
    pub(super) has_job: bool,
}

impl TaskState {
    fn of(id: TaskId, task: &Task) -> Self {
        // Without `..`: a new field must be kept, or be said here to follow from the others.
        let Task {
            client_id,
            round,
            ref model,
            useful_until,
            address,
            device_class,
            network_class,
            region,
            power: _,
            draw_w,
            draws,
            failure,
            offline_at,
            crash_at,
            stage,
            stage_start,
            spent,
            flow,
            to_upload,
            paused_at,
            attempt,
            link_changes,
            moved_now,
            bytes_down,
            bytes_up,
            discarded,
            is_known_to_client,
            ref job,
        } = *task;
        Self {
            id,
            client_id,
            round,
            model_version: model.version,
            useful_until,
            address,
            device_class,
            network_class,
            region,
            draw_w,
            draws,
            failure,
            offline_at,
            crash_at,
            stage,
            stage_start,
            spent,
            flow,
            to_upload,
            paused_at,
            attempt,
            link_changes,
            moved_now,
            bytes_down,
            bytes_up,
            discarded,
            is_known_to_client,
            has_job: job.is_some(),
        }
    }

    fn into_task(self, models: &Models, power_of: impl Fn(usize) -> Option<PowerDraw>) -> Task {
        Task {
            client_id: self.client_id,
            round: self.round,
            model: models.of(self.model_version),
            useful_until: self.useful_until,
            address: self.address,
            device_class: self.device_class,
            network_class: self.network_class,
            region: self.region,
            power: power_of(self.device_class),
            draw_w: self.draw_w,
            draws: self.draws,
            failure: self.failure,
            offline_at: self.offline_at,
            crash_at: self.crash_at,
            stage: self.stage,
            stage_start: self.stage_start,
            spent: self.spent,
            flow: self.flow,
            to_upload: self.to_upload,
            paused_at: self.paused_at,
            attempt: self.attempt,
            link_changes: self.link_changes,
            moved_now: self.moved_now,
            bytes_down: self.bytes_down,
            bytes_up: self.bytes_up,
            discarded: self.discarded,
            is_known_to_client: self.is_known_to_client,
            job: None,
        }
    }
}

/// Tasks by number.
#[derive(Default)]
pub(super) struct Tasks(Window<Box<Task>>);

impl Tasks {
    /// The models that tasks start from.
    pub(super) fn models(&self) -> impl Iterator<Item = &Arc<GlobalModel>> {
        self.0.values().map(|task| &task.model)
    }

    /// All tasks, by number.
    pub(super) fn save(&self) -> Vec<TaskState> {
        self.0.iter().map(|(id, task)| TaskState::of(id, task)).collect()
    }

    /// The tasks of a saved run, without jobs.
    pub(super) fn restore(
        states: Vec<TaskState>,
        models: &Models,
        power_of: impl Fn(usize) -> Option<PowerDraw>,
    ) -> Self {
        let task = |state: TaskState| (state.id, Box::new(state.into_task(models, &power_of)));
        Self(states.into_iter().map(task).collect())
    }

    pub(super) fn insert(&mut self, id: TaskId, task: Box<Task>) {
        self.0.insert(id, task);
    }

    /// The numbers of the tasks that are there, rising.
    pub(super) fn ids(&self) -> Vec<TaskId> {
        self.0.numbers().collect()
    }

    pub(super) fn get(&self, id: TaskId) -> Option<&Task> {
        self.0.get(id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        self.0.get_mut(id).map(Box::as_mut)
    }

    pub(super) fn remove(&mut self, id: TaskId) -> Option<Box<Task>> {
        self.0.remove(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(client_id: u32) -> Task {
        let model = Arc::new(GlobalModel { version: 0, params: None, payload: Bytes::ZERO });
        Task::new(client_id, 1, model, None, SimTime::ZERO)
    }

    #[test]
    fn each_stage_is_charged_for_the_time_spent_in_it() {
        let at = SimTime::from_nanos;
        let mut task = task(0);
        task.enter(Stage::Train, at(10));
        task.enter(Stage::Upload, at(40));
        task.charge(at(45));
        assert_eq!(task.spent.map(SimDuration::as_nanos), [10, 30, 5]);
    }
}
