//! The world, the server and the clients.

pub mod batteries;
pub mod client;
pub mod house;
pub mod inputs;
pub mod messages;
pub mod plan;
pub mod pool;
pub mod server;
pub mod setup;
mod simulate;
pub mod trainer;
pub mod world;

pub use simulate::{SimulateError, simulate};
