//! A plotting area with its axes, and charts of curves.

use super::axis::Axis;
use super::svg::{Anchor, Point, Svg, colour};

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
    Fill(&'static str),
    /// A diagonal cross.
    Cross(&'static str),
}

/// Draws a row of names with their samples, from `start` to the right.
pub(super) fn legend(svg: &mut Svg, start: Point, entries: &[(Sample, &str)]) {
    let (mut x, y) = start;
    for (sample, name) in entries {
        match sample {
            Sample::Fill(colour) => svg.rectangle((x, y - 10.0), 12.0, 12.0, colour),
            Sample::Cross(colour) => svg.cross((x + 6.0, y - 4.0), colour),
        }
        svg.text((x + 18.0, y), Anchor::Start, name);
        // About 7 pixels a letter at this size.
        x += 18.0 + 7.0 * name.chars().count() as f64 + 18.0;
    }
}

/// A named line of a chart.
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) colour: &'static str,
    /// Values, in the order in which they are joined.
    pub(super) points: Vec<Point>,
}

/// Beyond so many points on a curve its dots would touch.
const DOTS_MAX: usize = 60;

/// A chart of one or more curves; a legend if there are several.
pub(super) fn curves(heading: &str, x: Axis, y: Axis, curves: &[Curve]) -> String {
    let mut svg = Svg::new(720.0, 420.0, heading);
    let panel = Panel { left: 84.0, top: 62.0, width: 606.0, height: 296.0, x, y };
    panel.draw(&mut svg);
    if curves.len() > 1 {
        let entries: Vec<_> = curves.iter().map(|curve| (Sample::Fill(curve.colour), curve.name)).collect();
        legend(&mut svg, (panel.left, 48.0), &entries);
    }
    for curve in curves {
        let points: Vec<_> = curve.points.iter().map(|(x, y)| (panel.x_of(*x), panel.y_of(*y))).collect();
        svg.polyline(&points, curve.colour);
        if points.len() <= DOTS_MAX {
            points.iter().for_each(|point| svg.dot(*point, curve.colour));
        }
    }
    svg.finish()
}
