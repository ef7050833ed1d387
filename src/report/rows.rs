//! The rows of `rounds.csv` and `clients.csv`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::line::{LINE_MAX, Line};
use crate::units::{Bytes, SimDuration, SimTime};

/// The columns of `rounds.csv` before the metric's, which is `eval_<metric>`.
pub(super) const ROUND_COLUMNS: [&str; 19] = [
    "round",
    "model_version",
    "sim_start_s",
    "sim_end_s",
    "selected",
    "completed",
    "dropped",
    "late",
    "stale",
    "rejected",
    "aggregated",
    "staleness_mean",
    "bytes_down",
    "bytes_up",
    "bytes_wasted",
    "cum_bytes",
    "energy_j",
    "train_loss",
    "eval_loss",
];

/// A row of `rounds.csv`: what happened between the end of the round before and the end of this one. Over a run,
/// `selected = aggregated + late + dropped + rejected`; in each round too, unless tasks outlive their round (asynchronous
/// strategies, `late_updates: fold`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundRow {
    /// The round, from 1.
    pub round: u32,
    /// Version of the model at the end of the round.
    pub model_version: u32,
    /// When it started.
    #[serde(with = "as_seconds")]
    pub sim_start: SimTime,
    /// When it ended.
    #[serde(with = "as_seconds")]
    pub sim_end: SimTime,
    /// Tasks handed out.
    pub selected: u32,
    /// Tasks whose update arrived, used or not.
    pub completed: u32,
    /// Tasks that failed.
    pub dropped: u32,
    /// Tasks that were given up because the deadline passed or enough others had arrived.
    pub late: u32,
    /// Updates refused because they were based on too old a model.
    pub stale: u32,
    /// Updates that arrived and were refused: the stale ones, those with values that are no finite numbers, and those of a
    /// round that failed.
    pub rejected: u32,
    /// Updates that became part of a model.
    pub aggregated: u32,
    /// Mean staleness of the aggregated updates; `None` without any.
    pub staleness_mean: Option<f64>,
    /// Bytes moved to clients, those of broken transfers included.
    #[serde(with = "as_count")]
    pub bytes_down: Bytes,
    /// Bytes moved to the server, those of broken transfers included.
    #[serde(with = "as_count")]
    pub bytes_up: Bytes,
    /// Of both, what was moved for tasks that were not aggregated.
    #[serde(with = "as_count")]
    pub bytes_wasted: Bytes,
    /// Bytes moved from the start of the run to the end of the round by transfers that were over by then, both ways. Without
    /// tasks that outlive their round, the sum of `bytes_down + bytes_up` so far; what tasks under way have moved counts
    /// here at once, and there when they end.
    #[serde(with = "as_count")]
    pub cum_bytes: Bytes,
    /// Energy in joules that clients spent on tasks that ended in the round; `None` where no device states its power.
    pub energy_j: Option<f64>,
    /// Mean training loss of the aggregated updates, weighted by samples.
    pub train_loss: Option<f64>,
    /// Loss of the model at the end of the round on the evaluation split.
    pub eval_loss: Option<f64>,
    /// The chosen metric of that model on that split.
    pub eval_metric: Option<f64>,
}

/// The columns of `clients.csv`; [`REGION_COLUMN`] follows where there are regions.
pub(super) const CLIENT_COLUMNS: [&str; 15] = [
    "client_id",
    "device_class",
    "network_class",
    "num_examples",
    "selected",
    "completed",
    "dropped",
    "late",
    "download_s",
    "train_s",
    "upload_s",
    "bytes_down",
    "bytes_up",
    "energy_j",
    "availability",
];

/// The last column of `clients.csv` in a run with regions.
pub(super) const REGION_COLUMN: &str = "region";

