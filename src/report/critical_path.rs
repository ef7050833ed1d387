//! Why a round took as long as it did: the chain of waits that leads from its end back to its start.
//!
//! A round ends for one of a few reasons, [`Closing`]: the update that was missing arrives, the deadline or the period is
//! over, the last task fails. From there the path is walked back: through the stages of the task that arrived, to the
//! moment it was asked; if that lies within the round, to the task whose end made room for it, and so on to the start.
//! In asynchronous operation a round is the interval between two models, and its first task may have begun before it:
//! the path then holds the part within the interval, and [`RoundPath::carried`] says how long the task had been at work.
//!
//! The legs of a path follow each other without gaps, so that their durations sum to the round's exactly.

use super::tasks::{Change, Stage, Task, Tasks};
use super::{EventKind, Reason, Record};
use crate::units::{SimDuration, SimTime};

/// What a leg of a path consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leg {
    /// A client downloads the model.
    Download,
    /// A client trains.
    Train,
    /// A client uploads its update.
    Upload,
    /// A client waits, such as for its network before it tries an upload again.
    Pause,
    /// No client could be asked: the server waits for one to be available.
    ForClients,
    /// The server waits for the deadline: what it asked for does not arrive.
    ForDeadline,
    /// The server waits for the end of its period, or otherwise for itself.
    ForServer,
    /// The server is down, and with it what waits for it: transfers, deadlines, the search for clients.
    ServerDown,
}

impl Leg {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Download,
        Self::Train,
        Self::Upload,
        Self::Pause,
        Self::ForClients,
        Self::ForDeadline,
        Self::ForServer,
        Self::ServerDown,
    ];

    /// What it is called in figures and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Train => "training",
            Self::Upload => "upload",
            Self::Pause => "client paused",
            Self::ForClients => "no client available",
            Self::ForDeadline => "waiting for the deadline",
            Self::ForServer => "waiting for the period",
            Self::ServerDown => "server down",
        }
    }

    /// Whether it makes no way while the server is down.
    fn needs_the_server(self) -> bool {
        !matches!(self, Self::Train | Self::Pause)
    }

    fn of(stage: Stage) -> Self {
        match stage {
            Stage::Download => Self::Download,
            Stage::Train => Self::Train,
            Stage::Upload => Self::Upload,
            Stage::Pause => Self::Pause,
            Stage::Arrived => Self::ForServer,
        }
    }
}

/// A part of a path: what was waited for, from when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathLeg {
    /// What.
    pub leg: Leg,
    /// Whose, for what a client does.
    pub client_id: Option<u32>,
    /// Of which task.
    pub task_id: Option<u64>,
    /// Its start.
    pub from: SimTime,
    /// Its end.
    pub to: SimTime,
}

impl PathLeg {
    /// How long it lasted.
    pub fn duration(&self) -> SimDuration {
        self.to.since(self.from)
    }
}

/// What ended a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The last update that was needed arrived: that of this client.
    Arrival(u32),
    /// The last task under way failed: that of this client, for this reason.
    Failure(u32, Reason),
    /// Its deadline passed.
    Deadline,
    /// The server restarted and forgot it.
    Restart,
    /// The server's own time, such as a period.
    Period,
}

/// Tasks that had not arrived when a deadline passed, by what they were doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtWork {
    /// Still downloading.
    pub download: u32,
    /// Still training.
    pub train: u32,
    /// Still uploading, or waiting to.
    pub upload: u32,
}

impl AtWork {
    fn count(tasks: &Tasks) -> Self {
        let mut counts = Self::default();
        for task in tasks.open() {
            match task.stage.0 {
                Stage::Download => counts.download += 1,
                Stage::Train => counts.train += 1,
                Stage::Upload | Stage::Pause => counts.upload += 1,
                Stage::Arrived => {}
            }
        }
        counts
    }

    /// All of them.
    pub fn total(&self) -> u32 {
        self.download + self.train + self.upload
    }
}

/// Why one round took as long as it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundPath {
    /// The round.
    pub round: u32,
    /// Its start.
    pub start: SimTime,
    /// Its end.
    pub end: SimTime,
    /// Between the end of the round before and the start of this one: the server waited for clients.
    pub gap: SimDuration,
    /// The same while the server was down.
    pub gap_down: SimDuration,
    /// What ended it.
    pub closing: Closing,
    /// The path from start to end. The legs follow each other without gaps; those of no length are left out.
    pub legs: Vec<PathLeg>,
    /// How long the first task of the path had been at work when the round started.
    pub carried: SimDuration,
    /// What had not arrived when the deadline passed; all zero for other endings.
    pub at_work: AtWork,
}

