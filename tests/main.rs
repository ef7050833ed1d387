//! Behaviour of the program as its users see it. One binary, a module per subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod architecture;
mod browser;
mod cli;
mod hub;
mod run;
mod scenario;
