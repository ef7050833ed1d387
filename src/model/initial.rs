//! Initial values of tensors, drawn from streams addressed by the tensor's name.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use sha2::{Digest, Sha256};

use crate::params::TensorSpec;
use crate::seed::{Purpose, Seeds};

/// How a tensor gets its initial values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// Normal with mean 0.
    Normal {
        /// Standard deviation, > 0.
        sd: f64,
    },
    /// Uniform in `[-bound, bound)`.
    Uniform {
        /// Largest magnitude, > 0.
        bound: f64,
    },
    /// A table of vectors: normal with mean 0, but for one row of zeros.
    Table {
        /// Standard deviation, > 0.
        sd: f64,
        /// The row that stays 0: that of padding.
        empty_row: usize,
    },
    /// Sinusoidal positions `[n, width]`, the same for every seed (Vaswani et al. 2017, arXiv 1706.03762, section 3.5):
    /// sin(position / 10000^(2i / width)) in column 2i, its cosine in column 2i + 1.
    Waves,
}

impl Init {
    /// The values of one tensor. They depend on the seed, the purpose and the tensor's name alone, so that a tensor
    /// starts the same whatever other tensors are trained beside it.
    pub fn draw(self, spec: &TensorSpec, purpose: Purpose, seeds: &Seeds) -> Vec<f32> {
        let n = spec.n_elements();
        match self {
            Self::Zeros => vec![0.0; n],
            Self::Ones => vec![1.0; n],
            Self::Normal { sd } => {
                let mut rng = named_stream(&spec.name, purpose, seeds);
                let mut next = || {
                    let z: f64 = StandardNormal.sample(&mut rng);
                    (sd * z) as f32
                };
                (0..n).map(|_| next()).collect()
            }
            Self::Table { sd, empty_row } => {
                let mut values = Self::Normal { sd }.draw(spec, purpose, seeds);
                let width = spec.shape.last().copied().unwrap_or(1);
                values[empty_row * width..][..width].fill(0.0);
                values
            }
            Self::Waves => {
                let width = spec.shape.last().copied().unwrap_or(1);
                let at = |index: usize| {
                    let (position, column) = ((index / width) as f64, index % width);
                    let angle = position / 10000f64.powf((column - column % 2) as f64 / width as f64);
                    (if column.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
                };
                (0..n).map(at).collect()
            }
            Self::Uniform { bound } => {
                let mut rng = named_stream(&spec.name, purpose, seeds);
                (0..n).map(|_| (bound * (2.0 * rng.random::<f64>() - 1.0)) as f32).collect()
            }
        }
    }
}

/// The stream of the tensor called `name`: a hash of the name fills the address.
pub(crate) fn named_stream(name: &str, purpose: Purpose, seeds: &Seeds) -> crate::seed::Stream {
    let digest = Sha256::digest(name.as_bytes());
    let word = |i: usize| u32::from_le_bytes([digest[4 * i], digest[4 * i + 1], digest[4 * i + 2], digest[4 * i + 3]]);
    seeds.step(purpose, word(0), word(1), word(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_spread_asked_for() {
        let spec = TensorSpec::new("a", [100, 100]);
        let seeds = Seeds::new(1);
        let normal = Init::Normal { sd: 0.02 }.draw(&spec, Purpose::Initialisation, &seeds);
        let variance = normal.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 1e4;
        // The sample variance of 10,000 draws has a relative standard error of sqrt(2 / 10^4) = 1.4 %; 5 of them.
        assert!((variance / 4e-4 - 1.0).abs() < 0.07, "{variance}");
        let uniform = Init::Uniform { bound: 0.5 }.draw(&spec, Purpose::Initialisation, &seeds);
        assert!(uniform.iter().all(|v| v.abs() <= 0.5));
        let variance = uniform.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 1e4;
        assert!((variance / (0.25 / 3.0) - 1.0).abs() < 0.07, "{variance}");
        let table = Init::Table { sd: 0.02, empty_row: 1 }.draw(&spec, Purpose::Initialisation, &seeds);
        assert!(table[100..200].iter().all(|v| *v == 0.0) && table[..100] == normal[..100]);
        let other = TensorSpec::new("b", [100, 100]);
        assert_ne!(normal, Init::Normal { sd: 0.02 }.draw(&other, Purpose::Initialisation, &seeds));
    }
    #[test]
    fn sinusoidal_positions_are_those_of_the_paper() {
        let waves = Init::Waves.draw(&TensorSpec::new("p", [3, 4]), Purpose::Initialisation, &Seeds::new(1));
        // Position 2: sin 2, cos 2, and with 10000^(2/4) = 100, sin 0.02, cos 0.02.
        let expected = [2f64.sin(), 2f64.cos(), 0.02f64.sin(), 0.02f64.cos()].map(|v| v as f32);
        assert_eq!(waves[8..], expected);
        assert_eq!(waves[..4], [0.0, 1.0, 0.0, 1.0]);
    }
}
