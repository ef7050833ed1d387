//! What the encoder's shape says about the rest of the scenario.

use super::{Checker, Mode};
use crate::model::{ModelSource, load_config};
use crate::petuning::trainable_tensors;

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
        // the number of labels sizes the head alone, and every method trains that
        if let Err(error) = trainable_tensors(tuning, &encoder, 2) {
            let problem = self.at("tuning", "tuning", error);
            self.problems.push(problem);
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
