//! Data sets, splits and the partition over clients.

mod config;

pub use config::{ColumnsConfig, DatasetConfig, FilesConfig};
pub use partition::{DirichletConfig, IidConfig, LabelMixConfig, PartitionConfig, ShardsConfig};

mod partition;
