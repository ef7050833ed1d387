//! Examples side by side.

use candle_core::{Device, Result, Tensor};

use super::{EncoderConfig, VisionConfig};

/// Inputs of an encoder.
#[derive(Debug, Clone)]
pub enum Batch {
    /// Texts, padded to the longest among them.
    Text(TextBatch),
    /// Images, cut into patches.
    Images(ImageBatch),
}

/// Texts, each tensor of shape `[batch, seq]`, where `seq` is the length of the longest.
#[derive(Debug, Clone)]
pub struct TextBatch {
    /// Token numbers, `u32`; padding is `pad_token_id`.
    pub input_ids: Tensor,
    /// Segment numbers, `u32`; padding is 0.
    pub token_type_ids: Tensor,
    /// Rows of the position table, `u32`.
    pub position_ids: Tensor,
    /// `f32`: 1 for a token, 0 for padding.
    pub attention_mask: Tensor,
}

/// Images.
#[derive(Debug, Clone)]
pub struct ImageBatch {
    /// `f32` `[batch, patches, channels x height x width of a patch]`: patches row by row, each as a convolution with
    /// windows of this size sees it.
    pub patches: Tensor,
}

impl Batch {
    /// Puts texts (token numbers and segment numbers of equal length) side by side.
    ///
    /// Positions count from 0. For RoBERTa they count the tokens that are no padding from `pad_token_id + 1`, and
    /// padding has position `pad_token_id`.
    ///
    /// # Errors
    /// When there is no token, the encoder takes images, or the device fails.
    pub fn new(examples: &[(&[u32], &[u32])], config: &EncoderConfig, device: &Device) -> Result<Self> {
        if config.vision.is_some() {
            candle_core::bail!("an encoder of images cannot take texts");
        }
        let n = examples.len();
        let longest = examples.iter().map(|(ids, _)| ids.len()).max().unwrap_or(0);
        if longest == 0 {
            candle_core::bail!("a batch needs at least one token");
        }
        let mut ids = vec![config.pad_token_id; n * longest];
        let mut types = vec![0u32; n * longest];
        let mut positions = vec![0u32; n * longest];
        let mut mask = vec![0f32; n * longest];
        let family = config.kind.family();
        for (row, (example_ids, example_types)) in examples.iter().enumerate() {
            let all = row * longest..(row + 1) * longest;
            let at = all.start..all.start + example_ids.len();
            ids[at.clone()].copy_from_slice(example_ids);
            types[at.clone()].copy_from_slice(example_types);
            mask[at].fill(1.0);
            family.fill_positions(&mut positions[all.clone()], &ids[all], config);
        }
        let shape = (n, longest);
        Ok(Self::Text(TextBatch {
            input_ids: Tensor::from_vec(ids, shape, device)?,
            token_type_ids: Tensor::from_vec(types, shape, device)?,
            position_ids: Tensor::from_vec(positions, shape, device)?,
            attention_mask: Tensor::from_vec(mask, shape, device)?,
        }))
    }

    /// Puts `n` images side by side. `pixels` are `[n, channels, height, width]`, normalised as the checkpoint expects.
    ///
    /// # Errors
    /// When the encoder takes texts, the number of pixels is not that of `n` images, or the device fails.
    pub fn images(pixels: &[f32], n: usize, config: &EncoderConfig, device: &Device) -> Result<Self> {
        let Some(vision) = config.vision else { candle_core::bail!("an encoder of texts cannot take images") };
        let VisionConfig { image_size, patch_size, num_channels } = vision;
        if n == 0 || pixels.len() != n * vision.n_values() {
            let found = pixels.len();
            candle_core::bail!("{found} numbers are not {n} images of {num_channels} x {image_size} x {image_size}");
        }
        let per_side = image_size / patch_size;
        let mut patches = Vec::with_capacity(pixels.len());
        for image in pixels.chunks_exact(vision.n_values()) {
            for (row, column) in (0..per_side * per_side).map(|patch| (patch / per_side, patch % per_side)) {
                for channel in image.chunks_exact(image_size * image_size) {
                    for line in channel.chunks_exact(image_size).skip(row * patch_size).take(patch_size) {
                        patches.extend_from_slice(&line[column * patch_size..][..patch_size]);
                    }
                }
            }
        }
        let shape = (n, vision.n_patches(), num_channels * patch_size * patch_size);
        Ok(Self::Images(ImageBatch { patches: Tensor::from_vec(patches, shape, device)? }))
    }

    /// How many examples there are.
    pub fn n_examples(&self) -> usize {
        match self {
            Self::Text(batch) => batch.input_ids.dims()[0],
            Self::Images(batch) => batch.patches.dims()[0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EncoderKind;
    use crate::model::encoder_config::tests::tiny;

    fn texts(examples: &[(&[u32], &[u32])], kind: EncoderKind) -> TextBatch {
        match Batch::new(examples, &tiny(kind), &Device::Cpu).unwrap() {
            Batch::Text(batch) => batch,
            Batch::Images(_) => unreachable!(),
        }
    }

    #[test]
    fn short_examples_are_padded_and_positions_follow_the_family() {
        let examples: [(&[u32], &[u32]); 2] = [(&[5, 6, 7], &[0, 0, 1]), (&[8], &[0])];
        let batch = texts(&examples, EncoderKind::Roberta);
        assert_eq!(batch.input_ids.to_vec2::<u32>().unwrap(), [[5, 6, 7], [8, 1, 1]]);
        assert_eq!(batch.position_ids.to_vec2::<u32>().unwrap(), [[2, 3, 4], [2, 1, 1]]);
        assert_eq!(batch.attention_mask.to_vec2::<f32>().unwrap(), [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]);
        for kind in [EncoderKind::Bert, EncoderKind::DistilBert] {
            let batch = texts(&examples, kind);
            assert_eq!(batch.token_type_ids.to_vec2::<u32>().unwrap(), [[0, 0, 1], [0, 0, 0]]);
            assert_eq!(batch.position_ids.to_vec2::<u32>().unwrap(), [[0, 1, 2], [0, 1, 2]]);
        }
    }

    #[test]
    fn images_are_cut_into_patches() {
        // One image of 6 x 6 pixels in 3 colours, numbered; patches of 2 x 2.
        let pixels: Vec<f32> = (0..108).map(|i| i as f32).collect();
        let config = tiny(EncoderKind::Vit);
        let Batch::Images(batch) = Batch::images(&pixels, 1, &config, &Device::Cpu).unwrap() else { unreachable!() };
        let patches = batch.patches.squeeze(0).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(patches.len(), 9);
        // The second patch starts in column 2; the fourth in row 2. A colour has 36 pixels.
        assert_eq!(patches[1], [2., 3., 8., 9., 38., 39., 44., 45., 74., 75., 80., 81.]);
        assert_eq!(patches[3][..4], [12., 13., 18., 19.]);
        assert!(Batch::images(&pixels[1..], 1, &config, &Device::Cpu).is_err());
    }

    #[test]
    fn an_encoder_takes_its_own_kind_of_input() {
        let message = Batch::new(&[(&[5], &[0])], &tiny(EncoderKind::Vit), &Device::Cpu).unwrap_err().to_string();
        assert!(message.starts_with("an encoder of images cannot take texts"), "{message}");
        let message = Batch::images(&[0.0], 1, &tiny(EncoderKind::Bert), &Device::Cpu).unwrap_err().to_string();
        assert!(message.starts_with("an encoder of texts cannot take images"), "{message}");
    }
}
