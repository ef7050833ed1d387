//! Pictures to pretrain an encoder on for `builtin:shapes`: figures of other outlines, drawn the same way, with what can
//! be asked about each.
//!
//! The outlines are forty irregular ones of four kinds that a fixed stream makes up: straight-edged, curved, curved with
//! a hole, and crossed bars. None of them is a shape of the data set. The encoder learns to name the outline, the place,
//! the size and the colour of the largest thing in the picture.

use std::f32::consts::PI;

use rand::RngExt;

use super::canvas::{Canvas, Colour, Pose, SIZE, TURN, in_polygon, uniform};
use super::place::Place;
use crate::data::ImageProcessor;
use crate::data::images::Picture;
use crate::seed::{Purpose, Seeds, Stream};

/// A question about a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// What is asked.
    pub name: &'static str,
    /// How many answers there are.
    pub n_values: usize,
}

/// What is asked about each picture.
pub const ATTRIBUTES: [Attribute; 4] = [
    Attribute { name: "outline", n_values: N_OUTLINES },
    Attribute { name: "place", n_values: N_CELLS * N_CELLS },
    Attribute { name: "size", n_values: 3 },
    Attribute { name: "colour", n_values: 6 },
];

const N_OUTLINES: usize = 40;

/// Cells per direction in which the centre of a figure may lie.
const N_CELLS: usize = 4;

/// Radius of a figure, in pixels.
const RADIUS: std::ops::Range<f32> = 8.0..13.0;

/// A picture with the answers to [`ATTRIBUTES`], in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FigurePicture {
    pub(super) picture: Picture,
    /// One answer for each attribute, below its number of values.
    pub answers: [u32; ATTRIBUTES.len()],
}

impl FigurePicture {
    /// Height and width, in pixels; it has 3 channels.
    pub const SIZE: usize = SIZE;

    /// The picture as a model takes it, `[3, height, width]`, normalised.
    ///
    /// # Panics
    /// If the processor is not one for pictures of this size in colour.
    pub fn pixels(&self, processor: &ImageProcessor) -> Vec<f32> {
        let bytes = processor.fit(self.picture.clone()).expect("a picture of the size that the processor gives");
        let mut numbers = Vec::with_capacity(bytes.len());
        processor.normalise(&bytes, &mut numbers);
        numbers
    }
}

/// `n` pictures; the seed, the step and its part decide which. None of them is one of a validation or test set of a
/// built-in data set, whatever its seed.
pub fn pretraining_figures(n: usize, seed: u64, step: u32, part: u32) -> Vec<FigurePicture> {
    let outlines: Vec<Outline> = (0..N_OUTLINES).map(Outline::made_up).collect();
    let mut rng = Seeds::new(seed).step(Purpose::PretrainingFigures, part, step, 1);
    let mut pictures = Vec::with_capacity(n);
    while pictures.len() < n {
        let (picture, answers) = picture(&outlines, &mut rng);
        if Place::of_digest(&picture.digest()) == Place::Training {
            pictures.push(FigurePicture { picture, answers });
        }
    }
    pictures
}

fn picture(outlines: &[Outline], rng: &mut Stream) -> (Picture, [u32; ATTRIBUTES.len()]) {
    let mut canvas = Canvas::draw(rng);
    let which = rng.random_range(0..N_OUTLINES);
    let relative = uniform(rng);
    let pose = Pose::draw(RADIUS.start + relative * (RADIUS.end - RADIUS.start), TURN, rng);
    let colour = canvas.contrast(rng);
    canvas.fill(&pose, colour, &|x, y| outlines[which].holds(x, y));
    let cell = |at: f32| ((at / SIZE as f32 * N_CELLS as f32) as u32).min(N_CELLS as u32 - 1);
    let place = cell(pose.centre.1) * N_CELLS as u32 + cell(pose.centre.0);
    let answers = [which as u32, place, (relative * 3.0) as u32, hue(colour)];
    (canvas.finish(rng), answers)
}

/// The order of red, green and blue by strength: one of six.
fn hue([red, green, blue]: Colour) -> u32 {
    let code = u32::from(red > green) + 2 * u32::from(green > blue) + 4 * u32::from(blue > red);
    code.clamp(1, 6) - 1
}

