//! What the arithmetic runs on.

use candle_core::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ModelError;

/// Where training and evaluation run: `compute.device`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostDevice {
    /// The processor.
    #[default]
    Cpu,
    /// The first NVIDIA GPU; needs a program built with `--features cuda`. Sums on a GPU have no fixed order, so a run
    /// repeats to rounding there and not to the byte.
    Cuda,
}

impl HostDevice {
    /// True when this program was built with what the device needs.
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => candle_core::utils::cuda_is_available(),
        }
    }

    /// The device.
    ///
    /// # Errors
    /// When the program was built without it, or the machine has none.
    pub fn open(self) -> Result<Device, ModelError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0).map_err(|error| ModelError::Device { message: without_trace(error) }),
        }
    }

    /// Jobs that a device with `n_cores` processors beside it takes at a time when nobody says how many.
    pub fn workers(self, n_cores: usize) -> usize {
        match self {
            Self::Cpu => n_cores.max(1),
            // Jobs of one GPU share its stream: a second one would wait and hold memory.
            Self::Cuda => 1,
        }
    }
}

/// What is wrong, without the functions that candle came through: they help nobody who has no GPU.
fn without_trace(error: candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => without_trace(*inner),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_device_comes_without_the_way_to_it() {
        let backtrace = Box::new(std::backtrace::Backtrace::force_capture());
        let inner = Box::new(candle_core::Error::Msg("no device".into()));
        assert_eq!(without_trace(candle_core::Error::WithBacktrace { inner, backtrace }), "no device");
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_gpu_without_the_feature_is_an_error() {
        assert!(HostDevice::Cpu.is_built_in() && !HostDevice::Cuda.is_built_in());
        let message = HostDevice::Cuda.open().unwrap_err().to_string();
        assert!(message.starts_with("no GPU can be used: "), "{message}");
    }
}
