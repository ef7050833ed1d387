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
mod editor;
mod load;
mod lock;
mod reader;
mod section;
mod seeds;

use super::checked::Scenario;

pub(super) use editor::json_schema;
pub use load::{SweepPart, load_sweep};
pub(super) use load::{check_cells, check_form};
pub use lock::{SweepLockError, read_sweep_lock};
pub use seeds::parse_seeds;

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
}
