//! Checks that what a run wrote agrees with itself: conservation of bytes and tasks, and time that never goes back.
//!
//! - Bytes: each transfer that starts either arrives whole or is broken off by the end of its task, so that bytes
//!   offered = delivered + lost; what was moved is what `rounds.csv`, `clients.csv` and `summary.json` charge.
//! - Tasks: each has one start and one end, so that selected = aggregated + late + dropped + rejected over the run, and
//!   in each round that no task outlives.
//! - Energy: what clients spent, and what was spent in rounds, is what the run spent; no more is wasted.

use std::collections::BTreeMap;
use std::path::Path;

use super::record::Unused;
use super::{ClientRow, EventKind, Reason, ReportError, RoundRow, Summary, TaskPhase, TimelineRow};
use super::{read_clients, read_rounds, read_timeline};
use crate::units::Bytes;

/// Everything that is wrong with the results in a directory; empty when all agrees. For runs that have ended.
///
/// # Errors
/// When a file cannot be read.
pub fn violations_in(directory: &Path) -> Result<Vec<String>, ReportError> {
    let timeline = read_timeline(&directory.join("timeline.csv"))?;
    let rounds = read_rounds(&directory.join("rounds.csv"))?;
    let clients = read_clients(&directory.join("clients.csv"))?;
    let path = directory.join("summary.json");
    let text = std::fs::read_to_string(&path).map_err(ReportError::read(&path))?;
    let summary: Summary = serde_json::from_str(&text).map_err(|error| ReportError::Malformed {
        path,
        line: error.line() as u64,
        message: error.to_string(),
    })?;
    Ok(violations(&timeline, &rounds.rows, &clients, &summary))
}

/// Everything that is wrong with the results of a run that has ended; empty when all agrees.
pub fn violations(
    timeline: &[TimelineRow],
    rounds: &[RoundRow],
    clients: &[ClientRow],
    summary: &Summary,
) -> Vec<String> {
    let mut found = Vec::new();
    let followed = follow_tasks(timeline, &mut found);
    check_rounds(rounds, &followed, &mut found);
    check_totals(rounds, clients, summary, &mut found);
    check_energy(rounds, clients, summary, &mut found);
    let told = &summary.updates.dropped_by_phase;
    if *told != followed.dropped {
        found.push(format!("summary.json: dropped_by_phase is {told:?}, timeline.csv has {:?}", followed.dropped));
    }
    found
}

/// What the tasks of one round came to. Also used for sums over rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    selected: u64,
    completed: u64,
    aggregated: u64,
    late: u64,
    dropped: u64,
    rejected: u64,
    down: Bytes,
    up: Bytes,
}

impl Totals {
    fn of_round(row: &RoundRow) -> Self {
        Self {
            selected: row.selected.into(),
            completed: row.completed.into(),
            aggregated: row.aggregated.into(),
            late: row.late.into(),
            dropped: row.dropped.into(),
            rejected: row.rejected.into(),
            down: row.bytes_down,
            up: row.bytes_up,
        }
    }
}

/// A task between its start and its end.
struct OpenTask {
    /// The transfer under way: its direction and size.
    transfer: Option<(Way, Bytes)>,
    /// What transfers that are over have moved.
    down: Bytes,
    up: Bytes,
    /// The part of the task that is under way.
    phase: TaskPhase,
}

impl OpenTask {
    const BEGUN: Self = Self { transfer: None, down: Bytes::ZERO, up: Bytes::ZERO, phase: TaskPhase::Download };

