//! Quora Question Pairs.

use super::{GLUE, Known};

/// Whether two questions ask the same. GLUE reports F1 and accuracy; FedPETuning chooses rounds by accuracy, and so do we.
pub(super) const QQP: Known = Known {
    names: GLUE,
    config: "qqp",
    text: "question1",
    text_pair: Some("question2"),
    labels: &["not_duplicate", "duplicate"],
    metric: "accuracy",
    test: "validation",
    validation_fraction: 0.01,
    refused: None,
};
