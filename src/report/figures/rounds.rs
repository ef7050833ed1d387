//! How long each round took and what became of its tasks.

use super::axis::{Axis, time_unit};
use super::chart::{Panel, Sample, legend, short};
use super::svg::{Paint, Svg, Texture, colour};
use crate::report::{RoundRow, RoundsFile};

/// What a task can become, with the paint of its part of the bar.
const PARTS: [(Paint, &str); 4] = [
    (Paint::plain(colour::BLUE), "aggregated"),
    (Paint::textured(colour::ORANGE, Texture::Rising), "late"),
    (Paint::textured(colour::VERMILLION, Texture::Falling), "dropped"),
    (Paint::textured(colour::PURPLE, Texture::Dots), "rejected"),
];

/// Bars that are drawn at most; beyond that a bar stands for several rounds.
pub(super) const BARS_MAX: usize = 150;

/// Two rows of bars over the rounds: duration, and tasks by what became of them. `None` without rounds.
pub(super) fn rounds(rounds: &RoundsFile) -> Option<String> {
    let rows = &rounds.rows;
    let longest = rows.iter().map(|row| row.sim_end.since(row.sim_start)).max()?;
    let (unit, nanos) = time_unit(longest);
    let per_bar = rows.len().div_ceil(BARS_MAX);
    let bars: Vec<&[RoundRow]> = rows.chunks(per_bar).collect();
    let most = bars.iter().map(|bar| means(bar).iter().sum::<f64>()).reduce(f64::max)?;
    let mut svg = Svg::new("rounds", 720.0, 560.0, "Rounds: duration and tasks");
    let last = f64::from(rows.last()?.round);
    // Half a round on each side, for the bars at the ends.
    let x = Axis::whole("round", 0.0, last).cut(0.5, last + 0.5);
    let of_bar = if per_bar > 1 { format!(", longest of {per_bar}") } else { String::new() };
    let y = Axis::new(format!("duration [{unit}]{of_bar}"), 0.0, longest.as_nanos() as f64 / nanos);
    let durations = Panel { left: 84.0, top: 44.0, width: 606.0, height: 180.0, x: x.clone(), y };
    let of_bar = if per_bar > 1 { format!(", mean of {per_bar} rounds") } else { String::new() };
    let y = Axis::new(format!("tasks{of_bar}"), 0.0, most);
    let tasks = Panel { left: 84.0, top: 316.0, width: 606.0, height: 180.0, x, y };
    durations.draw(&mut svg);
    tasks.draw(&mut svg);
    let samples = PARTS.map(|(paint, name)| (Sample::Fill(paint), name));
    legend(&mut svg, (tasks.left, 302.0), tasks.right(), &samples);
    for rows in bars {
        let longest = rows.iter().map(|row| row.sim_end.since(row.sim_start)).max().unwrap_or_default();
        let duration = longest.as_nanos() as f64 / nanos;
        let paint = Paint::plain(colour::BLUE);
        bar(&mut svg, &durations, rows, (0.0, duration), paint, &format!("{} {unit}", short(duration)));
        let mut base = 0.0;
        for ((paint, name), count) in PARTS.iter().zip(means(rows)) {
            bar(&mut svg, &tasks, rows, (base, base + count), *paint, &format!("{} {name}", short(count)));
            base += count;
        }
    }
    Some(svg.finish())
}

/// What became of the tasks that ended in a round, in the order of [`PARTS`]: the mean over the rounds of a bar.
fn means(rows: &[RoundRow]) -> [f64; 4] {
    let counts = |row: &RoundRow| [row.aggregated, row.late, row.dropped, row.rejected];
    std::array::from_fn(|part| rows.iter().map(|row| f64::from(counts(row)[part])).sum::<f64>() / rows.len() as f64)
}

fn bar(svg: &mut Svg, panel: &Panel, rows: &[RoundRow], (from, to): (f64, f64), paint: Paint, what: &str) {
    let (Some(first), Some(last), true) = (rows.first(), rows.last(), to > from) else { return };
    let (left, right) = (panel.x_of(f64::from(first.round) - 0.4), panel.x_of(f64::from(last.round) + 0.4));
    let tip = if first.round == last.round {
        format!("round {}: {what}", first.round)
    } else {
        format!("rounds {} to {}: {what}", first.round, last.round)
    };
    svg.painted((left, panel.y_of(to)), right - left, panel.y_of(from) - panel.y_of(to), paint, &tip);
}
