//! Frozen weights kept in 16 bits, widened where they are used.

use std::cell::RefCell;

use candle_core::{CpuStorage, DType, Result, Storage, Tensor, bail};
use half::bf16;

use super::lanes::vectorised;
use super::storage::with_slice;

thread_local! {
    /// Room for the largest weight that this thread has widened: it is used again for the next one.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// True when a kernel can take this weight: `f32` or `bf16` in this computer's memory.
pub(super) fn fits_weight(weight: &Tensor) -> bool {
    weight.device().is_cpu() && matches!(weight.dtype(), DType::F32 | DType::BF16)
}

/// Calls `work` with the numbers of a contiguous tensor as `f32`.
pub(super) fn with_widened<R>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> R) -> Result<R> {
    if tensor.dtype() != DType::BF16 {
        return with_slice(tensor, work);
    }
    let (storage, layout) = tensor.storage_and_layout();
    let (Storage::Cpu(CpuStorage::BF16(values)), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
        bail!("a fused operation needs contiguous numbers in this computer's memory");
    };
    // Taken and not borrowed, so that `work` may come here again.
    let mut scratch = SCRATCH.take();
    if scratch.len() < end - start {
        scratch.resize(end - start, 0.0);
    }
    let wide = &mut scratch[..end - start];
    widen(&values[start..end], wide);
    let result = work(wide);
    SCRATCH.set(scratch);
    Ok(result)
}

vectorised! {
    fn widen(narrow: &[bf16], wide: &mut [f32]) {
        for (wide, narrow) in wide.iter_mut().zip(narrow) {
            *wide = f32::from_bits(u32::from(narrow.to_bits()) << 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ops::testing::noise;

    #[test]
    fn widening_is_exact_and_reads_slices() {
        let narrow = noise(&[7, 33], 1).to_dtype(DType::BF16).unwrap();
        let expected = narrow.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(with_widened(&narrow, <[f32]>::to_vec).unwrap(), expected);
        let rows = narrow.narrow(0, 2, 3).unwrap();
        assert_eq!(with_widened(&rows, <[f32]>::to_vec).unwrap(), expected[66..165]);
        assert!(with_widened(&narrow.t().unwrap(), <[f32]>::len).is_err());
    }
}
