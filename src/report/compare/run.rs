//! One run as it is compared: its summary, its rounds, and what was simulated.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::{RoundRow, SCHEMA_VERSION, Status, Summary, read_rounds};
use super::quantity::Quantity;

/// A run that can be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its folder, as it was given or found.
    pub folder: PathBuf,
    /// The cell of the sweep that it belongs to, if it does to one.
    pub cell: Option<String>,
    /// What came out.
    pub summary: Summary,
    /// Its rounds, in order.
    pub rounds: Vec<RoundRow>,
    /// What was simulated, without the seed and what decides nothing in the results.
    pub(super) scenario: Value,
}

impl Run {
    /// Reads a run's folder. The error is why the run cannot be compared, in words that follow the folder's name.
    pub(super) fn read(folder: &Path, cell: Option<&str>) -> Result<Self, String> {
        let summary = summary(folder)?;
        let scenario = scenario(folder)?;
        let rounds = read_rounds(&folder.join("rounds.csv")).map_err(|error| error.to_string())?.rows;
        Ok(Self { folder: folder.into(), cell: cell.map(Into::into), summary, rounds, scenario })
    }

    /// The root of its randomness.
    pub fn seed(&self) -> u64 {
        self.summary.seed
    }

    /// Its value of a quantity; `None` where it has none, as when it never reached the target.
    pub fn value(&self, quantity: Quantity, target: Option<f64>) -> Option<f64> {
        let summary = &self.summary;
        let validation = summary.validation.as_ref();
        let (bytes, updates) = (summary.bytes, &summary.updates);
        match quantity {
            Quantity::BestValidation => validation.map(|found| found.best),
            Quantity::FinalValidation => validation.map(|found| found.last),
            Quantity::Test => summary.test.as_ref().map(|test| test.value),
            Quantity::TimeToTarget => self.reached(target?).map(|row| row.sim_end.as_secs_f64()),
            Quantity::BytesToTarget => self.reached(target?).map(|row| row.cum_bytes.get() as f64),
            Quantity::EnergyToTarget => {
                let reached = self.reached(target?)?;
                self.rounds.iter().take_while(|row| row.round <= reached.round).map(|row| row.energy_j).sum()
            }
            Quantity::SimTime => Some(summary.sim_time.as_secs_f64()),
            Quantity::BytesUp => Some(bytes.up.get() as f64),
            Quantity::BytesDown => Some(bytes.down.get() as f64),
            Quantity::BytesWasted => Some(bytes.wasted.get() as f64),
            Quantity::Energy => summary.energy.map(|energy| energy.total),
            Quantity::EnergyWasted => summary.energy.map(|energy| energy.wasted),
            Quantity::Aggregated => Some(updates.aggregated as f64),
            Quantity::Late => Some(updates.late as f64),
            Quantity::Rejected => Some(updates.n_rejected() as f64),
            Quantity::Dropped => Some(updates.n_dropped() as f64),
            // A reason that did not occur was counted all the same: 0 times.
            Quantity::DroppedFor(reason) => Some(updates.dropped.get(&reason).copied().unwrap_or(0) as f64),
        }
    }

    /// True when models were trained and evaluated.
    pub fn is_evaluated(&self) -> bool {
        self.summary.validation.is_some()
    }

    /// The first round after which the validation metric is at least `target`.
    pub fn reached(&self, target: f64) -> Option<&RoundRow> {
        self.rounds.iter().find(|row| row.eval_metric.is_some_and(|value| value >= target))
    }
}

/// A whole summary of a run that came to its end.
fn summary(folder: &Path) -> Result<Summary, String> {
    let path = folder.join("summary.json");
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "it has no summary.json: it was cut off, or is still running".to_owned(),
        _ => format!("its summary.json cannot be read: {error}"),
    })?;
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("its summary.json is damaged: {error}"))?;
    match value.get("schema_version").and_then(Value::as_u64) {
        Some(version) if version == u64::from(SCHEMA_VERSION) => {}
        Some(version) => {
            return Err(format!("its summary.json has version {version}; this program compares {SCHEMA_VERSION}"));
        }
        None => return Err("its summary.json says no schema_version".into()),
    }
    let summary: Summary =
        serde_json::from_value(value).map_err(|error| format!("its summary.json is not as expected: {error}"))?;
    match summary.status {
        Status::Completed => Ok(summary),
        Status::Interrupted => Err(format!("it was interrupted after round {}", summary.rounds)),
        Status::Failed => Err(format!("it failed after round {}", summary.rounds)),
    }
}

/// The locked scenario without what may differ between runs of one group.
fn scenario(folder: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(folder.join("scenario.lock.yaml"))
        .map_err(|error| format!("its scenario.lock.yaml cannot be read: {error}"))?;
    let mut scenario: Value =
        serde_saphyr::from_str(&text).map_err(|error| format!("its scenario.lock.yaml is damaged: {error}"))?;
    let settings = scenario.as_object_mut().ok_or("its scenario.lock.yaml is no map of settings")?;
    for key in ["seed", "repeats", "output"] {
        settings.shift_remove(key);
    }
    if let Some(compute) = settings.get_mut("compute").and_then(Value::as_object_mut) {
        compute.shift_remove("workers");
        compute.shift_remove("memory_limit");
    }
    // What is built in may be drawn from the seed, and so may its hash; its name and the program's version say which it is.
    for (input, hash) in [("dataset", "dataset_hash"), ("model", "model_hash")] {
        let name = settings.get(input).and_then(|input| input.get("name")).and_then(Value::as_str);
        let is_built_in = name.is_some_and(|name| name.starts_with("builtin:"));
        if let Some(lock) = settings.get_mut("lock").and_then(Value::as_object_mut).filter(|_| is_built_in) {
            lock.shift_remove(hash);
        }
    }
    Ok(scenario)
}
