//! Collecting the pictures of all splits in one place.

use std::ops::Range;

use super::{ImageDataset, ImageProcessor, Picture};
use crate::data::{DataError, DatasetConfig, RowOrigins, validation};
use crate::seed::Seeds;

/// Pictures in the model's size, with what the data set's hash needs of the originals.
pub(in crate::data) struct Gatherer<'a> {
    processor: &'a ImageProcessor,
    pub(super) bytes: Vec<u8>,
    pub(super) labels: Vec<u32>,
    pub(super) digests: Vec<[u8; 32]>,
    /// The natural client of each training picture, where the partition goes by a column.
    pub(super) groups: Option<Vec<String>>,
}

impl<'a> Gatherer<'a> {
    pub(in crate::data) fn new(processor: &'a ImageProcessor) -> Self {
        Self { processor, bytes: Vec::new(), labels: Vec::new(), digests: Vec::new(), groups: None }
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

    /// Gives picture `i` another label.
    pub(super) fn set_label(&mut self, i: usize, label: u32) {
        self.labels[i] = label;
    }

    /// The data set of all pictures, of which training, validation and test take these. Without validation pictures some
    /// of the training pictures are held back.
    ///
    /// # Errors
    /// When none can be held back.
    pub(super) fn into_dataset(
        self,
        name: String,
        labels: Vec<String>,
        splits: (Range<usize>, Option<Range<usize>>, Option<Range<usize>>),
        config: &DatasetConfig,
        seeds: &Seeds,
    ) -> Result<ImageDataset, DataError> {
        let rows = |range: Range<usize>| (range.start as u32..range.end as u32).collect::<Vec<u32>>();
        let (train, validation, test) = splits;
        let (first, n_read) = (train.start as u32, train.len());
        let (train, validation) = match validation {
            Some(validation) => (rows(train), rows(validation)),
            None => {
                let label_of = |row: &u32| self.labels[*row as usize];
                validation::carve(rows(train), label_of, labels.len(), config.held_back(), seeds)?
            }
        };
        let processor = self.processor;
        let numbers = train.iter().map(|row| row - first).collect();
        let origins = RowOrigins::new(numbers, n_read, self.groups.as_deref());
        let dataset = ImageDataset::new(name, labels, self, (train, validation, test.map(rows)), processor);
        Ok(ImageDataset { origins, ..dataset })
    }
}
