//! A data set as a model takes it.

use super::{ImageSplit, TokenSplit};

/// A data set in the form that an encoder takes.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedDataset {
    /// Names of the labels, by number.
    pub labels: Vec<String>,
    /// Training rows, dealt to the clients.
    pub train: EncodedSplit,
    /// Validation rows.
    pub validation: EncodedSplit,
    /// Test rows.
    pub test: Option<EncodedSplit>,
}

/// One split of it.
#[derive(Debug, Clone, PartialEq)]
pub enum EncodedSplit {
    /// Token ids, for an encoder of texts.
    Texts(TokenSplit),
    /// Pixels, for an encoder of images.
    Images(ImageSplit),
}

impl EncodedSplit {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels().len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.labels().is_empty()
    }

    /// The label of every row.
    pub fn labels(&self) -> &[u32] {
        match self {
            Self::Texts(split) => split.labels(),
            Self::Images(split) => split.labels(),
        }
    }
}
