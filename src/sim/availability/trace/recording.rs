//! From rows to devices with windows and spans.

use std::collections::BTreeMap;
use std::path::Path;

use rand::RngExt;

use crate::seed::{Purpose, Seeds};
use crate::sim::availability::EndOfTrace;
use crate::sim::rows::{ClientIds, Column, Faults, nanos, read};
use crate::units::{SimDuration, SimTime};

const WINDOWS: [Column; 3] = [
    Column { names: &["client_id", "device_id"], is_required: true },
    Column { names: &["start_s"], is_required: true },
    Column { names: &["end_s"], is_required: true },
];
const DEVICES: [Column; 3] = [
    Column { names: &["device_id", "client_id"], is_required: true },
    Column { names: &["trace_start_s"], is_required: true },
    Column { names: &["trace_end_s"], is_required: true },
];
const LOOP_HELP: &str = "choose `end: loop` or `end: hold`, or a `start` within the recording";

/// Span of each device in nanoseconds, none for one that was never seen ready, and the line that says so.
pub(super) type Spans = BTreeMap<String, (Option<(u64, u64)>, u64)>;

/// A window in nanoseconds, with its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Window {
    start: u64,
    end: u64,
    line: u64,
}

pub(super) struct WindowRows {
    by_device: BTreeMap<String, Vec<Window>>,
    /// Where each device appears first.
    first_lines: BTreeMap<String, u64>,
    pub(super) faults: Faults,
}

impl WindowRows {
    /// The rows of a file; `ids` are told of those in it.
    pub(super) fn read(base_dir: &Path, file: &str, mut ids: Option<&mut ClientIds>) -> Self {
        let mut faults = Faults::new(file);
        let mut by_device: BTreeMap<String, Vec<Window>> = BTreeMap::new();
        let mut first_lines = BTreeMap::new();
        read(base_dir, file, &WINDOWS, &mut faults, |row, faults| {
            if let Some(ids) = &mut ids {
                ids.see(row.fields[0], row.line, faults);
            }
            let times = row.number(1, "start_s").and_then(|start| Ok((start, row.number(2, "end_s")?)));
            let window = times.and_then(|(start_s, end_s)| {
                if end_s < start_s {
                    return Err(format!("end_s {end_s} is before start_s {start_s}"));
                }
                Ok(Window { start: nanos(start_s)?, end: nanos(end_s)?, line: row.line })
            });
            match window {
                Ok(window) => {
                    first_lines.entry(row.fields[0].to_string()).or_insert(row.line);
                    by_device.entry(row.fields[0].to_string()).or_default().push(window);
                }
                Err(message) => faults.at(row.line, message, "times are seconds from the start of the recording"),
            }
        });
        for (id, windows) in &mut by_device {
            windows.sort_unstable();
            windows.retain(|window| window.end > window.start);
            for pair in windows.windows(2).filter(|pair| pair[1].start < pair[0].end) {
                let message = format!(
                    "the window from {} s of `{id}` overlaps that of line {}, which ends at {} s",
                    seconds(pair[1].start),
                    pair[0].line,
                    seconds(pair[0].end)
                );
                faults.at(pair[1].line, message, "the windows of a client must not overlap: join them");
            }
        }
        Self { by_device, first_lines, faults }
    }

    /// Gives each listed device its windows and its span.
    pub(super) fn place_in(&mut self, spans: Spans, devices_file: &str, recording: &mut Recording) {
        for (id, line) in &self.first_lines {
            if !spans.contains_key(id) {
                self.faults.at(*line, format!("`{id}` is not listed in {devices_file}"), "add a row for it there");
            }
        }
        for (id, (span, line)) in spans {
            let windows = self.by_device.get(&id).map_or(&[][..], Vec::as_slice);
            let (start, end) = span.unwrap_or((0, 0));
            for window in windows.iter().filter(|window| window.start < start || window.end > end) {
                let message = match span {
                    None => format!("`{id}` has a window and no span in {devices_file}"),
                    Some(_) => format!(
                        "the window {} s to {} s of `{id}` is outside its span, {} s to {} s",
                        seconds(window.start),
                        seconds(window.end),
                        seconds(start),
                        seconds(end)
                    ),
                };
                self.faults.at(window.line, message, format!("correct the span in {devices_file}"));
            }
            if self.faults.is_empty() {
                recording.add(id, start, end, windows, line);
            }
        }
    }

    /// Gives each device its windows; all are recorded from 0 to `length`, or to the end of the last window.
    pub(super) fn place_in_one_span(&mut self, length: Option<SimDuration>, recording: &mut Recording) {
        let last = self.by_device.values().flatten().map(|window| window.end).max().unwrap_or(0);
        let end = length.map_or(last, SimDuration::as_nanos);
        if let Some(window) = self.by_device.values().flatten().find(|window| window.end > end) {
            let message = format!("the window ends at {} s, after the recording's `length`", seconds(window.end));
            self.faults.at(window.line, message, "raise `length` or leave it out");
        }
        if last == 0 && self.faults.is_empty() {
            self.faults.whole("each window is empty: nobody is ever online", "give windows that end after their start");
        }
        if self.faults.is_empty() {
            for (id, windows) in &self.by_device {
                let last_line = windows.last().map_or(self.first_lines[id], |window| window.line);
                recording.add(id.clone(), 0, end, windows, last_line);
            }
        }
    }
}

