//! The learner that all jobs share.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Result as TensorResult, Tensor};
use candle_nn::loss::cross_entropy;
use rand::Rng;
use rand::seq::SliceRandom;
use tokenizers::Tokenizer;

use super::cost::{TrainingMemory, flops_of_length, training_memory};
use super::optimizer::{self, Optimizer, clip_factor};
use super::{Cancel, Evaluation, Schedule, Split, TrainConfig, TrainingError, evaluation, examples};
use crate::data::EncodedDataset;
use crate::model::{Backbone, EncoderConfig, Hooks, Pass, backbone_tensors, classify, ops};
use crate::params::{Layout, Params};
use crate::petuning::{
    GradientCheck, InitialHead, InitialValues, LocalForm, TrainableVars, TuningConfig, TuningError, check_gradients,
    export_adapter, initial_params, load_initial, stirred,
};
use crate::seed::{Purpose, Seeds};
use crate::units::Flops;

/// One client's work in one task.
#[derive(Debug, Clone)]
pub struct TrainJob {
    /// The values to start from.
    pub start: Arc<Params>,
    /// Whose shard it is; addresses the client's random streams.
    pub client_id: u32,
    /// A number that tells the client's tasks apart, such as the round; addresses the random streams.
    pub address: u32,
    /// Rows of the training split.
    pub shard: Arc<[u32]>,
}

/// What a client sends back.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The trained values.
    pub params: Params,
    /// Size of the shard.
    pub num_examples: usize,
    /// Mean cross-entropy over the examples as they were seen, in nats.
    pub train_loss: f64,
    /// Optimizer steps taken.
    pub steps: usize,
}

/// All that jobs share: backbone, method, data and settings.
#[derive(Debug)]
pub struct Learner {
    backbone: Arc<Backbone>,
    tuning: TuningConfig,
    data: Arc<EncodedDataset>,
    config: TrainConfig,
    seeds: Seeds,
    /// What travels.
    layout: Arc<Layout>,
    /// The values of that before the first round, until they are handed over.
    initial: Option<Arc<Params>>,
    /// What clients train.
    local: LocalForm,
}

impl Learner {
    /// Puts the parts together; the number of classes is that of the data set's labels. The model's `tokenizer` serves
    /// methods that start from a text.
    ///
    /// # Errors
    /// When the method does not fit the encoder, or an example does not fit its tables.
    pub fn new(
        backbone: Arc<Backbone>,
        tokenizer: Option<&Tokenizer>,
        tuning: TuningConfig,
        data: Arc<EncodedDataset>,
        config: TrainConfig,
        seeds: Seeds,
    ) -> Result<Self, TrainingError> {
        ops::keep_freed_memory();
        check_examples(backbone.config(), &tuning, &data)?;
        let initial = initial_params(&tuning, &backbone, tokenizer, data.labels.len(), &seeds)?;
        let local = LocalForm::new(&tuning, backbone.config(), data.labels.len(), &seeds)?;
        let layout = initial.layout().clone();
        Ok(Self { backbone, tuning, data, config, seeds, layout, initial: Some(Arc::new(initial)), local })
    }

    /// The learner with other values before the first round, those of an adapter in `dir`, with its head or with the one
    /// that there was. Gives also their hash, and what could not be checked; see [`load_initial`].
    ///
    /// # Errors
    /// When the adapter cannot be read or does not fit.
    ///
    /// # Panics
    /// When the values before the first round were [handed over](Self::hand_over).
    pub fn starting_from(mut self, dir: &Path, head: InitialHead) -> Result<(Self, InitialValues), TuningError> {
        let drawn = self.initial.take().expect("a learner that starts has its first values");
        let initial = load_initial(dir, &self.tuning, &self.backbone, &self.data.labels, head, &drawn)?;
        self.initial = Some(Arc::new(initial.params.clone()));
        Ok((self, initial))
    }

    /// Whether the examples would fit the encoder with what another method puts in front of them.
    ///
    /// # Errors
    /// When one does not.
    pub fn check_examples(&self, tuning: &TuningConfig) -> Result<(), TrainingError> {
        check_examples(self.backbone.config(), tuning, &self.data)
    }

