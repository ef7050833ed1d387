//! Updates on their way into the next model.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::core::Core;
use super::{ServerError, Turn};
use crate::actors::messages::{Command, TaskId, Unused, UpdateValue};
use crate::params::Params;
use crate::strategy::{Contribution, Fold};
use crate::training::Update;

/// The updates of one model: first they arrive, then their values are collected, then they are folded, each in the order
/// of arrival.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Intake {
    /// Updates whose values are not collected yet.
    arrived: Vec<TaskId>,
    /// Values that are being collected.
    collecting: VecDeque<TaskId>,
    /// Not kept: the values of what is folded are pure functions of their tasks and are folded again.
    #[serde(skip)]
    fold: Option<Box<dyn Fold>>,
    /// With their staleness.
    folded: Vec<(TaskId, u32)>,
    loss_sum: f64,
    examples: usize,
}

impl Intake {
    pub(super) fn arrived(&mut self, task: TaskId) {
        self.arrived.push(task);
    }

    /// Updates that are folded or wait to be.
    pub(super) fn at_hand(&self) -> usize {
        self.folded.len() + self.arrived.len()
    }

    pub(super) fn is_collecting(&self) -> bool {
        !self.collecting.is_empty()
    }

    /// Asks for the values of what has arrived, while those of `withhold` are not computed. False when there is nothing
    /// to ask for.
    pub(super) fn collect(&mut self, withhold: Vec<TaskId>, turn: &mut Turn<'_>) -> bool {
        let tasks = std::mem::take(&mut self.arrived);
        if tasks.is_empty() {
            return false;
        }
        self.collecting.extend(&tasks);
        turn.commands.push(Command::Collect { tasks, withhold });
        true
    }

    /// Folds a value that was collected.
    pub(super) fn take(
        &mut self,
        task: TaskId,
        value: UpdateValue,
        core: &mut Core,
        turn: &mut Turn<'_>,
    ) -> Result<(), ServerError> {
        let is_next = self.collecting.pop_front() == Some(task);
        let Some(asked) = core.waiting(task).filter(|_| is_next) else {
            return Err(core.confusion("here is a value", task));
        };
        let (client_id, staleness) = (asked.client_id, core.staleness(asked));
        match value {
            UpdateValue::TimingOnly => self.folded.push((task, staleness)),
            UpdateValue::Trained(update) => {
                self.fold(task, &update, core);
                self.folded.push((task, staleness));
                self.loss_sum += update.train_loss * update.num_examples as f64;
                self.examples += update.num_examples;
                core.learnt(client_id, update.train_loss);
            }
            UpdateValue::Diverged => core.refuse(task, Unused::Diverged, turn),
        }
        Ok(())
    }

    /// What a restored intake has folded, in order.
    pub(super) fn tasks_to_fold_again(&self) -> Vec<TaskId> {
        self.folded.iter().map(|(task, _)| *task).collect()
    }

    /// Folds the value of a task again, in the order of [`tasks_to_fold_again`](Self::tasks_to_fold_again). All else
    /// that came of the value was kept.
    pub(super) fn fold_again(&mut self, task: TaskId, value: &UpdateValue, core: &Core) {
        if let UpdateValue::Trained(update) = value {
            self.fold(task, update, core);
        }
    }

    fn fold(&mut self, task: TaskId, update: &Update, core: &Core) {
        let asked = core.waiting(task).expect("what is folded has arrived");
        let staleness = core.staleness(asked);
        let global = core.model.params.as_ref().expect("training starts from values");
        let start = asked.model.params.as_ref().expect("training starts from values");
        let strategy = core.settings.strategy.implementation();
        let fold = self.fold.get_or_insert_with(|| strategy.begin(global));
        let weight = core.settings.late_updates.implementation().weight(staleness);
        fold.add(&Contribution { values: &update.params, start, num_examples: update.num_examples, staleness, weight });
    }

    /// How many values are folded.
    pub(super) fn n_folded(&self) -> usize {
        self.folded.len()
    }

    /// Accepts all that is folded: gives the values of the next model, unless none are computed, and the mean training
    /// loss weighted by examples.
    pub(super) fn finish(self, core: &mut Core, turn: &mut Turn<'_>) -> (Option<Params>, Option<f64>) {
        for (task, staleness) in self.folded {
            core.forget(task);
            turn.commands.push(Command::Accept { task, staleness });
        }
        let train_loss = (self.examples > 0).then(|| self.loss_sum / self.examples as f64);
        (self.fold.map(Fold::finish), train_loss)
    }

    /// Refuses all that has arrived.
    pub(super) fn refuse_all(self, why: Unused, core: &mut Core, turn: &mut Turn<'_>) {
        for task in self.folded.into_iter().map(|(task, _)| task).chain(self.arrived) {
            core.refuse(task, why, turn);
        }
    }
}
