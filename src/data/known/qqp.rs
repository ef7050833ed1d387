//! Quora Question Pairs.

use super::{GLUE, Known};

/// Whether two questions ask the same.
pub(super) const QQP: Known = Known {
    names: GLUE,
    config: "qqp",
    text: "question1",
    text_pair: Some("question2"),
    labels: &["not_duplicate", "duplicate"],
    metric: "f1",
    test: "validation",
    validation_fraction: 0.01,
    refused: None,
};
