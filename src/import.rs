//! Traces of other projects, read into the CSV files of this one.
//!
//! | read | source | becomes |
//! |---|---|---|
//! | `client_device_capacity` | FedScale (github.com/SymbioticLab/FedScale, `fedscale/cloud/internal/client_metadata.py`) | `devices.csv`, `bandwidth.csv` |
//! | `client_behave_trace` | the same | `availability.csv` and the spans of its clients |
//! | `state_traces.json` | FLASH (github.com/PKU-Chengxu/FLASH, `models/timer.py`) | the same |
//!
//! Pickles are data here: `pickle` lets plain dictionaries, lists, texts and numbers through and refuses every object by its
//! name before anything is built.

mod fedscale;
mod flash;
mod pickle;
mod write;

use std::path::Path;

pub use fedscale::{Capacity, availability as fedscale_availability, capacity as fedscale_capacity};
pub use flash::availability as flash_availability;
pub use write::{write_availability, write_bandwidth, write_devices, write_spans};

/// When devices were ready, and what had to be decided while reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// In the order of their ids: numbers by value, then texts.
    pub devices: Vec<RecordedDevice>,
    /// Things that a reader of the result should know, one sentence each.
    pub notes: Vec<String>,
}

/// One device of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedDevice {
    /// Its id in the source.
    pub id: String,
    /// Start and end of what was recorded, in seconds. None: it was never ready.
    pub span: Option<(f64, f64)>,
    /// Start and end of the windows in which it was ready, in seconds, in order and apart.
    pub windows: Vec<(f64, f64)>,
}

/// Why a file could not be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The pickle holds an object of some class, which would run its code.
    #[error(
        "the pickle holds the object `{name}` (byte {offset}); only dictionaries, lists, texts and numbers are read"
    )]
    Object {
        /// Module and name.
        name: String,
        /// Where in the file.
        offset: usize,
    },
    /// The file ends early, nests without end, or is no pickle or JSON at all.
    #[error("the file cannot be read: {reason}")]
    Malformed {
        /// What is wrong, and where.
        reason: String,
    },
    /// A client's entry that makes no sense.
    #[error("client `{id}`: {reason}")]
    Client {
        /// Whose.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// There is such a file already.
    #[error("`{path}` exists already")]
    Exists {
        /// Which.
        path: String,
    },
    /// A file that cannot be written.
    #[error("`{path}` cannot be written: {reason}")]
    Write {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
}

impl ImportError {
    fn write(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Write { path: path.display().to_string(), reason: reason.to_string() }
    }
}

/// Numbers before texts, numbers by value.
fn by_id(id: &str) -> (u64, String) {
    (id.parse().unwrap_or(u64::MAX), id.to_string())
}

/// Sorts windows and joins those that touch or overlap; the number of windows that overlapped.
fn joined(mut windows: Vec<(f64, f64)>) -> (Vec<(f64, f64)>, usize) {
    windows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut apart: Vec<(f64, f64)> = Vec::new();
    let mut n_overlapping = 0;
    for (start, end) in windows {
        match apart.last_mut() {
            Some(last) if start <= last.1 => {
                n_overlapping += usize::from(start < last.1);
                last.1 = last.1.max(end);
            }
            _ => apart.push((start, end)),
        }
    }
    (apart, n_overlapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_sorted_and_joined() {
        let windows = vec![(5.0, 6.0), (0.0, 1.0), (1.0, 2.0), (5.5, 9.0), (20.0, 20.0)];
        assert_eq!(joined(windows), (vec![(0.0, 2.0), (5.0, 9.0), (20.0, 20.0)], 1));
    }

    #[test]
    fn ids_are_ordered_as_numbers() {
        let mut ids = ["10", "b", "9", "a"];
        ids.sort_by_key(|id| by_id(id));
        assert_eq!(ids, ["9", "10", "a", "b"]);
    }
}
