//! How a checkpoint wants its pictures: `preprocessor_config.json`.

use serde_json::{Map, Value};

use super::Picture;
use super::resize::{Resample, resize};
use crate::data::DataError;

/// Brings pictures to the form that a model was trained on, as transformers' image processor of ViT does.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageProcessor {
    channels: usize,
    size: usize,
    /// `None`: pictures must have the size already.
    resample: Option<Resample>,
    /// The number that each byte becomes, `[channels][256]`.
    values: Vec<Vec<f32>>,
}

impl ImageProcessor {
    /// What transformers does for a ViT that brings no settings: bilinear resizing to `size` by `size` pixels, bytes
    /// over 255, mean and standard deviation 0.5.
    pub fn new(channels: usize, size: usize) -> Self {
        let resample = Some(Resample::Bilinear);
        Self { channels, size, resample, values: vec![values(1.0 / 255.0, Some((0.5, 0.5))); channels] }
    }

    /// Reads `preprocessor_config.json` of a model whose pictures have `size` by `size` pixels of this many channels.
    /// What the file does not say is as in [`new`](Self::new).
    ///
    /// # Errors
    /// When the text is no JSON object, a value has the wrong type, the size is another one than the model's, or it asks
    /// for a crop. `origin` names the file.
    pub fn from_json(text: &[u8], origin: &str, channels: usize, size: usize) -> Result<Self, DataError> {
        let refuse = |message: String| DataError::ImageProcessor { origin: origin.into(), message };
        let keys: Map<String, Value> = serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
        Self::from_keys(&Keys(&keys), channels, size).map_err(refuse)
    }

    fn from_keys(keys: &Keys<'_>, channels: usize, size: usize) -> Result<Self, String> {
        if keys.switch("do_center_crop", false)? {
            return Err("`do_center_crop` is not supported; crop the pictures beforehand and set it to false".into());
        }
        let resample = match keys.switch("do_resize", true)? {
            false => None,
            true => {
                let (height, width) = keys.size(size)?;
                if (height, width) != (size, size) {
                    return Err(format!(
                        "`size` is {height} x {width}, but the model's `image_size` is {size}; set them alike"
                    ));
                }
                Some(keys.resample()?)
            }
        };
        let factor = match keys.switch("do_rescale", true)? {
            true => keys.number("rescale_factor", 1.0 / 255.0)?,
            false => 1.0,
        };
        let values = match keys.switch("do_normalize", true)? {
            false => vec![values(factor, None); channels],
            true => {
                let (means, deviations) = (keys.list("image_mean", channels)?, keys.list("image_std", channels)?);
                if let Some(deviation) = deviations.iter().find(|deviation| **deviation <= 0.0) {
                    return Err(format!("`image_std` holds {deviation}, which is not above 0"));
                }
                means.into_iter().zip(deviations).map(|moments| values(factor, Some(moments))).collect()
            }
        };
        Ok(Self { channels, size, resample, values })
    }

    /// Channels of a picture.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height and width of a picture, in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The bytes of a picture, `[channels, height, width]`, in the model's channels and size.
    ///
    /// # Errors
    /// When it has colours that the model does not take, or another size and is not to be resized.
    pub(in crate::data) fn fit(&self, picture: Picture) -> Result<Vec<u8>, String> {
        let picture = picture.widened(self.channels)?;
        let fits = (picture.width, picture.height) == (self.size, self.size);
        let picture = match self.resample {
            _ if fits => picture,
            Some(resample) => resize(&picture, self.size, self.size, resample),
            None => {
                return Err(format!(
                    "has {} x {} pixels, but the model takes {size} x {size} and its `do_resize` is false",
                    picture.width,
                    picture.height,
                    size = self.size
                ));
            }
        };
        let plane = |channel| picture.bytes.iter().skip(channel).step_by(self.channels).copied();
        Ok((0..self.channels).flat_map(plane).collect())
    }

    /// Appends the numbers that the bytes `[channels, height, width]` of a picture stand for.
    pub(in crate::data) fn normalise(&self, bytes: &[u8], numbers: &mut Vec<f32>) {
        for (plane, values) in bytes.chunks_exact(self.size * self.size).zip(&self.values) {
            numbers.extend(plane.iter().map(|byte| values[usize::from(*byte)]));
        }
    }
}

/// `(byte x factor - mean) / deviation` for each byte.
fn values(factor: f64, moments: Option<(f64, f64)>) -> Vec<f32> {
    let (mean, deviation) = moments.unwrap_or((0.0, 1.0));
    (0..256).map(|byte| ((f64::from(byte) * factor - mean) / deviation) as f32).collect()
}

struct Keys<'a>(&'a Map<String, Value>);

