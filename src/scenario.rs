//! From YAML as written to a checked scenario.
//!
//! ```text
//! text -> nodes with positions -> layers merged -> structure checked against the schema -> typed -> cross checks -> Scenario
//! ```
//!
//! [`load`] is the entry, [`sweep::load_sweep`] that of sweeps. They report every problem they find at once, each with file, line
//! and column.

mod assertion;
mod check;
mod checked;
mod diagnostic;
mod draft;
mod explain;
mod layers;
mod load;
mod lock;
mod node;
mod origins;
mod parse;
mod raw;
mod schema;
mod settings;
pub mod sweep;

pub use assertion::{Assertion, AssertionError, Comparison, Outcome};
pub use checked::{Examples, Scenario, SyntheticExamples};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use explain::{ResolvedValue, explain};
pub use load::{load, load_with_cells};
pub use lock::LockHeader;
pub use raw::{ClientsConfig, Draft, ServerConfig};
pub use schema::json_schema;
pub use settings::{
    CompressionConfig, DrawnShardSize, EvaluationConfig, EvaluationSplit, ExecutionConfig, LognormalSize, Metric, Mode,
    OutputConfig, ShardSizeConfig, Workers,
};

/// Where a scenario is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A YAML file; relative paths in it start from its folder.
    File(std::path::PathBuf),
    /// A text that is part of the program; relative paths in it start from the working directory.
    Embedded {
        /// As shown in messages.
        name: String,
        /// The YAML.
        text: String,
    },
}

/// What the command line changes in a scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Names of profiles, applied in this order.
    pub profiles: Vec<String>,
    /// `key.path=value` each, applied in this order, after the profiles.
    pub set: Vec<String>,
}
