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
    pub(in super::super) const GREY: &str = "#a0a0a0";
    pub(in super::super) const TEXT: &str = "#222222";
    pub(in super::super) const AXIS: &str = "#555555";
    pub(in super::super) const GRID: &str = "#e4e4e4";
}

/// A colour with a texture: two neighbours differ in both, so that nothing is told by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paint {
    pub(super) colour: &'static str,
    pub(super) texture: Texture,
}

impl Paint {
    pub(super) const fn plain(colour: &'static str) -> Self {
        Self { colour, texture: Texture::Plain }
    }

    pub(super) const fn textured(colour: &'static str, texture: Texture) -> Self {
        Self { colour, texture }
    }
}

/// What lies in white over a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texture {
    Plain,
    /// Lines that rise to the right.
    Rising,
    /// Lines that fall to the right.
    Falling,
    Dots,
    Upright,
    Level,
}

impl Texture {
    /// The path of a tile of 6 x 6 pixels; `None` without one.
    const fn tile(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Rising => Some("M-1,1l2,-2M0,6l6,-6M5,7l2,-2"),
            Self::Falling => Some("M-1,5l2,2M0,0l6,6M5,-1l2,2"),
            Self::Dots => Some("M3,2.2v1.6"),
            Self::Upright => Some("M3,0v6"),
            Self::Level => Some("M0,3h6"),
        }
    }
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The form of the marks on a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Dot,
    Square,
    Triangle,
    Diamond,
}

/// A point of the picture, in pixels from its top left corner.
pub(super) type Point = (f64, f64);

/// A picture in the making.
pub(super) struct Svg {
    id: String,
    heading: String,
    width: f64,
    height: f64,
    /// Textured paints, in the order of their first use.
    paints: Vec<Paint>,
    body: String,
}

impl Svg {
    /// A white picture with a heading. `id` tells pictures apart that stand on the same page.
    pub(super) fn new(id: &str, width: f64, height: f64, heading: &str) -> Self {
        let (id, title, paints) = (id.to_owned(), escaped(heading), Vec::new());
        let mut svg = Self { id, heading: title, width, height, paints, body: String::new() };
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

    /// A rectangle in a paint; `tip` is shown where the pointer rests on it.
    pub(super) fn painted(&mut self, corner: Point, width: f64, height: f64, paint: Paint, tip: &str) {
        let [x, y, width, height] = [corner.0, corner.1, width, height].map(number);
        let fill = self.fill(paint);
        let end = if tip.is_empty() { "/>".into() } else { format!("><title>{}</title></rect>", escaped(tip)) };
        self.element(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"{end}"
        ));
    }

    /// The frame of a rectangle.
    pub(super) fn frame(&mut self, corner: Point, width: f64, height: f64, colour: &str) {
        let [x, y, width, height] = [corner.0, corner.1, width, height].map(number);
        self.element(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"1.6\"/>"
        ));
    }

    fn fill(&mut self, paint: Paint) -> String {
        if paint.texture == Texture::Plain {
            return paint.colour.into();
        }
        let known = self.paints.iter().position(|known| *known == paint);
        let index = known.unwrap_or_else(|| {
            self.paints.push(paint);
            self.paints.len() - 1
        });
        format!("url(#{}-p{index})", self.id)
    }

    /// Joins points; `dashes` is the pattern of the line, empty for a whole one.
    pub(super) fn polyline(&mut self, points: &[Point], colour: &str, dashes: &str) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
        let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        self.element(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-linejoin=\"round\"{dashes}/>",
            points.join(" ")
        ));
    }

    /// A light area around a curve.
    pub(super) fn area(&mut self, outline: &[Point], colour: &str) {
        let points: Vec<_> = outline.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
        self.element(format_args!(
            "<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"0.15\"/>",
            points.join(" ")
        ));
    }

    /// A mark on a curve; `tip` is shown where the pointer rests on it.
    pub(super) fn mark(&mut self, centre: Point, mark: Mark, colour: &str, tip: &str) {
        let [x, y] = [centre.0, centre.1].map(number);
        let path = match mark {
            Mark::Dot => "m-3,0a3,3 0 1 0 6,0a3,3 0 1 0 -6,0z",
            Mark::Square => "m-3,-3h6v6h-6z",
            Mark::Triangle => "m0,-4l4,7h-8z",
            Mark::Diamond => "m0,-4l4,4l-4,4l-4,-4z",
        };
        let end = if tip.is_empty() { "/>".into() } else { format!("><title>{}</title></path>", escaped(tip)) };
        self.element(format_args!("<path d=\"M{x},{y}{path}\" fill=\"{colour}\"{end}"));
    }

    /// Opens a group that belongs to one of several series; the page can hide it. Close it with [`end_group`](Self::end_group).
    pub(super) fn begin_series(&mut self, index: usize) {
        self.element(format_args!("<g data-series=\"{index}\">"));
    }

    /// Opens the group of a series' entry in the legend.
    pub(super) fn begin_switch(&mut self, index: usize) {
        self.element(format_args!("<g data-switch=\"{index}\">"));
    }

    pub(super) fn end_group(&mut self) {
        self.element(format_args!("</g>"));
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

    pub(super) fn bold_text(&mut self, (x, y): Point, anchor: Anchor, text: &str) {
        let [x, y] = [x, y].map(number);
        self.element(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{}\" font-weight=\"bold\">{}</text>",
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
        let Self { id, heading, width, height, paints, body } = self;
        let mut patterns = String::new();
        for (index, paint) in paints.iter().enumerate() {
            let (colour, tile) = (paint.colour, paint.texture.tile().unwrap_or_default());
            let pattern = format_args!(
                "<pattern id=\"{id}-p{index}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><rect width=\"6\" \
                 height=\"6\" fill=\"{colour}\"/><path d=\"{tile}\" stroke=\"#ffffff\" stroke-opacity=\"0.6\" \
                 stroke-width=\"1.3\" fill=\"none\"/></pattern>"
            );
            writeln!(patterns, "{pattern}").expect("a string takes all");
        }
        let defs = if patterns.is_empty() { String::new() } else { format!("<defs>{}</defs>\n", patterns.trim_end()) };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" \
             font-size=\"12\" fill=\"{}\" role=\"img\" aria-label=\"{}\">\n{defs}{body}</svg>\n",
            colour::TEXT,
            heading.replace('"', "&quot;")
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

/// Text within an element.
pub(in crate::report) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_numbers_are_short() {
        let mut svg = Svg::new("x", 10.0, 10.0, "a < b & c");
        svg.line((0.0, -0.001), (1.0 / 3.0, 2.0), colour::BLUE, 1.0);
        let text = svg.finish();
        assert!(text.contains("<title>a &lt; b &amp; c</title>"), "{text}");
        assert!(text.contains("aria-label=\"a &lt; b &amp; c\""), "{text}");
        assert!(text.contains("x1=\"0\" y1=\"0\" x2=\"0.33\" y2=\"2\""), "{text}");
    }
}
