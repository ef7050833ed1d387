//! `builtin:shapes`: which of twelve shapes the largest thing in a small picture has.
//!
//! The shape lies anywhere, turned a little, in a range of sizes, in any colour that stands out, on a ground
//! that shades, among strokes and blots, under noise: neither a colour nor a single pixel says anything about the class.

use std::collections::BTreeSet;

use rand::seq::SliceRandom;

use super::canvas::{Canvas, Outline, Pose, TURN, around, in_polygon, uniform};
use super::place::Place;
use crate::data::images::{Gatherer, Picture};
use crate::data::{DataError, ImageDataset, ImageProcessor};
use crate::seed::{Purpose, Seeds, Stream};

/// As written in `dataset.name`.
pub(super) const NAME: &str = "builtin:shapes";

const N_TRAIN: usize = 2400;
const N_VALIDATION: usize = 600;
const N_TEST: usize = 1200;

/// Radius of the shape, in pixels.
const RADIUS: std::ops::Range<f32> = 8.0..13.0;

/// The streams of pictures lie behind those of texts.
const FIRST_STREAM: u32 = 16;

/// Whether a point belongs to a shape.
type Holds = fn(f32, f32) -> bool;

/// The shapes by name. Each lies in the circle of radius 1.
const SHAPES: [(&str, Holds); 12] = [
    ("disc", |x, y| x * x + y * y <= 0.72),
    ("ring", |x, y| (0.3..=0.9).contains(&(x * x + y * y))),
    ("half disc", |x, y| x * x + (y - 0.4).powi(2) <= 1.0 && y <= 0.4 && x * x + y * y <= 1.0),
    ("crescent", |x, y| x * x + y * y <= 1.0 && (x - 0.45).powi(2) + y * y > 0.55),
    ("triangle", |x, y| in_polygon(&TRIANGLE, x, y)),
    ("square", |x, y| x.abs().max(y.abs()) <= 0.7),
    ("rod", |x, y| x.abs() <= 0.97 && y.abs() <= 0.25),
    ("star", |x, y| in_star(x, y)),
    ("cross", |x, y| x.abs().max(y.abs()) <= 0.9 && x.abs().min(y.abs()) <= 0.27),
    ("arrow", |x, y| in_polygon(&ARROW, x, y)),
    ("angle", |x, y| in_polygon(&ANGLE, x, y)),
    ("heart", |x, y| in_heart(1.4 * x, 1.4 * y + 0.1)),
];

const TRIANGLE: [(f32, f32); 3] = [(0.0, 1.0), (-0.866, -0.5), (0.866, -0.5)];

const ARROW: [(f32, f32); 7] =
    [(1.0, 0.0), (0.2, 0.75), (0.2, 0.25), (-0.95, 0.25), (-0.95, -0.25), (0.2, -0.25), (0.2, -0.75)];

const ANGLE: [(f32, f32); 6] = [(-0.65, -0.7), (0.7, -0.7), (0.7, -0.2), (-0.15, -0.2), (-0.15, 0.75), (-0.65, 0.75)];

fn in_star(x: f32, y: f32) -> bool {
    in_polygon(&around(&[1.0, 0.42], 10), x, y)
}

fn in_heart(x: f32, y: f32) -> bool {
    (x * x + y * y - 1.0).powi(3) <= x * x * y.powi(3)
}

/// Draws the data set called `name`, with `num_examples` training pictures (default: its own size). Every label is as
/// frequent as the others, and no picture occurs twice, in one split or in two. The test and validation pictures do not
/// depend on `num_examples`.
///
/// # Errors
/// When no pictures of this name are built in, or the model cannot take them.
pub(in crate::data) fn draw(
    name: &str,
    num_examples: Option<usize>,
    seeds: &Seeds,
    processor: &ImageProcessor,
) -> Result<ImageDataset, DataError> {
    if name != NAME {
        return Err(DataError::BadSettings(format!("dataset.name: `{name}` holds no pictures")));
    }
    let mut gatherer = Gatherer::new(processor);
    let mut split = |place, n| -> Result<Vec<u32>, DataError> {
        let start = gatherer.len() as u32;
        for (picture, label) in draw_rows(place, n, seeds) {
            gatherer.add(picture, label).map_err(|what| DataError::BadSettings(format!("{name}: a picture {what}")))?;
        }
        Ok((start..gatherer.len() as u32).collect())
    };
    let train = split(Place::Training, num_examples.unwrap_or(N_TRAIN))?;
    let validation = split(Place::Validation, N_VALIDATION)?;
    let test = split(Place::Test, N_TEST)?;
    let labels = SHAPES.iter().map(|(label, _)| (*label).to_string()).collect();
    Ok(ImageDataset::new(name.into(), labels, gatherer, (train, validation, Some(test)), processor))
}

