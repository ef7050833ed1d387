//! Local training and evaluation as pure functions of (start weights, shard, hyper-parameters, seed).
//!
//! A [`Learner`] holds what all clients share: the frozen backbone, the tuning method, the data and the settings. Its
//! [`train`](Learner::train) turns a [`TrainJob`] into an [`Update`], its [`evaluate`](Learner::evaluate) measures
//! [`Params`](crate::params::Params) on a split; neither has any state, so jobs may run on any thread in any order and
//! give the same bytes. [`training_flops`] and [`training_memory`] say what a device pays, without any weights.

mod cancel;
mod config;
mod cost;
mod error;
mod evaluation;
mod examples;
mod learner;
#[cfg(test)]
mod learner_tests;
mod metrics;
mod optimizer;
#[cfg(test)]
mod peer_tests;
mod pretraining;
mod schedule;

pub use cancel::Cancel;
pub use config::{LrSchedule, Optim, TrainConfig};
pub use cost::{MethodCost, SampleFlops, TrainingFlops, TrainingMemory, method_cost, training_flops, training_memory};
pub use error::TrainingError;
pub use evaluation::{Evaluation, Split};
pub use learner::{Learner, TrainJob, Update};
pub use metrics::Confusion;
pub use optimizer::Optimizer;
pub use pretraining::{PretrainProgress, PretrainSettings, Pretrained, pretrain_images, pretrain_texts};
pub use schedule::Schedule;
