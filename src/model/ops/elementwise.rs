//! A function of each element, with its own derivative.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::storage::{slice, with_slice};

/// What is done with the numbers of a tensor of f32.
pub(super) struct Elementwise {
    pub(super) name: &'static str,
    /// The results.
    pub(super) forward: fn(&[f32]) -> Vec<f32>,
    /// Of the inputs and the gradient of the results: the gradient of the inputs.
    pub(super) backward: fn(&[f32], &[f32]) -> Vec<f32>,
}

impl CustomOp1 for Elementwise {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(storage, layout)?;
        Ok((CpuStorage::F32((self.forward)(x)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let of_both = |gradient: &[f32]| with_slice(x, |x| (self.backward)(x, gradient));
        let out = with_slice(&gradient.contiguous()?, of_both)??;
        Tensor::from_vec(out, x.shape(), x.device()).map(Some)
    }
}