/// Spans by device, with their lines; `ids` are told of those in the file.
pub(super) fn read_spans(base_dir: &Path, file: &str, mut ids: Option<&mut ClientIds>) -> (Spans, Faults) {
    let mut faults = Faults::new(file);
    let mut spans = Spans::new();
    read(base_dir, file, &DEVICES, &mut faults, |row, faults| {
        let id = row.fields[0];
        if let Some(ids) = &mut ids {
            ids.see(id, row.line, faults);
        }
        let span = if row.fields[1].is_empty() && row.fields[2].is_empty() {
            Ok(None)
        } else {
            let times = row.number(1, "trace_start_s").and_then(|start| Ok((start, row.number(2, "trace_end_s")?)));
            times.and_then(|(start_s, end_s)| {
                if end_s <= start_s {
                    return Err(format!("trace_end_s {end_s} is not after trace_start_s {start_s}"));
                }
                Ok(Some((nanos(start_s)?, nanos(end_s)?)))
            })
        };
        match span {
            Err(message) => faults.at(row.line, message, "leave both empty for a device that is never online"),
            Ok(span) => {
                if let Some((_, line)) = spans.insert(id.to_string(), (span, row.line)) {
                    faults.at(row.line, format!("`{id}` is listed in line {line} already"), "remove one of the rows");
                }
            }
        }
    });
    (spans, faults)
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// All devices of the files.
#[derive(Debug, Default)]
pub(super) struct Recording {
    pub(super) devices: Vec<Device>,
    ids: Vec<String>,
    /// The file that says when the devices' spans end: the list of devices where there is one.
    pub(super) file_of_ends: String,
    /// Windows of all devices, one device after the other, from the starts of their spans.
    windows: Vec<Stretch>,
    /// Device of each client where ids are clients; [`NOBODY`] for none.
    pub(super) of_client: Vec<u32>,
    pub(super) start_ns: u64,
}

const NOBODY: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
pub(super) struct Device {
    pub(super) span_start: u64,
    pub(super) span: u64,
    /// The line of [`Recording::file_of_ends`] that says when the span ends.
    pub(super) line_of_end: u64,
    first_window: usize,
    pub(super) n_windows: usize,
    /// Online time within the span.
    pub(super) online: u64,
}

/// A window and the time online before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) start: u64,
    pub(super) end: u64,
    online_before: u64,
}

impl Recording {
    /// Without devices so far; the run starts at `start` in it.
    pub(super) fn from_start(start: SimDuration) -> Self {
        Self { start_ns: start.as_nanos(), ..Self::default() }
    }

    fn add(&mut self, id: String, start: u64, end: u64, windows: &[Window], line_of_end: u64) {
        let first_window = self.windows.len();
        let mut online = 0;
        for window in windows {
            let (from, to) = (window.start - start, window.end - start);
            match self.windows[first_window..].last_mut() {
                // Windows that touch are one.
                Some(last) if last.end == from => last.end = to,
                _ => self.windows.push(Stretch { start: from, end: to, online_before: online }),
            }
            online += to - from;
        }
        let n_windows = self.windows.len() - first_window;
        let span = end - start;
        self.devices.push(Device { span_start: start, span, line_of_end, first_window, n_windows, online });
        self.ids.push(id);
    }

    /// The device of each client is the one of its id.
    pub(super) fn assign_by_id(&mut self, ids: &ClientIds) {
        let places = ids.places(self.ids.iter().map(String::as_str));
        self.of_client = places.into_iter().map(|place| place.unwrap_or(NOBODY)).collect();
    }

    /// Each client draws a device.
    pub(super) fn assign_at_random(&mut self, n_clients: u32, seeds: &Seeds) {
        let n = self.devices.len() as u32;
        let draw = |client_id| seeds.client(Purpose::Availability, client_id).random_range(0..n);
        self.of_client = (0..n_clients).map(draw).collect();
    }

    /// The devices that clients follow and that were ever seen ready, with a client of each.
    pub(super) fn followed(&self) -> impl Iterator<Item = (&Device, u32)> {
        let mut client_of = vec![NOBODY; self.devices.len()];
        for (client_id, device) in (0..).zip(&self.of_client) {
            if let Some(client) = client_of.get_mut(*device as usize) {
                *client = client_id.min(*client);
            }
        }
        let devices = self.devices.iter().zip(client_of);
        devices.filter(|(device, client)| *client != NOBODY && device.span > 0)
    }

    /// When the first recording that a client follows is over.
    pub(super) fn first_end(&self) -> Option<EndOfTrace> {
        let end = |device: &Device| device.span_start + device.span;
        let (device, client_id) = self.followed().min_by_key(|(device, client_id)| (end(device), *client_id))?;
        let at = SimTime::from_nanos(end(device).saturating_sub(self.start_ns));
        Some(EndOfTrace { at, client_id, place: format!("{}:{}", self.file_of_ends, device.line_of_end) })
    }

    /// Where nothing follows a recording, the run must start within what is recorded of the devices that clients follow.
    pub(super) fn refuse_what_is_not_recorded(&self, faults: &mut Faults) {
        for (device, client_id) in self.followed() {
            let end = device.span_start + device.span;
            if !(device.span_start..end).contains(&self.start_ns) {
                let message = format!(
                    "the run starts at {} s, but the device of client {client_id} is recorded from {} s to {} s",
                    seconds(self.start_ns),
                    seconds(device.span_start),
                    seconds(end)
                );
                faults.at(device.line_of_end, message, LOOP_HELP);
            }
        }
    }

    pub(super) fn windows(&self, device: &Device) -> &[Stretch] {
        &self.windows[device.first_window..device.first_window + device.n_windows]
    }

    /// Online time from the start of the span to `position` in it.
    pub(super) fn online_by(&self, device: &Device, position: u64) -> u64 {
        let windows = self.windows(device);
        match windows.partition_point(|window| window.start <= position).checked_sub(1) {
            None => 0,
            Some(last) => windows[last].online_before + position.min(windows[last].end) - windows[last].start,
        }
    }
}
