//! A data set of pictures.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::ImageProcessor;
use super::gather::Gatherer;
use crate::data::{EncodedDataset, EncodedSplit, RowOrigins};

/// A data set of pictures in its splits.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDataset {
    /// What the scenario calls it: the built-in's name, or the path of the training pictures.
    pub name: String,
    /// Names of the labels, by number.
    pub labels: Vec<String>,
    /// Training pictures.
    pub train: ImageSplit,
    /// Pictures on which rounds are judged and the best one is chosen.
    pub validation: ImageSplit,
    /// Pictures used once, at the end.
    pub test: Option<ImageSplit>,
    /// Where the training pictures come from.
    pub origins: RowOrigins,
    /// SHA-256, in hex, over labels and original pixels in order: the same for every model.
    pub hash: String,
    /// What the reader may want to know, such as files that were left out.
    pub notes: Vec<String>,
}

/// One split of it. All splits of a data set share its pixels.
#[derive(Debug, Clone)]
pub struct ImageSplit {
    pictures: Arc<Pictures>,
    rows: Vec<u32>,
    labels: Vec<u32>,
}

#[derive(Debug, PartialEq)]
struct Pictures {
    processor: ImageProcessor,
    /// `[n, channels, height, width]`.
    bytes: Vec<u8>,
}

impl ImageSplit {
    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True without pictures.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The label of every picture.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// How the pictures were brought to their form.
    pub fn processor(&self) -> &ImageProcessor {
        &self.pictures.processor
    }

    /// The bytes of picture `i`, `[channels, height, width]`.
    pub fn bytes(&self, i: usize) -> &[u8] {
        let processor = self.processor();
        let n = processor.channels() * processor.size() * processor.size();
        let at = self.rows[i] as usize * n;
        &self.pictures.bytes[at..at + n]
    }

    /// The pictures of these numbers as a model takes them, `[n, channels, height, width]`, normalised.
    pub fn pixels(&self, indices: impl IntoIterator<Item = usize>) -> Vec<f32> {
        let mut numbers = Vec::new();
        indices.into_iter().for_each(|i| self.processor().normalise(self.bytes(i), &mut numbers));
        numbers
    }
}

/// Equal when the same pictures have the same labels.
impl PartialEq for ImageSplit {
    fn eq(&self, other: &Self) -> bool {
        self.labels == other.labels
            && self.processor() == other.processor()
            && (0..self.len()).all(|i| self.bytes(i) == other.bytes(i))
    }
}

impl ImageDataset {
    /// A data set of gathered pictures: `splits` holds the rows of training, validation and test.
    pub(in crate::data) fn new(
        name: String,
        labels: Vec<String>,
        gathered: Gatherer<'_>,
        splits: (Vec<u32>, Vec<u32>, Option<Vec<u32>>),
        processor: &ImageProcessor,
    ) -> Self {
        let (train, validation, test) = splits;
        let hash = hash(&labels, &gathered, &[Some(&train), Some(&validation), test.as_ref()]);
        let Gatherer { bytes, labels: label_of, .. } = gathered;
        let pictures = Arc::new(Pictures { processor: processor.clone(), bytes });
        let split = |rows: Vec<u32>| ImageSplit {
            pictures: pictures.clone(),
            labels: rows.iter().map(|&row| label_of[row as usize]).collect(),
            rows,
        };
        let origins = RowOrigins::of_all(train.len());
        Self {
            name,
            labels,
            origins,
            train: split(train),
            validation: split(validation),
            test: test.map(split),
            hash,
            notes: Vec::new(),
        }
    }

    /// The data set as a model takes it.
    pub fn into_encoded(self) -> EncodedDataset {
        EncodedDataset {
            labels: self.labels,
            train: EncodedSplit::Images(self.train),
            validation: EncodedSplit::Images(self.validation),
            test: self.test.map(EncodedSplit::Images),
        }
    }
}

/// Every field goes in behind its length, so that no two data sets give the same bytes.
fn hash(labels: &[String], gathered: &Gatherer<'_>, splits: &[Option<&Vec<u32>>]) -> String {
    let mut sha = Sha256::new();
    sha.update(b"images");
    sha.update((labels.len() as u64).to_le_bytes());
    for label in labels {
        sha.update((label.len() as u64).to_le_bytes());
        sha.update(label);
    }
    for split in splits {
        sha.update(split.map_or(u64::MAX, |rows| rows.len() as u64).to_le_bytes());
        for &row in split.iter().flat_map(|rows| rows.iter()) {
            sha.update(gathered.labels[row as usize].to_le_bytes());
            sha.update(gathered.digests[row as usize]);
        }
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
