//! Where the clock meets the pool: jobs are submitted when training begins and waited for when their value is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::journal::EvaluationJob;
use super::tasks::{Task, Tasks};
use super::{World, WorldError};
use crate::actors::messages::{GlobalModel, TaskId, UpdateValue};
use crate::actors::plan::Learning;
use crate::actors::pool::{Job, Pool};
use crate::actors::trainer::{LearningError, Trained};
use crate::params::Params;
use crate::report::Stopwatch;
use crate::sim::NEVER;
use crate::units::SimTime;

impl World<'_> {
    /// Lets values that are about to be collected be computed side by side.
    pub(super) fn submit_missing(&mut self, tasks: &[TaskId]) {
        if let (Some(pool), Some(learning)) = (&self.pool, &self.plan.learning) {
            submit_missing(pool, learning, &mut self.tasks, tasks, self.now);
        }
    }

    pub(super) fn value_of(&mut self, id: TaskId) -> Result<UpdateValue, WorldError> {
        let task = self.tasks.get_mut(id).expect("only arrived updates are collected");
        match (&self.pool, &self.plan.learning) {
            (Some(pool), Some(learning)) => value_of(pool, learning, task),
            _ => Ok(UpdateValue::TimingOnly),
        }
    }

    pub(super) fn evaluate(&mut self, round: u32, model: &Arc<GlobalModel>) {
        if let (Some(pool), Some(learning), Some(params)) = (&self.pool, &self.plan.learning, &model.params) {
            let job = submit_evaluation(pool, learning, round, params, &self.evaluation_nanos);
            self.journal.expect_evaluation(params.clone(), job);
        }
    }
}

/// Submits jobs for those of the tasks that have none, or whose job was withdrawn.
pub(super) fn submit_missing(pool: &Pool, learning: &Learning, tasks: &mut Tasks, ids: &[TaskId], now: SimTime) {
    for task in ids {
        let Some(task) = tasks.get_mut(*task) else { continue };
        match &task.job {
            Some(job) => job.queue_again(now),
            None => task.job = Some(submit(pool, learning, task, now)),
        }
    }
}

/// The value of a task's update: what its job gives, or a new job if it has none.
pub(super) fn value_of(pool: &Pool, learning: &Learning, task: &mut Task) -> Result<UpdateValue, WorldError> {
    let job = task.job.take().unwrap_or_else(|| submit(pool, learning, task, SimTime::ZERO));
    match job.wait()? {
        Ok(Trained::Update(update)) => Ok(UpdateValue::Trained(update)),
        Ok(Trained::Diverged) => Ok(UpdateValue::Diverged),
        Err(source) => {
            let what = format!("training of client {} in round {}", task.client_id, task.round);
            Err(WorldError::Learning { what, source })
        }
    }
}

/// Evaluates a model of a round. The host time that it takes is added to `nanos`.
pub(super) fn submit_evaluation(
    pool: &Pool,
    learning: &Learning,
    round: u32,
    params: &Arc<Params>,
    nanos: &Arc<AtomicU64>,
) -> EvaluationJob {
    let (trainer, params, nanos) = (learning.trainer.clone(), params.clone(), nanos.clone());
    // Needed last of all: it fills the gaps that training leaves.
    pool.submit(format!("evaluation of round {round}"), NEVER, move |cancel| {
        let watch = Stopwatch::start();
        let evaluation = trainer.evaluate(&params, cancel);
        nanos.fetch_add((watch.seconds() * 1e9) as u64, Ordering::Relaxed);
        evaluation
    })
}

type TrainingJob = Job<Result<Trained, LearningError>>;

pub(super) fn submit(pool: &Pool, learning: &Learning, task: &Task, need_by: SimTime) -> TrainingJob {
    let (client_id, round, address) = (task.client_id, task.round, task.address);
    let trainer = learning.trainer.clone();
    let start = task.model.params.clone().expect("a run that learns has values");
    let name = format!("training of client {client_id} in round {round}");
    pool.submit(name, need_by, move |cancel| trainer.train(&start, client_id, address, cancel))
}
