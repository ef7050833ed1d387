//! Addressed randomness: every draw comes from a stream that its address alone decides.
//!
//! A stream is a ChaCha generator whose 256-bit key *is* the address (seed, purpose, client, round, step). No two
//! addresses share a key, so a draw added for one purpose never shifts the draws of another, and any part of a run can
//! be repeated alone.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The generator that all models draw from.
pub type Stream = ChaCha8Rng;

/// What a stream is for. The numbers are part of the replay format: never reuse or renumber one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Purpose {
    /// Examples and labels of a generated data set: sentences or pictures.
    DatasetExamples = 1,
    /// Carving a validation split out of the training rows.
    ValidationSplit = 2,
    /// Dealing training rows to clients.
    Partition = 3,
    /// Which device class a client belongs to.
    DeviceClass = 4,
    /// Which network class a client belongs to.
    NetworkClass = 5,
    /// How many examples a client holds in a timing-only scenario.
    ShardSize = 6,
    /// A client's on and off periods.
    Availability = 7,
    /// Whether, where and when a task fails.
    Dropout = 8,
    /// Latency of a transfer to the client.
    DownlinkLatency = 9,
    /// Latency of a transfer from the client.
    UplinkLatency = 10,
    /// Noise on training time.
    DeviceJitter = 11,
    /// Which clients are asked.
    Selection = 12,
    /// Initial values of trainable tensors.
    Initialisation = 13,
    /// Order of examples in local training.
    Shuffle = 14,
    /// Dropout masks inside the network.
    DropoutMask = 15,
    /// Values of a randomly initialised backbone.
    RandomBackbone = 16,
    /// Masked positions in pretraining.
    MaskedTokens = 17,
    /// How fast a device of its class is.
    DeviceSpeed = 18,
    /// Outlines that an encoder of pictures is pretrained on.
    PretrainingFigures = 19,
    /// Which region a client belongs to.
    Region = 20,
    /// When other programs keep a device busy.
    BackgroundLoad = 21,
    /// When a device crashes at work.
    Crash = 22,
    /// How full a battery is at the start, and when it is charged.
    Battery = 23,
    /// Which row of a table of devices a client is.
    DeviceRow = 24,
    /// Which series of a bandwidth trace a client follows, and from where.
    LinkTrace = 25,
    /// Which clients an outage hits.
    Outage = 26,
    /// The time zone of a client.
    TimeZone = 27,
}

/// The root of a run's randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeds {
    root: u64,
}

impl Seeds {
    /// Streams derived from the scenario's `seed`.
    pub fn new(root: u64) -> Self {
        Self { root }
    }

    /// The scenario's seed.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// A stream of the whole run.
    pub fn global(&self, purpose: Purpose) -> Stream {
        self.at(purpose, u64::MAX, 0, 0)
    }

    /// A stream of one round on the server.
    pub fn round(&self, purpose: Purpose, round: u32) -> Stream {
        self.at(purpose, u64::MAX, u64::from(round), 0)
    }

    /// A stream of one of several decisions on the server in a round, from 0. The first is that of [`round`](Self::round).
    pub fn decision(&self, purpose: Purpose, round: u32, number: u32) -> Stream {
        self.at(purpose, u64::MAX, u64::from(round), number)
    }

    /// A stream of one client that does not depend on the round.
    pub fn client(&self, purpose: Purpose, client_id: u32) -> Stream {
        self.at(purpose, u64::from(client_id), 0, 0)
    }

    /// A stream of one client in one round.
    pub fn task(&self, purpose: Purpose, client_id: u32, round: u32) -> Stream {
        self.at(purpose, u64::from(client_id), u64::from(round), 0)
    }

    /// A stream of one training step (or epoch) of one client in one round.
    pub fn step(&self, purpose: Purpose, client_id: u32, round: u32, step: u32) -> Stream {
        self.at(purpose, u64::from(client_id), u64::from(round), step)
    }

    fn at(&self, purpose: Purpose, client: u64, round: u64, step: u32) -> Stream {
        let mut key = [0u8; 32];
        key[0..8].copy_from_slice(&self.root.to_le_bytes());
        key[8..12].copy_from_slice(&(purpose as u32).to_le_bytes());
        key[12..16].copy_from_slice(&step.to_le_bytes());
        key[16..24].copy_from_slice(&client.to_le_bytes());
        key[24..32].copy_from_slice(&round.to_le_bytes());
        ChaCha8Rng::from_seed(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn an_address_always_gives_the_same_stream_and_neighbours_differ() {
        let seeds = Seeds::new(42);
        let draw = |mut s: Stream| s.next_u64();
        let here = draw(seeds.step(Purpose::Shuffle, 3, 5, 7));
        assert_eq!(here, draw(Seeds::new(42).step(Purpose::Shuffle, 3, 5, 7)));
        for other in [
            seeds.step(Purpose::Shuffle, 3, 5, 8),
            seeds.step(Purpose::Shuffle, 3, 6, 7),
            seeds.step(Purpose::Shuffle, 4, 5, 7),
            seeds.step(Purpose::DropoutMask, 3, 5, 7),
            Seeds::new(43).step(Purpose::Shuffle, 3, 5, 7),
        ] {
            assert_ne!(here, draw(other));
        }
    }
}
