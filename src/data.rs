//! Data sets, splits and the partition over clients.
//!
//! [`load`] gives a [`TextDataset`] (built-in or from files), [`encode`] turns it into token ids, and the chosen
//! [`Partition`] deals its training rows to the clients.

mod builtin;
mod config;
mod dataset;
mod encode;
mod error;
mod files;
mod labels;
mod load;
pub mod partition;
pub mod tokenizer;
mod validation;

pub use builtin::pretraining_corpus;
pub use config::{ColumnsConfig, DatasetConfig, FilesConfig};
pub use dataset::{TextDataset, TextExample};
pub use encode::{EncodedDataset, EncodedSplit, encode};
pub use error::{DataError, PartitionError};
pub use load::load;
pub use partition::{
    DirichletConfig, IidConfig, LabelMixConfig, Partition, PartitionConfig, PartitionTable, ShardsConfig,
};
