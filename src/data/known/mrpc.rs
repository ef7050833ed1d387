//! The Microsoft Research Paraphrase Corpus.

use super::{GLUE, Known};

/// Dolan and Brockett 2005.
pub(super) const MRPC: Known = Known {
    names: GLUE,
    config: "mrpc",
    text: "sentence1",
    text_pair: Some("sentence2"),
    labels: &["not_equivalent", "equivalent"],
    metric: "f1",
    test: "validation",
    validation_fraction: 0.1,
    refused: None,
};
