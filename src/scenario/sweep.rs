//! `sweep`: one scenario at many points, each with several seeds.
//!
//! ```yaml
//! sweep:
//!   matrix: { clients.dropout.during_train: [0.0, 0.1, 0.3], tuning: [lora, bitfit] }
//!   exclude: [{ clients.dropout.during_train: 0.3, tuning: bitfit }]
//!   include: [{ clients.dropout.during_train: 0.6, tuning: lora }]
//!   seeds: [42, 43, 44]
//! ```
//!
//! Each cell is the scenario with the values of one point laid on it as `--set` does, after all other layers; the pseudo
//! setting `profile` applies a profile (`null`: none, a list: several). [`load_sweep`] loads and checks every cell before
//! anything runs, and reports all problems at once, at the line of the matrix where that is the cause.
//!
//! The same seed gives every cell the same world: who is online when, who fails in which round, how fast a device is and
//! which examples it holds are drawn from (seed, purpose, client, round), never from what a policy did before.

mod cells;
mod section;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use self::cells::Point;
use super::check;
use super::checked::Scenario;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::layers::{self, Layers};
use super::load::{self, resolve};
use super::node::Node;
use super::origins::Origins;
use super::raw::Draft;
use super::schema::Definitions;
use super::{Input, Overrides};
use crate::report::compare::differing;

pub(super) use section::check as check_section;
pub use section::parse_seeds;

/// The section for editors.
pub(super) fn json_schema() -> Json {
    let values = json!({ "type": "object" });
    json!({
        "type": ["object", "null"],
        "description": "cells that `straggler sweep` runs: this scenario at many points, each with several seeds",
        "additionalProperties": false,
        "properties": {
            "matrix": {
                "type": ["object", "null"],
                "description": "values by setting, such as `tuning.lora.r: [2, 8]`, or `profile: [null, NAME]`; every \
                                combination is a cell",
                "additionalProperties": {
                    "anyOf": [{ "type": "array" }, { "type": "object" }, { "type": "null" }],
                },
            },
            "exclude": {
                "type": ["array", "null"],
                "description": "combinations that are left out: all cells that have these values",
                "items": values,
            },
            "include": {
                "type": ["array", "null"],
                "description": "cells beside the combinations: values by setting",
                "items": values,
            },
            "seeds": {
                "description": "the seeds of each cell, such as `[42, 43]` or `42..44`; default: those of `repeats`",
                "anyOf": [
                    { "type": "array", "items": { "type": "integer", "minimum": 0 } },
                    { "type": ["string", "integer", "null"] },
                ],
            },
            "repeats": { "type": ["integer", "null"], "description": "so many seeds from `seed` on", "minimum": 1 },
        },
    })
}

/// A checked sweep: every cell is a checked scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    name: String,
    settings: Vec<String>,
    cells: Vec<Cell>,
    seeds: Vec<u64>,
}

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    name: String,
    values: Vec<String>,
    scenario: Scenario,
}

impl Cell {
    /// Its name, such as `during_train=0.3,r=8`; also the name of its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its values of [`Sweep::settings`]; empty where it leaves one as it is.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// The scenario of a run of it, on so many of a sweep's training threads.
    pub fn scenario(&self, seed: u64, threads: usize, of: usize) -> Scenario {
        self.scenario.clone().with_seed(seed).on_threads(threads, of)
    }
}

impl Sweep {
    /// Name of the scenario.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Dotted paths of the settings that cells differ in, in the order of the matrix.
    pub fn settings(&self) -> &[String] {
        &self.settings
    }

    /// The cells in the order of the matrix, its first setting changing slowest; at least one.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The seeds that each cell is run with; at least one.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// The first cell's scenario, for what all cells share: where results go, and the threads.
    pub fn any_scenario(&self) -> &Scenario {
        &self.cells[0].scenario
    }

