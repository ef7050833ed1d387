//! What is compared.

use std::borrow::Cow;
use std::fmt;

use super::super::Reason;

/// A number that each run has, or may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// The metric on validation rows, best round.
    BestValidation,
    /// The metric on validation rows, last evaluation.
    FinalValidation,
    /// The metric on test rows, for the best round.
    Test,
    /// Simulated seconds until the validation metric reached the target.
    TimeToTarget,
    /// Bytes moved until then, both ways.
    BytesToTarget,
    /// Joules that clients spent on tasks that ended until then.
    EnergyToTarget,
    /// Simulated seconds of the whole run.
    SimTime,
    /// Bytes to the server.
    BytesUp,
    /// Bytes to the clients.
    BytesDown,
    /// Of both, bytes for tasks that were not aggregated.
    BytesWasted,
    /// Joules that clients spent on tasks.
    Energy,
    /// Of these, joules on tasks that were not aggregated.
    EnergyWasted,
    /// Updates that became part of a model.
    Aggregated,
    /// Tasks given up because a deadline passed or enough others had arrived.
    Late,
    /// Updates that arrived and were not used.
    Rejected,
    /// Tasks that failed.
    Dropped,
    /// Of these, those that failed for one reason.
    DroppedFor(Reason),
}

/// What a quantity is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A value of the metric.
    Metric,
    /// Simulated seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Joules.
    Joules,
    /// A number of tasks.
    Tasks,
}

impl Quantity {
    /// All but the reasons of dropping, in the order in which they are shown.
    pub const ALL: [Self; 16] = [
        Self::BestValidation,
        Self::FinalValidation,
        Self::Test,
        Self::TimeToTarget,
        Self::BytesToTarget,
        Self::EnergyToTarget,
        Self::SimTime,
        Self::BytesUp,
        Self::BytesDown,
        Self::BytesWasted,
        Self::Energy,
        Self::EnergyWasted,
        Self::Aggregated,
        Self::Late,
        Self::Rejected,
        Self::Dropped,
    ];

    /// Its name in CSV, JSON and on the command line; the unit is its suffix.
    pub fn key(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::BestValidation => "best_validation",
            Self::FinalValidation => "final_validation",
            Self::Test => "test",
            Self::TimeToTarget => "time_to_target_s",
            Self::BytesToTarget => "bytes_to_target",
            Self::EnergyToTarget => "energy_to_target_j",
            Self::SimTime => "sim_time_s",
            Self::BytesUp => "bytes_up",
            Self::BytesDown => "bytes_down",
            Self::BytesWasted => "bytes_wasted",
            Self::Energy => "energy_j",
            Self::EnergyWasted => "energy_wasted_j",
            Self::Aggregated => "aggregated",
            Self::Late => "late",
            Self::Rejected => "rejected",
            Self::Dropped => "dropped",
            Self::DroppedFor(reason) => return Cow::Owned(format!("dropped_{}", reason.as_str())),
        })
    }

    /// What people call it, without its unit.
    pub fn label(self, target: Option<f64>) -> String {
        let to = |what: &str| target.map_or_else(|| format!("{what} to target"), |value| format!("{what} to {value}"));
        match self {
            Self::BestValidation => "validation, best".into(),
            Self::FinalValidation => "validation, final".into(),
            Self::Test => "test".into(),
            Self::TimeToTarget => to("time"),
            Self::BytesToTarget => to("traffic"),
            Self::EnergyToTarget => to("energy"),
            Self::SimTime => "simulated time".into(),
            Self::BytesUp => "up".into(),
            Self::BytesDown => "down".into(),
            Self::BytesWasted => "wasted".into(),
            Self::Energy => "energy".into(),
            Self::EnergyWasted => "energy wasted".into(),
            Self::Aggregated => "used".into(),
            Self::Late => "late".into(),
            Self::Rejected => "rejected".into(),
            Self::Dropped => "dropped".into(),
            Self::DroppedFor(reason) => format!("dropped: {}", reason.as_str()),
        }
    }

    /// What it is counted in.
    pub fn unit(self) -> Unit {
        match self {
            Self::BestValidation | Self::FinalValidation | Self::Test => Unit::Metric,
            Self::TimeToTarget | Self::SimTime => Unit::Seconds,
            Self::BytesToTarget | Self::BytesUp | Self::BytesDown | Self::BytesWasted => Unit::Bytes,
            Self::EnergyToTarget | Self::Energy | Self::EnergyWasted => Unit::Joules,
            Self::Aggregated | Self::Late | Self::Rejected | Self::Dropped | Self::DroppedFor(_) => Unit::Tasks,
        }
    }

    /// True where a run that never reached the target has no value.
    pub fn is_to_target(self) -> bool {
        matches!(self, Self::TimeToTarget | Self::BytesToTarget | Self::EnergyToTarget)
    }

    /// The quantity with this key.
    pub fn of_key(key: &str) -> Option<Self> {
        let reasons = Reason::ALL.iter().copied().map(Self::DroppedFor);
        Self::ALL.into_iter().chain(reasons).find(|quantity| quantity.key() == key)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}
