//! What the figures and the page need of a timeline, gathered in one pass: the timeline itself is never held.

use std::collections::BTreeMap;

use super::critical_path::{CriticalPaths, RoundPath};
use super::tasks::{Change, Ending, Stage, Task, Tasks};
use super::{EventKind, Reason, Record, ReportError, RoundRow, TimelineRow};
use crate::units::{Bytes, SimTime};

/// Rounds whose clients are drawn together, from the first on.
pub(super) const FIRST_ROUNDS: usize = 3;
/// The longest rounds, whose clients are drawn.
pub(super) const LONGEST_ROUNDS: usize = 8;

/// Bytes moved, by what became of their task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) used: Bytes,
    pub(super) wasted: Bytes,
}

/// A stage of a client's task, cut to its window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bar {
    pub(super) client_id: u32,
    pub(super) task_id: u64,
    pub(super) stage: Stage,
    pub(super) from: SimTime,
    pub(super) to: SimTime,
}

/// What the clients did from one time to another.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The round, where the window is one; `None` for the first ones together.
    pub(super) round: Option<u32>,
    pub(super) from: SimTime,
    pub(super) to: SimTime,
    pub(super) bars: Vec<Bar>,
    /// Tasks that ended without being used: client, when and how.
    pub(super) ends: Vec<(u32, SimTime, Ending)>,
    /// Starts of rounds within.
    pub(super) starts: Vec<(u32, SimTime)>,
}

impl Window {
    fn take(&mut self, task: &Task, end: Option<(SimTime, Ending)>) {
        for step in &task.steps {
            let (from, to) = (step.from.max(self.from), step.to.min(self.to));
            if from < to {
                let bar = Bar { client_id: task.client_id, task_id: task.id, stage: step.stage, from, to };
                self.bars.push(bar);
            }
        }
        if let Some((time, ending)) = end
            && !matches!(ending, Ending::Accepted { .. })
            && self.from < time
            && time <= self.to
        {
            self.ends.push((task.client_id, time, ending));
        }
    }
}

/// What a timeline comes to.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    pub(super) n_rows: u64,
    /// Time of the last row.
    pub(super) end: SimTime,
    /// Why each round that ended took as long as it did.
    pub(super) paths: Vec<RoundPath>,
    /// The first rounds, then the longest, longest first.
    pub(super) windows: Vec<Window>,
    /// Tasks that ended without being used, by reason and by the stage they were in.
    pub(super) unused: BTreeMap<(Reason, Stage), u64>,
    pub(super) down: Moved,
    pub(super) up: Moved,
    /// Of what was wasted, uploads of updates that were used, which broke off and were begun anew.
    pub(super) discarded: Bytes,
    /// How many updates were aggregated with each staleness.
    pub(super) staleness: BTreeMap<u32, u64>,
}

impl Chronicle {
    /// Reads a timeline, whose rounds are known.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub(super) fn read(
        timeline: impl Iterator<Item = Result<TimelineRow, ReportError>>,
        rounds: &[RoundRow],
    ) -> Result<Self, ReportError> {
        let mut chronicle = Self { windows: windows(rounds), ..Self::default() };
        let (mut tasks, mut paths) = (Tasks::default(), CriticalPaths::default());
        for row in timeline {
            let record = row?.record;
            chronicle.n_rows += 1;
            chronicle.end = record.time;
            chronicle.paths.extend(paths.on(&record));
            if let (EventKind::RoundStart, Some(round)) = (record.event, record.round) {
                let within = chronicle.windows.iter_mut().filter(|w| w.from <= record.time && record.time < w.to);
                within.for_each(|window| window.starts.push((round, record.time)));
            }
            if let Change::Ended(task, ending) = tasks.on(&record) {
                chronicle.end_task(&task, ending, &record);
            }
        }
        let end = chronicle.end;
        for window in &mut chronicle.windows {
            window.to = window.to.min(end);
            for task in tasks.open() {
                window.take(&task.cut(end), None);
            }
        }
        Ok(chronicle)
    }

    fn end_task(&mut self, task: &Task, ending: Ending, record: &Record) {
        let is_used = matches!(ending, Ending::Accepted { .. });
        for (moved, bytes, discarded) in
            [(&mut self.down, task.down, Bytes::ZERO), (&mut self.up, task.up, task.discarded)]
        {
            let wasted = if is_used { discarded } else { bytes };
            moved.wasted += wasted;
            moved.used += bytes - wasted;
        }
        if is_used {
            self.discarded += task.discarded;
        }
        match ending {
            Ending::Accepted { staleness } => *self.staleness.entry(staleness).or_default() += 1,
            Ending::Rejected(reason) | Ending::Dropped(reason) => {
                *self.unused.entry((reason, task.stage.0)).or_default() += 1;
            }
        }
        let end = record.time;
        for window in self.windows.iter_mut().filter(|window| task.selected < window.to && end > window.from) {
            window.take(task, Some((end, ending)));
        }
    }
}

