//! What happens to a round whose time is up with fewer updates than `server.min_updates`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::one_of;
use crate::registry::Problem;
use crate::units::SimDuration;

/// A rule for rounds with too few updates.
pub trait ShortRound: Send + Sync {
    /// Settings out of range.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// By how much a deadline is put off, and how often at most; none when it is not.
    fn extension(&self) -> Option<(SimDuration, u32)> {
        None
    }

    /// True when a single update is enough in the end.
    fn accepts(&self) -> bool {
        false
    }
}

one_of! {
    /// What happens to a round below `min_updates`: `server.below_min_updates`. Default: `fail`.
    pub enum BelowMinUpdatesConfig: dyn ShortRound, setting "server.below_min_updates" {
        "fail" => Fail(FailConfig), "the round is recorded as failed and the model stays";
        "extend" => Extend(ExtendConfig), "the deadline is put off, several times if need be; then the round fails";
        "accept" => Accept(AcceptConfig), "one update is enough; a round without any fails";
    }
}

impl Default for BelowMinUpdatesConfig {
    fn default() -> Self {
        Self::Fail(FailConfig {})
    }
}

/// The round fails. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailConfig {}

impl ShortRound for FailConfig {}

/// The deadline is put off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendConfig {
    /// By how much, > 0.
    pub by: SimDuration,
    /// How often in one round, >= 1. Default: 1.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

impl ShortRound for ExtendConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.by == SimDuration::ZERO {
            let problem = Problem::new("by", "a deadline that is put off by nothing stays where it is");
            found.push(problem.help("write a time above 0 s, or `below_min_updates: fail`"));
        }
        if self.times == 0 {
            found.push(Problem::new("times", "0 extensions are none").help("write `below_min_updates: fail`"));
        }
        found
    }

    fn extension(&self) -> Option<(SimDuration, u32)> {
        Some((self.by, self.times))
    }
}

/// One update is enough. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptConfig {}

impl ShortRound for AcceptConfig {
    fn accepts(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> BelowMinUpdatesConfig {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_rules_are_read_by_name() {
        assert_eq!(read("fail".into()).implementation().extension(), None);
        assert!(read("accept".into()).implementation().accepts());
        let extend = read(serde_json::json!({ "extend": { "by": "2 min" } }));
        let two_minutes = SimDuration::from_nanos(120_000_000_000);
        assert_eq!(extend.implementation().extension(), Some((two_minutes, 1)));
        assert!(extend.implementation().problems().is_empty());
    }

    #[test]
    fn an_extension_by_nothing_is_named() {
        let none = read(serde_json::json!({ "extend": { "by": "0 s", "times": 0 } }));
        let paths: Vec<_> = none.implementation().problems().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["by", "times"]);
    }
}
