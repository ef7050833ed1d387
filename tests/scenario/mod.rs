//! Scenarios: the examples are valid, mistakes are explained.

mod examples;
mod layers;
mod mistakes;
mod origins;
mod robust;
mod schema;
mod sweep;
