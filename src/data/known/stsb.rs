//! The Semantic Textual Similarity Benchmark: known, and refused.

use super::{GLUE, Known};

/// Cer et al. 2017, arXiv 1708.00055: similarities from 0 to 5.
pub(super) const STSB: Known = Known {
    names: GLUE,
    config: "stsb",
    text: "sentence1",
    text_pair: Some("sentence2"),
    labels: &[],
    metric: "accuracy",
    test: "validation",
    validation_fraction: 0.01,
    refused: Some("its labels are similarities from 0 to 5 (a regression), and this program trains classifiers"),
};
