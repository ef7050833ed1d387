//! Transfers that break off and are tried again, and a server that goes down for a while.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::registry::Problem;
use crate::units::{SimDuration, SimTime};

/// What becomes of an upload that breaks off, because the client goes offline or the transfer fails: `clients.uploads`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UploadConfig {
    /// What the client does about it.
    pub when_interrupted: WhenInterrupted,
    /// How often one update is tried again, 1 to 1,000. Default: 3. For `fail` it means nothing.
    pub retries: u32,
}

const RETRIES_MAX: u32 = 1000;

impl Default for UploadConfig {
    fn default() -> Self {
        Self { when_interrupted: WhenInterrupted::Fail, retries: 3 }
    }
}

/// What a client does about an upload that broke off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenInterrupted {
    /// The task has failed.
    #[default]
    Fail,
    /// It sends all of the update again, once it is online.
    Restart,
    /// It sends what is missing, once it is online.
    Resume,
}

impl UploadConfig {
    /// What is wrong with the settings.
    pub fn problems(&self) -> Vec<Problem> {
        match (self.when_interrupted, self.retries) {
            (WhenInterrupted::Fail, _) => Vec::new(),
            (_, 0) => vec![Problem::new("retries", "0 retries are none").help("write `when_interrupted: fail`")],
            (_, retries) if retries > RETRIES_MAX => {
                let message = format!("{retries} retries are more than {RETRIES_MAX}");
                let help =
                    "an update that fails so often will not arrive: each attempt is played, and its bytes are charged";
                vec![Problem::new("retries", message).help(help)]
            }
            _ => Vec::new(),
        }
    }
}

/// A time at which the server goes down: `server.restarts`.
///
/// With `in_flight: lost` the open round is used up: it counts as one of `server.rounds`, with asynchronous strategies too,
/// where a round is the time from one model to the next. So `rounds: 100` with one such restart gives 99 models, and one
/// in the last round ends the run at once, with the model that there is. With `resumed` no round is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartConfig {
    /// When, from the start of the run, > 0.
    pub at: SimDuration,
    /// How long it is down, > 0.
    pub downtime: SimDuration,
    /// What becomes of the tasks under way.
    #[serde(default)]
    pub in_flight: InFlight,
}

/// What becomes of the tasks under way when the server goes down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InFlight {
    /// They are lost with reason `server_restart`, the updates of the open round that have arrived too; the round fails and
    /// is not played again.
    #[default]
    Lost,
    /// Clients go on; transfers stand still meanwhile, and so do the server's decisions.
    Resumed,
}

impl RestartConfig {
    /// What is wrong with a list of restarts; paths are those of its entries.
    pub fn problems(list: &[Self]) -> Vec<Problem> {
        let mut found = Vec::new();
        for (index, restart) in list.iter().enumerate() {
            if restart.at == SimDuration::ZERO {
                let problem = Problem::new(format!("{index}.at"), "the run starts with the server up");
                found.push(problem.help("write a time above 0 s, such as `1 h`"));
            }
            if restart.downtime == SimDuration::ZERO {
                let problem = Problem::new(format!("{index}.downtime"), "a downtime of 0 is none");
                found.push(problem.help("remove the restart, or write how long it takes, such as `5 min`"));
            }
        }
        for (index, pair) in list.windows(2).enumerate() {
            let end = SimTime::ZERO + pair[0].at + pair[0].downtime;
            if SimTime::ZERO + pair[1].at < end {
                let message = "begins while the server is still down from the one before";
                found.push(
                    Problem::new(format!("{}.at", index + 1), message)
                        .help("list restarts in the order of their times, one after the other"),
                );
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restart(at_s: u64, downtime_s: u64) -> RestartConfig {
        let seconds = |s: u64| SimDuration::from_nanos(s * 1_000_000_000);
        RestartConfig { at: seconds(at_s), downtime: seconds(downtime_s), in_flight: InFlight::Lost }
    }

    #[test]
    fn retries_are_of_what_is_tried_again() {
        let problems = |when_interrupted, retries| UploadConfig { when_interrupted, retries }.problems();
        for retries in [0, 1, u32::MAX] {
            assert_eq!(problems(WhenInterrupted::Fail, retries), []);
        }
        for when in [WhenInterrupted::Restart, WhenInterrupted::Resume] {
            assert_eq!([problems(when, 1), problems(when, 1000)], [[], []]);
            assert_eq!(problems(when, 0)[0].message, "0 retries are none");
            let found = problems(when, 1001);
            assert_eq!(
                (found[0].path.as_str(), found[0].message.as_str()),
                ("retries", "1001 retries are more than 1000")
            );
        }
    }

    #[test]
    fn restarts_follow_one_another() {
        assert!(RestartConfig::problems(&[restart(10, 5), restart(15, 5)]).is_empty());
        let paths = |list: &[RestartConfig]| {
            RestartConfig::problems(list).into_iter().map(|problem| problem.path).collect::<Vec<_>>()
        };
        assert_eq!(paths(&[restart(10, 5), restart(14, 5)]), ["1.at"]);
        assert_eq!(paths(&[restart(0, 0)]), ["0.at", "0.downtime"]);
    }
}
