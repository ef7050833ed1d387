//! What the calendar holds.

use serde::{Deserialize, Serialize};

use crate::actors::messages::{Alarm, TaskId};
use crate::report::Reason;
use crate::sim::Direction;

/// Something that happens at its time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// The server wanted to be woken.
    Alarm(Alarm),
    /// The first byte of a transfer leaves.
    TransferBegins { task: TaskId, direction: Direction, attempt: u32 },
    /// The client's own link has another rate, unless the transfer is over by then.
    LinkChanges { task: TaskId, direction: Direction, serial: u32 },
    /// The client of an interrupted upload is online again.
    UploadResumes { task: TaskId },
    /// Local training is done.
    TrainingEnds { task: TaskId },
    /// The battery of the task's client is down to its reserve, unless its draw has changed since.
    BatteryEmpty { task: TaskId, serial: u32 },
    /// The task's client fails, unless the task is over by then.
    Fails { task: TaskId, reason: Reason },
    /// The server goes down: number of the restart in the plan.
    ServerDown { restart: usize },
    /// The server is up again.
    ServerUp,
}

/// A transfer of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) task: TaskId,
    pub(super) direction: Direction,
}

impl Transfer {
    /// Its name in the network.
    pub(super) fn flow_id(self) -> u64 {
        2 * self.task + u64::from(self.direction == Direction::Up)
    }

    /// The transfer of that name.
    pub(super) fn of_flow(flow_id: u64) -> Self {
        let direction = if flow_id.is_multiple_of(2) { Direction::Down } else { Direction::Up };
        Self { task: flow_id / 2, direction }
    }
}
