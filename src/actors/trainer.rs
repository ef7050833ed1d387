//! What the world needs of learning: two pure functions.

use std::sync::Arc;

use crate::params::Params;
use crate::training::{Cancel, Evaluation, Update};

/// Why a client's training gave no update, or an evaluation no metrics.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct LearningError(pub String);

/// How training ended.
#[derive(Debug)]
pub enum Trained {
    /// With new values.
    Update(Box<Update>),
    /// In numbers that are not finite.
    Diverged,
}

/// Local training and evaluation. Both are pure: the same arguments give the same bytes on any thread.
pub trait Trainer: Send + Sync {
    /// A client's local training. `address` tells its tasks apart: the round, where it has one task in each. `None` when
    /// `cancel` was raised and the training stopped.
    ///
    /// # Errors
    /// When the arithmetic itself fails.
    fn train(
        &self,
        start: &Arc<Params>,
        client_id: u32,
        address: u32,
        cancel: &Cancel,
    ) -> Option<Result<Trained, LearningError>>;

    /// Metrics on the validation split. `None` when `cancel` was raised and the evaluation stopped.
    ///
    /// # Errors
    /// When the arithmetic itself fails.
    fn evaluate(&self, params: &Params, cancel: &Cancel) -> Option<Result<Evaluation, LearningError>>;
}
