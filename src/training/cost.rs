//! What a device pays for training: operations and memory, counted from shapes alone.
//!
//! A multiplication with its addition counts as two operations. Counted are matrix products, which make up all but a
//! few per cent of the work of an encoder: for a linear map of m inputs and n outputs, per token,
//!
//! - 2 m n forward,
//! - 2 m n backward to its input, when something below it is trained,
//! - 2 m n for the gradient of its weight, when that is trained;
//!
//! and for attention over s tokens of width h, 4 s^2 h forward (scores, and the mean of the values) and twice that
//! backward, when something below it is trained. Below the lowest trained tensor there is no backward pass.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Optim, TrainConfig};
use crate::model::{
    EncoderConfig, ModelDtype, Place, Projection, Site, Sublayer, backbone_tensors, head_tensors, is_kept_in_16_bits,
};
use crate::params::{Layout, TensorSpec};
use crate::petuning::{StepMaps, TrainableTensor, TuningConfig, TuningError, trainable_tensors, travelling_tensors};
use crate::units::{Bytes, Flops};

/// Operations of training on examples of one length: forward, backward through frozen layers, and the gradients of what
/// is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingFlops {
    /// For each example.
    pub per_example: SampleFlops,
    /// Beside that for each batch, however many examples it has.
    pub per_batch: SampleFlops,
}

/// Operations of training on examples of `seq_len` tokens.
///
/// # Errors
/// When the method asks for something that the encoder does not have.
pub fn training_flops(
    config: &EncoderConfig,
    tuning: &TuningConfig,
    n_labels: usize,
    seq_len: usize,
) -> Result<TrainingFlops, TuningError> {
    let flops = flops_of_length(config, tuning, n_labels)?;
    Ok(TrainingFlops { per_example: flops.at(seq_len), per_batch: flops.per_batch() })
}

/// Memory for training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingMemory {
    /// Frozen weights, which jobs on one machine share.
    pub frozen: Bytes,
    /// Trained numbers, their gradients and moments, which each job has for itself.
    pub trained: Bytes,
    /// What is kept of each example of a batch for the backward pass.
    pub per_example: Bytes,
    /// Examples of a full batch.
    pub batch_size: usize,
}

impl TrainingMemory {
    /// What a job has for itself that trains on so many examples: they fill one batch at most.
    pub fn own(self, n_examples: usize) -> Bytes {
        let in_batch = n_examples.min(self.batch_size) as u64;
        let kept = self.per_example.get().saturating_mul(in_batch);
        Bytes::new(self.trained.get().saturating_add(kept))
    }

    /// What a device takes that trains on its own on so many examples.
    pub fn total(self, n_examples: usize) -> Bytes {
        Bytes::new(self.frozen.get().saturating_add(self.own(n_examples).get()))
    }
}

/// An estimate of the memory for training: weights (frozen matrices in `dtype`, all others in `f32`), gradients and the
/// optimizer's moments in `f32` (two for each trained number with AdamW, none with SGD), and the values that are kept for
/// the backward pass of a batch of examples of `seq_len` tokens.
///
/// Kept are, per token of each layer from the lowest trained one upwards, 9 vectors of the hidden width (input, queries,
/// keys, values, attended values, and input and output of the two layer normalisations), 2 of the intermediate width,
/// and one attention weight per head and token attended. Below, one layer at a time.
///
/// # Errors
/// When the method asks for something that the encoder does not have.
pub fn training_memory(
    config: &EncoderConfig,
    tuning: &TuningConfig,
    n_labels: usize,
    seq_len: usize,
    train: &TrainConfig,
    dtype: ModelDtype,
) -> Result<TrainingMemory, TuningError> {
    let trained = trainable_tensors(tuning, config, n_labels)?;
    let count = |tensors: &mut dyn Iterator<Item = &TensorSpec>| tensors.map(TensorSpec::n_elements).sum::<usize>();
    let n_trained = count(&mut trained.iter().map(|tensor| &tensor.spec));
    let replaced: BTreeSet<&str> =
        trained.iter().filter(|tensor| tensor.init.is_none()).map(|tensor| tensor.spec.name.as_str()).collect();
    let backbone = backbone_tensors(config);
    let kept_frozen = || backbone.iter().filter(|spec| !replaced.contains(spec.name.as_str()));
    let n_matrices = count(&mut kept_frozen().filter(|spec| is_kept_in_16_bits(spec)));
    let n_vectors = count(&mut kept_frozen().filter(|spec| !is_kept_in_16_bits(spec)));
    // Matrices and tables that are frozen may be kept in 16 bits.
    let frozen = n_vectors
        + match dtype {
            ModelDtype::F32 => n_matrices,
            ModelDtype::Bf16 => n_matrices.div_ceil(2),
        };
    // A trained number has a gradient, and its moments.
    let trained_times = match train.optim {
        Optim::Adamw => 4,
        Optim::Sgd => 2,
    };
    let method = tuning.implementation();
    let seq_len = seq_len + method.extra_tokens();
    let n_keys = seq_len + method.extra_keys();
    let per_layer = 9 * config.hidden_size + 2 * config.intermediate + config.heads * n_keys;
    // One layer more than those that are kept stands for the values of the moment.
    let kept = config.layers.saturating_sub(lowest_depth(config, tuning, &trained).saturating_sub(1) / STAGES) + 1;
    let bytes = |numbers: usize| Bytes::new((numbers as u64).saturating_mul(4));
    Ok(TrainingMemory {
        frozen: bytes(frozen),
        trained: bytes(n_trained.saturating_mul(trained_times)),
        per_example: bytes(seq_len.saturating_mul(kept).saturating_mul(per_layer)),
        batch_size: train.per_device_train_batch_size,
    })
}

