//! Who the server asks in a round.

mod history;
mod uniform;

pub use history::{History, Observed};
pub use uniform::UniformConfig;

use crate::one_of;
use crate::registry::Problem;
use crate::seed::Stream;

/// What a selection policy may look at. Queries are pure: asking changes nothing.
#[derive(Clone, Copy)]
pub struct Candidates<'a> {
    /// Registered clients are `0..n_clients`.
    pub n_clients: u32,
    /// Whether a client can be asked now: online, and not at work.
    pub is_available: &'a dyn Fn(u32) -> bool,
    /// Training examples that a client holds.
    pub num_examples: &'a dyn Fn(u32) -> u32,
    /// Seconds that a client itself would state for a task: its links and its device at their nominal speed, nobody else
    /// on the server's link.
    pub stated_seconds: &'a dyn Fn(u32) -> f64,
    /// What the server has seen of its clients so far.
    pub history: &'a History,
    /// The round, from 1; with an asynchronous strategy the model version that is being made.
    pub round: u32,
}

/// A rule for choosing clients.
pub trait Selection: Send + Sync {
    /// Settings out of range.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Chooses up to `n` different available clients; fewer only when fewer are available.
    fn select(&self, n: usize, candidates: &Candidates<'_>, stream: &mut Stream) -> Vec<u32>;
}

one_of! {
    /// Who is asked in a round: `server.selection`.
    pub enum SelectionConfig: dyn Selection, setting "server.selection" {
        "uniform" => Uniform(UniformConfig), "uniform among the available clients, without replacement";
    }
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self::Uniform(UniformConfig {})
    }
}
