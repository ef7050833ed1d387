//! What can go wrong in training and evaluation.

use super::Split;
#[cfg(doc)]
use super::TrainJob;
use crate::petuning::TuningError;

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The loss, a gradient or a trained value is NaN or infinite.
    #[error("client {client_id} diverged at step {step}; lower clients.train.learning_rate")]
    Diverged {
        /// Whose job.
        client_id: u32,
        /// Which of its tasks: [`TrainJob::address`].
        address: u32,
        /// At which step, from 0.
        step: usize,
    },
    /// The job was called off.
    #[error("the training of client {client_id} was cancelled")]
    Cancelled {
        /// Whose job.
        client_id: u32,
        /// Which of its tasks: [`TrainJob::address`].
        address: u32,
    },
    /// A client without examples was asked to train.
    #[error("client {client_id} has no examples to train on")]
    EmptyShard {
        /// Whose job.
        client_id: u32,
        /// Which of its tasks: [`TrainJob::address`].
        address: u32,
    },
    /// Start values are laid out for other tensors than the method's.
    #[error("the start values of client {client_id} belong to another tuning method or model")]
    WrongLayout {
        /// Whose job.
        client_id: u32,
        /// Which of its tasks: [`TrainJob::address`].
        address: u32,
    },
    /// The split to evaluate on has no examples.
    #[error("the {split} split has no examples")]
    EmptySplit {
        /// Which.
        split: Split,
    },
    /// An example, with what the tuning method puts in front of it, is longer than the encoder's position table.
    #[error("{}", too_long(*split, *found, *taken, *max))]
    TooLong {
        /// Which split; none when no data set is loaded.
        split: Option<Split>,
        /// The length of the example.
        found: usize,
        /// Positions that the tuning method takes.
        taken: usize,
        /// What the position table holds.
        max: usize,
    },
    /// An example has a token or segment number that the encoder has no row for.
    #[error(
        "row {row} of the {split} split has {what} {found}, but the model has {rows} of them; use the tokenizer that belongs to the weights"
    )]
    OutsideTable {
        /// Which split.
        split: Split,
        /// The example, from 0.
        row: usize,
        /// `token` or `token type`.
        what: &'static str,
        /// The number.
        found: u32,
        /// Rows of the table.
        rows: usize,
    },
    /// Texts for an encoder of images, or the other way round.
    #[error("`model.name` is an encoder of {model}, but `dataset` holds {data}; choose another of the two")]
    WrongInput {
        /// What the encoder takes.
        model: &'static str,
        /// What the data set holds.
        data: &'static str,
    },
    /// Images that were not made for this encoder.
    #[error("the images of the {split} split have (channels, size) {found:?}, but the model takes {expected:?}")]
    WrongImages {
        /// Which split.
        split: Split,
        /// Theirs.
        found: (usize, usize),
        /// The model's.
        expected: (usize, usize),
    },
    /// Pretraining cannot begin or go on.
    #[error("pretraining: {0}")]
    Pretraining(String),
    /// The tuning method does not fit the model.
    #[error(transparent)]
    Tuning(#[from] TuningError),
    /// The arithmetic library refuses.
    #[error("{what}: {source}")]
    Tensor {
        /// The job.
        what: String,
        /// Why.
        source: candle_core::Error,
    },
}

fn too_long(split: Option<Split>, found: usize, taken: usize, max: usize) -> String {
    let (example, setting) = match split {
        Some(split) => (format!("an example of the {split} split has"), "dataset.max_seq_length"),
        None => ("an example has".into(), "clients.sequence_length"),
    };
    match (taken, max.saturating_sub(taken)) {
        (0, _) => {
            format!("{example} {found} tokens, but the model takes at most {max}; set {setting} to {max} or less")
        }
        (_, 0) => format!(
            "the tuning method puts {taken} virtual tokens before every text, but the model has {max} positions in all; \
             lower `num_virtual_tokens`"
        ),
        (_, room) => format!(
            "{example} {found} tokens and the tuning method puts {taken} virtual tokens before it, but the model takes at \
             most {max} together; set {setting} to {room} or less, or lower `num_virtual_tokens`"
        ),
    }
}