/// What a tuning method trains, sends and costs.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodCost {
    /// Numbers that are trained, those of the head included.
    pub n_trainable: usize,
    /// Numbers of the classification head.
    pub n_head: usize,
    /// The tensors that travel.
    pub travelling: Arc<Layout>,
    /// Operations for one example in a batch that is as full as can be, on average over the examples.
    pub flops: SampleFlops,
    /// Memory at the longest example and such a batch.
    pub memory: Bytes,
}

/// Counts a method's numbers and operations for examples of these lengths in tokens, on clients of which the largest holds
/// `largest_shard` examples.
///
/// # Errors
/// When the method asks for something that the encoder does not have.
pub fn method_cost(
    config: &EncoderConfig,
    tuning: &TuningConfig,
    n_labels: usize,
    (lengths, largest_shard): (&[usize], usize),
    train: &TrainConfig,
    dtype: ModelDtype,
) -> Result<MethodCost, TuningError> {
    let count = |tensors: &[TrainableTensor]| tensors.iter().map(|tensor| tensor.spec.n_elements()).sum();
    let travelling = travelling_tensors(tuning, config, n_labels)?;
    let n_head = head_tensors(config, n_labels).iter().map(|(spec, _)| spec.n_elements()).sum();
    let flops = flops_of_length(config, tuning, n_labels)?;
    let in_batch = train.per_device_train_batch_size.min(largest_shard).max(1);
    let (n, batch_size) = (lengths.len().max(1) as f64, in_batch as f64);
    let mean = |of: fn(SampleFlops) -> Flops| {
        let sum: f64 = lengths.iter().map(|&length| of(flops.at(length)).0).sum();
        Flops(sum / n + of(flops.per_batch()).0 / batch_size)
    };
    let longest = lengths.iter().copied().max().unwrap_or(1);
    Ok(MethodCost {
        n_trainable: count(&trainable_tensors(tuning, config, n_labels)?),
        n_head,
        travelling: Layout::new(travelling.into_iter().map(|tensor| tensor.spec).collect()),
        flops: SampleFlops { forward: mean(|flops| flops.forward), backward: mean(|flops| flops.backward) },
        memory: training_memory(config, tuning, n_labels, longest, train, dtype)?.total(largest_shard),
    })
}

/// Operations for training once on one example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleFlops {
    /// From the input to the loss.
    pub forward: Flops,
    /// From the loss to the gradients of what is trained.
    pub backward: Flops,
}

impl SampleFlops {
    /// Both passes.
    pub fn total(self) -> Flops {
        Flops(self.forward.0 + self.backward.0)
    }
}

/// Operations of one pass and of the other.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Passes {
    forward: f64,
    backward: f64,
}

impl Passes {
    /// Adds a linear map applied `times` times: 2 m n operations forwards, as many for the gradient of its input and as
    /// many for that of its weight.
    fn add_map(&mut self, (n_in, n_out): (usize, usize), times: usize, to_input: bool, to_weight: bool) {
        let product = 2.0 * n_in as f64 * n_out as f64 * times as f64;
        self.forward += product;
        self.backward += product * f64::from(u8::from(to_input) + u8::from(to_weight));
    }
}

/// Operations as a polynomial of an example's number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct FlopsOfLength {
    per_example: Passes,
    per_token: Passes,
    per_token_pair: Passes,
    /// Beside that for each batch.
    per_batch: Passes,
    /// Tokens that the method adds to each example.
    extra_tokens: usize,
}

impl FlopsOfLength {
    pub(super) fn at(&self, n_tokens: usize) -> SampleFlops {
        let n = (n_tokens + self.extra_tokens) as f64;
        let of = |part: fn(&Passes) -> f64| {
            Flops(part(&self.per_example) + n * (part(&self.per_token) + n * part(&self.per_token_pair)))
        };
        SampleFlops { forward: of(|passes| passes.forward), backward: of(|passes| passes.backward) }
    }

    /// What is computed once for a batch, however many examples it has.
    pub(super) fn per_batch(&self) -> SampleFlops {
        SampleFlops { forward: Flops(self.per_batch.forward), backward: Flops(self.per_batch.backward) }
    }
}

