//! Attribute prediction: makes `builtin:tiny-vit`.
//!
//! In each step the encoder sees pictures that it has never seen before and says, by a linear head on the class token, which
//! of forty made-up outlines the largest figure has, where it lies, how large it is and what colour it has. None of the
//! outlines is a shape of `builtin:shapes`. Supervised attributes rather than masked patches (SimMIM, Xie et al. 2021,
//! arXiv 2111.09886), because the budget is minutes of two cores: a few hundred thousand small pictures teach an encoder of
//! this size to tell outlines apart, whereas reconstruction of pixels needs far more of them before it does.

use candle_core::{Device, Tensor};
use candle_nn::loss::cross_entropy;

use super::{
    Objective, PART, Place, PretrainProgress, PretrainSettings, Pretrained, backbone_failed, initial, optimise, parts,
};
use crate::data::{ATTRIBUTES, FigurePicture, ImageProcessor, pretraining_figures};
use crate::model::{Backbone, Batch, EncoderConfig, Hooks, Pass, classify, head_tensors};
use crate::params::Params;
use crate::petuning::{FullConfig, Method, TrainableVars};
use crate::seed::Seeds;
use crate::training::TrainingError;

/// Pictures that are held out.
const N_HELD_OUT: usize = 960;

/// Trains an encoder of images of this shape, from random values, on `n_pictures` drawn pictures, each seen once.
///
/// # Errors
/// When the encoder takes no images of 32 by 32 pixels in colour, the numbers diverge or the device fails.
pub fn pretrain_images(
    config: EncoderConfig,
    settings: &PretrainSettings,
    n_pictures: usize,
    seeds: &Seeds,
    progress: &mut dyn FnMut(PretrainProgress),
) -> Result<Pretrained, TrainingError> {
    let fits = config.vision.is_some_and(|vision| (vision.num_channels, vision.image_size) == (3, FigurePicture::SIZE));
    if !fits {
        let message = format!("the encoder must take colour images of {0} by {0} pixels", FigurePicture::SIZE);
        return Err(TrainingError::Pretraining(message));
    }
    let n_scores = ATTRIBUTES.iter().map(|attribute| attribute.n_values).sum();
    let head = head_tensors(&config, n_scores);
    let backbone = Backbone::random(config, seeds).map_err(backbone_failed)?;
    let start = initial(&backbone, &head, seeds);
    let model = Attributes { backbone, processor: ImageProcessor::new(3, FigurePicture::SIZE), seeds: *seeds };
    let n_steps = n_pictures.div_ceil(settings.batch_size) * settings.epochs;
    let steps = (0..n_steps)
        .map(|_| (0..settings.batch_size).step_by(PART).map(|at| PART.min(settings.batch_size - at)).collect());
    let params = optimise(&model, start, settings, n_steps, steps, progress)?;
    let failed = |source| TrainingError::Tensor { what: "pretraining".into(), source };
    let (held_out_loss, held_out_accuracy) = model.measure(&params).map_err(failed)?;
    let (backbone, head) = parts(&params, &model.backbone)?;
    Ok(Pretrained { backbone, head, held_out_loss, held_out_accuracy })
}

/// The model in training.
struct Attributes {
    backbone: Backbone,
    processor: ImageProcessor,
    seeds: Seeds,
}

/// A part is a number of pictures; its place decides which ones.
impl Objective<usize> for Attributes {
    fn seeds(&self) -> &Seeds {
        &self.seeds
    }

    fn loss(
        &self,
        n: &usize,
        place: Place,
        hooks: &dyn Hooks,
        pass: &mut Pass,
    ) -> candle_core::Result<(Tensor, usize)> {
        let pictures = pretraining_figures(*n, self.seeds.root(), place.step, place.part);
        let scores = self.scores(&pictures, hooks, pass)?;
        let mut loss = Tensor::new(0f32, &Device::Cpu)?;
        for (which, scores) in scores.iter().enumerate() {
            loss = (loss + cross_entropy(scores, &answers(&pictures, which)?)?)?;
        }
        Ok((loss, *n))
    }
}