impl Keys<'_> {
    /// `null` means the same as absence.
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn switch(&self, key: &str, default: bool) -> Result<bool, String> {
        self.get(key).map_or(Ok(default), |value| value.as_bool().ok_or(format!("`{key}` is not true or false")))
    }

    fn number(&self, key: &str, default: f64) -> Result<f64, String> {
        self.get(key).map_or(Ok(default), |value| value.as_f64().ok_or(format!("`{key}` is not a number")))
    }

    /// A number for each channel; one number stands for all.
    fn list(&self, key: &str, channels: usize) -> Result<Vec<f64>, String> {
        let wrong = || format!("`{key}` is not a list of {channels} numbers, one for each channel of the model");
        match self.get(key) {
            None => Ok(vec![0.5; channels]),
            Some(Value::Array(list)) if list.len() == channels => {
                list.iter().map(|value| value.as_f64().ok_or_else(wrong)).collect()
            }
            Some(value) => value.as_f64().map(|number| vec![number; channels]).ok_or_else(wrong),
        }
    }

    /// Height and width; one number, as in old files, is both.
    fn size(&self, default: usize) -> Result<(usize, usize), String> {
        let number = |value: &Value| value.as_u64().map(|number| number as usize);
        let found = match self.get("size") {
            None => Some((default, default)),
            Some(Value::Object(sides)) => {
                let side = |key: &str| sides.get(key).and_then(number);
                side("height").zip(side("width"))
            }
            Some(value) => number(value).map(|side| (side, side)),
        };
        found.ok_or("`size` is not `{ height, width }` or one number; other ways to resize are not supported".into())
    }

    fn resample(&self) -> Result<Resample, String> {
        let Some(value) = self.get("resample") else { return Ok(Resample::Bilinear) };
        let found = value.as_u64().and_then(Resample::of);
        found.ok_or(format!("`resample` is {value}, not one of Pillow's filters, 0 to 5"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::images::testing;

    fn parse(json: &serde_json::Value) -> Result<ImageProcessor, String> {
        let parsed = ImageProcessor::from_json(json.to_string().as_bytes(), "p.json", 3, 8);
        parsed.map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_are_those_of_transformers() {
        let golden = testing::golden();
        for case in golden["processed"].as_array().expect("a list") {
            let size = case["settings"]["size"]["height"].as_u64().expect("a number") as usize;
            let json = case["settings"].to_string();
            let processor = ImageProcessor::from_json(json.as_bytes(), "p.json", 3, size).expect("sound");
            let bytes = processor.fit(testing::picture(case["file"].as_str().expect("a name"))).expect("fits");
            let mut ours = Vec::new();
            processor.normalise(&bytes, &mut ours);
            let theirs: Vec<f32> = serde_json::from_value(case["pixels"].clone()).expect("numbers");
            assert_eq!(ours.len(), theirs.len());
            // The bytes are the same; transformers rounds each of its steps to f32.
            let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{json}: {worst}");
        }
    }

    #[test]
    fn without_settings_bytes_become_numbers_from_minus_one_to_one() {
        let processor = ImageProcessor::new(1, 2);
        let mut numbers = Vec::new();
        processor.normalise(&[0, 51, 204, 255], &mut numbers);
        // (51 / 255 - 0.5) / 0.5 = -0.6
        assert_eq!(numbers, [-1.0, -0.6, 0.6, 1.0]);
        assert_eq!(parse(&serde_json::json!({})).expect("sound"), ImageProcessor::new(3, 8));
        let plain = serde_json::json!({ "do_rescale": false, "do_normalize": false, "size": 8, "image_mean": null });
        let mut numbers = Vec::new();
        parse(&plain).expect("sound").normalise(&[7; 3 * 64], &mut numbers);
        assert_eq!(numbers, [7.0; 3 * 64]);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for (json, expected) in [
            (serde_json::json!({ "size": 224 }), "p.json: `size` is 224 x 224, but the model's `image_size` is 8"),
            (serde_json::json!({ "size": { "shortest_edge": 8 } }), "p.json: `size` is not `{ height, width }`"),
            (serde_json::json!({ "do_center_crop": true }), "p.json: `do_center_crop` is not supported"),
            (serde_json::json!({ "resample": 9 }), "p.json: `resample` is 9, not one of Pillow's filters"),
            (serde_json::json!({ "image_mean": [0.5] }), "p.json: `image_mean` is not a list of 3 numbers"),
            (serde_json::json!({ "image_std": 0.0 }), "p.json: `image_std` holds 0, which is not above 0"),
            (serde_json::json!({ "do_resize": 1 }), "p.json: `do_resize` is not true or false"),
            (serde_json::json!([]), "p.json: invalid type"),
        ] {
            let message = parse(&json).expect_err("must be refused");
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn pictures_must_fit_where_they_are_not_changed() {
        let grey = |side: usize| Picture { width: side, height: side, channels: 1, bytes: vec![9; side * side] };
        let fixed = parse(&serde_json::json!({ "do_resize": false })).expect("sound");
        assert_eq!(fixed.fit(grey(8)), Ok(vec![9; 3 * 64]));
        assert_eq!(
            fixed.fit(grey(4)).expect_err("too small"),
            "has 4 x 4 pixels, but the model takes 8 x 8 and its `do_resize` is false"
        );
        let colour = Picture { channels: 3, bytes: vec![9; 12], ..grey(2) };
        assert_eq!(
            ImageProcessor::new(1, 2).fit(colour).expect_err("colours"),
            "has 3 channels, but the model takes 1; save it as greyscale"
        );
    }
}
