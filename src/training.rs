//! Local training and evaluation as pure functions of (start weights, shard, hyper-parameters, seed).

mod config;

pub use config::{LrSchedule, Optim, TrainConfig};
