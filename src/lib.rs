//! Actor-based discrete-event simulation of federated learning with real parameter-efficient tuning.
//!
//! A server and its clients exchange models and updates under a simulated clock, which models of links, devices,
//! availability and failures move; the tuning modules of real BERT / RoBERTa / DistilBERT / ViT encoders are really trained.
//!
//! # A run in one page
//!
//! ```
//! use straggler::actors::world::{HostWork, Observer, RoundReport};
//! use straggler::petuning::{LoraConfig, TuningConfig};
//! use straggler::report::{EventKind, Record, ReportError};
//! use straggler::scenario::{ClientsConfig, Draft, Mode, ServerConfig, ShardSizeConfig};
//! use straggler::sim::{DeviceClassConfig, NetworkClassConfig};
//! use straggler::units::SimTime;
//!
//! // Author: the settings of a scenario file, under the same names.
//! let phone = DeviceClassConfig::with_time_per_sample(1.0, "90 ms".parse()?);
//! let lte = NetworkClassConfig::constant(1.0, "5.4 Mbps".parse()?, "1.1 Mbps".parse()?, "60 ms".parse()?);
//! let mut clients = ClientsConfig::new(50, [("phone".into(), phone)], [("lte".into(), lte)]);
//! clients.num_examples = Some(ShardSizeConfig::Fixed(100));
//! clients.sequence_length = Some(64);
//! clients.num_labels = Some(2);
//! clients.dropout.during_train = 0.1;
//! let tuning = TuningConfig::Lora(LoraConfig { r: 4, ..LoraConfig::default() });
//! let mut draft = Draft::new("study", "shape-only:roberta-base", tuning, clients, ServerConfig::new(3, 10));
//! draft.compute.mode = Mode::TimingOnly; // time, traffic and failures; `dataset` and `Mode::Real` train
//! let scenario = draft.check()?; // every problem at once, with its place
//!
//! // Run, and see what happens as it happens.
//! #[derive(Default)]
//! struct Watcher {
//!     n_dropouts: usize,
//!     ends: Vec<f64>,
//! }
//! impl Observer for Watcher {
//!     fn record(&mut self, record: &Record) -> Result<(), ReportError> {
//!         self.n_dropouts += usize::from(record.event == EventKind::Dropout);
//!         Ok(())
//!     }
//!     fn round(&mut self, report: &RoundReport) -> Result<(), ReportError> {
//!         self.ends.push(report.end.as_secs_f64());
//!         Ok(())
//!     }
//!     fn host(&mut self, _: u32, _: SimTime, _: &HostWork) -> Result<(), ReportError> {
//!         Ok(())
//!     }
//! }
//! let mut watcher = Watcher::default();
//! let outcome = straggler::simulate(&scenario, &mut watcher)?;
//!
//! // Read. An update that is lost makes its round wait for nobody: fewer arrive.
//! assert_eq!(watcher.ends.len(), 3);
//! assert_eq!(outcome.totals.selected, 30);
//! assert_eq!(outcome.totals.aggregated + watcher.n_dropouts as u64, 30);
//! assert_eq!(outcome.end.as_secs_f64(), watcher.ends[2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The tour
//!
//! In the order in which a run goes:
//!
//! 1. **Author.** [`scenario::load`] reads a YAML file in layers, [`Draft::check`](scenario::Draft::check) takes what a
//!    program puts together; both check everything at once, and give a [`Scenario`](scenario::Scenario) whose values can be
//!    relied on.
//! 2. **Assemble.** [`actors::setup::prepare`] loads the encoder ([`model`]) and the data ([`data`]), deals the rows to the
//!    clients, chooses the tensors that are trained ([`petuning`]), counts what a task costs ([`training`]), and puts all of
//!    it into a [`Plan`](actors::plan::Plan).
//! 3. **Run.** [`actors::world::run`] moves the one clock: it pops an event, asks the server or a client what to do about
//!    it, and does that with the links, devices and failures of [`sim`] and the policies of [`strategy`]. Training runs
//!    meanwhile in a bounded [`pool`](actors::pool). [`simulate`] does this and the step before in one call.
//! 4. **Read.** An [`Observer`](actors::world::Observer) gets every record and every round; [`report`] writes and reads
//!    the files of the command line ([`cli`]).
//!
//! The same scenario, seed and binary give the same bytes in every run, with any number of workers: time is decided by
//! models ([`sim`]), randomness is addressed ([`seed`]), sums have a fixed order.

pub mod collections;
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

pub use actors::{SimulateError, simulate};
