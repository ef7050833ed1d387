//! Measuring trained values on a split.

use std::fmt;

use candle_core::Result;
use serde::{Deserialize, Serialize};

use super::metrics::Confusion;
use super::{Cancel, examples};
use crate::data::EncodedSplit;
use crate::model::{Backbone, Hooks, Pass, classify};

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// What the clients train on.
    Train,
    /// Held back by the server; rounds are chosen on it.
    Validation,
    /// Looked at once, at the end.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// How well a classifier does on a split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean cross-entropy in nats.
    #[serde(with = "crate::units::any_f64")]
    pub loss: f64,
    /// Fraction of examples whose class was found, in [0, 1].
    pub accuracy: f64,
    /// F1 of class 1, in [0, 1].
    pub f1: f64,
    /// Mean F1 over the classes, in [0, 1].
    pub macro_f1: f64,
    /// Matthews correlation coefficient, in [-1, 1].
    pub mcc: f64,
    /// Number of examples.
    pub n: usize,
}

/// Examples per forward pass.
const BATCH_SIZE: usize = 64;

/// Evaluates on all examples. They run in batches of similar length, so that little padding is computed; sums are taken
/// in the order of the split. `None` when `cancel` was raised.
pub(super) fn evaluate(
    backbone: &Backbone,
    hooks: &dyn Hooks,
    split: &EncodedSplit,
    n_labels: usize,
    cancel: &Cancel,
) -> Result<Option<Evaluation>> {
    let mut order: Vec<usize> = (0..split.len()).collect();
    order.sort_by_key(|&i| (examples::n_tokens(split, i, backbone.config()), i));
    let mut losses = vec![0f64; split.len()];
    let mut confusion = Confusion::new(n_labels);
    for indices in order.chunks(BATCH_SIZE) {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        let batch = examples::batch(split, indices, backbone)?;
        let logits = classify(backbone, &batch, hooks, &mut Pass::evaluation())?.to_vec2::<f32>()?;
        for (&i, scores) in indices.iter().zip(&logits) {
            let label = split.labels()[i];
            losses[i] = cross_entropy(scores, label);
            confusion.add(label, largest(scores));
        }
    }
    Ok(Some(Evaluation {
        loss: losses.iter().sum::<f64>() / split.len() as f64,
        accuracy: confusion.accuracy(),
        f1: confusion.f1(),
        macro_f1: confusion.macro_f1(),
        mcc: confusion.mcc(),
        n: split.len(),
    }))
}

/// `log sum exp(scores) - scores[label]`, in nats.
fn cross_entropy(scores: &[f32], label: u32) -> f64 {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|score| f64::from(score - max).exp()).sum();
    sum.ln() + f64::from(max) - f64::from(scores[label as usize])
}

/// The first class with the largest score.
fn largest(scores: &[f32]) -> u32 {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_of_equal_scores_is_the_logarithm_of_their_number() {
        assert!((cross_entropy(&[2.0; 4], 1) - 4f64.ln()).abs() < 1e-12);
        // log(e^0 + e^1000) - 1000 is 0 to all digits; the sum alone would overflow.
        assert_eq!(cross_entropy(&[0.0, 1000.0], 1), 0.0);
        assert_eq!(largest(&[0.5, 0.7, 0.7]), 1);
    }
}
