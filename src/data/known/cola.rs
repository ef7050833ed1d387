//! The Corpus of Linguistic Acceptability.

use super::{GLUE, Known};

/// Warstadt et al. 2019, arXiv 1805.12471.
pub(super) const COLA: Known = Known {
    names: GLUE,
    config: "cola",
    text: "sentence",
    text_pair: None,
    labels: &["unacceptable", "acceptable"],
    metric: "mcc",
    test: "validation",
    validation_fraction: 0.1,
    refused: None,
};
