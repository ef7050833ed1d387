//! Why tasks ended without being used since the last model, and which setting decides about that.

use serde::{Deserialize, Serialize};

use super::Blame;
use crate::actors::messages::Cause;
use crate::report::Reason;
use crate::sim::Phase;

/// How many tasks ended for each cause.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Causes(Vec<(Cause, u64)>);

impl Causes {
    /// One more task has ended so.
    pub(super) fn count(&mut self, cause: Cause) {
        match self.0.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, n)) => *n += 1,
            None => self.0.push((cause, 1)),
        }
    }

    /// A model was made.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many tasks have ended so.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|(_, n)| n).sum()
    }

    /// The most frequent cause, and what to do about it; none when no task has ended. Of equally frequent ones that which
    /// came first.
    pub(super) fn blame(&self) -> Option<Blame> {
        let total = self.total();
        let most = self.0.iter().map(|(_, n)| *n).max()?;
        let (cause, n) = self.0.iter().find(|(_, n)| *n == most)?;
        let phase = match cause.phase {
            Some(Phase::Download) => " during the download",
            Some(Phase::Train) => " during training",
            Some(Phase::Upload) => " during the upload",
            None => "",
        };
        let (setting, remedy) = remedy(*cause);
        let why = format!(
            "{n} of the {total} tasks that ended since then did so with `{}`{phase}; {remedy}",
            cause.reason.as_str()
        );
        Some(Blame { why, setting: setting.into() })
    }
}

/// The setting that decides about a cause, and how to change it.
fn remedy(cause: Cause) -> (&'static str, &'static str) {
    match cause.reason {
        Reason::Offline => (
            "clients.availability",
            "let clients stay online for longer by `clients.availability`, or make their tasks shorter",
        ),
        Reason::Outage => ("clients.outages", "shorten the `clients.outages`, or make tasks shorter"),
        Reason::Random => ("clients.dropout.during_train", "lower `clients.dropout.during_train`"),
        Reason::Network if cause.phase == Some(Phase::Download) => {
            ("clients.dropout.during_download", "lower `clients.dropout.during_download`")
        }
        Reason::Network => ("clients.dropout.during_upload", "lower `clients.dropout.during_upload`"),
        Reason::Crash => ("clients.crashes", "raise `clients.crashes.mean_time_between`, or make tasks shorter"),
        Reason::Battery => (
            "clients.devices",
            "give the `battery` of `clients.devices` more capacity or charging, or make tasks shorter",
        ),
        Reason::Memory => (
            "clients.devices",
            "raise the `memory` of `clients.devices` (`memory_mib` of a table), or lower `clients.train.per_device_train_batch_size`",
        ),
        Reason::Deadline => ("server.deadline", "raise `server.deadline`, or make tasks shorter"),
        Reason::Diverged => ("clients.train.learning_rate", "lower `clients.train.learning_rate`"),
        Reason::RoundFailed => ("server.min_updates", "lower `server.min_updates`"),
        Reason::Stale => ("server.strategy", "raise `max_staleness`, or have fewer clients at work"),
        Reason::ServerRestart => {
            ("server.restarts", "take `server.restarts` apart, or write `in_flight: resumed` there")
        }
        Reason::OverSelected | Reason::RunEnd => ("server.give_up_after", "raise `server.give_up_after`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_cause_is_to_blame() {
        let mut causes = Causes::default();
        assert!(causes.blame().is_none());
        let failed = |reason, phase| Cause { reason, phase: Some(phase) };
        causes.count(failed(Reason::Random, Phase::Train));
        causes.count(failed(Reason::Network, Phase::Download));
        causes.count(failed(Reason::Network, Phase::Upload));
        causes.count(failed(Reason::Network, Phase::Upload));
        let blame = causes.blame().unwrap();
        assert_eq!(blame.setting, "clients.dropout.during_upload");
        assert!(
            blame.why.starts_with("2 of the 4 tasks that ended since then did so with `network` during the upload; ")
        );
        causes.clear();
        causes.count(Cause { reason: Reason::Deadline, phase: None });
        assert_eq!(causes.blame().unwrap().setting, "server.deadline");
    }
}
