//! Models and data sets of the Hugging Face hub, through the cache that its own tools use.
//!
//! [`Hub::resolve`] turns a [`Repo`] and its revision into a commit and the list of its files; [`Hub::plan`] says which of
//! the wanted files are not in the cache yet and how large they are; [`Hub::download`] brings them and gives the folder of
//! the snapshot. A commit never changes, so one that is complete in the cache is used without asking the hub.
//!
//! The cache is laid out as `huggingface_hub` does it, so that each finds the other's files:
//!
//! ```text
//! $HF_HUB_CACHE/models--org--name/refs/main                            the commit of a branch or tag
//!                                 /snapshots/<commit>/config.json  ->  ../../blobs/<etag>
//!                                 /blobs/<etag>                        the content, once for all commits
//!                                 /blobs/<etag>.incomplete             what came before a download was cut
//!                                 /.straggler/<commit>.json            the list of files, for use without the hub
//! ```
//!
//! A client of our own on `ureq`: the official `hf-hub` crate brings 284 crates and knows no `HF_HUB_OFFLINE`.

mod cache;
mod checksum;
mod client;
mod download;
mod error;
mod http;
mod progress;
mod repo;
mod settings;

pub use client::{Hub, Listing, Plan, PlannedFile, RepoFile};
pub use error::HubError;
pub use progress::{Progress, Silent};
pub use repo::{Repo, RepoKind, is_commit};
pub use settings::HubSettings;
