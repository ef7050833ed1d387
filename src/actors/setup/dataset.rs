//! The data set of a scenario in the form that its model takes.

use super::{Inputs, SetupError};
use crate::data::{self, CacheUse, DatasetConfig, EncodedDataset, ImageProcessor, RowOrigins};
use crate::model::{EncoderConfig, Preprocessor};
use crate::scenario::Scenario;

/// A data set, ready for the model, and its hash.
pub(super) struct Loaded {
    pub(super) encoded: EncodedDataset,
    pub(super) origins: RowOrigins,
    pub(super) hash: String,
    pub(super) tokens: CacheUse,
    pub(super) notes: Vec<String>,
}

/// Loads the data set: texts become tokens, pictures get the size and the numbers that the checkpoint asks for.
pub(super) fn load(
    scenario: &Scenario,
    inputs: &Inputs,
    config: &DatasetConfig,
    encoder: &EncoderConfig,
    preprocessor: &Preprocessor,
) -> Result<Loaded, SetupError> {
    let (base_dir, seeds) = (scenario.base_dir(), scenario.seeds());
    match (preprocessor, config.holds_images(), encoder.vision) {
        (Preprocessor::Texts(tokenizer), None | Some(false), _) => {
            let texts = data::load(config, inputs.dataset.as_ref(), base_dir, &seeds)?;
            let (encoded, tokens) = inputs.tokens.encode(&texts, tokenizer, config.max_seq_length)?;
            Ok(Loaded { encoded, origins: texts.origins, hash: texts.hash, tokens, notes: texts.notes })
        }
        (Preprocessor::Images(file), None | Some(true), Some(vision)) => {
            let (channels, size) = (vision.num_channels, vision.image_size);
            let processor = match file {
                Some(file) => ImageProcessor::from_json(&file.json, &file.origin, channels, size)?,
                None => ImageProcessor::new(channels, size),
            };
            let mut images = data::load_images(config, inputs.dataset.as_ref(), base_dir, &seeds, &processor)?;
            let (hash, origins) = (std::mem::take(&mut images.hash), std::mem::take(&mut images.origins));
            let notes = std::mem::take(&mut images.notes);
            Ok(Loaded { encoded: images.into_encoded(), origins, hash, tokens: CacheUse::Unused, notes })
        }
        (_, holds_images, _) => {
            let model = scenario.model().name.clone();
            Err(if holds_images == Some(true) {
                SetupError::ImagesForTexts { model }
            } else {
                SetupError::TextsForImages { model }
            })
        }
    }
}
