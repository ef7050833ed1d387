//! Scenarios: the examples and the pieces of the README are valid, mistakes are explained.

mod examples;
mod layers;
mod mistakes;
mod origins;
mod readme;
mod robust;
mod schema;
mod sweep;
