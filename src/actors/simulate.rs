//! A whole run in one call, for programs that use this crate as a library.

use super::inputs;
use super::setup::{self, SetupError};
use super::world::{self, Observer, Outcome, WorldError};
use crate::hub::{HubSettings, Silent};
use crate::scenario::Scenario;

/// Why a simulation did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// What the scenario names cannot be had, or does not fit together. Nothing has run.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The operating system gave no runtime for the actors.
    #[error("cannot start the actors: {0}")]
    Runtime(std::io::Error),
    /// The run began and could not go on.
    #[error(transparent)]
    World(#[from] WorldError),
}

/// Loads what a scenario names, from the Hugging Face hub where it names something there (with the settings of the
/// environment), and runs it to its end on this thread and its `compute.workers`. The observer gets every record and every
/// round, in order. Nothing is written: what the command line writes, it writes from an observer of its own.
///
/// For results that do not depend on how many threads a matrix product is given, set `RAYON_NUM_THREADS=1` before the
/// program starts, as the command line does for itself.
///
/// # Errors
/// See [`SimulateError`].
pub fn simulate(scenario: &Scenario, observer: &mut dyn Observer) -> Result<Outcome, SimulateError> {
    let inputs = match inputs::hub_for(scenario, HubSettings::from_env) {
        Some(hub) => inputs::want(scenario, &hub, &Silent)?.download(&Silent)?,
        None => inputs::local(scenario),
    };
    let setup = setup::prepare(scenario, &inputs)?;
    setup.check_memory_limit(scenario)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(SimulateError::Runtime)?;
    Ok(runtime.block_on(world::run(&setup.plan, observer))?)
}
