//! What the encoder's shape says about the rest of the scenario.

use serde_json::Value as Json;

use super::{Checker, Mode, join};
use crate::model::{ModelSource, load_config};
use crate::petuning::{TrainableTensor, trainable_tensors};

/// No module of a model is wider; sizes that are made of widths stay countable.
pub(super) const WIDTH_MAX: u64 = 1 << 24;
/// The server's values, and those of one client with their gradients.
const COPIES: u128 = 3;

impl Checker<'_> {
    /// A shape without weights can be timed, and nothing else.
    pub(super) fn shape_only(&mut self) {
        let Ok(ModelSource::ShapeOnly(_)) = self.raw.model.source(self.base_dir) else { return };
        let name = &self.raw.model.name;
        if self.raw.compute.mode == Mode::Real {
            let message = format!("`{name}` has no weights, so nothing can be trained");
            let problem = self.at("conflict", "model.name", message);
            let place = self.root.has("compute.mode").then(|| self.root.locate("compute.mode"));
            self.problems
                .push(problem.other(place).help("give the directory of a model, or set `compute.mode: timing_only`"));
        } else if self.raw.dataset.is_some() {
            let message = format!("`{name}` has no tokenizer, so a data set cannot be read");
            let problem = self.at("conflict", "model.name", message).other(Some(self.root.locate("dataset")));
            self.problems.push(problem.help(
                "leave `dataset` out and write `clients.num_examples`, `clients.sequence_length` and `clients.num_labels`",
            ));
        }
    }

    /// The tuning method must fit the encoder: what it names is there, and nothing is trained twice.
    pub(super) fn tuning(&mut self) {
        let tuning = &self.raw.tuning;
        if !tuning.implementation().problems().is_empty() {
            return;
        }
        let Ok(source) = self.raw.model.source(self.base_dir) else { return };
        let Ok(encoder) = load_config(&source, self.base_dir) else { return };
        if let Some((path, width)) = too_wide("tuning", &serde_json::json!(tuning)) {
            return self.require(false, &path, format!("{width} is more than {WIDTH_MAX}"), "lower it");
        }
        // the number of labels sizes the head alone, and every method trains that
        match trainable_tensors(tuning, &encoder, 2) {
            Err(error) => {
                let problem = self.at("tuning", "tuning", error);
                self.problems.push(problem);
            }
            Ok(tensors) if self.raw.compute.mode == Mode::Real => {
                let size = |tensor: &TrainableTensor| tensor.spec.shape.iter().map(|n| *n as u128).product::<u128>();
                let values: u128 = tensors.iter().map(size).sum();
                let bytes = COPIES * values * size_of::<f32>() as u128;
                self.require_memory("tuning", bytes, "lower the size of the module");
            }
            Ok(_) => {}
        }
    }

    /// The length that is given in place of a data set must be one that the encoder takes.
    pub(super) fn sequence_length(&mut self) {
        let Some(length) = self.raw.clients.sequence_length else { return };
        let Ok(source) = self.raw.model.source(self.base_dir) else { return };
        // What is wrong with the model itself is told with its own setting.
        let Ok(encoder) = load_config(&source, self.base_dir) else { return };
        let max = encoder.max_tokens();
        let path = "clients.sequence_length";
        if encoder.vision.is_some() && length != max {
            let message = format!("{length} is not the length of an image: it has {} patches", max - 1);
            self.require(false, path, message, &format!("write {max}, one more for the class token"));
        } else if length > max {
            let message = format!("{length} is more than the {max} positions of the model");
            self.require(false, path, message, "shorten the examples, or choose a model that takes longer ones");
        }
    }
}

/// A setting in `value`, which stands at `path`, that is larger than any width can be.
fn too_wide(path: &str, value: &Json) -> Option<(String, u64)> {
    match value {
        Json::Number(number) => number.as_u64().filter(|n| *n > WIDTH_MAX).map(|n| (path.into(), n)),
        Json::Array(items) => (0..).zip(items).find_map(|(i, item)| too_wide(&join(path, &i.to_string()), item)),
        Json::Object(entries) => entries.iter().find_map(|(key, value)| too_wide(&join(path, key), value)),
        Json::Null | Json::Bool(_) | Json::String(_) => None,
    }
}