fn draw_rows(place: Place, n: usize, seeds: &Seeds) -> Vec<(Picture, u32)> {
    let mut rng = seeds.round(Purpose::DatasetExamples, FIRST_STREAM + place.stream());
    let mut seen = BTreeSet::new();
    let mut rows = Vec::with_capacity(n);
    for i in 0..n {
        let label = i % SHAPES.len();
        let picture = loop {
            let picture = picture(&SHAPES[label].1, &mut rng);
            let digest = picture.digest();
            if Place::of_digest(&digest) == place && seen.insert(digest) {
                break picture;
            }
        };
        rows.push((picture, label as u32));
    }
    rows.shuffle(&mut rng);
    rows
}

fn picture(shape: Outline<'_>, rng: &mut Stream) -> Picture {
    let mut canvas = Canvas::draw(rng);
    let pose = Pose::draw(RADIUS.start + uniform(rng) * (RADIUS.end - RADIUS.start), TURN, rng);
    let colour = canvas.contrast(rng);
    canvas.fill(&pose, colour, shape);
    canvas.finish(rng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::builtin::pretraining_figures;

    fn generate(n: Option<usize>, seed: u64) -> ImageDataset {
        draw(NAME, n, &Seeds::new(seed), &ImageProcessor::new(3, 32)).expect("built in")
    }

    #[test]
    fn sizes_labels_and_splits_are_as_promised() {
        let dataset = generate(None, 42);
        let test = dataset.test.as_ref().expect("has a test split");
        assert_eq!((dataset.train.len(), dataset.validation.len(), test.len()), (N_TRAIN, N_VALIDATION, N_TEST));
        assert_eq!(dataset.labels.len(), 12);
        let mut seen = BTreeSet::new();
        for split in [&dataset.train, &dataset.validation, test] {
            let n = |label: u32| split.labels().iter().filter(|found| **found == label).count();
            assert!((0..12).all(|label| n(label) == split.len() / 12));
            assert!((0..split.len()).all(|i| seen.insert(split.bytes(i).to_vec())), "a picture occurs twice");
        }
    }

    #[test]
    fn the_seed_decides_the_pictures_and_a_larger_set_changes_training_rows_only() {
        let (small, large) = (generate(Some(120), 1), generate(Some(240), 1));
        assert_eq!(small, generate(Some(120), 1));
        assert_eq!((small.train.len(), large.train.len()), (120, 240));
        assert_eq!((&small.validation, &small.test), (&large.validation, &large.test));
        assert_ne!(small.hash, large.hash);
        assert_ne!(generate(Some(120), 2).test, small.test);
    }

    #[test]
    fn every_shape_fills_a_fair_part_of_its_circle_and_no_other_place() {
        for (name, holds) in SHAPES {
            let points = (0..200 * 200).map(|i| ((i % 200) as f32 / 66.0 - 1.5, (i / 200) as f32 / 66.0 - 1.5));
            let inside: Vec<_> = points.filter(|(x, y)| holds(*x, *y)).collect();
            assert!(inside.iter().all(|(x, y)| x.hypot(*y) <= 1.01), "{name}");
            // The area of the circle is 66^2 pi = 13,685 points.
            let share = inside.len() as f64 / 13_685.0;
            assert!((0.25..0.75).contains(&share), "{name} {share}");
        }
    }

    #[test]
    fn nothing_that_is_pretrained_on_is_held_back() {
        let dataset = generate(Some(120), 0);
        let test = dataset.test.expect("has a test split");
        let held_back: BTreeSet<&[u8]> = (0..test.len()).map(|i| test.bytes(i)).collect();
        for figure in pretraining_figures(300, 1, 0, 0) {
            assert_eq!(Place::of_digest(&figure.picture.digest()), Place::Training);
            let bytes = ImageProcessor::new(3, 32).fit(figure.picture).expect("fits");
            assert!(!held_back.contains(bytes.as_slice()));
        }
    }
}
