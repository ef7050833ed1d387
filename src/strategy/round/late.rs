//! What becomes of the updates that a synchronous round no longer waits for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::one_of;
use crate::registry::Problem;
use crate::strategy::StalenessConfig;

/// A rule for updates that come after their round.
pub trait LateUpdates: Send + Sync {
    /// Settings out of range.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// True when clients may go on after their round.
    fn lets_clients_go_on(&self) -> bool;

    /// What an update counts for, in (0, 1].
    fn weight(&self, staleness: u32) -> f32;

    /// Updates of older models are refused; none: no update is.
    fn max_staleness(&self) -> Option<u32> {
        None
    }
}

one_of! {
    /// What becomes of updates that a synchronous round no longer waits for: `server.late_updates`. Default: `discard`.
    pub enum LateUpdatesConfig: dyn LateUpdates, setting "server.late_updates" {
        "discard" => Discard(DiscardConfig), "their tasks are stopped, and charged as waste";
        "fold" => Fold(FoldConfig), "their clients go on, and the round in which they arrive folds them in with a weight";
    }
}

impl Default for LateUpdatesConfig {
    fn default() -> Self {
        Self::Discard(DiscardConfig {})
    }
}

/// Late tasks are stopped. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardConfig {}

impl LateUpdates for DiscardConfig {
    fn lets_clients_go_on(&self) -> bool {
        false
    }

    fn weight(&self, _: u32) -> f32 {
        1.0
    }
}

/// Late updates are folded in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FoldConfig {
    /// What an update counts for by its staleness, beside its examples.
    pub staleness: StalenessConfig,
    /// Updates of older models are refused, >= 1. None: no update is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_staleness: Option<u32>,
}

impl LateUpdates for FoldConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut found = self.staleness.problems_at("staleness");
        if self.max_staleness == Some(0) {
            let message = "with 0 every late update is refused, after its client has done all the work";
            found.push(Problem::new("max_staleness", message).help("write `late_updates: discard`, or at least 1"));
        }
        found
    }

    fn lets_clients_go_on(&self) -> bool {
        true
    }

    fn weight(&self, staleness: u32) -> f32 {
        self.staleness.weight(staleness)
    }

    fn max_staleness(&self) -> Option<u32> {
        self.max_staleness
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_updates_weigh_by_their_staleness() {
        let fold: LateUpdatesConfig =
            serde_json::from_value(serde_json::json!({ "fold": { "staleness": { "polynomial": { "a": 1.0 } } } }))
                .unwrap();
        let fold = fold.implementation();
        // (1 + tau)^-1
        assert_eq!([fold.weight(0), fold.weight(1), fold.weight(3)], [1.0, 0.5, 0.25]);
        assert!(fold.lets_clients_go_on() && !LateUpdatesConfig::default().implementation().lets_clients_go_on());
    }

    #[test]
    fn a_limit_that_refuses_everything_is_named() {
        let none = FoldConfig { max_staleness: Some(0), ..FoldConfig::default() };
        assert_eq!(none.problems()[0].path, "max_staleness");
    }
}
