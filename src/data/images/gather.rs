//! Collecting the pictures of all splits in one place.

use std::ops::Range;

use super::{ImageProcessor, Picture};

/// Pictures in the model's size, with what the data set's hash needs of the originals.
pub(in crate::data) struct Gatherer<'a> {
    processor: &'a ImageProcessor,
    pub(super) bytes: Vec<u8>,
    pub(super) labels: Vec<u32>,
    pub(super) digests: Vec<[u8; 32]>,
}

impl<'a> Gatherer<'a> {
    pub(in crate::data) fn new(processor: &'a ImageProcessor) -> Self {
        Self { processor, bytes: Vec::new(), labels: Vec::new(), digests: Vec::new() }
    }

    /// How many pictures there are.
    pub(in crate::data) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Takes a picture over.
    ///
    /// # Errors
    /// When the model cannot take it.
    pub(in crate::data) fn add(&mut self, picture: Picture, label: u32) -> Result<(), String> {
        let digest = picture.digest();
        self.bytes.extend(self.processor.fit(picture)?);
        self.digests.push(digest);
        self.labels.push(label);
        Ok(())
    }

    /// The labels of some pictures.
    pub(super) fn labels(&self, rows: Range<usize>) -> &[u32] {
        &self.labels[rows]
    }
}
