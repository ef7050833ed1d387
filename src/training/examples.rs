//! Rows of a split as the encoder takes them: texts or images.

use candle_core::{Result as TensorResult, Tensor};

use super::{Split, TrainingError};
use crate::data::EncodedSplit;
use crate::model::{Backbone, Batch, EncoderConfig};

/// The rows of these numbers side by side.
pub(super) fn batch(split: &EncodedSplit, rows: &[usize], backbone: &Backbone) -> TensorResult<Batch> {
    let (config, device) = (backbone.config(), backbone.device());
    match split {
        EncodedSplit::Texts(texts) => {
            let inputs: Vec<_> = rows.iter().map(|&row| (texts.example(row).0, texts.example(row).1)).collect();
            Batch::new(&inputs, config, device)
        }
        EncodedSplit::Images(images) => Batch::images(&images.pixels(rows.iter().copied()), rows.len(), config, device),
    }
}

/// Their labels, `[batch]`.
pub(super) fn labels(split: &EncodedSplit, rows: &[usize], backbone: &Backbone) -> TensorResult<Tensor> {
    let labels: Vec<u32> = rows.iter().map(|&row| split.labels()[row]).collect();
    Tensor::from_vec(labels, rows.len(), backbone.device())
}

/// How many vectors the encoder makes of a row: the tokens of a text; the patches of an image and the class token.
pub(super) fn n_tokens(split: &EncodedSplit, row: usize, config: &EncoderConfig) -> usize {
    match split {
        EncodedSplit::Texts(texts) => texts.example(row).0.len(),
        EncodedSplit::Images(_) => config.max_tokens(),
    }
}

/// Refuses rows that the encoder cannot take. `taken` is how many positions the tuning method takes in front of every
/// text.
pub(super) fn check(
    config: &EncoderConfig,
    data: &EncodedSplit,
    split: Split,
    taken: usize,
) -> Result<(), TrainingError> {
    match (data, &config.vision) {
        (EncodedSplit::Texts(_), Some(_)) => Err(TrainingError::WrongInput { model: "images", data: "texts" }),
        (EncodedSplit::Images(_), None) => Err(TrainingError::WrongInput { model: "texts", data: "images" }),
        (EncodedSplit::Images(images), Some(vision)) => {
            let processor = images.processor();
            let found = (processor.channels(), processor.size());
            let expected = (vision.num_channels, vision.image_size);
            if found == expected { Ok(()) } else { Err(TrainingError::WrongImages { split, found, expected }) }
        }
        (EncodedSplit::Texts(texts), None) => {
            let max = config.max_tokens();
            for row in 0..texts.len() {
                let (ids, types, _) = texts.example(row);
                if ids.len() + taken > max {
                    return Err(TrainingError::TooLong { split: Some(split), found: ids.len(), taken, max });
                }
                // A family without a table of segments looks none up.
                let n_types = if config.type_vocab_size == 0 { usize::MAX } else { config.type_vocab_size };
                for (what, numbers, rows) in [("token", ids, config.vocab_size), ("token type", types, n_types)] {
                    if let Some(&found) = numbers.iter().find(|&&number| number as usize >= rows) {
                        return Err(TrainingError::OutsideTable { split, row, what, found, rows });
                    }
                }
            }
            Ok(())
        }
    }
}