    /// Gives the values before the first round away, and with them all of the encoder that they stand for: from now on
    /// whoever trains or evaluates has such values, so that what full tuning replaces need not stay in memory. None
    /// when they were given away already.
    pub fn hand_over(mut self) -> (Self, Option<Arc<Params>>) {
        let initial = self.initial.take();
        let replaced = self.layout.tensors().iter().map(|spec| spec.name.as_str());
        self.backbone = Arc::new(self.backbone.without(replaced));
        (self, initial)
    }

    /// The tensors that travel.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The values before the first round, unless they were [handed over](Self::hand_over).
    pub fn initial(&self) -> Option<&Arc<Params>> {
        self.initial.as_ref()
    }

    /// Whether there are test rows.
    pub fn has_test(&self) -> bool {
        self.data.test.as_ref().is_some_and(|test| !test.is_empty())
    }

    /// Rows of a split; 0 where it is absent.
    pub fn n_rows(&self, split: Split) -> usize {
        match split {
            Split::Train => self.data.train.len(),
            Split::Validation => self.data.validation.len(),
            Split::Test => self.data.test.as_ref().map_or(0, |test| test.len()),
        }
    }

    /// The shared encoder.
    pub fn backbone(&self) -> &Arc<Backbone> {
        &self.backbone
    }

    /// Trains on a client's shard. The same job gives the same bytes on any thread.
    ///
    /// # Errors
    /// [`Cancelled`](TrainingError::Cancelled) when `cancel` is raised before the last step, and
    /// [`Diverged`](TrainingError::Diverged) when the loss or a gradient is not finite, or a value is beyond 1e18.
    pub fn train(&self, job: &TrainJob, cancel: &Cancel) -> Result<Update, TrainingError> {
        let (client_id, address) = (job.client_id, job.address);
        if job.shard.is_empty() {
            return Err(TrainingError::EmptyShard { client_id, address });
        }
        if job.start.layout() != self.layout() {
            return Err(TrainingError::WrongLayout { client_id, address });
        }
        let failed = |source| {
            let what = format!("training of client {client_id}");
            TrainingError::Tensor { what, source }
        };
        let device = self.backbone.device();
        let task = self.local.begin(&job.start, device).map_err(failed)?;
        let variables = TrainableVars::variables(task.start(), device).map_err(failed)?;
        let mut optimizer = Optimizer::new(&self.config, self.local.trained());
        let batches = self.batches(job);
        let schedule = Schedule::new(&self.config, batches.len());
        let (mut loss_sum, mut n_seen) = (0f64, 0usize);
        for (step, rows) in batches.iter().enumerate() {
            if cancel.is_cancelled() {
                return Err(TrainingError::Cancelled { client_id, address });
            }
            let key = self.seeds.step(Purpose::DropoutMask, client_id, address, step as u32).next_u64();
            let mut pass = Pass::training(key, self.config.dropout.map(|p| p as f32));
            let hooks = self.tuning.implementation().hooks(task.travelling(&variables).map_err(failed)?);
            let (loss, gradients) =
                self.loss_and_gradients(rows, &variables, hooks.as_ref(), &mut pass).map_err(failed)?;
            let norm = optimizer::norm(&gradients).map_err(failed)?;
            if !loss.is_finite() || !norm.is_finite() {
                return Err(TrainingError::Diverged { client_id, address, step });
            }
            loss_sum += loss * rows.len() as f64;
            n_seen += rows.len();
            let factor = clip_factor(norm, self.config.max_grad_norm);
            let learning_rate = self.config.learning_rate * schedule.factor(step);
            let stepped = optimizer.step_in_place(&variables, &gradients, factor, learning_rate);
            if !stepped.map_err(failed)? {
                return Err(TrainingError::Diverged { client_id, address, step });
            }
        }
        let train_loss = loss_sum / n_seen as f64;
        let params = variables.to_params().map_err(failed)?;
        let params = task.finish(params, device).map_err(failed)?;
        if !optimizer::is_sound(params.values()) {
            return Err(TrainingError::Diverged { client_id, address, step: batches.len() - 1 });
        }
        Ok(Update { params, num_examples: job.shard.len(), train_loss, steps: batches.len() })
    }

    /// Measures `params` on a split. The same values give the same bytes on any thread.
    ///
    /// # Errors
    /// When the split is empty or absent, or the device fails.
    pub fn evaluate(&self, params: &Params, split: Split) -> Result<Evaluation, TrainingError> {
        let evaluation = self.evaluate_unless_cancelled(params, split, &Cancel::new())?;
        Ok(evaluation.expect("nobody else has the flag"))
    }

