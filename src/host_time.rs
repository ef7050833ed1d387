//! Time of the machine that runs the simulation: for `perf.csv`, progress and the log, and for nothing else.

use std::time::{Duration, Instant};

/// Measures how long something took on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "the one door to host time; its readers write no results with it")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[expect(clippy::disallowed_methods, reason = "the one door to host time; its readers write no results with it")]
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(self.0)
    }
}