impl RoundPath {
    /// How long the round lasted: the sum of its legs.
    pub fn duration(&self) -> SimDuration {
        self.end.since(self.start)
    }

    /// How long the legs of a kind lasted together.
    pub fn spent_on(&self, leg: Leg) -> SimDuration {
        let of_kind = self.legs.iter().filter(|path_leg| path_leg.leg == leg);
        of_kind.fold(SimDuration::ZERO, |sum, leg| sum + leg.duration())
    }

    /// How long that was waited for between the end of the round before and the start of this one.
    pub fn waited_before(&self, leg: Leg) -> SimDuration {
        match leg {
            Leg::ForClients => self.gap,
            Leg::ServerDown => self.gap_down,
            _ => SimDuration::ZERO,
        }
    }

    /// The longest leg; the first of equals.
    pub fn longest(&self) -> Option<&PathLeg> {
        let mut longest: Option<&PathLeg> = None;
        for leg in &self.legs {
            if longest.is_none_or(|longest| leg.duration() > longest.duration()) {
                longest = Some(leg);
            }
        }
        longest
    }
}

/// A task that made room for others within the open round: its update arrived, or it failed.
#[derive(Debug, Clone, Copy)]
struct Freed {
    time: SimTime,
    task_id: u64,
    failure: Option<(u32, Reason)>,
}

/// Finds the paths while the rows of a timeline pass by, in their order. Holds what the open round needs.
#[derive(Debug, Default)]
pub struct CriticalPaths {
    tasks: Tasks,
    open: Option<(u32, SimTime)>,
    last_end: SimTime,
    freed: Vec<Freed>,
    /// For tasks asked within the open round: how many had been freed before.
    freed_before: std::collections::BTreeMap<u64, usize>,
    /// Tasks that ended within the open round.
    ended: std::collections::BTreeMap<u64, Task>,
    deadline: Option<(SimTime, AtWork)>,
    /// When the server went down, while it is.
    down_since: Option<SimTime>,
    /// From when to when it was down since the last round ended, in order.
    down: Vec<(SimTime, SimTime)>,
}

impl CriticalPaths {
    /// Takes the next row; gives the path of a round when its end comes.
    pub fn on(&mut self, record: &Record) -> Option<RoundPath> {
        match record.event {
            EventKind::RoundStart => {
                self.open = Some((record.round.unwrap_or_default(), record.time));
                return None;
            }
            EventKind::Deadline => self.deadline = Some((record.time, AtWork::count(&self.tasks))),
            EventKind::ServerDown => self.down_since = self.down_since.or(Some(record.time)),
            EventKind::ServerUp => self.down.extend(self.down_since.take().map(|since| (since, record.time))),
            EventKind::RoundEnd => return self.close(record.time),
            EventKind::Selected => {
                if let Some(task_id) = record.task_id {
                    self.freed_before.insert(task_id, self.freed.len());
                }
            }
            _ => {}
        }
        match self.tasks.on(record) {
            Change::None => {}
            Change::Moved(task) => {
                if task.stage.0 == Stage::Arrived {
                    self.freed.push(Freed { time: record.time, task_id: task.id, failure: None });
                }
            }
            Change::Ended(task, _) => {
                if record.event == EventKind::Dropout {
                    let failure = Some((task.client_id, record.reason.unwrap_or(Reason::Random)));
                    self.freed.push(Freed { time: record.time, task_id: task.id, failure });
                }
                self.ended.insert(task.id, task);
            }
        }
        None
    }

