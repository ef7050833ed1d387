//! Pure policies of the server: who is asked, how updates are combined, how payloads are encoded.
//!
//! Each kind of policy is a trait here and a folder of implementations. To add one, write its file (settings that
//! implement the trait), its `mod` line, and its line in the `one_of!` list.

pub mod aggregation;
pub mod compression;
pub mod round;
pub mod selection;

pub use aggregation::{
    ConstantStaleness, Contribution, FedAsyncConfig, FedAvgConfig, FedBuffConfig, Fold, HingeStaleness, Pace,
    PolynomialStaleness, SemiSyncConfig, Staleness, StalenessConfig, Strategy, StrategyConfig, Weighting,
};
pub use compression::{Codec, CodecConfig, CodecError, NoneConfig};
pub use selection::{
    AtWork, Candidates, Census, CutOff, FastestFirstConfig, History, Learnt, Observed, OortConfig, PowerOfChoiceConfig,
    RoundRobinConfig, Selection, SelectionConfig, TierPolicy, TiflConfig, UniformConfig, WeightedConfig,
};