    /// SHA-256 of what [`to_lock_yaml`](Self::to_lock_yaml) holds, in hexadecimal digits.
    pub fn hash(&self) -> String {
        hash(&self.lock_body())
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
        let scenario =
            load::load(&input, &Overrides::default()).map_err(|found| SweepLockError::Cell(Box::new(found)))?;
        cells.push(Cell { name: cell.name, values: cell.values, scenario });
    }
    if cells.is_empty() || read.seeds.is_empty() {
        return Err(malformed("it has no cells"));
    }
    Ok(Sweep { name: read.name, settings: read.settings, cells, seeds: read.seeds })
}

/// Which part of a scenario's `sweep` is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepPart {
    /// The matrix and the seeds.
    Whole,
    /// One cell, the scenario as it is, with the seeds of `repeats`.
    Repeats,
}

/// Reads a scenario and its `sweep`, lays the overrides on it and checks every cell. `seeds` take the place of the
/// scenario's own.
///
/// # Errors
/// Every problem found, each with its place. Nothing is run and nothing is written.
pub fn load_sweep(
    input: &Input,
    overrides: &Overrides,
    part: SweepPart,
    seeds: Option<&[u64]>,
) -> Result<Sweep, Diagnostics> {
    let definitions = Definitions::new();
    let mut layers = layers::read(input, overrides, &definitions);
    let mut problems = std::mem::take(&mut layers.problems);
    let section = layers.sweep.take().filter(|_| part == SweepPart::Whole);
    let section = section.map(|entry| section::read(&entry, &definitions, &mut problems)).unwrap_or_default();
    let says_seeds = seeds.is_some() || layers.root.as_ref().is_some_and(|root| root.has("repeats"));
    if section.is_empty() && !says_seeds && problems.is_empty() {
        let problem = Diagnostic::new("no-sweep", "the scenario has no `sweep`, and nothing gives seeds", None);
        problems.push(problem.help("add `sweep: { matrix: { server.rounds: [10, 20] } }`, or `--seeds 42..44`"));
    }
    section.refuse_set(&overrides.set, &mut problems);
    let points = section.points(&mut problems);
    // A matrix that is wrong would give problems of cells that nobody wrote.
    let laid = match &layers.root {
        Some(root) if problems.is_empty() => cells::lay(input, overrides, root, &points, &definitions),
        _ => Vec::new(),
    };
    let scenarios = check_cells(&points, laid, &layers, &definitions, &mut problems);
    let sweep = match (&scenarios[..], &layers.root) {
        ([first, ..], Some(root)) => {
            let seeds = section.seeds(seeds, (first.seed(), first.repeats()), root, &mut problems);
            let name = first.name().to_owned();
            let named = points.into_iter().zip(scenarios);
            let cells = named.map(|(point, scenario)| Cell { name: point.name, values: point.values, scenario });
            Some(Sweep { name, settings: section.settings(), cells: cells.collect(), seeds })
        }
        _ => None,
    };
    match sweep {
        Some(sweep) if problems.is_empty() => Ok(sweep),
        _ => {
            problems.sort_by_key(|problem| problem.place);
            problems.dedup();
            Err(Diagnostics { sources: layers.sources, list: problems })
        }
    }
}

/// The scenarios of all cells; none when one of them has a problem.
fn check_cells(
    points: &[Point],
    laid: Vec<(Option<Node>, Vec<Diagnostic>)>,
    layers: &Layers,
    definitions: &Definitions,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Scenario> {
    let n_cells = laid.len();
    let (mut of_cells, mut scenarios) = (Vec::new(), Vec::new());
    for (point, (root, mut own)) in points.iter().zip(laid) {
        let (base_dir, sources) = (layers.base_dir.clone(), &layers.sources);
        let scenario = root.and_then(|root| {
            let scenario = resolve(&root, base_dir, sources, definitions, &mut own)?;
            let warnings = check::warnings(scenario.raw(), &root, &layers.profile_lines);
            Some(scenario.with_origins(Origins::new(root, sources.clone(), warnings)))
        });
        of_cells.push((point.name.clone(), own));
        scenarios.extend(scenario);
    }
    let found = cells::join_problems(of_cells, n_cells);
    if !found.is_empty() {
        scenarios.clear();
    }
    problems.extend(found);
    scenarios
}
