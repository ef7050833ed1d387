//! The lock of a sweep: the cells as they were resolved, so that a sweep can be gone on with.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::{Cell, Sweep};
use crate::report::compare::differing;
use crate::scenario::raw::Draft;
use crate::scenario::{Diagnostics, Input, Overrides, load};

impl Sweep {
    /// SHA-256 of what [`to_lock_yaml`](Self::to_lock_yaml) holds, in hexadecimal digits.
    pub fn hash(&self) -> String {
        hash(&self.lock_body())
    }

    /// Everything that decides results, as YAML that [`read_sweep_lock`] reads back.
    pub fn to_lock_yaml(&self) -> String {
        let body = self.lock_body();
        format!("{LOCK_HEADER}{HASH_KEY}{}\n{body}", hash(&body))
    }

    fn lock_body(&self) -> String {
        let cells = self.cells.iter().map(|cell| LockedCell {
            name: cell.name.clone(),
            values: cell.values.clone(),
            scenario: cell.scenario.for_sweep_lock(),
        });
        let lock = Lock {
            straggler: env!("CARGO_PKG_VERSION").into(),
            name: self.name.clone(),
            settings: self.settings.clone(),
            seeds: self.seeds.clone(),
            cells: cells.collect(),
        };
        serde_saphyr::to_string(&lock).expect("a scenario is made of what YAML can hold")
    }

    /// What `other` has otherwise, in words; `None` when both are the same sweep.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let listed = |of: &[u64]| of.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        if self.hash() == other.hash() {
            return None;
        }
        if self.name != other.name {
            return Some(format!("it is of `{}`, not of `{}`", self.name, other.name));
        }
        if self.seeds != other.seeds {
            return Some(format!("its seeds are {}, not {}", listed(&self.seeds), listed(&other.seeds)));
        }
        let has = |of: &Self, cell: &Cell| of.cells.iter().any(|one| one.name == cell.name);
        if let Some(cell) = self.cells.iter().find(|cell| !has(other, cell)) {
            return Some(format!("it has a cell `{}`, which is not asked for", cell.name));
        }
        if let Some(cell) = other.cells.iter().find(|cell| !has(self, cell)) {
            return Some(format!("it has no cell `{}`", cell.name));
        }
        let json = |cell: &Cell| {
            serde_json::to_value(cell.scenario.for_sweep_lock()).expect("a scenario is made of what JSON can hold")
        };
        let differing = self.cells.iter().find_map(|cell| {
            let asked = other.cells.iter().find(|one| one.name == cell.name)?;
            let (begun, asked) = (json(cell), json(asked));
            let first = differing(&[&begun, &asked]).into_iter().next()?;
            Some(format!("in cell `{}`, `{}` is {}, not {}", cell.name, first.path, first.values[0], first.values[1]))
        });
        Some(differing.unwrap_or_else(|| "its cells have another order".into()))
    }
}

const LOCK_HEADER: &str = "# The resolved cells of one sweep. `straggler sweep --resume FOLDER` goes on with them.\n";
const HASH_KEY: &str = "sha256: ";

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Serialize)]
struct Lock {
    straggler: String,
    name: String,
    settings: Vec<String>,
    seeds: Vec<u64>,
    cells: Vec<LockedCell>,
}

#[derive(Serialize)]
struct LockedCell {
    name: String,
    values: Vec<String>,
    scenario: Draft,
}

/// Why a sweep's lock file is no sweep's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepLockError {
    /// It is not what a sweep writes.
    #[error("it is no lock of a sweep: {0}")]
    Malformed(String),
    /// It was written by hand or damaged.
    #[error("it was changed since it was written")]
    Changed,
    /// Another version resolves scenarios in another way.
    #[error("it was written by version {0}, this is {version}", version = env!("CARGO_PKG_VERSION"))]
    Version(String),
    /// A cell that this machine cannot run, as when a file is gone.
    #[error("{0}")]
    Cell(Box<Diagnostics>),
}

/// Reads what [`Sweep::to_lock_yaml`] wrote, and checks every cell again.
///
/// # Errors
/// When the text is no lock, was changed, or a cell can no longer be run.
pub fn read_sweep_lock(text: &str) -> Result<Sweep, SweepLockError> {
    #[derive(Deserialize)]
    struct Read {
        straggler: String,
        name: String,
        settings: Vec<String>,
        seeds: Vec<u64>,
        cells: Vec<ReadCell>,
    }
    #[derive(Deserialize)]
    struct ReadCell {
        name: String,
        values: Vec<String>,
        scenario: Json,
    }
    let malformed = |what: &str| SweepLockError::Malformed(what.into());
    let rest = text.strip_prefix(LOCK_HEADER).ok_or_else(|| malformed("it begins otherwise"))?;
    let (first, body) = rest.split_once('\n').ok_or_else(|| malformed("it ends too early"))?;
    if first.strip_prefix(HASH_KEY) != Some(hash(body).as_str()) {
        return Err(SweepLockError::Changed);
    }
    let read: Read = serde_saphyr::from_str(body).map_err(|error| SweepLockError::Malformed(error.to_string()))?;
    if read.straggler != env!("CARGO_PKG_VERSION") {
        return Err(SweepLockError::Version(read.straggler));
    }
    let mut cells = Vec::new();
    for cell in read.cells {
        let text =
            serde_saphyr::to_string(&cell.scenario).map_err(|error| SweepLockError::Malformed(error.to_string()))?;
        let input = Input::Embedded { name: format!("cell {}", cell.name), text };
        let scenario = load(&input, &Overrides::default()).map_err(|found| SweepLockError::Cell(Box::new(found)))?;
        cells.push(Cell { name: cell.name, values: cell.values, scenario });
    }
    if cells.is_empty() || read.seeds.is_empty() {
        return Err(malformed("it has no cells"));
    }
    Ok(Sweep { name: read.name, settings: read.settings, cells, seeds: read.seeds })
}
