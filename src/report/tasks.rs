//! The life of each task as the rows of the timeline tell it: which stage lasted from when to when, and how it ended.

use std::collections::BTreeMap;

use super::{EventKind, Reason, Record};
use crate::units::{Bytes, SimTime};

/// What a task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The model is on its way to the client.
    Download,
    /// The client trains.
    Train,
    /// The update is on its way to the server.
    Upload,
    /// The client waits, such as for its network before it tries an upload again.
    Pause,
    /// The update has arrived and waits to become part of a model.
    Arrived,
}

impl Stage {
    /// All of them, in the order of a task's life.
    pub(super) const ALL: [Self; 5] = [Self::Download, Self::Train, Self::Upload, Self::Pause, Self::Arrived];

    /// What it is called in figures and tables.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Train => "training",
            Self::Upload => "upload",
            Self::Pause => "pause",
            Self::Arrived => "arrived",
        }
    }
}

/// A stage of a task from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) stage: Stage,
    pub(super) from: SimTime,
    pub(super) to: SimTime,
    /// What was moved, for a transfer.
    pub(super) bytes: Bytes,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Accepted {
        staleness: u32,
    },
    /// By the server's decision.
    Rejected(Reason),
    Dropped(Reason),
}

/// A task under way, or over.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) id: u64,
    pub(super) client_id: u32,
    pub(super) selected: SimTime,
    /// What is over, in order; stages of no length are left out, but for transfers.
    pub(super) steps: Vec<Step>,
    /// The stage under way and its start.
    pub(super) stage: (Stage, SimTime),
    /// Bytes moved to the client, whole transfers and broken ones.
    pub(super) down: Bytes,
    /// Bytes moved to the server.
    pub(super) up: Bytes,
    /// Of these, bytes of uploads that broke off and were begun anew.
    pub(super) discarded: Bytes,
    /// What the first upload was to move.
    update: Option<Bytes>,
}

impl Task {
    /// Leaves the stage under way.
    fn leave(&mut self, now: SimTime, bytes: Bytes) {
        let (stage, from) = self.stage;
        match stage {
            Stage::Download => self.down += bytes,
            Stage::Upload => self.up += bytes,
            Stage::Train | Stage::Pause | Stage::Arrived => {}
        }
        if now > from || bytes > Bytes::ZERO {
            self.steps.push(Step { stage, from, to: now, bytes });
        }
    }

    fn enter(&mut self, stage: Stage, now: SimTime) {
        self.stage = (stage, now);
    }

    /// An upload begins that is to move `bytes`: what was moved before and is to be moved again was of no use.
    fn begin_upload(&mut self, bytes: Bytes) {
        let update = *self.update.get_or_insert(bytes);
        let useful = update.get().saturating_sub(bytes.get());
        self.discarded = Bytes::new(self.up.get().saturating_sub(useful));
    }

    /// The task as it would be if its stage ended now.
    pub(super) fn cut(&self, now: SimTime) -> Self {
        let mut cut = self.clone();
        cut.leave(now, Bytes::ZERO);
        cut
    }
}

/// What a row changed.
pub(super) enum Change<'a> {
    /// Nothing about tasks.
    None,
    /// A task goes from one stage to another.
    Moved(&'a Task),
    /// A task is over.
    Ended(Task, Ending),
}

/// The tasks that are under way while the timeline is read. Holds no more than those, however long the timeline.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    open: BTreeMap<u64, Task>,
}

impl Tasks {
    /// Tasks under way, by number.
    pub(super) fn open(&self) -> impl Iterator<Item = &Task> {
        self.open.values()
    }

    pub(super) fn get(&self, id: u64) -> Option<&Task> {
        self.open.get(&id)
    }

