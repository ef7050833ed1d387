//! Examples side by side, padded to the longest among them.

use candle_core::{Device, Result, Tensor};

use super::{EncoderConfig, EncoderKind};

/// Inputs of the encoder, each of shape `[batch, seq]`, where `seq` is the length of the longest example.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Token numbers, `u32`; padding is `pad_token_id`.
    pub input_ids: Tensor,
    /// Segment numbers, `u32`; padding is 0.
    pub token_type_ids: Tensor,
    /// Rows of the position table, `u32`.
    pub position_ids: Tensor,
    /// `f32`: 1 for a token, 0 for padding.
    pub attention_mask: Tensor,
}

impl Batch {
    /// Puts examples (token numbers and segment numbers of equal length) side by side.
    ///
    /// Positions count from 0 for BERT. For RoBERTa they count the tokens that are no padding from `pad_token_id + 1`,
    /// and padding has position `pad_token_id`.
    ///
    /// # Errors
    /// When there is no example or the device fails.
    pub fn new(examples: &[(&[u32], &[u32])], config: &EncoderConfig, device: &Device) -> Result<Self> {
        let n = examples.len();
        let longest = examples.iter().map(|(ids, _)| ids.len()).max().unwrap_or(0);
        if longest == 0 {
            candle_core::bail!("a batch needs at least one token");
        }
        let mut ids = vec![config.pad_token_id; n * longest];
        let mut types = vec![0u32; n * longest];
        let mut positions = vec![0u32; n * longest];
        let mut mask = vec![0f32; n * longest];
        for (row, (example_ids, example_types)) in examples.iter().enumerate() {
            let at = row * longest..row * longest + example_ids.len();
            ids[at.clone()].copy_from_slice(example_ids);
            types[at.clone()].copy_from_slice(example_types);
            mask[at].fill(1.0);
            fill_positions(&mut positions[row * longest..(row + 1) * longest], &ids[row * longest..], config);
        }
        let shape = (n, longest);
        Ok(Self {
            input_ids: Tensor::from_vec(ids, shape, device)?,
            token_type_ids: Tensor::from_vec(types, shape, device)?,
            position_ids: Tensor::from_vec(positions, shape, device)?,
            attention_mask: Tensor::from_vec(mask, shape, device)?,
        })
    }
}

fn fill_positions(positions: &mut [u32], ids: &[u32], config: &EncoderConfig) {
    let mut next = config.first_position();
    for (position, id) in positions.iter_mut().zip(ids) {
        if config.kind == EncoderKind::Roberta && *id == config.pad_token_id {
            *position = config.pad_token_id;
        } else {
            *position = next;
            next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::encoder_config::tests::tiny;

    #[test]
    fn short_examples_are_padded_and_positions_follow_the_family() {
        let examples: [(&[u32], &[u32]); 2] = [(&[5, 6, 7], &[0, 0, 1]), (&[8], &[0])];
        let batch = Batch::new(&examples, &tiny(EncoderKind::Roberta), &Device::Cpu).unwrap();
        assert_eq!(batch.input_ids.to_vec2::<u32>().unwrap(), [[5, 6, 7], [8, 1, 1]]);
        assert_eq!(batch.position_ids.to_vec2::<u32>().unwrap(), [[2, 3, 4], [2, 1, 1]]);
        assert_eq!(batch.attention_mask.to_vec2::<f32>().unwrap(), [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]);
        let batch = Batch::new(&examples, &tiny(EncoderKind::Bert), &Device::Cpu).unwrap();
        assert_eq!(batch.token_type_ids.to_vec2::<u32>().unwrap(), [[0, 0, 1], [0, 0, 0]]);
        assert_eq!(batch.position_ids.to_vec2::<u32>().unwrap(), [[0, 1, 2], [0, 1, 2]]);
    }
}
