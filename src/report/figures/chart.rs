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
pub(super) const STYLES: [Style; 6] = [
    Style { colour: colour::BLUE, dashes: "", mark: Mark::Dot },
    Style { colour: colour::ORANGE, dashes: "7 3", mark: Mark::Square },
    Style { colour: colour::GREEN, dashes: "2 3", mark: Mark::Triangle },
    Style { colour: colour::VERMILLION, dashes: "9 3 2 3", mark: Mark::Diamond },
    Style { colour: colour::PURPLE, dashes: "14 4", mark: Mark::Square },
    Style { colour: colour::SKY, dashes: "5 2 1 2", mark: Mark::Triangle },
];

/// Where the entries of a legend stand: in a row from `start` to the right and on to further lines before `right`.
fn places(start: Point, right: f64, entries: &[(Sample, &str)]) -> Vec<Point> {
    let (mut x, mut y) = start;
    let place = |(sample, name): &(Sample, &str)| {
        // About 7 pixels a letter at this size.
        let width = 18.0 + 7.0 * name.chars().count() as f64 + 18.0;
        if x + width - 18.0 > right && x > start.0 {
            (x, y) = (start.0, y + LEGEND_LINE);
        }
        let here = (x, y);
        x += width + if matches!(sample, Sample::Line(_)) { 8.0 } else { 0.0 };
        here
    };
    entries.iter().map(place).collect()
}

const LEGEND_LINE: f64 = 18.0;

/// Draws names with their samples, in a row from `start` to the right and on to further lines before `right`.
pub(super) fn legend(svg: &mut Svg, start: Point, right: f64, entries: &[(Sample, &str)]) {
    for (index, ((sample, name), (x, y))) in entries.iter().zip(places(start, right, entries)).enumerate() {
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
        }
    }
}

/// A named line of a chart.
pub(super) struct Curve<'a> {
    name: &'a str,
    /// Values, in the order in which they are joined.
    points: Vec<Point>,
    /// For each point, how far the values reach down and up; empty for a line alone.
    band: Vec<(f64, f64)>,
}

impl<'a> Curve<'a> {
    pub(super) fn new(name: &'a str, points: Vec<Point>) -> Self {
        Self { name, points, band: Vec::new() }
    }

    /// With how far the values of each point reach down and up.
    pub(super) fn within(self, band: Vec<(f64, f64)>) -> Self {
        Self { band, ..self }
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }
}

/// Beyond so many points on a curve its marks would touch.
const MARKS_MAX: usize = 60;

/// A chart of one or more curves, at most as many as there are styles; a legend if there are several.
pub(super) fn curves(id: &str, heading: &str, x: Axis, y: Axis, curves: &[Curve<'_>]) -> String {
    let entry = |(curve, style): (&Curve<'_>, &Style)| (Sample::Line(*style), short_name(curve.name));
    let entries: Vec<(Sample, String)> = match curves.len() {
        0 | 1 => Vec::new(),
        _ => curves.iter().zip(&STYLES).map(entry).collect(),
    };
    let entries: Vec<(Sample, &str)> = entries.iter().map(|(sample, name)| (*sample, name.as_str())).collect();
    let (start, right) = ((91.0, 48.0), 690.0);
    // Names that take more than a line move all else down.
    let further = places(start, right, &entries).last().map_or(0.0, |(_, y)| y - start.1);
    let mut svg = Svg::new(id, 720.0, 420.0 + further, heading);
    let panel = Panel { left: 84.0, top: 62.0 + further, width: 606.0, height: 296.0, x, y };
    panel.draw(&mut svg);
    legend(&mut svg, start, right, &entries);
    for (index, (curve, style)) in curves.iter().zip(&STYLES).enumerate() {
        let points: Vec<_> = curve.points.iter().map(|(x, y)| (panel.x_of(*x), panel.y_of(*y))).collect();
        svg.begin_series(index);
        if !curve.band.is_empty() {
            let edge = |of: fn(&(f64, f64)) -> f64| {
                let edge = points.iter().zip(&curve.band).map(|((x, _), band)| (*x, panel.y_of(of(band))));
                thinned(&edge.collect::<Vec<_>>(), panel.left, panel.width)
            };
            let (below, above) = (edge(|band| band.0), edge(|band| band.1));
            svg.area(&below.into_iter().chain(above.into_iter().rev()).collect::<Vec<_>>(), style.colour);
        }
        svg.polyline(&thinned(&points, panel.left, panel.width), style.colour, style.dashes);
        if points.len() <= MARKS_MAX {
            for (point, (x, y)) in points.iter().zip(&curve.points) {
                let name = if curve.band.is_empty() { String::new() } else { format!("{}: ", curve.name) };
                let tip = format!("{name}{} {}, {} {}", panel.x.label, short(*x), panel.y.label, short(*y));
                svg.mark(*point, style.mark, style.colour, &tip);
            }
        }
        svg.end_group();
    }
    svg.finish()
}

/// Letters of a name that fit into a legend.
const LETTERS_MAX: usize = 80;

fn short_name(name: &str) -> String {
    match name.chars().count() {
        0..=LETTERS_MAX => name.into(),
        _ => name.chars().take(LETTERS_MAX).chain(['…']).collect(),
    }
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
