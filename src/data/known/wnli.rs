//! Winograd Natural Language Inference.

use super::{GLUE, Known};

/// Levesque et al. 2012.
pub(super) const WNLI: Known = Known {
    names: GLUE,
    config: "wnli",
    text: "sentence1",
    text_pair: Some("sentence2"),
    labels: &["not_entailment", "entailment"],
    metric: "accuracy",
    test: "validation",
    validation_fraction: 0.1,
    refused: None,
};
