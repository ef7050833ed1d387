//! Resizing as Pillow does it, to the bit, because that is what image processors were made with: each direction is a
//! weighted mean in fixed point (22 bits), widths first, rounded to bytes in between. When a picture shrinks, the filter
//! widens with it, so that every pixel counts.

use super::Picture;

/// A filter, numbered as in Pillow and in `preprocessor_config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resample {
    Nearest,
    Lanczos,
    Bilinear,
    Bicubic,
    Box,
    Hamming,
}

impl Resample {
    /// The filter of this number.
    pub(super) fn of(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Nearest,
            1 => Self::Lanczos,
            2 => Self::Bilinear,
            3 => Self::Bicubic,
            4 => Self::Box,
            5 => Self::Hamming,
            _ => return None,
        })
    }

    /// How far the filter reaches, in pixels of the larger picture.
    fn support(self) -> f64 {
        match self {
            Self::Nearest | Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
        let at = x.abs();
        match self {
            Self::Nearest | Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - at).max(0.0),
            Self::Hamming if at >= 1.0 => 0.0,
            Self::Hamming => sinc(at) * (0.54 + 0.46 * (at * std::f64::consts::PI).cos()),
            // Keys' kernel with a = -0.5.
            Self::Bicubic if at < 1.0 => (1.5 * at - 2.5) * at * at + 1.0,
            Self::Bicubic if at < 2.0 => ((-0.5 * at + 2.5) * at - 4.0) * at + 2.0,
            Self::Bicubic => 0.0,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

/// Bits behind the point of a weight.
const PRECISION: u32 = 22;

/// The picture in another size.
pub(super) fn resize(picture: &Picture, width: usize, height: usize, resample: Resample) -> Picture {
    let mut resized = picture.clone();
    if picture.width != width {
        let taps = taps(picture.width, width, resample);
        let n = picture.channels;
        let mut bytes = Vec::with_capacity(picture.height * width * n);
        for row in picture.bytes.chunks_exact(picture.width * n) {
            for tap in &taps {
                bytes.extend((0..n).map(|channel| tap.mean(|i| row[i * n + channel])));
            }
        }
        resized = Picture { width, bytes, ..resized };
    }
    if picture.height != height {
        let taps = taps(picture.height, height, resample);
        let stride = width * picture.channels;
        let mut bytes = Vec::with_capacity(height * stride);
        for tap in &taps {
            bytes.extend((0..stride).map(|column| tap.mean(|i| resized.bytes[i * stride + column])));
        }
        resized = Picture { height, bytes, ..resized };
    }
    resized
}

/// The pixels that make one new pixel.
struct Tap {
    first: usize,
    weights: Vec<i64>,
}

impl Tap {
    fn mean(&self, pixel: impl Fn(usize) -> u8) -> u8 {
        let half = 1i64 << (PRECISION - 1);
        let sum: i64 =
            self.weights.iter().enumerate().map(|(i, weight)| weight * i64::from(pixel(self.first + i))).sum();
        ((sum + half) >> PRECISION).clamp(0, 255) as u8
    }
}

fn taps(from: usize, to: usize, resample: Resample) -> Vec<Tap> {
    let scale = from as f64 / to as f64;
    if resample == Resample::Nearest {
        let one = 1i64 << PRECISION;
        let nearest = |i: usize| (((i as f64 + 0.5) * scale) as usize).min(from - 1);
        return (0..to).map(|i| Tap { first: nearest(i), weights: vec![one] }).collect();
    }
    let stretch = scale.max(1.0);
    let support = resample.support() * stretch;
    let tap = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        // The casts cut towards zero, and a negative bound is 0: as in Pillow.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..end).map(|x| resample.weight((x as f64 - centre + 0.5) / stretch)).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: &f64| (weight / sum * f64::from(1u32 << PRECISION)).round() as i64;
        Tap { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..to).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::images::testing;

    #[test]
    fn every_filter_gives_the_bytes_of_pillow() {
        let golden = testing::golden();
        let cases = golden["resized"].as_array().expect("a list");
        assert_eq!(cases.len(), 36);
        for case in cases {
            let number = |key: &str| case[key].as_u64().expect("a number");
            let picture = testing::picture(case["file"].as_str().expect("a name"));
            let resample = Resample::of(number("resample")).expect("a filter");
            let resized = resize(&picture, number("width") as usize, number("height") as usize, resample);
            let expected: Vec<u8> = serde_json::from_value(case["bytes"].clone()).expect("bytes");
            assert_eq!(resized.bytes, expected, "{resample:?} {} x {}", resized.width, resized.height);
        }
    }
}
