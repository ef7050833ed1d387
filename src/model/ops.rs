//! The arithmetic of an encoder, fused for training on a CPU.
//!
//! Each function is one node of candle's graph with its own backward pass. candle's general operations would give the
//! same values, but compute gradients of frozen weights, run element by element without vector instructions and pass
//! over memory many times; two of its fused operations (layer normalisation and softmax) have no backward pass at all
//! and cut the graph. Where a fused kernel cannot run (another device, another number type) the same function is
//! composed of candle's operations, so callers never need to ask.
//!
//! Results depend on the inputs alone, not on the number of threads; gradients are computed only for inputs that lead
//! to a variable (a composed product of two activations makes both), and no graph is kept when none does.

mod attention;
mod composed;
mod dropout;
mod elementwise;
mod frozen;
mod gelu;
mod heap;
mod lanes;
mod layer_norm;
mod linear;
mod matrix;
mod relu;
mod storage;
#[cfg(test)]
mod testing;
mod widened;

pub use attention::attention;
pub use dropout::{Dropout, dropout};
pub use gelu::gelu;
pub use heap::keep_freed_memory;
pub use layer_norm::{add_layer_norm, layer_norm};
pub use linear::{add_linear, frozen_linear, linear};
pub use relu::relu;
pub use storage::{update, with_values};
