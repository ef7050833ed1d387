//! Data sets, splits and the partition over clients.
//!
//! [`load`] gives a [`TextDataset`] (built-in, from files, or laid out as on the hub) and [`encode`] turns it into token ids;
//! [`load_images`] gives an [`ImageDataset`] in the size that the model takes. The chosen [`Partition`] deals the training rows to the clients.

mod builtin;
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
pub mod partition;
mod repository;
mod sources;
mod token_cache;
pub mod tokenizer;
mod validation;

pub use builtin::{ATTRIBUTES, Attribute, FigurePicture, pretraining_corpus, pretraining_figures};
pub use config::{ColumnsConfig, DatasetConfig, FilesConfig};
pub use dataset::{TextDataset, TextExample};
pub use encode::{TokenSplit, encode};
pub use encoded::{EncodedDataset, EncodedSplit};
pub use error::{DataError, PartitionError};
pub use images::{ImageDataset, ImageFormat, ImageProcessor, ImageSplit, ImagesConfig, load_images};
pub use load::load;
pub use partition::{
    DirichletConfig, IidConfig, LabelMixConfig, Partition, PartitionConfig, PartitionTable, ShardsConfig,
};
pub use repository::{CARD, DatasetSource, SplitsConfig, data_files};
pub use sources::FetchedDataset;
pub use token_cache::{CacheUse, TokenCache};