    fn close(&mut self, end: SimTime) -> Option<RoundPath> {
        let (round, start) = self.open.take()?;
        let last = self.freed.last().copied();
        let deadline = self.deadline.filter(|(time, _)| *time == end);
        let closing = match last.filter(|freed| freed.time == end) {
            _ if deadline.is_some() => Closing::Deadline,
            Some(Freed { failure: Some((_, Reason::ServerRestart)), .. }) => Closing::Restart,
            Some(Freed { failure: Some((client_id, reason)), .. }) => Closing::Failure(client_id, reason),
            Some(Freed { task_id, .. }) => {
                self.task(task_id).map_or(Closing::Period, |task| Closing::Arrival(task.client_id))
            }
            None => Closing::Period,
        };
        let (legs, carried) = self.walk_back(closing, start, end);
        if let Some(since) = &mut self.down_since {
            self.down.push((std::mem::replace(since, end), end));
        }
        let legs = legs.into_iter().flat_map(|leg| without_server(leg, &self.down)).collect();
        let down_in = |from: SimTime, to: SimTime| {
            let parts = self.down.iter().map(|(since, until)| ((*since).max(from), (*until).min(to)));
            let parts = parts.filter(|(since, until)| until > since);
            parts.fold(SimDuration::ZERO, |sum, (since, until)| sum + until.since(since))
        };
        let gap_down = down_in(self.last_end, start);
        let path = RoundPath {
            round,
            start,
            end,
            gap: start.since(self.last_end + gap_down),
            gap_down,
            closing,
            legs,
            carried,
            at_work: deadline.map(|(_, at_work)| at_work).unwrap_or_default(),
        };
        self.last_end = end;
        self.freed.clear();
        self.freed_before.clear();
        self.ended.clear();
        self.deadline = None;
        self.down.clear();
        Some(path)
    }

    fn task(&self, id: u64) -> Option<&Task> {
        self.ended.get(&id).or_else(|| self.tasks.get(id))
    }

    /// The legs from `start` to `end`, in order, and how long the first task had been at work before.
    fn walk_back(&self, closing: Closing, start: SimTime, end: SimTime) -> (Vec<PathLeg>, SimDuration) {
        // From the end to the start; turned round below.
        let mut legs = Vec::new();
        let mut now = end;
        // How many of the freed tasks may come next on the way back.
        let mut n_freed = self.freed.len();
        let mut wait = match closing {
            Closing::Deadline => Leg::ForDeadline,
            Closing::Arrival(_) | Closing::Failure(..) | Closing::Restart | Closing::Period => Leg::ForServer,
        };
        let mut carried = SimDuration::ZERO;
        while now > start {
            // The deadline is waited for since the last arrival; what failed meanwhile was of no use.
            let is_use = |freed: &&Freed| freed.failure.is_none() || wait != Leg::ForDeadline;
            let freed = &self.freed[..n_freed];
            let freed = freed.iter().rev().find(|freed| freed.time > start && is_use(freed));
            let Some(task) = freed.and_then(|freed| self.task(freed.task_id)) else {
                push(&mut legs, wait, None, start, now);
                break;
            };
            let freed_at = freed.map_or(start, |freed| freed.time).min(now);
            push(&mut legs, wait, None, freed_at, now);
            now = freed_at;
            for step in task.steps.iter().rev().filter(|step| step.from < freed_at) {
                if now <= start {
                    break;
                }
                let (from, to) = (step.from.max(start), step.to.min(now));
                push(&mut legs, Leg::Pause, Some(task), to, now);
                push(&mut legs, Leg::of(step.stage), Some(task), from, to);
                now = from;
            }
            if task.selected < start {
                push(&mut legs, Leg::Pause, Some(task), start, now);
                carried = start.since(task.selected);
                break;
            }
            push(&mut legs, Leg::Pause, Some(task), task.selected, now);
            now = task.selected;
            n_freed = self.freed_before.get(&task.id).copied().unwrap_or(0).min(n_freed);
            wait = Leg::ForClients;
        }
        legs.reverse();
        (legs, carried)
    }
}

/// A leg, with the parts told apart in which it made no way because the server was down.
fn without_server(leg: PathLeg, down: &[(SimTime, SimTime)]) -> Vec<PathLeg> {
    let mut parts = Vec::new();
    let mut from = leg.from;
    for &(since, until) in down.iter().filter(|_| leg.leg.needs_the_server()) {
        let (since, until) = (since.max(from), until.min(leg.to));
        if since >= until {
            continue;
        }
        parts.push(PathLeg { from, to: since, ..leg });
        parts.push(PathLeg { leg: Leg::ServerDown, client_id: None, task_id: None, from: since, to: until });
        from = until;
    }
    parts.push(PathLeg { from, ..leg });
    parts.retain(|part| part.to > part.from);
    parts
}

/// Appends a leg on the way back, unless it has no length.
fn push(legs: &mut Vec<PathLeg>, leg: Leg, task: Option<&Task>, from: SimTime, to: SimTime) {
    if to > from {
        legs.push(PathLeg {
            leg,
            client_id: task.map(|task| task.client_id),
            task_id: task.map(|task| task.id),
            from,
            to,
        });
    }
}

#[cfg(test)]
mod tests;
