//! Actor-based discrete-event simulation of federated learning with real parameter-efficient tuning.

pub mod params;
pub mod registry;
pub mod seed;
pub mod units;

pub mod data;
pub mod model;
pub mod petuning;
pub mod report;
pub mod sim;

pub mod strategy;
pub mod training;

pub mod scenario;

pub mod actors;
pub mod cli;
