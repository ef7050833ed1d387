//! Winograd Natural Language Inference.

use super::{GLUE, Known};

/// Levesque et al. 2012. FedPETuning leaves it out; it is split here as its small tasks are.
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
