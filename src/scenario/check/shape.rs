//! What the encoder's shape says about the rest of the scenario.

use serde_json::Value as Json;

use super::{Checker, Mode, join};
use crate::model::{EncoderConfig, ModelDtype, ModelSource, load_config};
use crate::petuning::{TrainableTensor, TuningError, trainable_tensors, trained_matrix};

/// No module of a model is wider; sizes that are made of widths stay countable.
pub(super) const WIDTH_MAX: u64 = 1 << 24;
/// In training: the server's values, and those of one client with their gradients.
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

    /// Sizes of the tuning method must be countable.
    pub(super) fn widths(&mut self) {
        if let Some((path, width)) = self.too_wide() {
            self.require(false, &path, format!("{width} is more than {WIDTH_MAX}"), "lower it");
        }
    }

    fn too_wide(&self) -> Option<(String, u64)> {
        let tuning = &self.raw.tuning;
        let is_right = tuning.implementation().problems().is_empty();
        is_right.then(|| too_wide("tuning", &serde_json::json!(tuning))).flatten()
    }

    /// What the encoder's shape says, where it is at hand: a model on the hub has to be asked for it first. What is wrong
    /// with the model itself is told with its own setting.
    pub(super) fn shape(&mut self) {
        let Ok(source) = self.raw.model.source(self.base_dir) else { return };
        if let Ok(encoder) = load_config(&source, self.base_dir) {
            self.fits(&encoder);
        }
    }

    /// Tuning method and examples must fit the encoder.
    pub(super) fn fits(&mut self, encoder: &EncoderConfig) {
        self.tuning(encoder);
        if let Some(dataset) = &self.raw.dataset {
            self.kind_of_examples(dataset, encoder);
        }
        self.sequence_length(encoder);
    }

    /// What the tuning method names is there, nothing is trained twice, and there is room for all.
    fn tuning(&mut self, encoder: &EncoderConfig) {
        let tuning = &self.raw.tuning;
        if !tuning.implementation().problems().is_empty() || self.too_wide().is_some() {
            return;
        }
        // the number of labels sizes the head alone, and every method trains that
        match trainable_tensors(tuning, encoder, 2) {
            Err(TuningError::Unfit(problem)) => self.room("tuning", "", vec![*problem]),
            Err(error) => {
                let problem = self.at("tuning", "tuning", error);
                self.problems.push(problem);
            }
            Ok(trained) => {
                self.frozen_dtype(&trained);
                self.positions(encoder);
                self.memory_of(&trained);
            }
        }
    }

    /// Only what is frozen can be kept in 16 bits.
    fn frozen_dtype(&mut self, trained: &[TrainableTensor]) {
        let Some(name) = trained_matrix(trained).filter(|_| self.raw.model.dtype == ModelDtype::Bf16) else { return };
        let title = self.raw.tuning.title();
        let message = format!("bf16 is for a frozen encoder, and `{title}` trains matrices of it, such as `{name}`");
        let problem = self.at("conflict", "model.dtype", message).other(Some(self.root.locate("tuning")));
        self.problems.push(problem.help("write `dtype: f32`, or choose a method that leaves the matrices as they are"));
    }

    /// What the tuning method puts before a text must leave room for it in the position table. How long the texts of a data
    /// set are shows only when they are read.
    fn positions(&mut self, encoder: &EncoderConfig) {
        let tuning = &self.raw.tuning;
        let (taken, max) = (tuning.implementation().positions(encoder), encoder.max_tokens());
        let Some(path) = tuning.setting_of_virtual_tokens().filter(|_| taken > 0) else { return };
        match self.raw.clients.sequence_length {
            _ if taken >= max => {
                let message = format!("{taken} virtual tokens leave no room for a text: the model has {max} positions");
                self.require(false, &path, message, "lower it");
            }
            // A text that is too long by itself is told with its own setting.
            Some(length) if length <= max && taken + length > max => {
                let message = format!(
                    "{taken} virtual tokens and texts of {length} are more than the {max} positions of the model"
                );
                let length_place = self.root.locate("clients.sequence_length");
                let problem = self.at("out-of-range", &path, message).other(Some(length_place));
                self.problems
                    .push(problem.help(format!("lower it to {} or less, or shorten the examples", max - length)));
            }
            _ => {}
        }
    }

    /// The values that a run holds must fit into the machine.
    fn memory_of(&mut self, trained: &[TrainableTensor]) {
        let copies = match (self.raw.compute.mode, &self.raw.dataset) {
            (Mode::Real, _) => COPIES,
            // The values before the first round, which are made of model and data set without training too.
            (Mode::TimingOnly, Some(_)) => 1,
            (Mode::TimingOnly, None) => return,
        };
        let size = |tensor: &TrainableTensor| tensor.spec.shape.iter().map(|n| *n as u128).product::<u128>();
        let values: u128 = trained.iter().map(size).sum();
        self.require_memory("tuning", copies * values * size_of::<f32>() as u128, "lower the size of the module");
    }

    /// The length that is given in place of a data set must be one that the encoder takes.
    fn sequence_length(&mut self, encoder: &EncoderConfig) {
        let Some(length) = self.raw.clients.sequence_length else { return };
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