    /// Takes the next row. Rows of tasks that were never selected, which no run writes, change nothing.
    pub(super) fn on(&mut self, record: &Record) -> Change<'_> {
        let (Some(id), Some(client_id)) = (record.task_id, record.client_id) else { return Change::None };
        let now = record.time;
        if record.event == EventKind::Selected {
            let steps = Vec::with_capacity(4);
            let stage = (Stage::Pause, now);
            let task = Task {
                id,
                client_id,
                selected: now,
                steps,
                stage,
                down: Bytes::ZERO,
                up: Bytes::ZERO,
                discarded: Bytes::ZERO,
                update: None,
            };
            self.open.insert(id, task);
            return self.open.get(&id).map_or(Change::None, Change::Moved);
        }
        let next = match record.event {
            EventKind::DownloadStart => Some(Stage::Download),
            EventKind::TrainStart => Some(Stage::Train),
            EventKind::UploadStart => Some(Stage::Upload),
            EventKind::DownloadEnd | EventKind::TrainEnd | EventKind::Interrupted => Some(Stage::Pause),
            EventKind::UploadEnd => Some(Stage::Arrived),
            EventKind::Accepted | EventKind::Rejected | EventKind::Dropout => None,
            EventKind::Selected
            | EventKind::RunStart
            | EventKind::RoundStart
            | EventKind::Online
            | EventKind::Offline
            | EventKind::ServerDown
            | EventKind::ServerUp
            | EventKind::Deadline
            | EventKind::Aggregate
            | EventKind::Eval
            | EventKind::Checkpoint
            | EventKind::RoundEnd
            | EventKind::RunEnd => return Change::None,
        };
        // The start of a transfer names the bytes that it is to move, its end those that it has moved.
        let moved = match record.event {
            EventKind::DownloadStart | EventKind::UploadStart => Bytes::ZERO,
            _ => record.bytes.unwrap_or_default(),
        };
        let Some(stage) = next else {
            let Some(mut task) = self.open.remove(&id) else { return Change::None };
            task.leave(now, moved);
            return Change::Ended(task, ending(record));
        };
        let Some(task) = self.open.get_mut(&id) else { return Change::None };
        task.leave(now, moved);
        task.enter(stage, now);
        if record.event == EventKind::UploadStart {
            task.begin_upload(record.bytes.unwrap_or_default());
        }
        Change::Moved(task)
    }
}

fn ending(record: &Record) -> Ending {
    let reason = record.reason.unwrap_or(Reason::RunEnd);
    match record.event {
        EventKind::Accepted => Ending::Accepted { staleness: record.staleness.unwrap_or_default() },
        EventKind::Dropout => Ending::Dropped(reason),
        _ => Ending::Rejected(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SimTime {
        SimTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn what_is_sent_again_was_sent_in_vain() {
        let row = |time, event| Record::new(at(time), event).client(7).round(1).task(1);
        let discarded = |again: u64| {
            let rows = [
                row(0, EventKind::Selected),
                row(1, EventKind::UploadStart).bytes(Bytes::new(10)),
                row(2, EventKind::Interrupted).bytes(Bytes::new(4)),
                row(3, EventKind::UploadStart).bytes(Bytes::new(again)),
                row(4, EventKind::UploadEnd).bytes(Bytes::new(again)),
            ];
            let mut tasks = Tasks::default();
            rows.iter().for_each(|row| drop(tasks.on(row)));
            let task = tasks.get(1).unwrap();
            (task.up.get(), task.discarded.get())
        };
        assert_eq!((discarded(10), discarded(6)), ((14, 4), (10, 0)));
    }

    #[test]
    fn a_life_with_an_interrupted_upload() {
        let row = |time, event| Record::new(at(time), event).client(7).round(1).task(1);
        let rows = [
            row(0, EventKind::Selected),
            row(0, EventKind::DownloadStart).bytes(Bytes::new(10)),
            row(2, EventKind::DownloadEnd).bytes(Bytes::new(10)),
            row(2, EventKind::TrainStart),
            row(5, EventKind::TrainEnd),
            row(5, EventKind::UploadStart).bytes(Bytes::new(9)),
            row(6, EventKind::Interrupted).bytes(Bytes::new(4)).reason(Reason::Offline),
            row(16, EventKind::UploadStart).bytes(Bytes::new(9)),
            row(18, EventKind::UploadEnd).bytes(Bytes::new(9)),
            row(20, EventKind::Accepted).staleness(3),
        ];
        let mut tasks = Tasks::default();
        let mut ended = None;
        for row in rows {
            if let Change::Ended(task, ending) = tasks.on(&row) {
                ended = Some((task, ending));
            }
        }
        let (task, ending) = ended.unwrap();
        let steps: Vec<_> = task.steps.iter().map(|step| (step.stage, step.from, step.to)).collect();
        assert_eq!(
            steps,
            [
                (Stage::Download, at(0), at(2)),
                (Stage::Train, at(2), at(5)),
                (Stage::Upload, at(5), at(6)),
                (Stage::Pause, at(6), at(16)),
                (Stage::Upload, at(16), at(18)),
                (Stage::Arrived, at(18), at(20)),
            ]
        );
        assert_eq!((task.down, task.up, ending), (Bytes::new(10), Bytes::new(13), Ending::Accepted { staleness: 3 }));
        assert_eq!(tasks.open().count(), 0);
    }
}
