//! Multi-Genre Natural Language Inference.

use super::{GLUE, Known};

/// Williams et al. 2018, arXiv 1704.05426; tested on the matched development split.
pub(super) const MNLI: Known = Known {
    names: GLUE,
    config: "mnli",
    text: "premise",
    text_pair: Some("hypothesis"),
    labels: &["entailment", "neutral", "contradiction"],
    metric: "accuracy",
    test: "validation_matched",
    validation_fraction: 0.01,
    refused: None,
};
