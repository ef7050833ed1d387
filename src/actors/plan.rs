//! Everything that a run needs, checked and resolved before the clock starts.

mod facts;

use std::sync::Arc;

pub use self::facts::Facts;

use super::server::RoundSettings;
use super::trainer::Trainer;
use crate::params::Params;
use crate::seed::{Purpose, Seeds};
use crate::sim::{
    AvailabilityModel, CrashConfig, DeviceClass, DeviceClassConfig, Direction, DropoutConfig, GroupNames, InFlight,
    LinkClass, Membership, NEVER, NetworkClassConfig, Outages, RegionConfig, RestartConfig, ServerNetworkConfig,
    TrainingWork, UploadConfig, classes,
};
use crate::training::TrainingMemory;
use crate::units::{Bandwidth, Bytes, Flops, SimDuration, SimTime};

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
    /// The same for each client and each sample; batches cost something of their own, full or not.
    Same {
        /// For each sample.
        per_sample: Flops,
        /// Beside that for each batch.
        per_batch: Flops,
        /// Samples of a full batch, >= 1.
        batch_size: u64,
    },
    /// The mean over each client's samples.
    ByClient(Arc<[f64]>),
}

impl SampleCosts {
    /// The mean over a client's samples, of which it has `n_samples`, >= 1.
    pub fn of(&self, client_id: u32, n_samples: u64) -> Flops {
        match self {
            Self::Same { per_sample, per_batch, batch_size } => {
                let batches_per_sample = n_samples.div_ceil(*batch_size) as f64 / n_samples as f64;
                Flops(per_sample.0 + per_batch.0 * batches_per_sample)
            }
            Self::ByClient(flops) => Flops(flops[client_id as usize]),
        }
    }
}

/// A named class of clients.
pub struct Class<C, M> {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub config: C,
    /// What answers for it.
    pub model: M,
}

/// Who the clients are: devices, links, shards, and what a task costs them.
pub struct Population {
    /// The root of all draws.
    pub seeds: Seeds,
    /// Registered clients are `0..n_clients`.
    pub n_clients: u32,
    /// Device classes, in the scenario's order.
    pub devices: Vec<Class<DeviceClassConfig, DeviceClass>>,
    /// Network classes, in the scenario's order.
    pub networks: Vec<Class<NetworkClassConfig, LinkClass>>,
    /// Regions with their names, in the scenario's order; empty when there are none.
    pub regions: Vec<(String, RegionConfig)>,
    /// Examples per client.
    pub shard_sizes: ShardSizes,
    /// Operations to train once on one sample.
    pub sample_costs: SampleCosts,
    /// Memory that local training takes on a device, by the examples that it has.
    pub training_memory: TrainingMemory,
    /// Passes over a shard in one task.
    pub n_epochs: u64,
    /// Rates of the server's link, by [`Direction`]: what a transfer alone on its way cannot exceed. None: no limit.
    pub server_rates: [Option<Bandwidth>; 2],
    /// Length of the encoded model that a client downloads.
    pub downlink_payload: Bytes,
    /// Length of the encoded update that a client uploads.
    pub uplink_payload: Bytes,
    /// What was drawn already.
    pub facts: Facts,
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
    /// How often devices crash at work.
    pub crashes: Option<CrashConfig>,
    /// Windows in which clients are offline together; `availability` knows them too.
    pub outages: Option<Outages>,
    /// What becomes of uploads that break off.
    pub uploads: UploadConfig,
    /// When the server goes down.
    pub restarts: Vec<RestartConfig>,
    /// How rounds are run.
    pub rounds: RoundSettings,
    /// Learning; none in timing-only runs.
    pub learning: Option<Learning>,
    /// The state is told after every so many rounds.
    pub checkpoint_every: Option<u32>,
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

impl Plan {
    /// When the server next loses what is under way, from `now` on; [`NEVER`] if it does not.
    pub(super) fn next_loss(&self, now: SimTime) -> SimTime {
        let losses = self.restarts.iter().filter(|restart| restart.in_flight == InFlight::Lost);
        losses.map(|restart| SimTime::ZERO + restart.at).find(|at| *at >= now).unwrap_or(NEVER)
    }
}

impl Population {
    /// How many training examples a client holds.
    pub fn num_examples(&self, client_id: u32) -> u32 {
        self.facts.num_examples(client_id, || match &self.shard_sizes {
            ShardSizes::Dealt(sizes) => sizes[client_id as usize],
            ShardSizes::Fixed(size) => *size,
            ShardSizes::Lognormal { median, sigma } => {
                use rand::RngExt;
                let z: f64 = self.seeds.client(Purpose::ShardSize, client_id).sample(rand_distr::StandardNormal);
                // The cast saturates, so an absurd draw becomes the largest size instead of wrapping.
                ((median * (sigma * z).exp()).round() as u32).max(1)
            }
        })
    }

    /// Number of a client's device class.
    pub fn device_class(&self, client_id: u32) -> usize {
        self.membership(client_id).device
    }

    /// Number of a client's network class.
    pub fn network_class(&self, client_id: u32) -> usize {
        self.membership(client_id).network
    }

    /// Delay that the link of a region adds to those of its clients; none when there are no regions.
    pub fn latency_of_region(&self, number: usize) -> SimDuration {
        self.regions.get(number).map(|(_, region)| region.latency).unwrap_or_default()
    }