pub(super) fn flops_of_length(
    config: &EncoderConfig,
    tuning: &TuningConfig,
    n_labels: usize,
) -> Result<FlopsOfLength, TuningError> {
    let method = tuning.implementation();
    let trained = trainable_tensors(tuning, config, n_labels)?;
    let names: BTreeSet<&str> = trained.iter().map(|tensor| tensor.spec.name.as_str()).collect();
    let lowest = lowest_depth(config, tuning, &trained);
    let mut flops = FlopsOfLength { extra_tokens: method.extra_tokens(), ..FlopsOfLength::default() };
    for site in Site::all(config) {
        let name = site.to_string();
        let to_weight = names.contains(format!("{name}.weight").as_str());
        let to_input = lowest < depth(config, &name) || method.scales_input(site);
        flops.per_token.add_map(site.projection.size(config), 1, to_input, to_weight);
    }
    for inserted in method.inserted(config) {
        let passes_below = lowest < depth(config, &inserted.site.to_string());
        for (i, size) in inserted.sizes.iter().enumerate() {
            flops.per_token.add_map(*size, 1, i > 0 || passes_below, true);
        }
    }
    for layer in 0..config.layers {
        let forward = 4.0 * config.hidden_size as f64;
        flops.per_token_pair.forward += forward;
        flops.per_token_pair.backward += if lowest < attention_depth(layer) { 2.0 * forward } else { 0.0 };
    }
    // Every token attends to the method's own keys as well.
    let extra_keys = method.extra_keys() as f64;
    flops.per_token.forward += extra_keys * flops.per_token_pair.forward;
    flops.per_token.backward += extra_keys * flops.per_token_pair.backward;
    for StepMaps { times, sizes } in method.per_step(config) {
        sizes.iter().for_each(|&size| flops.per_batch.add_map(size, times, true, true));
    }
    // Linear maps of single vectors: the pooler and the head work on the first token, each map of a patch on its own.
    let is_map = |spec: &TensorSpec| spec.shape.len() > 1 && spec.name.ends_with(".weight");
    let size = |spec: &TensorSpec| (spec.shape[1..].iter().product(), spec.shape[0]);
    for spec in backbone_tensors(config).iter().filter(|spec| is_map(spec)) {
        let to_weight = names.contains(spec.name.as_str());
        match (Place::of(&spec.name, config), config.vision) {
            (Place::Top, _) => flops.per_example.add_map(size(spec), 1, lowest < top(config), to_weight),
            (Place::Embeddings, Some(vision)) => {
                flops.per_example.add_map(size(spec), vision.n_patches(), false, to_weight);
            }
            _ => {}
        }
    }
    let head = head_tensors(config, n_labels);
    for (i, (spec, _)) in head.iter().filter(|(spec, _)| is_map(spec)).enumerate() {
        flops.per_example.add_map(size(spec), 1, i > 0 || lowest < top(config) + 1, true);
    }
    Ok(flops)
}

/// Places of one layer in the order of computation: queries, keys and values; attention; its output map; the two maps of
/// the feed-forward part.
const STAGES: usize = 5;

fn attention_depth(layer: usize) -> usize {
    1 + layer * STAGES + 1
}

/// The place of what stands above the layers, such as BERT's pooler; the head comes after it.
fn top(config: &EncoderConfig) -> usize {
    1 + config.layers * STAGES
}

fn lowest_depth(config: &EncoderConfig, tuning: &TuningConfig, trained: &[TrainableTensor]) -> usize {
    let adds_tokens = tuning.implementation().extra_tokens() > 0;
    let depth = |tensor: &TrainableTensor| match Place::of(&tensor.spec.name, config) {
        // Keys and values of a prefix join those of the first layer, whose own maps need no gradient of their input.
        Place::Elsewhere if !adds_tokens => 1,
        _ => depth(config, &tensor.spec.name),
    };
    trained.iter().map(depth).min().unwrap_or(usize::MAX)
}

/// The place of a tensor in the order of computation: embeddings 0, then the layers, what stands above them, the head.
fn depth(config: &EncoderConfig, name: &str) -> usize {
    let in_layer = |layer: usize, stage: usize| 1 + layer * STAGES + stage;
    match Place::of(name, config) {
        Place::Embeddings => 0,
        Place::Projection(site) => in_layer(
            site.layer,
            match site.projection {
                Projection::Query | Projection::Key | Projection::Value => 0,
                Projection::AttentionOutput => 2,
                Projection::Intermediate => 3,
                Projection::Output => 4,
            },
        ),
        // Normalisation counts to the map whose output it takes, so that the next one passes gradients to it.
        Place::Norm { layer, sublayer: Sublayer::Attention } if config.kind.norms_first() => in_layer(layer, 0) - 1,
        Place::Norm { layer, sublayer: Sublayer::Attention } => in_layer(layer, 2),
        Place::Norm { layer, sublayer: Sublayer::FeedForward } if config.kind.norms_first() => in_layer(layer, 2),
        Place::Norm { layer, sublayer: Sublayer::FeedForward } => in_layer(layer, 4),
        Place::Layer(layer) => in_layer(layer, 0),
        Place::Top => top(config),
        Place::Head => top(config) + 1,
        // Such as a prompt: it passes through everything.
        Place::Elsewhere => 0,
    }
}

#[cfg(test)]
mod tests;
