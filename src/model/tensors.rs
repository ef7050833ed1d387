//! Names, shapes and initial values of a backbone's tensors.

use super::family::{Tensors, linear_tensors, norm_tensors};
use super::{EncoderConfig, Projection, Sublayer};
use crate::params::TensorSpec;

/// All tensors of the encoder, named as in the Hugging Face checkpoint without prefix, sorted by name.
///
/// BERT's pooler belongs to the backbone; the other families' classifiers need none.
pub fn backbone_tensors(config: &EncoderConfig) -> Vec<TensorSpec> {
    initialised(config).into_iter().map(|(spec, _)| spec).collect()
}

/// The same with the initial values that transformers gives them.
pub(super) fn initialised(config: &EncoderConfig) -> Tensors {
    let family = config.kind.family();
    let mut tensors = family.embedding_tensors(config);
    for layer in 0..config.layers {
        let at = |name: &str| format!("{}.{layer}.{name}", family.layers());
        for projection in Projection::ALL {
            let (n_in, n_out) = projection.size(config);
            let map = linear_tensors(config, &at(family.projection(projection)), n_in, n_out);
            let n = if family.has_bias(projection, config) { 2 } else { 1 };
            tensors.extend(map.into_iter().take(n));
        }
        for sublayer in [Sublayer::Attention, Sublayer::FeedForward] {
            tensors.extend(norm_tensors(config, &at(family.norm(sublayer))));
        }
    }
    tensors.extend(family.top_tensors(config));
    tensors.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    tensors
}

/// Whether `dtype: bf16` keeps this tensor in 16 bits: matrices and tables, which make up nearly all of an encoder.
/// Biases, scales and single vectors stay as they are.
pub(crate) fn is_kept_in_16_bits(spec: &TensorSpec) -> bool {
    spec.shape.iter().filter(|n| **n > 1).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EncoderKind;
    use crate::model::encoder_config::tests::tiny;

    #[test]
    fn roberta_base_has_its_known_number_of_parameters() {
        let config = EncoderConfig {
            hidden_size: 768,
            layers: 12,
            heads: 12,
            intermediate: 3072,
            vocab_size: 50265,
            max_positions: 514,
            type_vocab_size: 1,
            ..tiny(EncoderKind::Roberta)
        };
        let total: usize = backbone_tensors(&config).iter().map(TensorSpec::n_elements).sum();
        // 124,647,170 parameters with the binary head of 592,130 (768 x 768 + 768 + 768 x 2 + 2), without pooler.
        assert_eq!(total, 124_647_170 - 592_130);
    }
}
