//! Recorded windows of availability.

mod recording;

use std::sync::atomic::{AtomicU32, Ordering};

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::recording::{Device, Recording, WindowRows, read_spans};
use super::{Availability, AvailabilityModel, EndOfTrace, NEVER};
use crate::registry::Problem;
use crate::seed::{Purpose, Seeds};
use crate::sim::rows::{ClientIds, Faults};
use crate::sim::{BuildContext, SimError};
use crate::units::{SimDuration, SimTime};

/// Online within the windows of a file.
///
/// A device is recorded within a span of time: the one of `devices_file`, else from 0 to `length`. A looped device repeats its
/// span before and after it, so that recordings of whole days keep their hours, whenever they began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceConfig {
    /// CSV with the columns `client_id` (or `device_id`), `start_s`, `end_s`; may be compressed (`.gz`). Windows include their
    /// start and not their end, and do not overlap within a client; empty ones count for nothing.
    pub file: String,
    /// CSV with the columns `device_id` (or `client_id`), `trace_start_s`, `trace_end_s`: which devices there are, those without
    /// a window included, and the span of each. A device without a span is never online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices_file: Option<String>,
    /// Whose windows a client follows.
    #[serde(default)]
    pub assign: Assign,
    /// What follows the end of the recording.
    pub end: TraceEnd,
    /// Where in the recording the run starts.
    #[serde(default)]
    pub start: SimDuration,
    /// Length of the recording, where no `devices_file` states spans. Absent: until the last window's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<SimDuration>,
}

/// How the rows of a file become clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Assign {
    /// The row's id is the client's number. A client without rows has none.
    #[default]
    ById,
    /// Each client draws one of the file's devices, with equal chances, from a stream of its own.
    Random,
}

/// What follows the end of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceEnd {
    /// It begins anew.
    Loop,
    /// Its last state stays.
    Hold,
    /// The run ends with an error, when the first of the recordings that clients follow is over.
    Error,
}

impl TraceConfig {
    /// The files that are read, with their settings.
    pub fn files_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut String)> {
        let devices = self.devices_file.iter_mut().map(|file| ("devices_file", file));
        std::iter::once(("file", &mut self.file)).chain(devices)
    }

    /// The trace, and what is wrong with each file.
    fn read(&self, context: &BuildContext) -> (Recording, Faults, Option<Faults>) {
        let help = "with `assign: random` each client draws one of the file's devices";
        let mut ids = (self.assign == Assign::ById).then(|| ClientIds::new(context.n_clients, help));
        let mut recording = Recording::from_start(self.start);
        let (mut windows, mut devices);
        match &self.devices_file {
            Some(file) => {
                // Which ids there are the list of devices says.
                windows = WindowRows::read(&context.base_dir, &self.file, None);
                let (spans, faults) = read_spans(&context.base_dir, file, ids.as_mut());
                // Without the list nothing can be said about the devices of the windows.
                if faults.is_empty() {
                    windows.place_in(spans, file, &mut recording);
                }
                devices = Some(faults);
            }
            None => {
                windows = WindowRows::read(&context.base_dir, &self.file, ids.as_mut());
                windows.place_in_one_span(self.length, &mut recording);
                devices = None;
            }
        }
        recording.file_of_ends = self.devices_file.as_ref().unwrap_or(&self.file).clone();
        if windows.faults.is_empty() && devices.as_ref().is_none_or(Faults::is_empty) {
            match &ids {
                Some(ids) => recording.assign_by_id(ids),
                // Otherwise each client's is drawn when it is asked for.
                None if self.end == TraceEnd::Error => recording.assign_at_random(context.n_clients, &context.seeds),
                None => {}
            }
            if self.end == TraceEnd::Error {
                recording.refuse_what_is_not_recorded(devices.as_mut().unwrap_or(&mut windows.faults));
            }
        }
        (recording, windows.faults, devices)
    }
}

impl Availability for TraceConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.length.is_some() && self.devices_file.is_some() {
            found.push(
                Problem::new("length", "the spans of `devices_file` are the length of the recording")
                    .help("remove one of them"),
            );
        }
        if self.length == Some(SimDuration::ZERO) {
            found.push(
                Problem::new("length", "a recording has a length").help("leave it out for the last window's end"),
            );
        }
        found
    }

    fn file_problems(&self, context: &BuildContext) -> Vec<Problem> {
        let (_, windows, devices) = self.read(context);
        let mut found = devices.map_or_else(Vec::new, |faults| faults.problems("devices_file"));
        found.extend(windows.problems("file"));
        found
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn AvailabilityModel>, SimError> {
        let (recording, windows, devices) = self.read(context);
        devices.map_or(Ok(()), Faults::into_error)?;
        windows.into_error()?;
        let is_lazy = self.assign == Assign::Random && recording.of_client.is_empty();
        let n_drawn = if is_lazy { context.n_clients as usize } else { 0 };
        let drawn = (0..n_drawn).map(|_| AtomicU32::new(NOT_DRAWN)).collect();
        let ends = if self.end == TraceEnd::Error { recording.first_end() } else { None };
        Ok(Box::new(Trace { recording, seeds: context.seeds, drawn, end: self.end, ends }))
    }
}