impl Attributes {
    /// For each attribute the scores of its values, `[batch, values]`.
    fn scores(
        &self,
        pictures: &[FigurePicture],
        hooks: &dyn Hooks,
        pass: &mut Pass,
    ) -> candle_core::Result<Vec<Tensor>> {
        let pixels: Vec<f32> = pictures.iter().flat_map(|picture| picture.pixels(&self.processor)).collect();
        let batch = Batch::images(&pixels, pictures.len(), self.backbone.config(), &Device::Cpu)?;
        let all = classify(&self.backbone, &batch, hooks, pass)?;
        let mut first = 0;
        let scores = ATTRIBUTES.iter().map(|attribute| {
            first += attribute.n_values;
            all.narrow(1, first - attribute.n_values, attribute.n_values)?.contiguous()
        });
        scores.collect()
    }

    /// Mean loss of pictures that were held out, and the fraction of them whose outline is named correctly.
    fn measure(&self, params: &Params) -> candle_core::Result<(f64, f64)> {
        let hooks = FullConfig {}.hooks(TrainableVars::constants(params, &Device::Cpu)?);
        let (mut loss, mut n_right) = (0.0, 0usize);
        for part in 0..(N_HELD_OUT / PART) as u32 {
            let pictures = pretraining_figures(PART, self.seeds.root(), u32::MAX, part);
            for (which, scores) in self.scores(&pictures, hooks.as_ref(), &mut Pass::evaluation())?.iter().enumerate() {
                let answers = answers(&pictures, which)?;
                loss += f64::from(cross_entropy(scores, &answers)?.to_scalar::<f32>()?) * PART as f64;
                if which == 0 {
                    let named = scores.argmax(candle_core::D::Minus1)?.to_vec1::<u32>()?;
                    n_right +=
                        named.iter().zip(answers.to_vec1::<u32>()?).filter(|(named, answer)| *named == answer).count();
                }
            }
        }
        Ok((loss / N_HELD_OUT as f64, n_right as f64 / N_HELD_OUT as f64))
    }
}

fn answers(pictures: &[FigurePicture], which: usize) -> candle_core::Result<Tensor> {
    Tensor::from_vec(
        pictures.iter().map(|picture| picture.answers[which]).collect::<Vec<u32>>(),
        pictures.len(),
        &Device::Cpu,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(image_size: usize) -> EncoderConfig {
        let json = serde_json::json!({
            "model_type": "vit", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 64, "image_size": image_size, "patch_size": 8, "num_channels": 3,
            "layer_norm_eps": 1e-12, "hidden_act": "gelu",
        });
        EncoderConfig::from_json(json.to_string().as_bytes(), "test").expect("a tiny ViT")
    }

    #[test]
    fn the_loss_falls_and_threads_do_not_show() {
        let run = |threads| {
            let settings = PretrainSettings { epochs: 1, batch_size: 64, learning_rate: 2e-3, threads };
            let mut losses = Vec::new();
            let made = pretrain_images(config(32), &settings, 1600, &Seeds::new(3), &mut |now| losses.push(now.loss));
            (made.expect("it trains"), losses)
        };
        let ((one, losses), (two, _)) = (run(1), run(2));
        assert_eq!(losses.len(), 25);
        // At the start every value is as likely as the others: ln 40 + ln 16 + ln 3 + ln 6 = 9.35.
        assert!((losses[0] - 9.35).abs() < 0.3, "{losses:?}");
        assert!(losses[24] < losses[0] - 0.5, "{losses:?}");
        assert_eq!(one.backbone.hash(), two.backbone.hash());
        assert_eq!(one.held_out_loss, two.held_out_loss);
        assert_eq!(one.head.keys().collect::<Vec<_>>(), ["classifier.bias", "classifier.weight"]);
    }

    #[test]
    fn other_sizes_are_refused() {
        let settings = PretrainSettings { epochs: 1, batch_size: 64, learning_rate: 2e-3, threads: 1 };
        let error = pretrain_images(config(16), &settings, 64, &Seeds::new(3), &mut |_| {}).expect_err("16 pixels");
        assert_eq!(error.to_string(), "pretraining: the encoder must take colour images of 32 by 32 pixels");
    }
}