    /// The same; `None` when `cancel` is raised before the last batch.
    ///
    /// # Errors
    /// When the split is empty or absent, or the device fails.
    pub fn evaluate_unless_cancelled(
        &self,
        params: &Params,
        split: Split,
        cancel: &Cancel,
    ) -> Result<Option<Evaluation>, TrainingError> {
        let failed = |source| TrainingError::Tensor { what: format!("evaluation on the {split} split"), source };
        let data = match split {
            Split::Train => Some(&self.data.train),
            Split::Validation => Some(&self.data.validation),
            Split::Test => self.data.test.as_ref(),
        };
        let data = data.filter(|data| !data.is_empty()).ok_or(TrainingError::EmptySplit { split })?;
        let values = TrainableVars::constants(params, self.backbone.device()).map_err(failed)?;
        let hooks = self.tuning.implementation().hooks(values);
        let n_labels = self.data.labels.len();
        evaluation::evaluate(&self.backbone, hooks.as_ref(), data, n_labels, cancel).map_err(failed)
    }

    /// Compares the gradient of every tensor that clients train with finite differences, on a few examples and with the
    /// dropout of training; see [`check_gradients`].
    ///
    /// # Errors
    /// When there are no examples, or the arithmetic fails.
    pub fn check_gradients(&self, start: &Params, n_elements: usize) -> Result<Vec<GradientCheck>, TrainingError> {
        const N_EXAMPLES: usize = 4;
        const STIRRING_SD: f64 = 0.1;
        let failed = |source| TrainingError::Tensor { what: "the check of gradients".into(), source };
        if self.data.train.is_empty() {
            return Err(TrainingError::EmptySplit { split: Split::Train });
        }
        let device = self.backbone.device();
        let task = self.local.begin(start, device).map_err(failed)?;
        // Where a tensor starts at zero, those beside it have no gradient yet. The backbone's own are left alone.
        let mut params = stirred(task.start(), STIRRING_SD);
        let layout = params.layout().clone();
        let of_backbone: BTreeSet<String> =
            backbone_tensors(self.backbone.config()).into_iter().map(|s| s.name).collect();
        for (index, spec) in layout.tensors().iter().enumerate() {
            if of_backbone.contains(&spec.name) {
                let own = &task.start().values()[layout.range(index)];
                params.values_mut()[layout.range(index)].copy_from_slice(own);
            }
        }
        let rows: Vec<usize> = (0..N_EXAMPLES.min(self.data.train.len())).collect();
        let batch = examples::batch(&self.data.train, &rows, &self.backbone).map_err(failed)?;
        let labels = examples::labels(&self.data.train, &rows, &self.backbone).map_err(failed)?;
        let loss = |backbone: &Backbone, values: TrainableVars| {
            let hooks = self.tuning.implementation().hooks(task.travelling(&values)?);
            let mut pass = Pass::training(1, self.config.dropout.map(|p| p as f32));
            cross_entropy(&classify(backbone, &batch, hooks.as_ref(), &mut pass)?, &labels)
        };
        check_gradients(&self.backbone, &params, n_elements, &loss).map_err(failed)
    }

    /// What training takes at the longest example.
    ///
    /// # Errors
    /// When the method does not fit the encoder.
    pub fn memory(&self) -> Result<TrainingMemory, TrainingError> {
        let (config, dtype) = (self.backbone.config(), self.backbone.dtype());
        let longest = self.lengths().into_iter().max().unwrap_or(1);
        Ok(training_memory(config, &self.tuning, self.data.labels.len(), longest, &self.config, dtype)?)
    }

    /// Tokens of each training example.
    pub fn lengths(&self) -> Vec<usize> {
        let train = &self.data.train;
        (0..train.len()).map(|row| examples::n_tokens(train, row, self.backbone.config())).collect()
    }

