//! Pictures in classes: from folders, IDX or CIFAR files, the hub's parquet files, or drawn by the program.
//!
//! [`load_images`] reads each picture once, widens it to the model's channels, brings it to the model's size as the
//! checkpoint's [`ImageProcessor`] says, and keeps its bytes; [`ImageSplit::pixels`] makes numbers of them when a batch is
//! put together. Every picture is either taken or reported; none is skipped silently.

mod cifar;
mod config;
mod dataset;
mod folder;
mod gather;
mod idx;
mod load;
mod picture;
mod processor;
mod resize;
mod table;
#[cfg(test)]
mod testing;

pub use config::{ImageFormat, ImagesConfig};
pub use dataset::{ImageDataset, ImageSplit};
pub(super) use gather::Gatherer;
pub use load::load_images;
pub(super) use picture::Picture;
pub use processor::ImageProcessor;
