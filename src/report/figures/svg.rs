//! A small writer of SVG: lines, rectangles, marks and text on white.

use std::fmt::Write;

/// Colours that people with any colour vision tell apart (Okabe and Ito 2008).
pub(super) mod colour {
    pub(in super::super) const BLUE: &str = "#0072b2";
    pub(in super::super) const ORANGE: &str = "#e69f00";
    pub(in super::super) const GREEN: &str = "#009e73";
    pub(in super::super) const VERMILLION: &str = "#d55e00";
    pub(in super::super) const PURPLE: &str = "#cc79a7";
    pub(in super::super) const SKY: &str = "#56b4e9";
    pub(in super::super) const TEXT: &str = "#222222";
    pub(in super::super) const AXIS: &str = "#555555";
    pub(in super::super) const GRID: &str = "#e4e4e4";
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A point of the picture, in pixels from its top left corner.
pub(super) type Point = (f64, f64);

/// A picture in the making.
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    /// A white picture with a heading.
    pub(super) fn new(width: f64, height: f64, heading: &str) -> Self {
        let mut svg = Self { width, height, body: String::new() };
        svg.element(format_args!("<title>{}</title>", escaped(heading)));
        svg.element(format_args!("<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"));
        svg.element(format_args!(
            "<text x=\"{}\" y=\"24\" text-anchor=\"middle\" font-size=\"15\" font-weight=\"bold\">{}</text>",
            number(width / 2.0),
            escaped(heading)
        ));
        svg
    }

    pub(super) fn line(&mut self, from: Point, to: Point, colour: &str, width: f64) {
        self.element(format_args!("{}/>", line_start(from, to, colour, width)));
    }

    pub(super) fn dashed_line(&mut self, from: Point, to: Point, colour: &str) {
        self.element(format_args!("{} stroke-dasharray=\"4 3\"/>", line_start(from, to, colour, 1.0)));
    }

    pub(super) fn rectangle(&mut self, corner: Point, width: f64, height: f64, colour: &str) {
        let [x, y, width, height] = [corner.0, corner.1, width, height].map(number);
        self.element(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\"/>"
        ));
    }

    pub(super) fn polyline(&mut self, points: &[Point], colour: &str) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
        self.element(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>",
            points.join(" ")
        ));
    }

    pub(super) fn dot(&mut self, centre: Point, colour: &str) {
        let [x, y] = [centre.0, centre.1].map(number);
        self.element(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>"));
    }

    /// A diagonal cross.
    pub(super) fn cross(&mut self, (x, y): Point, colour: &str) {
        self.line((x - 4.0, y - 4.0), (x + 4.0, y + 4.0), colour, 2.0);
        self.line((x - 4.0, y + 4.0), (x + 4.0, y - 4.0), colour, 2.0);
    }

    pub(super) fn text(&mut self, (x, y): Point, anchor: Anchor, text: &str) {
        let [x, y] = [x, y].map(number);
        self.element(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{}\">{}</text>",
            anchor_name(anchor),
            escaped(text)
        ));
    }

    /// Text that reads upwards, centred on its point.
    pub(super) fn text_upwards(&mut self, (x, y): Point, text: &str) {
        let [x, y] = [x, y].map(number);
        let text = escaped(text);
        self.element(format_args!(
            "<text transform=\"translate({x} {y}) rotate(-90)\" text-anchor=\"middle\">{text}</text>"
        ));
    }

    /// The file.
    pub(super) fn finish(self) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" \
             font-size=\"12\" fill=\"{}\">\n{body}</svg>\n",
            colour::TEXT
        )
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.body, "{element}").expect("a string takes all");
    }
}

fn line_start(from: Point, to: Point, colour: &str, width: f64) -> String {
    let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(number);
    format!("<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{colour}\" stroke-width=\"{width}\"")
}

fn anchor_name(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    }
}

/// A coordinate to a hundredth of a pixel.
fn number(value: f64) -> String {
    let hundredths = (value * 100.0).round();
    // Adding zero turns a negative zero into zero.
    format!("{}", hundredths / 100.0 + 0.0)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_numbers_are_short() {
        let mut svg = Svg::new(10.0, 10.0, "a < b & c");
        svg.line((0.0, -0.001), (1.0 / 3.0, 2.0), colour::BLUE, 1.0);
        let text = svg.finish();
        assert!(text.contains("<title>a &lt; b &amp; c</title>"), "{text}");
        assert!(text.contains("x1=\"0\" y1=\"0\" x2=\"0.33\" y2=\"2\""), "{text}");
    }
}
