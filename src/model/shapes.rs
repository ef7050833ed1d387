//! Known encoders without their weights: what byte and FLOP studies need.
//!
//! Each is the `config.json` of its checkpoint on the Hugging Face hub, in `shapes/`, and a line of the list below.

use super::{EncoderConfig, EncoderKind, ModelError};
use crate::registry::Entry;

/// What stands before the name of a shape in `model.name`.
pub(super) const PREFIX: &str = "shape-only:";

/// Declares the list from names and summaries.
macro_rules! shapes {
    ($($name:literal, $summary:literal;)+) => {
        /// The known shapes, as `straggler list` shows them.
        pub const ENTRIES: &[Entry] = &[
            $(Entry { setting: "model.name", key: concat!("shape-only:", $name), summary: $summary },)+
        ];

        const CONFIGS: &[&[u8]] = &[$(include_bytes!(concat!("shapes/", $name, ".json")),)+];
    };
}

shapes! {
    "bert-base-uncased", "BERT of 12 layers and width 768, without weights: for timing alone";
    "bert-base-cased", "the same with the cased vocabulary";
    "bert-large-uncased", "BERT of 24 layers and width 1024";
    "all-MiniLM-L6-v2", "MiniLM of 6 layers and width 384, in BERT's layout";
    "roberta-base", "RoBERTa of 12 layers and width 768";
    "roberta-large", "RoBERTa of 24 layers and width 1024";
    "distilroberta-base", "RoBERTa of 6 layers and width 768";
    "distilbert-base-uncased", "DistilBERT of 6 layers and width 768";
    "vit-base-patch16-224", "ViT of 12 layers and width 768, images of 224 x 224 in 196 patches";
    "vit-base-patch32-384", "ViT of 12 layers and width 768, images of 384 x 384 in 144 patches";
    "vit-large-patch16-224", "ViT of 24 layers and width 1024, images of 224 x 224 in 196 patches";
}

/// The number of the shape called `name`, which stands behind `shape-only:`.
pub(super) fn find(name: &str) -> Option<usize> {
    ENTRIES.iter().position(|entry| entry.key.strip_prefix(PREFIX) == Some(name))
}

/// The names, as they are written in a scenario.
pub(super) fn names() -> String {
    ENTRIES.iter().map(|entry| entry.key).collect::<Vec<_>>().join(", ")
}

/// The shape of this number.
pub(super) fn config(shape: usize) -> Result<EncoderConfig, ModelError> {
    EncoderConfig::from_json(CONFIGS[shape], ENTRIES[shape].key)
}

/// The deepest known shape of each family.
pub(crate) fn example_of_each_family() -> Vec<EncoderConfig> {
    let known: Vec<EncoderConfig> = (0..CONFIGS.len()).filter_map(|shape| config(shape).ok()).collect();
    let deepest = |kind| known.iter().filter(|config| config.kind == kind).max_by_key(|config| config.layers).cloned();
    EncoderKind::ALL.into_iter().filter_map(deepest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backbone_tensors;
    use crate::params::TensorSpec;

    /// Parameters of an encoder, counted by the formulas of the papers.
    ///
    /// A layer has four maps of h x h, two of h x i, their biases (4 h + i + h), and two normalisations of 2 h.
    fn by_formula(config: &EncoderConfig) -> usize {
        let (h, i) = (config.hidden_size, config.intermediate);
        let layers = config.layers * (4 * h * h + 2 * h * i + (4 * h + i + h) + 4 * h);
        let tables = (config.vocab_size + config.max_positions + config.type_vocab_size) * h;
        let rest = match config.kind {
            // The normalisation of the embeddings; BERT's pooler.
            EncoderKind::Bert => 2 * h + h * h + h,
            EncoderKind::Roberta | EncoderKind::DistilBert => 2 * h,
            // The projection of a patch of 3 colours, the class token, the last normalisation.
            EncoderKind::Vit => {
                let patch = config.vision.unwrap().patch_size;
                3 * patch * patch * h + h + h + 2 * h
            }
        };
        layers + tables + rest
    }

    #[test]
    fn the_known_encoders_have_their_known_numbers_of_parameters() {
        // Printed by `tests/peers/make_family_goldens.py`, which counts the encoders of transformers: BERT with its
        // pooler, the others without.
        let known = [
            ("bert-base-uncased", 109_482_240),
            ("bert-large-uncased", 335_141_888),
            ("all-MiniLM-L6-v2", 22_713_216),
            ("roberta-base", 124_055_040),
            ("roberta-large", 354_310_144),
            ("distilbert-base-uncased", 66_362_880),
            ("vit-base-patch16-224", 85_798_656),
            ("vit-large-patch16-224", 303_301_632),
        ];
        for (name, expected) in known {
            let config = config(find(name).unwrap()).unwrap();
            let counted: usize = backbone_tensors(&config).iter().map(TensorSpec::n_elements).sum();
            assert_eq!(counted, expected, "{name}");
        }
        for (shape, entry) in ENTRIES.iter().enumerate() {
            let config = config(shape).unwrap();
            let counted: usize = backbone_tensors(&config).iter().map(TensorSpec::n_elements).sum();
            assert_eq!(counted, by_formula(&config), "{}", entry.key);
        }
    }
}
