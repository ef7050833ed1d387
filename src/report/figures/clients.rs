//! Who did what when in the first rounds: a lane for each client (a Gantt chart).

use std::collections::BTreeMap;

use super::axis::{Axis, time_unit};
use super::chart::{Panel, Sample, legend};
use super::svg::{Anchor, Svg, colour};
use crate::report::{EventKind, ReportError, TimelineRow};
use crate::units::SimTime;

/// Rounds that are shown.
const ROUNDS_MAX: u32 = 3;
/// Clients that are shown; the others are counted below.
const LANES_MAX: usize = 40;
const LANE_HEIGHT: f64 = 16.0;

const DOWNLOAD: &str = colour::SKY;
const TRAIN: &str = colour::ORANGE;
const UPLOAD: &str = colour::GREEN;
const FAILED: &str = colour::VERMILLION;
const UNUSED: &str = colour::TEXT;

/// What the first rounds consist of.
#[derive(Default)]
struct FirstRounds {
    /// Clients in the order in which they were first asked.
    lanes: Vec<u32>,
    bars: Vec<Bar>,
    /// (client, time, colour) of tasks that ended without being used.
    ends: Vec<(u32, SimTime, &'static str)>,
    /// Starts of the rounds.
    starts: Vec<SimTime>,
    end: SimTime,
}

struct Bar {
    client_id: u32,
    from: SimTime,
    to: SimTime,
    colour: &'static str,
}

/// The chart of the first rounds; `None` when nobody was asked in them. Reads no further than they go.
///
/// # Errors
/// When a row cannot be read.
pub(super) fn clients(
    timeline: impl Iterator<Item = Result<TimelineRow, ReportError>>,
) -> Result<Option<String>, ReportError> {
    let rounds = first_rounds(timeline)?;
    Ok((!rounds.lanes.is_empty()).then(|| draw(&rounds)))
}

fn first_rounds(timeline: impl Iterator<Item = Result<TimelineRow, ReportError>>) -> Result<FirstRounds, ReportError> {
    let mut rounds = FirstRounds::default();
    // The phase under way of each task: client, start and colour.
    let mut open: BTreeMap<u64, (u32, SimTime, &'static str)> = BTreeMap::new();
    for row in timeline {
        let record = row?.record;
        rounds.end = record.time;
        if record.event == EventKind::RoundStart {
            rounds.starts.push(record.time);
        }
        if record.event == EventKind::RoundEnd && rounds.starts.len() as u32 >= ROUNDS_MAX {
            break;
        }
        let (Some(client_id), Some(task_id)) = (record.client_id, record.task_id) else {
            continue;
        };
        if record.event == EventKind::Selected && !rounds.lanes.contains(&client_id) {
            rounds.lanes.push(client_id);
        }
        // Whatever happens next to a task ends the phase under way.
        if let Some((client_id, from, colour)) = open.remove(&task_id) {
            rounds.bars.push(Bar { client_id, from, to: record.time, colour });
        }
        if let Some(colour) = colour_of_phase(record.event) {
            open.insert(task_id, (client_id, record.time, colour));
        }
        match record.event {
            EventKind::Dropout => rounds.ends.push((client_id, record.time, FAILED)),
            EventKind::Rejected => rounds.ends.push((client_id, record.time, UNUSED)),
            _ => {}
        }
    }
    for (client_id, from, colour) in open.into_values() {
        rounds.bars.push(Bar { client_id, from, to: rounds.end, colour });
    }
    Ok(rounds)
}

fn colour_of_phase(event: EventKind) -> Option<&'static str> {
    match event {
        EventKind::DownloadStart => Some(DOWNLOAD),
        EventKind::TrainStart => Some(TRAIN),
        EventKind::UploadStart => Some(UPLOAD),
        _ => None,
    }
}

fn draw(rounds: &FirstRounds) -> String {
    let n_lanes = rounds.lanes.len().min(LANES_MAX);
    let height = n_lanes as f64 * LANE_HEIGHT;
    let n_rounds = rounds.starts.len();
    let heading = match n_rounds {
        1 => "What the clients did in the first round".to_owned(),
        n => format!("What the clients did in the first {n} rounds"),
    };
    let mut svg = Svg::new(900.0, height + 150.0, &heading);
    let (unit, nanos) = time_unit(rounds.end.since(SimTime::ZERO));
    let at = |time: SimTime| time.as_nanos() as f64 / nanos;
    let x = Axis::new(format!("simulated time [{unit}]"), 0.0, at(rounds.end)).cut(0.0, at(rounds.end));
    let panel = Panel { left: 84.0, top: 84.0, width: 790.0, height, x, y: Axis::new("", 0.0, 1.0) };
    panel.draw_x(&mut svg);
    let samples = [
        (Sample::Fill(DOWNLOAD), "download"),
        (Sample::Fill(TRAIN), "training"),
        (Sample::Fill(UPLOAD), "upload"),
        (Sample::Cross(FAILED), "dropped"),
        (Sample::Cross(UNUSED), "late or rejected"),
    ];
    legend(&mut svg, (panel.left, 50.0), &samples);
    let top_of = |client_id: u32| {
        let lane = rounds.lanes.iter().take(n_lanes).position(|lane| *lane == client_id);
        lane.map(|lane| panel.top + lane as f64 * LANE_HEIGHT)
    };
    for (number, client_id) in rounds.lanes.iter().take(n_lanes).enumerate() {
        let top = panel.top + number as f64 * LANE_HEIGHT;
        svg.line((panel.left, top + LANE_HEIGHT), (panel.right(), top + LANE_HEIGHT), colour::GRID, 1.0);
        svg.text((panel.left - 8.0, top + 12.0), Anchor::End, &format!("client {client_id}"));
    }
    for bar in &rounds.bars {
        if let Some(top) = top_of(bar.client_id) {
            let (from, to) = (panel.x_of(at(bar.from)), panel.x_of(at(bar.to)));
            svg.rectangle((from, top + 2.0), to - from, LANE_HEIGHT - 4.0, bar.colour);
        }
    }
    for (client_id, time, colour) in &rounds.ends {
        if let Some(top) = top_of(*client_id) {
            svg.cross((panel.x_of(at(*time)), top + LANE_HEIGHT / 2.0), colour);
        }
    }
    for (start, number) in rounds.starts.iter().zip(1..) {
        let x = panel.x_of(at(*start));
        svg.dashed_line((x, panel.top - 14.0), (x, panel.bottom()), colour::AXIS);
        svg.text((x + 4.0, panel.top - 5.0), Anchor::Start, &format!("round {number}"));
    }
    let hidden = rounds.lanes.len() - n_lanes;
    if hidden > 0 {
        let note = format!("{hidden} more clients are not shown");
        svg.text((panel.right(), panel.bottom() + 40.0), Anchor::End, &note);
    }
    svg.finish()
}
