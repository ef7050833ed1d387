//! From candle's tensors to slices and back.

use std::sync::Mutex;

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Storage, Tensor, Var, bail};

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

/// Calls `work` with the `f32` numbers of a tensor on any device, in order.
///
/// # Errors
/// When the numbers are of another type, or the device fails.
pub fn with_values<R>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> R) -> Result<R> {
    if tensor.device().is_cpu() {
        return with_slice(&tensor.contiguous()?, work);
    }
    Ok(work(&tensor.flatten_all()?.to_vec1()?))
}

/// Changes the `f32` numbers of a variable on any device where they lie; whoever holds the variable sees the new ones.
///
/// # Errors
/// When the tensor is no variable, the numbers are of another type, or the device fails.
pub fn update(variable: &Tensor, work: impl FnMut(&mut [f32])) -> Result<()> {
    if !variable.is_variable() {
        bail!("only the numbers of a variable can be changed");
    }
    if variable.device().is_cpu() {
        return variable.inplace_op1(&InPlace(Mutex::new(work)));
    }
    let (mut work, mut values) = (work, variable.flatten_all()?.to_vec1()?);
    work(&mut values);
    Var::from_tensor(variable)?.set(&Tensor::from_vec(values, variable.shape(), variable.device())?)
}

/// Work on a tensor's numbers. candle shares an operation; the lock only says that it is called once.
struct InPlace<F>(Mutex<F>);

impl<F: FnMut(&mut [f32])> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        "update"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else { bail!("a variable is contiguous") };
        let CpuStorage::F32(values) = storage else { bail!("a variable is of f32 numbers") };
        let mut work = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut values[start..end]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_variable_is_changed_for_all_who_hold_it_and_nothing_else_is() {
        let variable = Var::new(&[1f32, 2.0, 3.0], &Device::Cpu).unwrap();
        let holder = variable.as_tensor().clone();
        update(variable.as_tensor(), |values| values.iter_mut().for_each(|value| *value *= 2.0)).unwrap();
        assert_eq!(with_values(&holder, <[f32]>::to_vec).unwrap(), [2.0, 4.0, 6.0]);
        let constant = Tensor::new(&[1f32], &Device::Cpu).unwrap();
        assert!(update(&constant, |_| ()).is_err());
    }
}
