//! How long each round took and what became of its tasks.

use super::axis::{Axis, time_unit};
use super::chart::{Panel, Sample, legend};
use super::svg::{Svg, colour};
use crate::report::{RoundRow, RoundsFile};

/// What a task can become, with the colour of its part of the bar.
const PARTS: [(Sample, &str); 4] = [
    (Sample::Fill(colour::BLUE), "aggregated"),
    (Sample::Fill(colour::ORANGE), "late"),
    (Sample::Fill(colour::VERMILLION), "dropped"),
    (Sample::Fill(colour::PURPLE), "rejected"),
];

/// Two rows of bars over the rounds: duration, and tasks by what became of them. `None` without rounds.
pub(super) fn rounds(rounds: &RoundsFile) -> Option<String> {
    let rows = &rounds.rows;
    let longest = rows.iter().map(|row| row.sim_end.since(row.sim_start)).max()?;
    let (unit, nanos) = time_unit(longest);
    let most = rows.iter().map(|row| counts(row).iter().sum::<u32>()).max()?;
    let mut svg = Svg::new(720.0, 560.0, "Rounds: duration and tasks");
    let last = f64::from(rows.last()?.round);
    // Half a round on each side, for the bars at the ends.
    let x = Axis::whole("round", 0.0, last).cut(0.5, last + 0.5);
    let y = Axis::new(format!("duration [{unit}]"), 0.0, longest.as_nanos() as f64 / nanos);
    let durations = Panel { left: 84.0, top: 44.0, width: 606.0, height: 180.0, x: x.clone(), y };
    let y = Axis::whole("tasks", 0.0, f64::from(most));
    let tasks = Panel { left: 84.0, top: 316.0, width: 606.0, height: 180.0, x, y };
    durations.draw(&mut svg);
    tasks.draw(&mut svg);
    legend(&mut svg, (tasks.left, 302.0), &PARTS);
    for row in rows {
        let duration = row.sim_end.since(row.sim_start).as_nanos() as f64 / nanos;
        bar(&mut svg, &durations, row, 0.0, duration, colour::BLUE);
        let mut base = 0;
        for ((sample, _), count) in PARTS.iter().zip(counts(row)) {
            if let Sample::Fill(colour) = sample {
                bar(&mut svg, &tasks, row, f64::from(base), f64::from(base + count), colour);
            }
            base += count;
        }
    }
    Some(svg.finish())
}

/// What became of the tasks that ended in a round, in the order of [`PARTS`].
fn counts(row: &RoundRow) -> [u32; 4] {
    [row.aggregated, row.late, row.dropped, row.rejected]
}

fn bar(svg: &mut Svg, panel: &Panel, row: &RoundRow, from: f64, to: f64, colour: &str) {
    if to <= from {
        return;
    }
    let centre = f64::from(row.round);
    let (left, right) = (panel.x_of(centre - 0.4), panel.x_of(centre + 0.4));
    svg.rectangle((left, panel.y_of(to)), right - left, panel.y_of(from) - panel.y_of(to), colour);
}
