//! Data sets, splits and the partition over clients.
//!
//! [`load`] gives a [`TextDataset`] (built-in, from files, or laid out as on the hub) and [`encode`] turns it into token ids;
//! [`load_images`] gives an [`ImageDataset`] in the size that the model takes. The chosen [`Partition`] deals the training rows to the clients.

mod builtin;
mod columns;
mod config;
mod dataset;
mod encode;
mod encoded;
mod error;
mod files;
mod images;
mod known;
mod labels;
mod load;
mod origins;
pub mod partition;
mod paths;
mod repository;
mod sources;
mod token_cache;
pub mod tokenizer;
mod validation;

pub use builtin::{ATTRIBUTES, Attribute, FigurePicture, pretraining_corpus, pretraining_figures};
pub use columns::ColumnsConfig;
pub use config::{DatasetConfig, FilesConfig};
pub use dataset::{TextDataset, TextExample};
pub use encode::{TokenSplit, encode};
pub use encoded::{EncodedDataset, EncodedSplit};
pub use error::{DataError, PartitionError};
pub use images::{ImageDataset, ImageFormat, ImageProcessor, ImageSplit, ImagesConfig, load_images};
pub use load::load;
pub use origins::{RowGroups, RowOrigins};
pub use partition::{
    ByColumnConfig, DirichletConfig, FileConfig, IidConfig, LabelMixConfig, Partition, PartitionConfig, PartitionTable,
    ShardsConfig, TrainingRows, hash_of_shards,
};
pub use repository::{CARD, DatasetSource, SplitsConfig, data_files, read_card};
pub use sources::FetchedDataset;
pub use token_cache::{CacheUse, TokenCache};