    /// Number of a client's region; 0 when there are none.
    pub fn region(&self, client_id: u32) -> usize {
        self.membership(client_id).region
    }

    /// What a client belongs to.
    pub fn membership(&self, client_id: u32) -> Membership {
        let [device, network, region] = self.facts.membership(client_id, || {
            let seeds = &self.seeds;
            [
                class_of(&self.devices, |class| class.config.share, seeds, Purpose::DeviceClass, client_id),
                class_of(&self.networks, |class| class.config.share, seeds, Purpose::NetworkClass, client_id),
                class_of(&self.regions, |(_, region)| region.share, seeds, Purpose::Region, client_id),
            ]
        });
        Membership { device, network, region }
    }

    /// Names of what clients belong to.
    pub fn group_names(&self) -> GroupNames {
        GroupNames {
            devices: self.devices.iter().map(|class| class.name.clone()).collect(),
            networks: self.networks.iter().map(|class| class.name.clone()).collect(),
            regions: self.regions.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Examples of the client that holds most.
    pub fn largest_shard(&self) -> u32 {
        match &self.shard_sizes {
            ShardSizes::Fixed(size) => *size,
            ShardSizes::Dealt(_) | ShardSizes::Lognormal { .. } => {
                (0..self.n_clients).map(|client_id| self.num_examples(client_id)).max().unwrap_or(0)
            }
        }
    }

    /// Memory that local training takes on a client's device: that of a batch, or of its shard where that is smaller.
    pub fn memory_to_train(&self, client_id: u32) -> Bytes {
        self.training_memory.total(self.num_examples(client_id) as usize)
    }

    /// Device classes of which no client has the memory to train: the class's number, how many clients it has, and of the
    /// one that lacks least what it has and what it takes.
    pub fn classes_that_cannot_train(&self) -> Vec<(usize, u32, [Bytes; 2])> {
        if self.devices.iter().all(|class| class.config.memory.is_none() && class.config.compute.table.is_none()) {
            return Vec::new();
        }
        let lacks = |[has, takes]: [Bytes; 2]| takes.get() - has.get();
        // None once some client of the class can train.
        let mut found = vec![Some((0, None)); self.devices.len()];
        for client_id in 0..self.n_clients {
            let class = self.device_class(client_id);
            let Some((n, nearest)) = found[class] else { continue };
            let both = self.devices[class].model.memory(client_id).map(|has| [has, self.memory_to_train(client_id)]);
            found[class] = both.filter(|[has, takes]| has < takes).map(|both| {
                let nearest = nearest.filter(|other| lacks(*other) <= lacks(both));
                (n + 1, Some(nearest.unwrap_or(both)))
            });
        }
        let found = found.into_iter().enumerate();
        found.filter_map(|(class, found)| found.and_then(|(n, nearest)| Some((class, n, nearest?)))).collect()
    }

    /// True when some device states the power that it draws.
    pub fn counts_energy(&self) -> bool {
        self.devices.iter().any(|class| class.model.power().is_some())
    }

    /// The regions' shared links.
    pub fn links_of_regions(&self) -> Vec<RegionConfig> {
        self.regions.iter().map(|(_, region)| region.clone()).collect()
    }

    /// Operations to train once on one of a client's samples, on average.
    pub fn flops_per_sample(&self, client_id: u32) -> Flops {
        self.sample_costs.of(client_id, u64::from(self.num_examples(client_id)))
    }

    /// A client's part of the training work.
    pub fn training_work(&self, client_id: u32) -> TrainingWork {
        TrainingWork {
            client_id,
            flops_per_sample: self.flops_per_sample(client_id),
            n_samples: u64::from(self.num_examples(client_id)),
            n_epochs: self.n_epochs,
        }
    }

    /// Rate of a client's transfers with nobody else on their way: that of its own link, its region's or the server's,
    /// whichever is slowest.
    pub fn lone_rate(&self, client_id: u32, direction: Direction) -> Bandwidth {
        let Membership { network, region, .. } = self.membership(client_id);
        let own = self.networks[network].model.nominal_rate(client_id, direction, self.latency_of_region(region));
        let of_region = self.regions.get(region).and_then(|(_, region)| region.rate(direction));
        own.at_most(of_region).at_most(self.server_rates[direction as usize])
    }

    /// Seconds that a task takes a client by its own statement: its transfers with nobody else on their way, its device
    /// without jitter. Infinite when a time cannot be computed.
    pub fn stated_seconds(&self, client_id: u32) -> f64 {
        let network = &self.networks[self.network_class(client_id)];
        let training =
            self.devices[self.device_class(client_id)].model.nominal_duration(&self.training_work(client_id));
        let transfers = self.lone_rate(client_id, Direction::Down).time_for(self.downlink_payload).as_secs_f64()
            + self.lone_rate(client_id, Direction::Up).time_for(self.uplink_payload).as_secs_f64()
            + 2.0 * network.model.nominal_latency(self.latency_of_region(self.region(client_id))).as_secs_f64();
        training.map_or(f64::INFINITY, |training| training.as_secs_f64() + transfers)
    }
}

fn class_of<T>(all: &[T], share: impl Fn(&T) -> f64, seeds: &Seeds, purpose: Purpose, client_id: u32) -> usize {
    if all.len() <= 1 {
        return 0;
    }
    let shares: Vec<f64> = all.iter().map(share).collect();
    classes::assign(&shares, seeds, purpose, client_id)
}
