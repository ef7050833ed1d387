//! Where time, work and bytes went: critical paths, unused tasks, traffic, staleness and participation.

use super::axis::{Axis, size_unit, time_unit};
use super::bars::{Named, Part, Standing, lying, standing};
use super::paints;
use super::rounds::BARS_MAX;
use super::svg::{Paint, Texture, colour};
use crate::report::Reason;
use crate::report::chronicle::Chronicle;
use crate::report::critical_path::{Leg, RoundPath};
use crate::report::story::People;
use crate::report::tasks::Stage;
use crate::units::{Bytes, SimDuration};

/// What each round waited for, over the rounds; `None` without a round that lasted.
pub(super) fn critical_path(paths: &[RoundPath]) -> Option<String> {
    let longest = paths.iter().map(RoundPath::duration).max()?;
    let (unit, nanos) = time_unit(longest);
    let per_bar = paths.len().div_ceil(BARS_MAX);
    let last = f64::from(paths.last()?.round);
    let bars: Vec<Standing> = paths
        .chunks(per_bar)
        .map(|chunk| {
            let mean = |leg: Leg| {
                let total: u64 = chunk.iter().map(|path| path.spent_on(leg).as_nanos()).sum();
                total as f64 / nanos / chunk.len() as f64
            };
            let (first, end) = (chunk[0].round, chunk[chunk.len() - 1].round);
            let name = if first == end { format!("round {first}") } else { format!("rounds {first} to {end}") };
            let (from, to) = (f64::from(first) - 0.4, f64::from(end) + 0.4);
            Standing { from, to, name, values: Leg::ALL.map(mean).to_vec() }
        })
        .collect();
    let of_bar = if per_bar > 1 { format!(", mean of {per_bar} rounds") } else { String::new() };
    let x = Axis::whole("round", 0.0, last).cut(0.5, last + 0.5);
    let parts = Leg::ALL.map(|leg| (paints::of_leg(leg), leg.name()));
    let label = format!("duration [{unit}]{of_bar}");
    standing("critical-path", "What each round waited for (critical path)", x, &label, &parts, &bars)
}

/// What all rounds together waited for: one lying bar.
pub(super) fn time_spent(paths: &[RoundPath]) -> Option<String> {
    let nanos_of =
        |leg: Leg| paths.iter().map(|path| (path.spent_on(leg) + path.waited_before(leg)).as_nanos()).sum::<u64>();
    let total = Leg::ALL.map(nanos_of).iter().sum::<u64>();
    let (unit, nanos) = time_unit(SimDuration::from_nanos(total));
    let value = |leg: Leg| nanos_of(leg) as f64 / nanos;
    let bars: [Named; 1] = [("all rounds".into(), Leg::ALL.map(value).to_vec())];
    let parts = Leg::ALL.map(|leg| (paints::of_leg(leg), leg.name()));
    lying("time-spent", "Where the time went (critical path)", &format!("simulated time [{unit}]"), &parts, &bars)
}

/// Tasks that ended unused: by reason, and by what they were doing then.
pub(super) fn unused(chronicle: &Chronicle) -> Option<String> {
    let count = |reason: Reason, stage: Stage| chronicle.unused.get(&(reason, stage)).copied().unwrap_or(0) as f64;
    let mut bars: Vec<Named> = Reason::ALL
        .iter()
        .map(|reason| (reason.as_str().replace('_', " "), Stage::ALL.map(|stage| count(*reason, stage)).to_vec()))
        .filter(|(_, values)| values.iter().sum::<f64>() > 0.0)
        .collect();
    let total = |bar: &Named| bar.1.iter().sum::<f64>();
    bars.sort_by(|a, b| total(b).total_cmp(&total(a)));
    let parts = Stage::ALL.map(|stage| (paints::of_stage(stage), in_stage(stage)));
    lying("unused", "Tasks that were not used, by reason and phase", "tasks", &parts, &bars)
}

/// How the phase in which a task ended is told.
pub(in crate::report) const fn in_stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Download => "in download",
        Stage::Train => "in training",
        Stage::Upload => "in upload",
        Stage::Pause => "while paused",
        Stage::Arrived => "after arrival",
    }
}

/// Bytes by direction and use.
pub(super) fn traffic(chronicle: &Chronicle) -> Option<String> {
    const PARTS: [Part; 2] = [
        (Paint::plain(colour::BLUE), "for updates that were used"),
        (Paint::textured(colour::VERMILLION, Texture::Falling), "wasted"),
    ];
    let (down, up) = (chronicle.down, chronicle.up);
    let most = (down.used + down.wasted).max(up.used + up.wasted);
    let (unit, size) = size_unit(most);
    let value = |bytes: Bytes| bytes.get() as f64 / size;
    let bars: [Named; 2] = [
        ("to the clients".into(), vec![value(down.used), value(down.wasted)]),
        ("to the server".into(), vec![value(up.used), value(up.wasted)]),
    ];
    lying("traffic", "Traffic by direction and use", &format!("bytes [{unit}]"), &PARTS, &bars)
}

/// How stale the aggregated updates were; `None` when none was.
pub(super) fn staleness(chronicle: &Chronicle) -> Option<String> {
    let last = *chronicle.staleness.keys().last().filter(|staleness| **staleness > 0)?;
    let values = chronicle.staleness.iter().map(|(staleness, n)| (u64::from(*staleness), *n));
    let label = "staleness: models made since the one that was trained from";
    counts("staleness", "Staleness of the aggregated updates", label, "updates", u64::from(last), values)
}

/// How often clients were asked; `None` without clients.
pub(super) fn participation(people: &People) -> Option<String> {
    let last = *people.times_asked.keys().last()?;
    let values = people.times_asked.iter().map(|(times, n)| (u64::from(*times), *n));
    let label = "times that a client was asked";
    counts("participation", "Participation of the clients", label, "clients", u64::from(last), values)
}

/// Standing bars of how often each number occurs; several numbers share a bar when there are many.
fn counts(
    id: &str,
    heading: &str,
    x_label: &str,
    what: &'static str,
    last: u64,
    values: impl Iterator<Item = (u64, u64)>,
) -> Option<String> {
    const COUNT_BARS_MAX: u64 = 60;
    let per_bar = (last + 1).div_ceil(COUNT_BARS_MAX);
    let n_bars = last / per_bar + 1;
    let mut bars: Vec<Standing> = (0..n_bars)
        .map(|bar| {
            let (first, end) = (bar * per_bar, (bar + 1) * per_bar - 1);
            let name = if per_bar == 1 { format!("{first}") } else { format!("{first} to {end}") };
            Standing { from: first as f64 - 0.4, to: end as f64 + 0.4, name, values: vec![0.0] }
        })
        .collect();
    for (value, n) in values {
        bars[(value / per_bar) as usize].values[0] += n as f64;
    }
    let end = (n_bars * per_bar) as f64 - 0.5;
    let x = Axis::whole(x_label, 0.0, end).cut(-0.5, end);
    standing(id, heading, x, what, &[(Paint::plain(colour::BLUE), what)], &bars)
}
