//! The Stanford Sentiment Treebank with two classes.

use super::{GLUE, Known};

/// Socher et al. 2013.
pub(super) const SST2: Known = Known {
    names: GLUE,
    config: "sst2",
    text: "sentence",
    text_pair: None,
    labels: &["negative", "positive"],
    metric: "accuracy",
    test: "validation",
    validation_fraction: 0.01,
    refused: None,
};