/// A row of `clients.csv`: one client over the whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientRow {
    /// Which one.
    pub client_id: u32,
    /// Name of its device class.
    pub device_class: Arc<str>,
    /// Name of its network class.
    pub network_class: Arc<str>,
    /// Training examples that it holds.
    pub num_examples: u64,
    /// Tasks that it got.
    pub selected: u32,
    /// Tasks whose update arrived, used or not.
    pub completed: u32,
    /// Tasks that failed.
    pub dropped: u32,
    /// Tasks that were given up because the deadline passed or enough others had arrived.
    pub late: u32,
    /// Time spent in downloads, broken ones included.
    #[serde(with = "as_seconds")]
    pub download: SimDuration,
    /// Time spent in training, broken off included.
    #[serde(with = "as_seconds")]
    pub train: SimDuration,
    /// Time spent in uploads, broken ones included.
    #[serde(with = "as_seconds")]
    pub upload: SimDuration,
    /// Bytes moved to it.
    #[serde(with = "as_count")]
    pub bytes_down: Bytes,
    /// Bytes moved from it.
    #[serde(with = "as_count")]
    pub bytes_up: Bytes,
    /// Energy in joules that it spent on tasks; `None` where its device states no power.
    pub energy_j: Option<f64>,
    /// Fraction of simulated time that it was online, in [0, 1]; `None` where its periods are too many to go through.
    pub availability: Option<f64>,
    /// Name of its region; `None` in a run without regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Arc<str>>,
}

/// Reads seconds with up to 6 decimals, as [`Line::push_seconds`] writes them.
pub(super) fn parse_seconds(text: &str) -> Option<u64> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 6 || !decimals.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let micros: u64 = format!("{decimals:0<6}").parse().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(micros * 1000)
}

/// A time that is written as seconds with 6 decimals.
pub(super) trait Nanos: Sized {
    fn to_nanos(&self) -> u64;
    fn from_nanos(nanos: u64) -> Self;
}

impl Nanos for SimTime {
    fn to_nanos(&self) -> u64 {
        self.as_nanos()
    }

    fn from_nanos(nanos: u64) -> Self {
        SimTime::from_nanos(nanos)
    }
}

impl Nanos for SimDuration {
    fn to_nanos(&self) -> u64 {
        self.as_nanos()
    }

    fn from_nanos(nanos: u64) -> Self {
        SimDuration::from_nanos(nanos)
    }
}

mod as_seconds {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{LINE_MAX, Line, Nanos, parse_seconds};

    pub(super) fn serialize<T: Nanos, S: Serializer>(time: &T, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; LINE_MAX];
        let mut text = Line::begin(&mut text);
        text.push_seconds(time.to_nanos());
        serializer.serialize_str(str::from_utf8(text.as_bytes()).expect("digits and a point"))
    }

    pub(super) fn deserialize<'de, T: Nanos, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let nanos = parse_seconds(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no time")))?;
        Ok(T::from_nanos(nanos))
    }
}

mod as_count {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::units::Bytes;

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(bytes.get())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        u64::deserialize(deserializer).map(Bytes::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(nanos: u64) -> String {
        let mut text = [0; LINE_MAX];
        let mut text = Line::begin(&mut text);
        text.push_seconds(nanos);
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn seconds_have_six_decimals_rounded_half_up() {
        assert_eq!(seconds(0), "0.000000");
        assert_eq!(seconds(499), "0.000000");
        assert_eq!(seconds(500), "0.000001");
        assert_eq!(seconds(1_000_000_000), "1.000000");
        assert_eq!(seconds(999_999_500), "1.000000");
        assert_eq!(seconds(61_050_000_000), "61.050000");
        // u64::MAX = 18,446,744,073,709,551,615.
        assert_eq!(seconds(u64::MAX), "18446744073.709552");
    }

    #[test]
    fn seconds_read_back_to_the_microsecond() {
        for nanos in [0, 1_000, 999_999_000, 61_050_000_000, 18_446_744_073_000_000_000] {
            assert_eq!(parse_seconds(&seconds(nanos)), Some(nanos));
        }
        assert_eq!(parse_seconds("1.5"), Some(1_500_000_000));
        for text in ["", "-1", "1.0000001", "1.-5", "1e3"] {
            assert_eq!(parse_seconds(text), None, "{text}");
        }
    }
}
