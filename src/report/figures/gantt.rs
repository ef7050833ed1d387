//! Who did what when: a lane for each client (a Gantt chart).

use std::collections::{BTreeMap, BTreeSet};

use super::axis::{Axis, time_unit};
use super::chart::{Panel, Sample, legend, short};
use super::paints;
use super::svg::{Anchor, Svg, colour};
use crate::report::chronicle::Window;
use crate::report::critical_path::RoundPath;
use crate::report::tasks::{Ending, Stage};
use crate::units::{SimDuration, SimTime};

/// Clients that are shown; the others are counted below.
const LANES_MAX: usize = 40;
const LANE_HEIGHT: f64 = 16.0;
/// Bars that are drawn; thin ones beside each other are drawn as one before that.
const PIXELS_MIN: f64 = 0.4;

/// The chart of the first rounds; `None` when nobody was asked in them. Its lanes are in the order of the first tasks.
pub(super) fn first_rounds(window: &Window) -> Option<String> {
    let heading = match window.starts.len() {
        0 | 1 => "What the clients did in the first round".to_owned(),
        n => format!("What the clients did in the first {n} rounds"),
    };
    let mut starts: BTreeMap<u32, u64> = BTreeMap::new();
    for bar in &window.bars {
        let first = starts.entry(bar.client_id).or_insert(bar.task_id);
        *first = (*first).min(bar.task_id);
    }
    let mut lanes: Vec<u32> = starts.keys().copied().collect();
    lanes.sort_by_key(|client_id| starts[client_id]);
    draw("clients", &heading, window, &lanes, None, "those asked first are shown")
}

/// The chart of one round, the clients of its critical path first, then the others, the last to finish first.
pub(super) fn round(window: &Window, path: Option<&RoundPath>) -> Option<String> {
    let number = window.round?;
    let critical: BTreeSet<u32> = path.iter().flat_map(|path| &path.legs).filter_map(|leg| leg.client_id).collect();
    let mut ends: BTreeMap<u32, SimTime> = BTreeMap::new();
    for bar in window.bars.iter().filter(|bar| bar.stage != Stage::Arrived) {
        let end = ends.entry(bar.client_id).or_default();
        *end = (*end).max(bar.to);
    }
    let mut lanes: Vec<u32> = ends.keys().copied().collect();
    lanes.sort_by_key(|id| (!critical.contains(id), std::cmp::Reverse(ends[id]), *id));
    let heading = format!("What the clients did in round {number}");
    draw(
        &format!("round-{number}"),
        &heading,
        window,
        &lanes,
        path,
        "the critical ones and the last to finish are shown",
    )
}

