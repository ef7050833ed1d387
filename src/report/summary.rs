//! `summary.json`: what came out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use super::line::whole_micros;
use super::{Reason, TaskPhase};
use crate::units::{Bytes, SimTime};

/// Version of the form of `summary.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// What came out of a run. Without real training (`mode: timing_only`) the metric and what depends on it are `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name of the scenario.
    pub name: String,
    /// Root of its randomness.
    pub seed: u64,
    /// How the run ended.
    pub status: Status,
    /// Rounds that ended.
    pub rounds: u32,
    /// Simulated time at the end, in seconds, to the microsecond.
    #[serde(rename = "sim_time_s", serialize_with = "seconds", deserialize_with = "from_seconds")]
    pub sim_time: SimTime,
    /// Name of the metric.
    pub metric: Option<String>,
    /// The metric on the validation split.
    pub validation: Option<Validation>,
    /// The metric on the test split.
    pub test: Option<Test>,
    /// The target, if there is one.
    pub target: Option<Target>,
    /// What became of the tasks.
    pub updates: Updates,
    /// What was moved.
    pub bytes: Traffic,
    /// What clients spent on tasks; absent where no device states its power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<EnergySpent>,
}

/// Energy in joules, to the millijoule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct EnergySpent {
    /// On all tasks.
    #[serde(rename = "total_j")]
    pub total: f64,
    /// Of it, on tasks that were not aggregated.
    #[serde(rename = "wasted_j")]
    pub wasted: f64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All rounds were run.
    Completed,
    /// The user stopped it.
    Interrupted,
    /// It could not go on.
    Failed,
}

/// The metric on the validation split, by which the best round is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// The round with the best value; the first of equals.
    pub best_round: u32,
    /// Its value.
    pub best: f64,
    /// The value evaluated last.
    #[serde(rename = "final")]
    pub last: f64,
}

/// The metric on the test split, evaluated once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// The round of the model tested: the best on validation.
    pub round: u32,
    /// Its value.
    pub value: f64,
}

/// When the validation metric first reached `evaluation.target`. All but the value are `None` if it never did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The value to reach.
    pub value: f64,
    /// The round at whose end it was reached.
    pub reached_round: Option<u32>,
    /// Simulated time then, in seconds.
    #[serde(rename = "sim_time_s", serialize_with = "optional_seconds", deserialize_with = "from_optional_seconds")]
    pub sim_time: Option<SimTime>,
    /// Bytes moved until then, both ways.
    #[serde(serialize_with = "optional_count", deserialize_with = "from_optional_count")]
    pub bytes: Option<Bytes>,
}

/// What became of the tasks: `selected = aggregated + late + dropped + rejected`, the last two summed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updates {
    /// Tasks handed out.
    pub selected: u64,
    /// Updates that became part of a model.
    pub aggregated: u64,
    /// Tasks given up because a deadline passed or enough others had arrived.
    pub late: u64,
    /// Tasks that failed, by reason.
    pub dropped: BTreeMap<Reason, u64>,
    /// The same by what the client was doing, and reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped_by_phase: BTreeMap<TaskPhase, BTreeMap<Reason, u64>>,
    /// Updates that arrived and were not used, by reason.
    pub rejected: BTreeMap<Reason, u64>,
}

/// What was moved, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// To the server.
    #[serde(serialize_with = "count", deserialize_with = "from_count")]
    pub up: Bytes,
    /// To the clients.
    #[serde(serialize_with = "count", deserialize_with = "from_count")]
    pub down: Bytes,
    /// Of both, for tasks that were not aggregated.
    #[serde(serialize_with = "count", deserialize_with = "from_count")]
    pub wasted: Bytes,
}

impl Updates {
    /// Tasks that failed, whatever the reason.
    pub fn n_dropped(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Updates that arrived and were not used, whatever the reason.
    pub fn n_rejected(&self) -> u64 {
        self.rejected.values().sum()
    }
}

impl Summary {
    /// The text of `summary.json`, with a newline at its end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a summary holds nothing that JSON cannot");
        text.push('\n');
        text
    }
}

fn to_seconds(time: SimTime) -> f64 {
    whole_micros(time.as_nanos()) as f64 / 1e6
}

fn to_time(seconds: f64) -> SimTime {
    SimTime::from_nanos((seconds * 1e6).round() as u64 * 1000)
}

fn seconds<S: Serializer>(time: &SimTime, serializer: S) -> Result<S::Ok, S::Error> {
    to_seconds(*time).serialize(serializer)
}

fn optional_seconds<S: Serializer>(time: &Option<SimTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(to_seconds).serialize(serializer)
}

fn count<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.get().serialize(serializer)
}

fn optional_count<S: Serializer>(bytes: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.map(Bytes::get).serialize(serializer)
}

fn from_seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SimTime, D::Error> {
    f64::deserialize(deserializer).map(to_time)
}

fn from_optional_seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SimTime>, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.map(to_time))
}

fn from_count<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    u64::deserialize(deserializer).map(Bytes::new)
}

fn from_optional_count<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
    Ok(Option::<u64>::deserialize(deserializer)?.map(Bytes::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_that_of_the_format() {
        let summary = Summary {
            schema_version: SCHEMA_VERSION,
            name: "a".into(),
            seed: 42,
            status: Status::Completed,
            rounds: 3,
            sim_time: SimTime::from_nanos(1_234_567_500),
            metric: Some("accuracy".into()),
            validation: Some(Validation { best_round: 2, best: 0.9, last: 0.875 }),
            test: Some(Test { round: 2, value: 0.5 }),
            target: Some(Target { value: 0.95, reached_round: None, sim_time: None, bytes: None }),
            updates: Updates {
                selected: 10,
                aggregated: 6,
                late: 1,
                dropped: BTreeMap::from([(Reason::Network, 1), (Reason::Offline, 2)]),
                dropped_by_phase: BTreeMap::from([
                    (TaskPhase::Download, BTreeMap::from([(Reason::Offline, 2)])),
                    (TaskPhase::Upload, BTreeMap::from([(Reason::Network, 1)])),
                ]),
                rejected: BTreeMap::from([(Reason::Diverged, 0)]),
            },
            bytes: Traffic { up: Bytes::new(1024), down: Bytes::new(2048), wasted: Bytes::new(7) },
            energy: None,
        };
        let expected = serde_json::json!({
            "schema_version": 1, "name": "a", "seed": 42, "status": "completed", "rounds": 3, "sim_time_s": 1.234568,
            "metric": "accuracy", "validation": { "best_round": 2, "best": 0.9, "final": 0.875 },
            "test": { "round": 2, "value": 0.5 },
            "target": { "value": 0.95, "reached_round": null, "sim_time_s": null, "bytes": null },
            "updates": { "selected": 10, "aggregated": 6, "late": 1, "dropped": { "offline": 2, "network": 1 },
                "dropped_by_phase": { "download": { "offline": 2 }, "upload": { "network": 1 } },
                "rejected": { "diverged": 0 } },
            "bytes": { "up": 1024, "down": 2048, "wasted": 7 },
        });
        // Compared as text, so that the order counts too.
        assert_eq!(summary.to_json(), serde_json::to_string_pretty(&expected).unwrap() + "\n");
        let back: Summary = serde_json::from_str(&summary.to_json()).unwrap();
        assert_eq!(back, Summary { sim_time: SimTime::from_nanos(1_234_568_000), ..summary });
    }
}