struct Trace {
    recording: Recording,
    seeds: Seeds,
    /// The device that each client drew, once it was asked for; empty where that is known from the start.
    drawn: Vec<AtomicU32>,
    end: TraceEnd,
    ends: Option<EndOfTrace>,
}

const NOT_DRAWN: u32 = u32::MAX;

impl Trace {
    /// The device that a client follows, if it was ever seen ready.
    fn device(&self, client_id: u32) -> Option<&Device> {
        let client = client_id as usize;
        let index = match self.drawn.get(client) {
            None => *self.recording.of_client.get(client)?,
            Some(drawn) => match drawn.load(Ordering::Relaxed) {
                NOT_DRAWN => {
                    let n = self.recording.devices.len() as u32;
                    let index = self.seeds.client(Purpose::Availability, client_id).random_range(0..n);
                    // Whoever stores it stores the same.
                    drawn.store(index, Ordering::Relaxed);
                    index
                }
                index => index,
            },
        };
        self.recording.devices.get(index as usize).filter(|device| device.n_windows > 0)
    }

    /// Repetition of the span, and position in it, at a time of the run. Where the span does not repeat, the number says
    /// whether the time lies before (negative), in (0) or after it.
    fn place(&self, device: &Device, time: SimTime) -> (i128, u64) {
        let since = i128::from(self.recording.start_ns) + i128::from(time.as_nanos()) - i128::from(device.span_start);
        let span = i128::from(device.span);
        // The remainder lies within the span, which fits.
        (since.div_euclid(span), since.rem_euclid(span) as u64)
    }

    /// State at a time of the run, and when it changes.
    fn state(&self, client_id: u32, time: SimTime) -> (bool, SimTime) {
        let Some(device) = self.device(client_id) else { return (false, NEVER) };
        let windows = self.recording.windows(device);
        let (first, last) = (windows[0], windows[windows.len() - 1]);
        let (repetition, position) = self.place(device, time);
        let wraps = self.end == TraceEnd::Loop;
        let is_on_at_end = last.end == device.span;
        if !wraps && repetition > 0 {
            return (is_on_at_end, NEVER);
        }
        if !wraps && repetition < 0 {
            // Before it was recorded a device is offline.
            let to_start = (-repetition - 1) * i128::from(device.span) + i128::from(device.span - position);
            return (false, later(time, to_start + i128::from(first.start)));
        }
        let to_span_end = device.span - position;
        let next = windows.partition_point(|window| window.start <= position);
        let holder = next.checked_sub(1).map(|last| windows[last]).filter(|window| position < window.end);
        let wait = match holder {
            Some(window) if window.end < device.span => window.end - position,
            Some(_) if !wraps => return (true, NEVER),
            Some(window) if window.start == 0 => return (true, NEVER),
            // On across the end of the span, when the next repetition begins with a window.
            Some(_) => to_span_end + if first.start == 0 { first.end } else { 0 },
            None if next < windows.len() => windows[next].start - position,
            None if !wraps => return (false, NEVER),
            None => to_span_end + first.start,
        };
        (holder.is_some(), later(time, i128::from(wait)))
    }

    /// Online time since an arbitrary origin.
    fn online_ns(&self, device: &Device, time: SimTime) -> i128 {
        let (repetition, position) = self.place(device, time);
        let online = i128::from(device.online);
        if self.end == TraceEnd::Loop || repetition == 0 {
            return repetition * online + i128::from(self.recording.online_by(device, position));
        }
        if repetition < 0 {
            return 0;
        }
        let windows = self.recording.windows(device);
        let after = (repetition - 1) * i128::from(device.span) + i128::from(position);
        online + if windows[windows.len() - 1].end == device.span { after } else { 0 }
    }
}

fn later(time: SimTime, wait: i128) -> SimTime {
    time + SimDuration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
}

impl AvailabilityModel for Trace {
    fn is_online(&self, client_id: u32, time: SimTime) -> bool {
        self.state(client_id, time).0
    }

    fn next_change(&self, client_id: u32, time: SimTime) -> SimTime {
        self.state(client_id, time).1
    }

    fn next_online(&self, client_id: u32, time: SimTime) -> SimTime {
        let (is_on, change) = self.state(client_id, time);
        if is_on { time } else { change }
    }

    fn online_fraction(&self, client_id: u32, until: SimTime) -> f64 {
        let Some(device) = self.device(client_id) else { return 0.0 };
        if until == SimTime::ZERO {
            return f64::from(u8::from(self.is_online(client_id, until)));
        }
        let online = self.online_ns(device, until) - self.online_ns(device, SimTime::ZERO);
        online as f64 / until.as_nanos() as f64
    }

    fn end_of_trace(&self) -> Option<&EndOfTrace> {
        self.ends.as_ref()
    }
}

#[cfg(test)]
mod tests;
