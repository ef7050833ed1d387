//! What a synchronous round does at its edges: with too few updates, and with updates that come too late.

mod late;
mod short;

pub use late::{DiscardConfig, FoldConfig, LateUpdates, LateUpdatesConfig};
pub use short::{AcceptConfig, BelowMinUpdatesConfig, ExtendConfig, FailConfig, ShortRound};