    fn moved(&mut self, way: Way, bytes: Bytes) {
        match way {
            Way::Down => self.down += bytes,
            Way::Up => self.up += bytes,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Down,
    Up,
}

/// What the timeline says of each round.
#[derive(Default)]
struct Followed {
    totals: BTreeMap<u32, Totals>,
    /// Bytes moved by transfers that were over before the round was.
    moved: BTreeMap<u32, Bytes>,
    /// Tasks that failed, by what the client was doing and reason.
    dropped: BTreeMap<TaskPhase, BTreeMap<Reason, u64>>,
}

/// Follows each task through the timeline and sums up what happened from the end of one round to that of the next. What a
/// task moved counts when it ends.
fn follow_tasks(timeline: &[TimelineRow], found: &mut Vec<String>) -> Followed {
    let mut open: BTreeMap<u64, OpenTask> = BTreeMap::new();
    let mut followed = Followed::default();
    let (mut last, mut round, mut moved_so_far) = (None, 1, Bytes::ZERO);
    for (row, number) in timeline.iter().zip(0u64..) {
        if row.seq != number {
            found.push(format!("timeline.csv: row {number} has seq {}", row.seq));
        }
        if last.is_some_and(|last| last > row.record.time) {
            found.push(format!("timeline.csv: time goes back at seq {}", row.seq));
        }
        last = Some(row.record.time);
        if row.record.event == EventKind::RoundEnd {
            followed.totals.entry(round).or_default();
            followed.moved.insert(round, moved_so_far);
            round += 1;
        }
        if !matches!(row.record.event, EventKind::DownloadStart | EventKind::UploadStart) {
            moved_so_far += row.record.bytes.unwrap_or_default();
        }
        if let Err(message) = follow(row, round, &mut open, &mut followed) {
            found.push(format!("timeline.csv: seq {}: {message}", row.seq));
        }
    }
    found.extend(open.keys().map(|task| format!("timeline.csv: task {task} has no end")));
    followed
}

fn follow(
    row: &TimelineRow,
    round: u32,
    open: &mut BTreeMap<u64, OpenTask>,
    followed: &mut Followed,
) -> Result<(), String> {
    let record = &row.record;
    let Some(id) = record.task_id else {
        return Ok(());
    };
    if record.event == EventKind::Selected {
        followed.totals.entry(round).or_default().selected += 1;
        let before = open.insert(id, OpenTask::BEGUN);
        return if before.is_none() { Ok(()) } else { Err(format!("task {id} is selected twice")) };
    }
    let task = open.get_mut(&id).ok_or_else(|| format!("task {id} has not been selected, or has ended"))?;
    let sums = followed.totals.entry(round).or_default();
    let bytes = record.bytes.unwrap_or_default();
    match record.event {
        EventKind::DownloadStart => start_transfer(task, Way::Down, bytes)?,
        EventKind::UploadStart => {
            start_transfer(task, Way::Up, bytes)?;
            task.phase = TaskPhase::Upload;
        }
        EventKind::DownloadEnd => {
            end_transfer(task, Way::Down, bytes)?;
            task.phase = TaskPhase::Train;
        }
        EventKind::UploadEnd => {
            end_transfer(task, Way::Up, bytes)?;
            sums.completed += 1;
        }
        EventKind::Interrupted => break_off(task, bytes)?,
        EventKind::Accepted => {
            sums.aggregated += 1;
            close(open, id, bytes, sums)?;
        }
        EventKind::Rejected | EventKind::Dropout => {
            let reason = record.reason.ok_or_else(|| format!("task {id} ended without a reason"))?;
            match reason.counts_as() {
                Unused::Dropped => {
                    sums.dropped += 1;
                    *followed.dropped.entry(task.phase).or_default().entry(reason).or_default() += 1;
                }
                Unused::Late => sums.late += 1,
                Unused::Rejected => sums.rejected += 1,
            }
            close(open, id, bytes, sums)?;
        }
        EventKind::TrainStart
        | EventKind::TrainEnd
        | EventKind::Selected
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
        | EventKind::RunEnd => {}
    }
    Ok(())
}

fn start_transfer(task: &mut OpenTask, way: Way, bytes: Bytes) -> Result<(), String> {
    match task.transfer.replace((way, bytes)) {
        None => Ok(()),
        Some(_) => Err("a transfer starts while another of its task is under way".into()),
    }
}

fn end_transfer(task: &mut OpenTask, way: Way, bytes: Bytes) -> Result<(), String> {
    match task.transfer.take() {
        Some(transfer) if transfer == (way, bytes) => {
            task.moved(way, bytes);
            Ok(())
        }
        Some((_, offered)) => Err(format!("{} B arrived of {} B offered", bytes.get(), offered.get())),
        None => Err("a transfer ends that has not started".into()),
    }
}

/// Breaks off the transfer under way, if there is one, after `moved` bytes.
fn break_off(task: &mut OpenTask, moved: Bytes) -> Result<(), String> {
    match task.transfer.take() {
        Some((_, offered)) if moved > offered => {
            Err(format!("{} B were moved of {} B offered", moved.get(), offered.get()))
        }
        Some((way, _)) => {
            task.moved(way, moved);
            Ok(())
        }
        None if moved > Bytes::ZERO => Err(format!("{} B were moved by no transfer", moved.get())),
        None => Ok(()),
    }
}

/// Ends a task and charges what it moved, with what a transfer that is broken off now had moved.
fn close(open: &mut BTreeMap<u64, OpenTask>, id: u64, moved: Bytes, sums: &mut Totals) -> Result<(), String> {
    let mut task = open.remove(&id).expect("its caller has found it");
    break_off(&mut task, moved)?;
    sums.down += task.down;
    sums.up += task.up;
    Ok(())
}

fn check_rounds(rounds: &[RoundRow], followed: &Followed, found: &mut Vec<String>) {
    for (row, number) in rounds.iter().zip(1..) {
        let mut wrong = |what: String| found.push(format!("rounds.csv: round {number}: {what}"));
        let totals = Totals::of_round(row);
        if row.round != number {
            wrong(format!("is called {}", row.round));
        }
        if row.sim_start > row.sim_end {
            wrong("ends before it starts".into());
        }
        if row.rejected < row.stale {
            wrong(format!("{} stale updates are more than the {} rejected", row.stale, row.rejected));
        }
        let cum_bytes = followed.moved.get(&row.round).copied().unwrap_or_default();
        if row.cum_bytes != cum_bytes {
            wrong(format!("cum_bytes is {}, but by the timeline {}", row.cum_bytes.get(), cum_bytes.get()));
        }
        if row.bytes_wasted > row.bytes_down + row.bytes_up {
            wrong("more is wasted than was moved".into());
        }
        let counted = followed.totals.get(&row.round).copied().unwrap_or_default();
        if counted != totals {
            wrong(format!("is {totals:?}, but by the timeline {counted:?}"));
        }
    }
    if followed.totals.len() > rounds.len() {
        found.push(format!("rounds.csv: {} rounds, but {} in the timeline", rounds.len(), followed.totals.len()));
    }
}

fn check_totals(rounds: &[RoundRow], clients: &[ClientRow], summary: &Summary, found: &mut Vec<String>) {
    let sum = |value: fn(&Totals) -> u64| rounds.iter().map(|row| value(&Totals::of_round(row))).sum::<u64>();
    let over_clients = |value: fn(&ClientRow) -> u64| clients.iter().map(value).sum::<u64>();
    let wasted: u64 = rounds.iter().map(|row| row.bytes_wasted.get()).sum();
    let pairs = [
        ("clients.csv: selected", over_clients(|row| row.selected.into()), sum(|t| t.selected)),
        ("clients.csv: completed", over_clients(|row| row.completed.into()), sum(|t| t.completed)),
        ("clients.csv: dropped", over_clients(|row| row.dropped.into()), sum(|t| t.dropped)),
        ("clients.csv: late", over_clients(|row| row.late.into()), sum(|t| t.late)),
        ("clients.csv: bytes_down", over_clients(|row| row.bytes_down.get()), sum(|t| t.down.get())),
        ("clients.csv: bytes_up", over_clients(|row| row.bytes_up.get()), sum(|t| t.up.get())),
        (
            "rounds.csv: selected",
            sum(|t| t.selected),
            sum(|t| t.aggregated) + sum(|t| t.late) + sum(|t| t.dropped) + sum(|t| t.rejected),
        ),
        ("summary.json: rounds", summary.rounds.into(), rounds.len() as u64),
        ("summary.json: updates.selected", summary.updates.selected, sum(|t| t.selected)),
        ("summary.json: updates.aggregated", summary.updates.aggregated, sum(|t| t.aggregated)),
        ("summary.json: updates.late", summary.updates.late, sum(|t| t.late)),
        ("summary.json: updates.dropped", summary.updates.n_dropped(), sum(|t| t.dropped)),
        ("summary.json: updates.rejected", summary.updates.n_rejected(), sum(|t| t.rejected)),
        ("summary.json: bytes.down", summary.bytes.down.get(), sum(|t| t.down.get())),
        ("summary.json: bytes.up", summary.bytes.up.get(), sum(|t| t.up.get())),
        ("summary.json: bytes.wasted", summary.bytes.wasted.get(), wasted),
    ];
    let wrong = pairs.into_iter().filter(|(_, stated, expected)| stated != expected);
    found.extend(wrong.map(|(what, stated, expected)| format!("{what} is {stated}, but {expected} over the rounds")));
}

fn check_energy(rounds: &[RoundRow], clients: &[ClientRow], summary: &Summary, found: &mut Vec<String>) {
    let (stated, wasted) = summary.energy.map(|energy| (energy.total, energy.wasted)).unwrap_or_default();
    let of_clients: Vec<f64> = clients.iter().filter_map(|row| row.energy_j).collect();
    let of_rounds: Vec<f64> = rounds.iter().filter_map(|row| row.energy_j).collect();
    for (file, values) in [("clients.csv", of_clients), ("rounds.csv", of_rounds)] {
        let sum: f64 = values.iter().sum();
        // Each number is rounded to the millijoule; sums of large ones differ in their last bits.
        let tolerance = 5e-4 * (values.len() + 1) as f64 + 1e-9 * stated.abs();
        let is_equal = (sum - stated).abs() <= tolerance;
        if !is_equal {
            found.push(format!("{file}: energy_j is {sum} J in all, but energy.total_j of summary.json is {stated} J"));
        }
    }
    if wasted > stated {
        found.push(format!("summary.json: energy.wasted_j is {wasted} J of {stated} J"));
    }
}

#[cfg(test)]
mod tests;
