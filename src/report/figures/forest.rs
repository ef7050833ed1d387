//! Means with their intervals, one line for each of several things.

use super::axis::Axis;
use super::chart::Panel;
use super::svg::{Anchor, Mark, Svg, colour};

/// One of the things compared.
pub(in crate::report) struct Line {
    /// What it is called.
    pub(in crate::report) name: String,
    /// The value of each run.
    pub(in crate::report) values: Vec<f64>,
    /// Their mean.
    pub(in crate::report) mean: f64,
    /// The interval of the mean, where there is one.
    pub(in crate::report) interval: Option<(f64, f64)>,
}

const LINE_HEIGHT: f64 = 22.0;
/// Letters of a name that are shown.
const LETTERS_MAX: usize = 44;

/// A line for each thing: its runs as light marks, the mean as a dark one, the interval as a bar. `None` without any.
pub(in crate::report) fn forest(id: &str, heading: &str, label: &str, lines: &[Line]) -> Option<String> {
    let ends = |line: &Line| {
        line.values.iter().copied().chain(line.interval.into_iter().flat_map(|(a, b)| [a, b])).collect::<Vec<_>>()
    };
    let all: Vec<f64> = lines.iter().flat_map(ends).collect();
    let (low, high) = (all.iter().copied().reduce(f64::min)?, all.iter().copied().reduce(f64::max)?);
    let height = lines.len() as f64 * LINE_HEIGHT;
    let letters = lines.iter().map(|line| line.name.chars().count()).max()?.min(LETTERS_MAX);
    // About 7 pixels a letter at this size.
    let left = (30.0 + 7.0 * letters as f64).max(84.0);
    let mut svg = Svg::new(id, 860.0, height + 110.0, heading);
    let x = Axis::new(label, low, high);
    let panel = Panel { left, top: 44.0, width: 830.0 - left, height, x, y: Axis::new("", 0.0, 1.0) };
    for (value, _) in &panel.x.ticks {
        let x = panel.x_of(*value);
        svg.line((x, panel.top), (x, panel.bottom()), colour::GRID, 1.0);
    }
    panel.draw_x(&mut svg);
    for (number, line) in lines.iter().enumerate() {
        let y = panel.top + (number as f64 + 0.5) * LINE_HEIGHT;
        let mut name: String = line.name.chars().take(LETTERS_MAX).collect();
        if line.name.chars().count() > LETTERS_MAX {
            name.push('…');
        }
        svg.text((panel.left - 8.0, y + 4.0), Anchor::End, &name);
        if let Some((from, to)) = line.interval {
            svg.line((panel.x_of(from), y), (panel.x_of(to), y), colour::AXIS, 3.0);
        }
        for value in &line.values {
            svg.mark((panel.x_of(*value), y), Mark::Dot, colour::SKY, &format!("{}: {value}", line.name));
        }
        svg.mark(
            (panel.x_of(line.mean), y),
            Mark::Diamond,
            colour::VERMILLION,
            &format!("{}: mean {}", line.name, line.mean),
        );
    }
    Some(svg.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_runs_its_mean_and_its_interval() {
        let line = |name: &str, mean: f64| Line {
            name: name.into(),
            values: vec![mean - 1.0, mean + 1.0],
            mean,
            interval: Some((mean - 2.0, mean + 2.0)),
        };
        let figure = forest("f", "A figure", "seconds", &[line("a <b>", 10.0), line("b", 20.0)]).unwrap();
        // Two runs and a mean for each of two lines; two intervals.
        assert_eq!(figure.matches("<path d=").count(), 6);
        assert_eq!(figure.matches("stroke-width=\"3\"").count(), 2);
        assert!(figure.contains("a &lt;b&gt;: mean 10"));
        assert_eq!(forest("f", "A figure", "seconds", &[]), None);
    }
}
