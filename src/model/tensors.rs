//! Names and shapes of a backbone's tensors.

use super::{EncoderConfig, EncoderKind};
use crate::params::TensorSpec;

/// All tensors of the encoder, named as in the Hugging Face checkpoint without prefix, sorted by name.
///
/// BERT's pooler belongs to the backbone; RoBERTa's classifier needs none.
pub fn backbone_tensors(config: &EncoderConfig) -> Vec<TensorSpec> {
    let hidden = config.hidden_size;
    let mut tensors = vec![
        TensorSpec::new("embeddings.word_embeddings.weight", [config.vocab_size, hidden]),
        TensorSpec::new("embeddings.position_embeddings.weight", [config.max_positions, hidden]),
        TensorSpec::new("embeddings.token_type_embeddings.weight", [config.type_vocab_size, hidden]),
    ];
    let norm = |tensors: &mut Vec<TensorSpec>, name: &str| {
        tensors.push(TensorSpec::new(format!("{name}.weight"), [hidden]));
        tensors.push(TensorSpec::new(format!("{name}.bias"), [hidden]));
    };
    let linear = |tensors: &mut Vec<TensorSpec>, name: &str, n_in: usize, n_out: usize| {
        tensors.push(TensorSpec::new(format!("{name}.weight"), [n_out, n_in]));
        tensors.push(TensorSpec::new(format!("{name}.bias"), [n_out]));
    };
    norm(&mut tensors, "embeddings.LayerNorm");
    for layer in 0..config.layers {
        let at = format!("encoder.layer.{layer}");
        linear(&mut tensors, &format!("{at}.attention.self.query"), hidden, hidden);
        linear(&mut tensors, &format!("{at}.attention.self.key"), hidden, hidden);
        linear(&mut tensors, &format!("{at}.attention.self.value"), hidden, hidden);
        linear(&mut tensors, &format!("{at}.attention.output.dense"), hidden, hidden);
        norm(&mut tensors, &format!("{at}.attention.output.LayerNorm"));
        linear(&mut tensors, &format!("{at}.intermediate.dense"), hidden, config.intermediate);
        linear(&mut tensors, &format!("{at}.output.dense"), config.intermediate, hidden);
        norm(&mut tensors, &format!("{at}.output.LayerNorm"));
    }
    if config.kind == EncoderKind::Bert {
        linear(&mut tensors, "pooler.dense", hidden, hidden);
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors
}

#[cfg(test)]
mod tests {
    use super::*;
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
