//! Everything that a run needs, checked and resolved before the clock starts.

use std::sync::Arc;

use super::server::RoundSettings;
use super::trainer::Trainer;
use crate::params::Params;
use crate::seed::{Purpose, Seeds};
use crate::sim::{
    AvailabilityModel, ComputeConfig, DeviceClassConfig, DropoutConfig, NetworkClassConfig, ServerNetworkConfig,
    TrainingWork, classes, training_duration,
};
use crate::units::{Bytes, Flops};

/// How many training examples each client holds.
#[derive(Debug, Clone)]
pub enum ShardSizes {
    /// The sizes of real shards.
    Dealt(Arc<[u32]>),
    /// The same for each client of a timing-only run.
    Fixed(u32),
    /// Log-normal over the clients of a timing-only run, rounded, at least 1.
    Lognormal {
        /// Half of the clients hold fewer.
        median: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
}

/// Operations to train once on one sample, forward and backward.
#[derive(Debug, Clone)]
pub enum SampleCosts {
    /// The same for each client.
    Same(Flops),
    /// The mean over each client's samples.
    ByClient(Arc<[f64]>),
}

impl SampleCosts {
    /// The mean over a client's samples.
    pub fn of(&self, client_id: u32) -> Flops {
        match self {
            Self::Same(flops) => *flops,
            Self::ByClient(flops) => Flops(flops[client_id as usize]),
        }
    }
}

/// Who the clients are: devices, links, shards, and what a task costs them.
pub struct Population {
    /// The root of all draws.
    pub seeds: Seeds,
    /// Registered clients are `0..n_clients`.
    pub n_clients: u32,
    /// Device classes with their names, in the scenario's order.
    pub devices: Vec<(String, DeviceClassConfig)>,
    /// Network classes with their names, in the scenario's order.
    pub networks: Vec<(String, NetworkClassConfig)>,
    /// Examples per client.
    pub shard_sizes: ShardSizes,
    /// Operations to train once on one sample.
    pub sample_costs: SampleCosts,
    /// Memory that local training takes on a device.
    pub training_memory: Bytes,
    /// Passes over a shard in one task.
    pub n_epochs: u64,
    /// Length of the encoded model that a client downloads.
    pub downlink_payload: Bytes,
    /// Length of the encoded update that a client uploads.
    pub uplink_payload: Bytes,
}

/// The inputs of a run.
pub struct Plan {
    /// Who the clients are.
    pub population: Arc<Population>,
    /// The server's link.
    pub server_network: ServerNetworkConfig,
    /// When clients are online.
    pub availability: Arc<dyn AvailabilityModel>,
    /// How tasks fail.
    pub dropout: DropoutConfig,
    /// How rounds are run.
    pub rounds: RoundSettings,
    /// Learning; none in timing-only runs.
    pub learning: Option<Learning>,
    /// Idle client actors that stay alive.
    pub idle_clients_max: usize,
}

/// The learning half of a run.
pub struct Learning {
    /// Local training and evaluation.
    pub trainer: Arc<dyn Trainer>,
    /// The global model at the start.
    pub initial: Arc<Params>,
    /// Jobs that compute at the same time.
    pub workers: usize,
}

impl Population {
    /// How many training examples a client holds.
    pub fn num_examples(&self, client_id: u32) -> u32 {
        match &self.shard_sizes {
            ShardSizes::Dealt(sizes) => sizes[client_id as usize],
            ShardSizes::Fixed(size) => *size,
            ShardSizes::Lognormal { median, sigma } => {
                use rand::RngExt;
                let z: f64 = self.seeds.client(Purpose::ShardSize, client_id).sample(rand_distr::StandardNormal);
                // The cast saturates, so an absurd draw becomes the largest size instead of wrapping.
                ((median * (sigma * z).exp()).round() as u32).max(1)
            }
        }
    }

    /// Number of a client's device class.
    pub fn device_class(&self, client_id: u32) -> usize {
        class_of(&self.devices, |(_, class)| class.share, &self.seeds, Purpose::DeviceClass, client_id)
    }

    /// Number of a client's network class.
    pub fn network_class(&self, client_id: u32) -> usize {
        class_of(&self.networks, |(_, class)| class.share, &self.seeds, Purpose::NetworkClass, client_id)
    }

    /// A client's part of the training work.
    pub fn training_work(&self, client_id: u32) -> TrainingWork {
        TrainingWork {
            client_id,
            flops_per_sample: self.sample_costs.of(client_id),
            n_samples: u64::from(self.num_examples(client_id)),
            n_epochs: self.n_epochs,
        }
    }

    /// Seconds that a task takes a client by its own statement: its links at their rates with nobody else on the
    /// server's, its device without jitter. Infinite when a time cannot be computed.
    pub fn stated_seconds(&self, client_id: u32) -> f64 {
        let network = &self.networks[self.network_class(client_id)].1;
        let compute = &self.devices[self.device_class(client_id)].1.compute;
        let steady = ComputeConfig { jitter: None, ..compute.clone() };
        let mut of_device = self.seeds.client(Purpose::DeviceSpeed, client_id);
        let mut unused = self.seeds.client(Purpose::DeviceJitter, client_id);
        let training = training_duration(&steady, &self.training_work(client_id), &mut of_device, &mut unused);
        let transfers = network.downlink.time_for(self.downlink_payload).as_secs_f64()
            + network.uplink.time_for(self.uplink_payload).as_secs_f64()
            + 2.0 * network.latency.as_secs_f64();
        training.map_or(f64::INFINITY, |training| training.as_secs_f64() + transfers)
    }
}

fn class_of<T>(all: &[T], share: impl Fn(&T) -> f64, seeds: &Seeds, purpose: Purpose, client_id: u32) -> usize {
    if all.len() == 1 {
        return 0;
    }
    let shares: Vec<f64> = all.iter().map(share).collect();
    classes::assign(&shares, seeds, purpose, client_id)
}
