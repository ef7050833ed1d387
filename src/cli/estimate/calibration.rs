//! How fast this machine trains: one short training, timed.

use std::sync::Arc;

use crate::actors::setup::Setup;
use crate::cli::{CliError, Exit};
use crate::report::Stopwatch;
use crate::scenario::Scenario;
use crate::training::{Cancel, Learner, Split, TrainJob, TrainingError, method_cost};

/// Host time that the timed training should take at most.
const SECONDS: f64 = 0.5;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Calibration {
    /// Operations per second of one thread in training.
    pub(super) flops_per_s: f64,
    /// Seconds of one thread for an evaluation on the validation split.
    pub(super) evaluation_s: f64,
    /// The same on the test split.
    pub(super) test_s: f64,
}

impl Calibration {
    /// Seconds of one thread for so many operations of training.
    pub(super) fn training_s(&self, flops: f64) -> f64 {
        flops / self.flops_per_s
    }
}

/// Trains on rows around the median length: on one, and then on as many as [`SECONDS`] allow, up to a batch.
pub(super) fn calibrate(scenario: &Scenario, setup: &Setup, learner: &Learner) -> Result<Calibration, CliError> {
    let failed = |error: TrainingError| CliError::new(Exit::RunFailed, "calibration", error);
    let lengths = &setup.workload.lengths;
    let mut rows: Vec<u32> = (0..lengths.len() as u32).collect();
    rows.sort_by_key(|row| lengths[*row as usize]);
    let batch_size = scenario.train().per_device_train_batch_size;
    let learning = setup.plan.learning.as_ref().map(|learning| &learning.initial);
    let start = learning.or(learner.initial()).expect("the values are the plan's or still the learner's").clone();
    let time = |n: usize| -> Result<(f64, f64), TrainingError> {
        let from = rows.len().saturating_sub(n) / 2;
        let shard: Arc<[u32]> = rows[from..(from + n).min(rows.len())].into();
        let flops = learner.epoch_flops([&shard[..]])?[0].0 * scenario.train().num_train_epochs as f64;
        let watch = Stopwatch::start();
        match learner.train(&TrainJob { start: start.clone(), client_id: 0, address: 0, shard }, &Cancel::new()) {
            // numbers that run away take as long as others
            Ok(_) | Err(TrainingError::Diverged { .. }) => Ok((watch.seconds(), flops)),
            Err(error) => Err(error),
        }
    };
    let (one_s, _) = time(1).map_err(failed)?;
    let n_rows = ((SECONDS / one_s.max(1e-6)) as usize).clamp(1, batch_size).min(rows.len().max(1));
    let (seconds, flops) = time(n_rows).map_err(failed)?;
    let flops_per_s = flops / seconds.max(1e-9);
    let workload = &setup.workload;
    let dtype = scenario.model().dtype;
    let examples = (lengths.as_slice(), setup.plan.population.largest_shard() as usize);
    let cost = method_cost(&workload.encoder, scenario.tuning(), workload.n_labels, examples, scenario.train(), dtype);
    let forward = cost.map_err(|error| failed(error.into()))?.flops.forward.0;
    let of = |split| learner.n_rows(split) as f64 * forward / flops_per_s;
    Ok(Calibration { flops_per_s, evaluation_s: of(Split::Validation), test_s: of(Split::Test) })
}
