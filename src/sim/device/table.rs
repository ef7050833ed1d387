//! Devices from a table of measurements.

use std::collections::BTreeMap;

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::registry::Problem;
use crate::seed::{Purpose, Seeds};
use crate::sim::rows::{ClientIds, Column, Faults, read};
use crate::sim::{Assign, BuildContext, SimError};
use crate::units::{Bytes, Flops};

/// Measured devices: rows of a CSV file with the columns `client_id` (or `device_id`), `time_per_sample_ms` and, where it is
/// known, `memory_mib`, which takes the place of the class's `memory`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableConfig {
    /// The file; may be compressed (`.gz`).
    pub file: String,
    /// By id, every client needs a row. At random, each client draws one.
    #[serde(default)]
    pub assign: Assign,
    /// Operations of the measured work on one sample, forward and backward, > 0. A task's time per sample is then the measured
    /// one x its own operations / these: the device's speed is what was measured. Absent: times are taken as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_flops: Option<Flops>,
}

const COLUMNS: [Column; 3] = [
    Column { names: &["client_id", "device_id"], is_required: true },
    Column { names: &["time_per_sample_ms"], is_required: true },
    Column { names: &["memory_mib"], is_required: false },
];

/// A nanosecond and the clock's range.
const MS_MIN: f64 = 1e-6;
const MS_MAX: f64 = 9e12;
/// A byte or so, and as much as a size in a scenario can be.
const MIB_MIN: f64 = 1e-6;
const MIB_MAX: f64 = 1.7e13;

/// A measured device.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Device {
    time_per_sample_s: f64,
    memory: Option<Bytes>,
}

/// The devices of a file.
#[derive(Debug, Clone)]
pub(super) struct Table {
    devices: Vec<Device>,
    assign: Assign,
    seeds: Seeds,
    reference: Option<Flops>,
}

impl TableConfig {
    /// What is wrong with the settings.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let is_good = self.reference_flops.is_none_or(|Flops(operations)| operations > 0.0 && operations.is_finite());
        if is_good {
            return Vec::new();
        }
        let help = "write the cost of the measured model, such as `8.2 GFLOP`, or leave it out";
        vec![Problem::new("reference_flops", "a measured time for no work says nothing").help(help)]
    }

    pub(super) fn file_problems(&self, context: &BuildContext) -> Vec<Problem> {
        self.read(context).1.problems("file")
    }

    pub(super) fn build(&self, context: &BuildContext) -> Result<Table, SimError> {
        let (devices, faults) = self.read(context);
        faults.into_error()?;
        Ok(Table { devices, assign: self.assign, seeds: context.seeds, reference: self.reference_flops })
    }

    /// By id, device `i` is that of client `i`.
    fn read(&self, context: &BuildContext) -> (Vec<Device>, Faults) {
        let mut faults = Faults::new(&self.file);
        let mut found: BTreeMap<String, (Device, u64)> = BTreeMap::new();
        let mut ids = ClientIds::new(context.n_clients, "with `assign: random` each client draws one of the rows");
        read(&context.base_dir, &self.file, &COLUMNS, &mut faults, |row, faults| {
            if self.assign == Assign::ById {
                ids.see(row.fields[0], row.line, faults);
            }
            let time = row.number_within(1, "time_per_sample_ms", MS_MIN, MS_MAX);
            let memory = match row.fields[2] {
                "" => Ok(None),
                _ => row.number_within(2, "memory_mib", MIB_MIN, MIB_MAX).map(Some),
            };
            match time.and_then(|time| Ok((time, memory?))) {
                Ok((0.0, _)) => faults.at(row.line, "time_per_sample_ms is 0", "training a sample takes time"),
                Ok((_, Some(0.0))) => {
                    faults.at(
                        row.line,
                        "memory_mib is 0, which holds no training",
                        "leave it empty where it is not known",
                    );
                }
                Ok((time, memory)) => {
                    let memory = memory.map(|mib| Bytes::new((mib * 1_048_576.0) as u64));
                    let device = Device { time_per_sample_s: time / 1e3, memory };
                    if let Some((_, line)) = found.insert(row.fields[0].to_string(), (device, row.line)) {
                        let message = format!("`{}` has a row in line {line} already", row.fields[0]);
                        faults.at(row.line, message, "remove one of them");
                    }
                }
                Err(message) => faults.at(row.line, message, "milliseconds for a sample in an epoch, and MiB"),
            }
        });
        if self.assign == Assign::Random {
            return (found.into_values().map(|(device, _)| device).collect(), faults);
        }
        ids.refuse_missing("row", &mut faults);
        let places = ids.places(found.keys().map(String::as_str));
        let devices: Vec<Device> = found.into_values().map(|(device, _)| device).collect();
        (places.into_iter().flatten().map(|place| devices[place as usize]).collect(), faults)
    }
}

impl Table {
    fn device(&self, client_id: u32) -> Option<Device> {
        let index = match self.assign {
            Assign::ById => client_id as usize,
            Assign::Random => {
                let n = self.devices.len() as u32;
                self.seeds.client(Purpose::DeviceRow, client_id).random_range(0..n) as usize
            }
        };
        self.devices.get(index).copied()
    }

    /// Memory of a client's device, where the file has it.
    pub(super) fn memory(&self, client_id: u32) -> Option<Bytes> {
        self.device(client_id)?.memory
    }

    /// Seconds that a client needs for a sample that costs so many operations.
    pub(super) fn seconds_per_sample(&self, client_id: u32, work: Flops) -> Result<f64, String> {
        let device = self.device(client_id).ok_or("its table of devices has no row for it")?;
        match self.reference {
            None => Ok(device.time_per_sample_s),
            Some(Flops(reference)) => Ok(device.time_per_sample_s * super::checked_operations(work)? / reference),
        }
    }
}