    /// What devices pay for one epoch on each of these shards: for their rows at their own lengths, and for their steps.
    ///
    /// # Errors
    /// When the method does not fit the encoder.
    pub fn epoch_flops<'a>(&self, shards: impl IntoIterator<Item = &'a [u32]>) -> Result<Vec<Flops>, TrainingError> {
        let config = self.backbone.config();
        let flops = flops_of_length(config, &self.tuning, self.data.labels.len())?;
        let of = |shard: &[u32]| {
            let lengths = shard.iter().map(|&row| examples::n_tokens(&self.data.train, row as usize, config));
            let n_steps = shard.len().div_ceil(self.config.per_device_train_batch_size);
            let of_rows: f64 = lengths.map(|length| flops.at(length).total().0).sum();
            Flops(of_rows + flops.per_batch().total().0 * n_steps as f64)
        };
        Ok(shards.into_iter().map(of).collect())
    }

    /// Writes trained values for use elsewhere; see [`export_adapter`]. Gives the files written.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn export_adapter(&self, params: &Params, dir: &Path) -> Result<Vec<PathBuf>, TrainingError> {
        Ok(export_adapter(&self.tuning, &self.backbone, &self.data.labels, params, dir)?)
    }

    /// The rows of each step: in each epoch the shard is shuffled anew, and cut into batches of which one may be smaller.
    pub(super) fn batches(&self, job: &TrainJob) -> Vec<Vec<u32>> {
        let mut batches = Vec::new();
        for epoch in 0..self.config.num_train_epochs {
            let mut rows = job.shard.to_vec();
            let mut rng = self.seeds.step(Purpose::Shuffle, job.client_id, job.address, epoch as u32);
            rows.shuffle(&mut rng);
            let size = self.config.per_device_train_batch_size;
            if !self.config.group_by_length {
                batches.extend(rows.chunks(size).map(<[u32]>::to_vec));
                continue;
            }
            let length = |row: &u32| examples::n_tokens(&self.data.train, *row as usize, self.backbone.config());
            let window = batches_sorted_together(rows.len(), size).saturating_mul(size);
            // Sorting is stable: rows of equal length keep their drawn order.
            rows.chunks_mut(window).for_each(|window| window.sort_by_key(length));
            let mut grouped: Vec<Vec<u32>> = rows.chunks(size).map(<[u32]>::to_vec).collect();
            // In a drawn order, so that an epoch does not go from short texts to long ones.
            grouped.shuffle(&mut rng);
            batches.extend(grouped);
        }
        batches
    }

    /// Mean loss of a batch, and its gradients in the order of the variables.
    fn loss_and_gradients(
        &self,
        rows: &[u32],
        variables: &TrainableVars,
        hooks: &dyn Hooks,
        pass: &mut Pass,
    ) -> TensorResult<(f64, Vec<Tensor>)> {
        let rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
        let batch = examples::batch(&self.data.train, &rows, &self.backbone)?;
        let labels = examples::labels(&self.data.train, &rows, &self.backbone)?;
        let logits = classify(&self.backbone, &batch, hooks, pass)?;
        let loss = cross_entropy(&logits, &labels)?;
        let mut store = loss.backward()?;
        let mut gradients = Vec::with_capacity(variables.tensors().len());
        for (tensor, spec) in variables.tensors().iter().zip(self.local.trained().tensors()) {
            match store.remove(tensor) {
                Some(gradient) => gradients.push(gradient),
                None => candle_core::bail!("`{}` is trained but received no gradient", spec.name),
            }
        }
        Ok((f64::from(loss.to_scalar::<f32>()?), gradients))
    }
}

/// Batches within which examples are sorted when they are grouped by length, as `get_length_grouped_indices` of
/// transformers has it: a quarter of them, 50 at most and 1 at least.
fn batches_sorted_together(n_examples: usize, batch_size: usize) -> usize {
    const MOST: usize = 50;
    (n_examples / batch_size.saturating_mul(4)).clamp(1, MOST)
}

/// Refuses examples that the encoder cannot take with what the method puts in front of them.
fn check_examples(config: &EncoderConfig, tuning: &TuningConfig, data: &EncodedDataset) -> Result<(), TrainingError> {
    let taken = tuning.implementation().positions(config);
    examples::check(config, &data.train, Split::Train, taken)?;
    examples::check(config, &data.validation, Split::Validation, taken)?;
    data.test.iter().try_for_each(|test| examples::check(config, test, Split::Test, taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_batches_are_sorted_together_as_in_transformers() {
        // mega_batch_mult = min(n // (4 batch_size), 50), at least 1.
        let of = [(20, 4), (20, 2), (31, 2), (32, 2), (3, 32), (6_400, 32), (6_399, 32), (1_000_000, 16)];
        let found = of.map(|(n, size)| batches_sorted_together(n, size));
        assert_eq!(found, [1, 2, 3, 4, 1, 50, 49, 50]);
        assert_eq!(batches_sorted_together(5, usize::MAX), 1);
    }
}
