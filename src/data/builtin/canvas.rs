//! Drawing small pictures: a background of shades, outlines with soft edges, clutter and noise.

use std::f32::consts::PI;

use rand::RngExt;

use crate::data::images::Picture;
use crate::seed::Stream;

/// Height and width of a picture, in pixels.
pub(super) const SIZE: usize = 32;

/// Samples per pixel and direction; they soften the edges.
const SAMPLES: usize = 3;

/// By how much the largest thing in a picture may be turned, in radians either way: about 20 degrees.
pub(super) const TURN: f32 = 0.35;

/// Red, green and blue, each 0 to 1.
pub(super) type Colour = [f32; 3];

/// Whether a point belongs to a figure. The figure lies in the circle of radius 1 around the origin.
pub(super) type Outline<'a> = &'a dyn Fn(f32, f32) -> bool;

/// Where a figure lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    /// The centre, in pixels from the upper left corner.
    pub(super) centre: (f32, f32),
    /// In pixels.
    pub(super) radius: f32,
    /// In radians.
    pub(super) angle: f32,
}

impl Pose {
    /// An angle of at most `turn` either way, and any place at which the figure is inside the picture but for at most a
    /// pixel and a half.
    pub(super) fn draw(radius: f32, turn: f32, rng: &mut Stream) -> Self {
        let margin = radius - 1.5;
        let place = |rng: &mut Stream| margin + uniform(rng) * (SIZE as f32 - 2.0 * margin);
        Self { centre: (place(rng), place(rng)), radius, angle: turn * (2.0 * uniform(rng) - 1.0) }
    }
}

/// A picture in the making.
pub(super) struct Canvas {
    pixels: Vec<Colour>,
    /// The colour around which the background varies.
    ground: Colour,
}

impl Canvas {
    /// A background that shades from corner to corner, with clutter: thin strokes and small blots in colours of any
    /// kind.
    pub(super) fn draw(rng: &mut Stream) -> Self {
        let ground = colour(rng);
        let corners: [Colour; 4] = std::array::from_fn(|_| ground.map(|value| value + 0.3 * (uniform(rng) - 0.5)));
        let pixels = (0..SIZE * SIZE).map(|i| {
            let (x, y) = ((i % SIZE) as f32 / (SIZE - 1) as f32, (i / SIZE) as f32 / (SIZE - 1) as f32);
            std::array::from_fn(|c| {
                let top = corners[0][c] * (1.0 - x) + corners[1][c] * x;
                let bottom = corners[2][c] * (1.0 - x) + corners[3][c] * x;
                top * (1.0 - y) + bottom * y
            })
        });
        let mut canvas = Self { pixels: pixels.collect(), ground };
        for _ in 0..rng.random_range(0..=2) {
            let thickness = 0.08 + 0.08 * uniform(rng);
            let pose = Pose::draw(4.0 + 6.0 * uniform(rng), PI, rng);
            canvas.fill(&pose, colour(rng), &|x, y| x.abs() <= 1.0 && y.abs() <= thickness);
        }
        for _ in 0..rng.random_range(0..=2) {
            let flatness = 0.6 + 0.4 * uniform(rng);
            let pose = Pose::draw(1.5 + 1.5 * uniform(rng), PI, rng);
            canvas.fill(&pose, colour(rng), &|x, y| x * x + (y / flatness).powi(2) <= 1.0);
        }
        canvas
    }

    /// A colour that stands out from the background.
    pub(super) fn contrast(&self, rng: &mut Stream) -> Colour {
        loop {
            let candidate = colour(rng);
            let distance: f32 = candidate.iter().zip(self.ground).map(|(a, b)| (a - b).powi(2)).sum();
            if distance > 0.45 * 0.45 {
                return candidate;
            }
        }
    }

    /// Paints a figure over what is there.
    pub(super) fn fill(&mut self, pose: &Pose, colour: Colour, outline: Outline<'_>) {
        let (sin, cos) = pose.angle.sin_cos();
        let span = |centre: f32| {
            let low = (centre - pose.radius).floor().max(0.0) as usize;
            low..((centre + pose.radius).ceil().max(0.0) as usize).min(SIZE)
        };
        for row in span(pose.centre.1) {
            for column in span(pose.centre.0) {
                let mut hits = 0;
                for sample in 0..SAMPLES * SAMPLES {
                    let within = |i: usize| (i as f32 + 0.5) / SAMPLES as f32;
                    let x = (column as f32 + within(sample % SAMPLES) - pose.centre.0) / pose.radius;
                    let y = (row as f32 + within(sample / SAMPLES) - pose.centre.1) / pose.radius;
                    hits += usize::from(outline(x * cos + y * sin, y * cos - x * sin));
                }
                let cover = hits as f32 / (SAMPLES * SAMPLES) as f32;
                let pixel = &mut self.pixels[row * SIZE + column];
                pixel.iter_mut().zip(colour).for_each(|(value, colour)| *value += cover * (colour - *value));
            }
        }
    }

    /// The picture, with noise on every byte.
    pub(super) fn finish(self, rng: &mut Stream) -> Picture {
        let amount = 0.02 + 0.08 * uniform(rng);
        let mut byte = |value: f32| {
            // The sum of two uniform draws: a triangle around 0.
            let noise = amount * (uniform(rng) + uniform(rng) - 1.0);
            ((value + noise).clamp(0.0, 1.0) * 255.0).round() as u8
        };
        let bytes = self.pixels.iter().flatten().map(|value| byte(*value)).collect();
        Picture { width: SIZE, height: SIZE, channels: 3, bytes }
    }
}

/// In [0, 1).
pub(super) fn uniform(rng: &mut Stream) -> f32 {
    rng.random::<f32>()
}

/// Any colour.
pub(super) fn colour(rng: &mut Stream) -> Colour {
    std::array::from_fn(|_| uniform(rng))
}

/// Whether a point lies inside a closed line through these corners: it does when a ray from it crosses the line an odd
/// number of times.
pub(super) fn in_polygon(corners: &[(f32, f32)], x: f32, y: f32) -> bool {
    let mut inside = false;
    let mut previous = corners.len() - 1;
    for (i, &(xi, yi)) in corners.iter().enumerate() {
        let (xj, yj) = corners[previous];
        if (yi > y) != (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi {
            inside = !inside;
        }
        previous = i;
    }
    inside
}

/// The corners of a star or a regular polygon: radii in turn, at equal angles.
pub(super) fn around(radii: &[f32], n_corners: usize) -> Vec<(f32, f32)> {
    let corner = |i: usize| {
        let (sin, cos) = (2.0 * PI * i as f32 / n_corners as f32).sin_cos();
        (radii[i % radii.len()] * cos, radii[i % radii.len()] * sin)
    };
    (0..n_corners).map(corner).collect()
}
