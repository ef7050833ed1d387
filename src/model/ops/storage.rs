//! From candle's tensors to slices and back.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, bail};

/// True when the kernels can run: every tensor lies in this computer's memory as `f32`.
pub(super) fn fits_kernels(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|tensor| tensor.device().is_cpu() && tensor.dtype() == DType::F32)
}

/// The numbers of a contiguous tensor, as candle hands them to an operation.
pub(super) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let values = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("a fused operation needs contiguous numbers"),
    }
}

/// Calls `work` with the numbers of a contiguous tensor.
pub(super) fn with_slice<R>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(work(slice(storage, layout)?)),
        _ => bail!("a fused operation needs numbers in this computer's memory"),
    }
}
