//! What a run takes of the memory of the machine that it runs on.

use crate::actors::pool::Pool;
use crate::params::Layout;
use crate::training::TrainingMemory;
use crate::units::Bytes;

/// An estimate of the memory that a run takes on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunMemory {
    /// The frozen encoder, which all workers share.
    frozen: Bytes,
    /// What a worker's training takes, and the updates that wait for it to be used.
    per_worker: Bytes,
}

impl RunMemory {
    /// `largest_shard`: the examples of the client that holds most.
    pub(super) fn new(training: TrainingMemory, largest_shard: usize, travelling: &Layout) -> Self {
        let update = size_of::<f32>() * travelling.n_elements();
        let waiting = Bytes::new((Pool::JOBS_PER_WORKER * update) as u64);
        Self { frozen: training.frozen, per_worker: training.own(largest_shard) + waiting }
    }

    /// With so many workers.
    pub fn with(self, workers: usize) -> Bytes {
        self.frozen + Bytes::new(self.per_worker.get() * workers as u64)
    }

    /// The largest number of workers that fit into this much memory; none when not even one does.
    pub fn workers_within(self, limit: Bytes) -> Option<usize> {
        let room = limit.get().checked_sub(self.frozen.get())?;
        Some((room / self.per_worker.get().max(1)) as usize).filter(|workers| *workers >= 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::TensorSpec;

    #[test]
    fn workers_share_the_frozen_encoder_and_each_has_the_rest() {
        let training = TrainingMemory {
            frozen: Bytes::new(1000),
            trained: Bytes::new(40),
            per_example: Bytes::new(20),
            batch_size: 32,
        };
        let memory = RunMemory::new(training, 3, &Layout::new(vec![TensorSpec::new("w", [10])]));
        // Beside its 40 + 3 x 20 = 100 B, four updates of 10 numbers in 4 B wait for each worker.
        assert_eq!(memory.with(3).get(), 1000 + 3 * (100 + 4 * 40));
        let fitting = [1780, 1779, 1260, 1259, 999].map(|limit| memory.workers_within(Bytes::new(limit)));
        assert_eq!(fitting, [Some(3), Some(2), Some(1), None, None]);
    }
}
