//! Where the clock meets the pool: jobs are submitted when training begins and waited for when their value is needed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::tasks::Task;
use super::{World, WorldError};
use crate::actors::messages::{GlobalModel, TaskId, UpdateValue};
use crate::actors::plan::Learning;
use crate::actors::pool::{Job, Pool};
use crate::actors::trainer::{LearningError, Trained};
use crate::report::Stopwatch;
use crate::sim::NEVER;
use crate::units::SimTime;

impl World<'_> {
    pub(super) fn value_of(&mut self, id: TaskId) -> Result<UpdateValue, WorldError> {
        let task = self.tasks.get_mut(id).expect("only arrived updates are collected");
        let (Some(pool), Some(learning)) = (&self.pool, &self.plan.learning) else {
            return Ok(UpdateValue::TimingOnly);
        };
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

    pub(super) fn evaluate(&mut self, round: u32, model: &Arc<GlobalModel>) {
        if let (Some(pool), Some(learning), Some(params)) = (&self.pool, &self.plan.learning, &model.params) {
            let (trainer, params) = (learning.trainer.clone(), params.clone());
            // Needed last of all: it fills the gaps that training leaves.
            let job = pool.submit(format!("evaluation of round {round}"), NEVER, {
                let params = params.clone();
                let nanos = self.evaluation_nanos.clone();
                move |_| {
                    let watch = Stopwatch::start();
                    let evaluation = trainer.evaluate(&params);
                    nanos.fetch_add((watch.seconds() * 1e9) as u64, Ordering::Relaxed);
                    Some(evaluation)
                }
            });
            self.journal.expect_evaluation(params, job);
        }
    }
}

type TrainingJob = Job<Result<Trained, LearningError>>;

pub(super) fn submit(pool: &Pool, learning: &Learning, task: &Task, need_by: SimTime) -> TrainingJob {
    let (client_id, round, address) = (task.client_id, task.round, task.address);
    let trainer = learning.trainer.clone();
    let start = task.model.params.clone().expect("a run that learns has values");
    let name = format!("training of client {client_id} in round {round}");
    pool.submit(name, need_by, move |cancel| trainer.train(&start, client_id, address, cancel))
}
