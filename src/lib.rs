//! Actor-based discrete-event simulation of federated learning with real parameter-efficient tuning.
//!
//! A tour, in the order in which a run goes:
//!
//! 1. **Author.** [`scenario::load`] reads a YAML file in layers, checks everything at once, and gives a
//!    [`Scenario`](scenario::Scenario) whose values can be relied on.
//! 2. **Assemble.** [`actors::setup::prepare`] loads the encoder ([`model`]) and the data ([`data`]), deals the rows to the
//!    clients, chooses the tensors that are trained ([`petuning`]), counts what a task costs ([`training`]), and puts all of
//!    it into a [`Plan`](actors::plan::Plan).
//! 3. **Run.** [`actors::world::run`] moves the one clock: it pops an event, asks the server or a client what to do about
//!    it, and does that with the links, devices and failures of [`sim`] and the policies of [`strategy`]. Training runs
//!    meanwhile in a bounded [`pool`](actors::pool).
//! 4. **Read.** An [`Observer`](actors::world::Observer) gets every record and every round; [`report`] writes and reads
//!    the files.
//!
//! The same scenario, seed and binary give the same bytes in every run, with any number of workers: time is decided by
//! models ([`sim`]), randomness is addressed ([`seed`]), sums have a fixed order.

pub mod params;
pub mod registry;
pub mod seed;
pub mod units;

pub mod data;
pub mod hub;
pub mod import;
pub mod model;
pub mod petuning;
pub mod report;
pub mod sim;

pub mod strategy;
pub mod training;

pub mod scenario;

pub mod actors;
pub mod cli;
