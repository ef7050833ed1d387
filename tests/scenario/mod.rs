//! Scenarios: the examples are valid, mistakes are explained.

mod examples;
mod layers;
mod mistakes;
mod robust;
mod schema;
