//! FedScale's device traces.
//!
//! `client_device_capacity`: a pickled dictionary from client to `{computation, communication}`. `computation` is the latency of
//! inference in ms per sample; FedScale takes three times as long for training (`augmentation_factor=3.0` in
//! `ClientMetadata.get_completion_time`). `communication` is the rate of the link in kbit/s, the same in both directions.
//!
//! `client_behave_trace`: a pickled dictionary from client to `{duration, inactive, finish_time, active, model}`. A client is
//! active from each time in `active` to the time at the same place in `inactive`, in seconds modulo `finish_time`
//! (`ClientMetadata.is_active`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer};

use super::{ImportError, Recorded, RecordedDevice, by_id, joined, pickle};

/// How fast a client computes and communicates.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// Its id in the source.
    pub id: String,
    /// Milliseconds of training for a sample.
    pub time_per_sample_ms: f64,
    /// Rate of its link, in kbit/s.
    pub kbps: f64,
}

/// A client's number or name.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Id(String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl serde::de::Visitor<'_> for Any {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a client's number or name")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Id, E> {
                Ok(Id(number.to_string()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Id, E> {
                Ok(Id(number.to_string()))
            }

            fn visit_str<E>(self, name: &str) -> Result<Id, E> {
                Ok(Id(name.to_string()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[derive(Deserialize)]
struct CapacityEntry {
    computation: f64,
    communication: f64,
}

#[derive(Deserialize)]
struct BehaviourEntry {
    finish_time: f64,
    active: Vec<f64>,
    inactive: Vec<f64>,
}

/// Reads `client_device_capacity`. `training_factor` is how many times as long as inference training takes; FedScale's is 3.
///
/// # Errors
/// Objects, broken pickles, and clients whose figures are not above 0.
pub fn capacity(bytes: &[u8], training_factor: f64) -> Result<Vec<Capacity>, ImportError> {
    let entries: BTreeMap<Id, CapacityEntry> = pickle::read(bytes)?;
    let mut clients = Vec::with_capacity(entries.len());
    for (Id(id), entry) in entries {
        for (name, value) in [("computation", entry.computation), ("communication", entry.communication)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(ImportError::Client { id, reason: format!("`{name}` is {value}, which is not above 0") });
            }
        }
        let time_per_sample_ms = entry.computation * training_factor;
        clients.push(Capacity { id, time_per_sample_ms, kbps: entry.communication });
    }
    clients.sort_by_key(|client| by_id(&client.id));
    Ok(clients)
}

/// Reads `client_behave_trace`. What lies after `finish_time` is cut off: FedScale's clock never comes there.
///
/// # Errors
/// Objects, broken pickles, and clients whose times are not in order.
pub fn availability(bytes: &[u8]) -> Result<Recorded, ImportError> {
    let entries: BTreeMap<Id, BehaviourEntry> = pickle::read(bytes)?;
    let (mut devices, mut n_cut, mut n_overlapping, mut n_open) = (Vec::with_capacity(entries.len()), 0, 0, 0);
    for (Id(id), entry) in entries {
        let fail = |reason: String| ImportError::Client { id: id.clone(), reason };
        let finish = entry.finish_time;
        if !(finish > 0.0 && finish.is_finite()) {
            return Err(fail(format!("`finish_time` is {finish}, which is not above 0")));
        }
        let (n_starts, n_ends) = (entry.active.len(), entry.inactive.len());
        if n_starts != n_ends && n_starts != n_ends + 1 {
            return Err(fail(format!("{n_starts} times in `active`, {n_ends} in `inactive`")));
        }
        // A last period without an end lasts until the trace does.
        n_open += n_starts - n_ends;
        let ends = entry.inactive.iter().copied().chain(std::iter::repeat(finish));
        let mut windows = Vec::with_capacity(n_starts);
        for (start, end) in entry.active.iter().copied().zip(ends) {
            if !(start >= 0.0 && end >= start && end.is_finite()) {
                return Err(fail(format!("it is active from {start} s to {end} s")));
            }
            n_cut += usize::from(end > finish);
            if start < finish {
                windows.push((start, end.min(finish)));
            }
        }
        let (windows, overlapping) = joined(windows);
        n_overlapping += overlapping;
        devices.push(RecordedDevice { id, span: Some((0.0, finish)), windows });
    }
    devices.sort_by_key(|device| by_id(&device.id));
    let mut notes = Vec::new();
    for (n, what) in [
        (n_cut, "windows ended after their client's `finish_time` and were cut off there"),
        (n_overlapping, "windows overlapped another of their client and were joined with it"),
        (n_open, "clients were active at the end without a last `inactive`"),
    ] {
        if n > 0 {
            notes.push(format!("{n} {what}"));
        }
    }
    Ok(Recorded { devices, notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pickle.dumps({2: {"computation": 20.5, "communication": 4000}, 10: {"computation": 100, "communication": 512.5}},
    /// protocol=4)` of Python 3: see `tests/peers/make_pickles.py`.
    const CAPACITY: &[u8] = include_bytes!("../../tests/peers/pickles/capacity_4.pickle");
    const CAPACITY_0: &[u8] = include_bytes!("../../tests/peers/pickles/capacity_0.pickle");
    const BEHAVIOUR: &[u8] = include_bytes!("../../tests/peers/pickles/behaviour_2.pickle");

    #[test]
    fn capacities_are_read_in_any_protocol() {
        let expected = vec![
            Capacity { id: "2".into(), time_per_sample_ms: 61.5, kbps: 4000.0 },
            Capacity { id: "10".into(), time_per_sample_ms: 300.0, kbps: 512.5 },
        ];
        assert_eq!(capacity(CAPACITY, 3.0), Ok(expected.clone()));
        assert_eq!(capacity(CAPACITY_0, 3.0), Ok(expected));
    }

    #[test]
    fn behaviour_becomes_windows_within_a_span() {
        // Client 1: active [0, 100, 300], inactive [50, 200, 500], finish_time 400; client 7: active [10], inactive [].
        let recorded = availability(BEHAVIOUR).unwrap();
        let expected = [
            RecordedDevice {
                id: "1".into(),
                span: Some((0.0, 400.0)),
                windows: vec![(0.0, 50.0), (100.0, 200.0), (300.0, 400.0)],
            },
            RecordedDevice { id: "7".into(), span: Some((0.0, 86_400.0)), windows: vec![(10.0, 86_400.0)] },
        ];
        assert_eq!(recorded.devices, expected);
        assert_eq!(recorded.notes.len(), 2, "{:?}", recorded.notes);
    }

    #[test]
    fn figures_that_make_no_sense_name_their_client() {
        let slow = include_bytes!("../../tests/peers/pickles/capacity_zero.pickle");
        assert_eq!(
            capacity(slow, 3.0).unwrap_err().to_string(),
            "client `3`: `computation` is 0, which is not above 0"
        );
        let reversed = include_bytes!("../../tests/peers/pickles/behaviour_reversed.pickle");
        assert_eq!(availability(reversed).unwrap_err().to_string(), "client `5`: it is active from 20 s to 10 s");
        assert!(availability(CAPACITY).unwrap_err().to_string().contains("finish_time"));
    }
}
