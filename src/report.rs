//! What a run writes: records, CSV files, summary and figures.
//!
//! While it runs, a [`ResultsWriter`] appends a [`Record`] per event, a [`RoundRow`] per round and a [`PerfRow`] per
//! round to their files; at the end it adds a [`ClientRow`] per client, the [`Summary`] and, from the files, the
//! figures. A [`RunLog`] says what became of it.
//! Everything but `perf.csv` and `log.jsonl` is decided by the simulation alone and is the same in each run of a scenario.

pub mod check;
mod checkpoint;
mod chronicle;
pub mod compare;
pub mod critical_path;
mod error;
pub mod export;
pub mod figures;
#[cfg(test)]
mod fixture;
mod hold;
pub mod html;
mod line;
mod log;
mod perf;
mod read;
mod record;
mod results;
mod row_file;
mod rows;
mod story;
mod summary;
mod tasks;
mod text;
mod timeline;

pub(crate) use checkpoint::remove_checkpoints_after;
pub use checkpoint::{CheckpointFiles, checkpoints_of, read_checkpoint, write_checkpoint};
pub use error::ReportError;
pub(crate) use hold::Hold;
pub use log::{LogCheckpoint, LogEntry, RunLog};
pub use perf::{PerfRow, Stopwatch, available_memory, peak_rss_mib};
pub use read::{RoundsFile, TimelineRow, read_clients, read_rounds, read_timeline};
pub use record::{EventKind, Reason, Record, TaskPhase};
pub use results::{ResultsMark, ResultsWriter, name_problem};
pub(crate) use results::{link_latest, new_directory, write_whole};
pub use rows::{ClientRow, RoundRow};
pub use summary::{EnergySpent, SCHEMA_VERSION, Status, Summary, Target, Test, Traffic, Updates, Validation};
pub use text::{human_bytes, human_duration, summary_text};
pub use timeline::TimelineWriter;