fn draw(
    id: &str,
    heading: &str,
    window: &Window,
    lanes: &[u32],
    path: Option<&RoundPath>,
    which: &str,
) -> Option<String> {
    if lanes.is_empty() {
        return None;
    }
    let n_lanes = lanes.len().min(LANES_MAX);
    let height = n_lanes as f64 * LANE_HEIGHT;
    let mut svg = Svg::new(id, 900.0, height + 168.0, heading);
    let (unit, nanos) = time_unit(window.to.since(SimTime::ZERO));
    let at = |time: SimTime| time.as_nanos() as f64 / nanos;
    let label = format!("simulated time [{unit}]");
    let x = Axis::new(label, at(window.from), at(window.to)).cut(at(window.from), at(window.to));
    let panel = Panel { left: 110.0, top: 102.0, width: 764.0, height, x, y: Axis::new("", 0.0, 1.0) };
    panel.draw_x(&mut svg);
    draw_legend(&mut svg, &panel, window);
    let order: BTreeMap<u32, usize> = lanes.iter().copied().take(n_lanes).zip(0..).collect();
    let top_of = |client_id: u32| order.get(&client_id).map(|lane| panel.top + *lane as f64 * LANE_HEIGHT);
    let critical = path.map(|path| &path.legs[..]).unwrap_or_default();
    for (client_id, lane) in &order {
        let top = panel.top + *lane as f64 * LANE_HEIGHT;
        svg.line((panel.left, top + LANE_HEIGHT), (panel.right(), top + LANE_HEIGHT), colour::GRID, 1.0);
        let place = (panel.left - 8.0, top + 12.0);
        match critical.iter().any(|leg| leg.client_id == Some(*client_id)) {
            true => svg.bold_text(place, Anchor::End, &format!("▸ client {client_id}")),
            false => svg.text(place, Anchor::End, &format!("client {client_id}")),
        }
    }
    // Where the last bar of each lane and stage ends, so that many short ones do not lie on each other.
    let mut drawn: BTreeMap<(u32, Stage), f64> = BTreeMap::new();
    for bar in &window.bars {
        let Some(top) = top_of(bar.client_id) else { continue };
        let (from, to) = (panel.x_of(at(bar.from)), panel.x_of(at(bar.to)).max(panel.x_of(at(bar.from)) + PIXELS_MIN));
        let last = drawn.entry((bar.client_id, bar.stage)).or_insert(f64::NEG_INFINITY);
        if to - from <= PIXELS_MIN && from < *last + PIXELS_MIN {
            continue;
        }
        *last = to;
        let took = seconds(bar.to.since(bar.from));
        let tip = format!("client {}, task {}: {} {took}", bar.client_id, bar.task_id, bar.stage.name());
        // What only waits is a thin line: it is not what kept the client.
        let thinner = if bar.stage == Stage::Arrived { 5.0 } else { 0.0 };
        let (top, height) = (top + 2.0 + thinner, LANE_HEIGHT - 4.0 - 2.0 * thinner);
        svg.painted((from, top), to - from, height, paints::of_stage(bar.stage), &tip);
    }
    for leg in critical {
        if let Some(top) = leg.client_id.and_then(top_of) {
            let (from, to) = (panel.x_of(at(leg.from)), panel.x_of(at(leg.to)));
            svg.frame((from, top + 1.0), to - from, LANE_HEIGHT - 2.0, colour::TEXT);
        }
    }
    for (client_id, time, ending) in &window.ends {
        if let Some(top) = top_of(*client_id) {
            let centre = (panel.x_of(at(*time)), top + LANE_HEIGHT / 2.0);
            svg.cross(centre, if matches!(ending, Ending::Dropped(_)) { colour::VERMILLION } else { colour::TEXT });
        }
    }
    for (number, start) in &window.starts {
        let x = panel.x_of(at(*start));
        svg.dashed_line((x, panel.top - 14.0), (x, panel.bottom()), colour::AXIS);
        svg.text((x + 4.0, panel.top - 5.0), Anchor::Start, &format!("round {number}"));
    }
    let hidden = lanes.len() - n_lanes;
    if hidden > 0 {
        let note = format!("{n_lanes} of {} clients: {which}", lanes.len());
        svg.text((panel.right(), panel.bottom() + 56.0), Anchor::End, &note);
    }
    Some(svg.finish())
}

fn draw_legend(svg: &mut Svg, panel: &Panel, window: &Window) {
    let mut samples: Vec<_> = [Stage::Download, Stage::Train, Stage::Upload]
        .map(|stage| (Sample::Fill(paints::of_stage(stage)), stage.name()))
        .to_vec();
    let rare = [(Stage::Pause, "paused"), (Stage::Arrived, "arrived, waits to be used")];
    for (stage, name) in rare {
        if window.bars.iter().any(|bar| bar.stage == stage) {
            samples.push((Sample::Fill(paints::of_stage(stage)), name));
        }
    }
    samples.push((Sample::Cross(colour::VERMILLION), "dropped"));
    samples.push((Sample::Cross(colour::TEXT), "late or rejected"));
    legend(svg, (panel.left, 50.0), panel.right(), &samples);
}

/// Seconds for reading.
fn seconds(duration: SimDuration) -> String {
    format!("{} s", short(duration.as_secs_f64()))
}
