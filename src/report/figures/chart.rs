//! A plotting area with its axes, and charts of curves.

use super::axis::Axis;
use super::svg::{Anchor, Mark, Paint, Point, Svg, colour};
use super::thinned::thinned;

/// A plotting area in a picture.
pub(super) struct Panel {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Panel {
    /// Where a value of the horizontal axis lies.
    pub(super) fn x_of(&self, value: f64) -> f64 {
        self.left + (value - self.x.min) / (self.x.max - self.x.min) * self.width
    }

    /// Where a value of the vertical axis lies.
    pub(super) fn y_of(&self, value: f64) -> f64 {
        self.bottom() - (value - self.y.min) / (self.y.max - self.y.min) * self.height
    }

    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Draws grid, axes, ticks and labels.
    pub(super) fn draw(&self, svg: &mut Svg) {
        for (value, label) in &self.y.ticks {
            let y = self.y_of(*value);
            svg.line((self.left, y), (self.right(), y), colour::GRID, 1.0);
            svg.text((self.left - 8.0, y + 4.0), Anchor::End, label);
        }
        let middle = self.top + self.height / 2.0;
        svg.text_upwards((self.left - 56.0, middle), &self.y.label);
        svg.line((self.left, self.top), (self.left, self.bottom()), colour::AXIS, 1.0);
        self.draw_x(svg);
    }

    /// Draws the horizontal axis alone.
    pub(super) fn draw_x(&self, svg: &mut Svg) {
        let bottom = self.bottom();
        for (value, label) in &self.x.ticks {
            let x = self.x_of(*value);
            svg.line((x, bottom), (x, bottom + 5.0), colour::AXIS, 1.0);
            svg.text((x, bottom + 19.0), Anchor::Middle, label);
        }
        svg.text((self.left + self.width / 2.0, bottom + 40.0), Anchor::Middle, &self.x.label);
        svg.line((self.left, bottom), (self.right(), bottom), colour::AXIS, 1.0);
    }
}

/// What a legend shows beside a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sample {
    /// A filled square.
    Fill(Paint),
    /// A diagonal cross.
    Cross(&'static str),
    /// A piece of a line with its mark.
    Line(Style),
}

/// How a curve is drawn: no two curves of a chart share colour, dashes or marks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) colour: &'static str,
    /// Pattern of the line, empty for a whole one.
    pub(super) dashes: &'static str,
    pub(super) mark: Mark,
}

/// The styles of the curves of a chart, in order.
pub(super) const STYLES: [Style; 4] = [
    Style { colour: colour::BLUE, dashes: "", mark: Mark::Dot },
    Style { colour: colour::ORANGE, dashes: "7 3", mark: Mark::Square },
    Style { colour: colour::GREEN, dashes: "2 3", mark: Mark::Triangle },
    Style { colour: colour::VERMILLION, dashes: "9 3 2 3", mark: Mark::Diamond },
];

/// Draws a row of names with their samples, from `start` to the right and on to further lines before `right`.
pub(super) fn legend(svg: &mut Svg, start: Point, right: f64, entries: &[(Sample, &str)]) {
    let (mut x, mut y) = start;
    for (index, (sample, name)) in entries.iter().enumerate() {
        // About 7 pixels a letter at this size.
        let width = 18.0 + 7.0 * name.chars().count() as f64 + 18.0;
        if x + width - 18.0 > right && x > start.0 {
            (x, y) = (start.0, y + 18.0);
        }
        let is_line = matches!(sample, Sample::Line(_));
        if is_line {
            svg.begin_switch(index);
        }
        match sample {
            Sample::Fill(paint) => svg.painted((x, y - 10.0), 12.0, 12.0, *paint, ""),
            Sample::Cross(colour) => svg.cross((x + 6.0, y - 4.0), colour),
            Sample::Line(style) => {
                svg.polyline(&[(x - 7.0, y - 4.0), (x + 15.0, y - 4.0)], style.colour, style.dashes);
                svg.mark((x + 4.0, y - 4.0), style.mark, style.colour, "");
            }
        }
        svg.text((x + 18.0, y), Anchor::Start, name);
        if is_line {
            svg.end_group();
            x += 8.0;
        }
        x += width;
    }
}

/// A named line of a chart.
pub(super) struct Curve {
    pub(super) name: &'static str,
    /// Values, in the order in which they are joined.
    pub(super) points: Vec<Point>,
}

/// Beyond so many points on a curve its marks would touch.
const MARKS_MAX: usize = 60;

/// A chart of one or more curves, at most as many as there are styles; a legend if there are several.
pub(super) fn curves(id: &str, heading: &str, x: Axis, y: Axis, curves: &[Curve]) -> String {
    let mut svg = Svg::new(id, 720.0, 420.0, heading);
    let panel = Panel { left: 84.0, top: 62.0, width: 606.0, height: 296.0, x, y };
    panel.draw(&mut svg);
    if curves.len() > 1 {
        let entry = |(curve, style): (&Curve, &Style)| (Sample::Line(*style), curve.name);
        let entries: Vec<_> = curves.iter().zip(&STYLES).map(entry).collect();
        legend(&mut svg, (panel.left + 7.0, 48.0), panel.right(), &entries);
    }
    for (index, (curve, style)) in curves.iter().zip(&STYLES).enumerate() {
        let points: Vec<_> = curve.points.iter().map(|(x, y)| (panel.x_of(*x), panel.y_of(*y))).collect();
        svg.begin_series(index);
        svg.polyline(&thinned(&points, panel.left, panel.width), style.colour, style.dashes);
        if points.len() <= MARKS_MAX {
            for (point, (x, y)) in points.iter().zip(&curve.points) {
                let tip = format!("{} {}, {} {}", panel.x.label, short(*x), panel.y.label, short(*y));
                svg.mark(*point, style.mark, style.colour, &tip);
            }
        }
        svg.end_group();
    }
    svg.finish()
}

/// A number with four significant digits or so.
pub(in crate::report) fn short(value: f64) -> String {
    let decimals = match value.abs() {
        1000.0.. => 0,
        100.0.. => 1,
        10.0.. => 2,
        1.0.. => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}