/// A figure of the pretraining pictures.
enum Outline {
    /// Corners at any angles and distances.
    Straight(Vec<(f32, f32)>),
    /// A distance from the centre that changes with the angle: waves of one to five turns, and a hole.
    Curved { waves: [(f32, f32); 5], hole: Option<(f32, f32, f32)> },
    /// Bars: a point on each, its direction, half its thickness.
    Bars(Vec<(f32, f32, f32, f32)>),
}

impl Outline {
    /// The outline of this number; the same in every run.
    fn made_up(number: usize) -> Self {
        let mut rng = Seeds::new(0).client(Purpose::PretrainingFigures, number as u32);
        let rng = &mut rng;
        match number % 4 {
            0 => {
                let n = rng.random_range(4..=8);
                let turn = |i: usize, rng: &mut Stream| 2.0 * PI * (i as f32 + 0.6 * uniform(rng)) / n as f32;
                let corner = |i: usize| {
                    let (angle, radius) = (turn(i, rng), 0.35 + 0.65 * uniform(rng));
                    (radius * angle.cos(), radius * angle.sin())
                };
                Self::Straight((0..n).map(corner).collect())
            }
            kind @ (1 | 2) => {
                let waves =
                    std::array::from_fn(|i| (0.35 * uniform(rng) / (1.0 + 0.3 * i as f32), 2.0 * PI * uniform(rng)));
                let hole = (kind == 2).then(|| (0.3 * uniform(rng), 0.3 * uniform(rng), 0.25 + 0.15 * uniform(rng)));
                Self::Curved { waves, hole }
            }
            _ => {
                let bar = |_| {
                    let angle = PI * uniform(rng);
                    (0.8 * (uniform(rng) - 0.5), 0.8 * (uniform(rng) - 0.5), angle, 0.12 + 0.12 * uniform(rng))
                };
                Self::Bars((0..3).map(bar).collect())
            }
        }
    }

    fn holds(&self, x: f32, y: f32) -> bool {
        let radius = x.hypot(y);
        match self {
            Self::Straight(corners) => in_polygon(corners, x, y),
            Self::Curved { waves, hole } => {
                let angle = y.atan2(x);
                let wave = |(i, (height, phase)): (usize, &(f32, f32))| height * ((i + 1) as f32 * angle + phase).cos();
                let edge = 0.65 + waves.iter().enumerate().map(wave).sum::<f32>();
                let in_hole = hole.is_some_and(|(u, v, size)| (x - u).hypot(y - v) < size);
                radius <= edge.min(1.0) && !in_hole
            }
            Self::Bars(bars) => {
                let on_bar = |&(u, v, angle, half): &(f32, f32, f32, f32)| {
                    let (sin, cos) = angle.sin_cos();
                    ((x - u) * sin - (y - v) * cos).abs() <= half && ((x - u) * cos + (y - v) * sin).abs() <= 0.75
                };
                radius <= 1.0 && bars.iter().any(on_bar)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_answer_occurs_and_the_seed_decides() {
        let figures = pretraining_figures(2000, 1, 0, 0);
        for (i, attribute) in ATTRIBUTES.iter().enumerate() {
            let answers: BTreeSet<u32> = figures.iter().map(|figure| figure.answers[i]).collect();
            assert_eq!(answers, (0..attribute.n_values as u32).collect(), "{}", attribute.name);
        }
        assert_eq!(pretraining_figures(20, 1, 0, 0), figures[..20]);
        for (seed, step, part) in [(2, 0, 0), (1, 1, 0), (1, 0, 1)] {
            assert_ne!(pretraining_figures(20, seed, step, part), figures[..20]);
        }
    }

    #[test]
    fn outlines_differ_and_lie_in_their_circle() {
        let points: Vec<_> =
            (0..60 * 60).map(|i| ((i % 60) as f32 / 20.0 - 1.5, (i / 60) as f32 / 20.0 - 1.5)).collect();
        let mut seen = BTreeSet::new();
        for outline in (0..N_OUTLINES).map(Outline::made_up) {
            let inside: Vec<bool> = points.iter().map(|(x, y)| outline.holds(*x, *y)).collect();
            let share = inside.iter().filter(|inside| **inside).count() as f64 / (400.0 * std::f64::consts::PI);
            assert!((0.15..0.95).contains(&share), "{share}");
            assert!(points.iter().zip(&inside).all(|((x, y), inside)| !inside || x.hypot(*y) <= 1.01));
            assert!(seen.insert(inside));
        }
    }
}
