//! Question-answering Natural Language Inference.

use super::{GLUE, Known};

/// From SQuAD (Rajpurkar et al. 2016, arXiv 1606.05250).
pub(super) const QNLI: Known = Known {
    names: GLUE,
    config: "qnli",
    text: "question",
    text_pair: Some("sentence"),
    labels: &["entailment", "not_entailment"],
    metric: "accuracy",
    test: "validation",
    validation_fraction: 0.01,
    refused: None,
};
