//! Recognising Textual Entailment.

use super::{GLUE, Known};

/// Dagan et al. 2006 and its successors.
pub(super) const RTE: Known = Known {
    names: GLUE,
    config: "rte",
    text: "sentence1",
    text_pair: Some("sentence2"),
    labels: &["entailment", "not_entailment"],
    metric: "accuracy",
    test: "validation",
    validation_fraction: 0.1,
    refused: None,
};