/// Empty windows for the first rounds and for the longest.
fn windows(rounds: &[RoundRow]) -> Vec<Window> {
    let forever = SimTime::from_nanos(u64::MAX);
    let first_end = rounds.get(FIRST_ROUNDS - 1).or(rounds.last()).map_or(forever, |row| row.sim_end);
    let mut windows = vec![Window { to: first_end, ..Window::default() }];
    for row in longest(rounds).into_iter().take(LONGEST_ROUNDS) {
        windows.push(Window { round: Some(row.round), from: row.sim_start, to: row.sim_end, ..Window::default() });
    }
    windows
}

/// The rounds by duration, longest first; the earlier of equals.
fn longest(rounds: &[RoundRow]) -> Vec<&RoundRow> {
    let mut rounds: Vec<_> = rounds.iter().collect();
    rounds.sort_by_key(|row| (std::cmp::Reverse(row.sim_end.since(row.sim_start)), row.round));
    rounds
}

#[cfg(test)]
mod tests {
    use super::super::fixture::run;
    use super::*;

    #[test]
    fn the_books_of_the_run_are_found_again() {
        let run = run();
        let rows = run.timeline.iter().map(|row| Ok(*row));
        let chronicle = Chronicle::read(rows, &run.rounds).unwrap();
        assert_eq!(chronicle.n_rows, run.timeline.len() as u64);
        let (down, up) = (chronicle.down, chronicle.up);
        assert_eq!(down.used + down.wasted, run.summary.bytes.down);
        assert_eq!(up.used + up.wasted, run.summary.bytes.up);
        assert_eq!(down.wasted + up.wasted, run.summary.bytes.wasted);
        let updates = &run.summary.updates;
        assert_eq!(chronicle.unused.values().sum::<u64>(), updates.late + updates.n_dropped());
        assert_eq!(chronicle.staleness.values().sum::<u64>(), updates.aggregated);
        for (path, row) in chronicle.paths.iter().zip(&run.rounds) {
            assert_eq!((path.round, path.start, path.end), (row.round, row.sim_start, row.sim_end));
        }
        assert_eq!(chronicle.windows.len(), 1 + run.rounds.len().min(LONGEST_ROUNDS));
        assert_eq!(chronicle.windows[0].starts.len(), FIRST_ROUNDS);
        // The windows that hold a whole round hold each of its 5 tasks.
        for window in &chronicle.windows[1..] {
            let tasks: std::collections::BTreeSet<_> = window.bars.iter().map(|bar| bar.task_id).collect();
            assert_eq!(tasks.len(), 5);
            assert!(window.bars.iter().all(|bar| window.from <= bar.from && bar.to <= window.to));
        }
        let [first, second] = [1, 2].map(|index| chronicle.windows[index].to.since(chronicle.windows[index].from));
        assert!(first >= second);
    }
}
