//! FLASH's state traces: what phones told about themselves.
//!
//! `state_traces.json` is an object from device to `{guid, model, messages, ...}`, where `messages` holds lines of a local time
//! and a state with a tab between them: `2020-02-13 18:45:01\twifi`. As in FLASH's `models/timer.py`, a device is ready while it is
//! locked, on Wi-Fi and charging; times are seconds after 2020-01-02 00:00:00; a device whose messages cannot be read is never
//! ready; a window that is open at the last message is not counted.
//!
//! One rule is ours. FLASH follows the messages in the order of the file and sorts the windows that come of it; where a message
//! was written late, such a window can end before it starts, or cover hours of which another message says that the phone was
//! in use. Here messages are followed in the order of their times, those of one time in the order of the file.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use serde::Deserialize;

use super::{ImportError, Recorded, RecordedDevice, by_id, joined};

#[derive(Deserialize)]
struct Trace {
    messages: String,
}

/// Reads `state_traces.json`.
///
/// # Errors
/// What is no such file.
pub fn availability(bytes: &[u8]) -> Result<Recorded, ImportError> {
    let traces: BTreeMap<String, Trace> =
        serde_json::from_slice(bytes).map_err(|error| ImportError::Malformed { reason: error.to_string() })?;
    let (mut devices, mut unread) = (Vec::with_capacity(traces.len()), Vec::new());
    let (mut n_open, mut n_sorted) = (0, 0);
    for (id, trace) in traces {
        let read = windows_of(&trace.messages);
        devices.push(match read {
            Ok(Ready { span, windows, is_open, was_sorted }) => {
                n_open += usize::from(is_open);
                n_sorted += usize::from(was_sorted);
                RecordedDevice { id, span: Some(span), windows: joined(windows).0 }
            }
            Err(reason) => {
                unread.push((by_id(&id), reason));
                RecordedDevice { id, span: None, windows: Vec::new() }
            }
        });
    }
    devices.sort_by_key(|device| by_id(&device.id));
    unread.sort();
    let mut notes = Vec::new();
    if let Some(((_, id), reason)) = unread.first() {
        let n = unread.len();
        notes.push(format!(
            "{n} devices are never ready, because their messages cannot be read; the first is `{id}`: {reason}"
        ));
    }
    if n_sorted > 0 {
        notes.push(format!(
            "{n_sorted} devices have messages that are not in the order of their times; they were sorted"
        ));
    }
    if n_open > 0 {
        notes.push(format!(
            "{n_open} devices were ready at their last message; that window has no end and is not counted"
        ));
    }
    Ok(Recorded { devices, notes })
}

struct Ready {
    span: (f64, f64),
    windows: Vec<(f64, f64)>,
    is_open: bool,
    was_sorted: bool,
}

#[derive(Default)]
struct Phone {
    is_locked: bool,
    is_on_wifi: bool,
    is_charging: bool,
}

impl Phone {
    fn hear(&mut self, state: &str) -> Result<(), String> {
        match state.to_ascii_lowercase().as_str() {
            "battery_charged_on" => self.is_charging = true,
            "battery_charged_off" => self.is_charging = false,
            "wifi" => self.is_on_wifi = true,
            "unknown" | "2g" | "3g" | "4g" | "5g" => self.is_on_wifi = false,
            "screen_lock" => self.is_locked = true,
            "screen_unlock" => self.is_locked = false,
            "screen_on" | "screen_off" => {}
            level if level.strip_suffix('%').is_some_and(|level| level.parse::<f64>().is_ok()) => {}
            _ => return Err(format!("`{state}` is no known state")),
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.is_locked && self.is_on_wifi && self.is_charging
    }
}

fn windows_of(messages: &str) -> Result<Ready, String> {
    let mut told = Vec::new();
    for (number, message) in messages.lines().map(str::trim).enumerate().filter(|(_, message)| !message.is_empty()) {
        let fail = |reason: String| format!("message {}: {reason}", number + 1);
        let (time, state) = message.split_once('\t').ok_or_else(|| fail(format!("`{message}` has no tab")))?;
        told.push((seconds_of(time.trim()).map_err(fail)?, state.trim(), number + 1));
    }
    let was_sorted = !told.is_sorted_by(|a, b| a.0 <= b.0);
    // A stable sort: those of one time stay in the order of the file.
    told.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut phone = Phone::default();
    let mut ready_since = None;
    let mut windows = Vec::new();
    for &(seconds, state, number) in &told {
        phone.hear(state).map_err(|reason| format!("message {number}: {reason}"))?;
        match (ready_since, phone.is_ready()) {
            (None, true) => ready_since = Some(seconds),
            (Some(start), false) => {
                windows.push((start, seconds));
                ready_since = None;
            }
            _ => {}
        }
    }
    match told[..] {
        [(first, ..), .., (last, ..)] if last > first => {
            Ok(Ready { span: (first, last), windows, is_open: ready_since.is_some(), was_sorted })
        }
        _ => Err("the messages take no time".into()),
    }
}

/// Seconds after 2020-01-02 00:00:00, FLASH's reference.
fn seconds_of(time: &str) -> Result<f64, String> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", time).map_err(|_| format!("`{time}` is no time"))?;
    let reference = jiff::civil::date(2020, 1, 2).at(0, 0, 0, 0);
    let seconds = time.duration_since(reference).as_secs();
    if seconds < 0 {
        return Err(format!("{time} is before {reference}"));
    }
    Ok(seconds as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(devices: serde_json::Value) -> Recorded {
        availability(serde_json::to_string(&devices).unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn a_phone_is_ready_while_locked_charging_and_on_wifi() {
        let messages = "2020-01-02 00:00:10\tscreen_lock\n2020-01-02 00:00:20\tbattery_charged_on\n\
            2020-01-02 00:01:00\tWIFI\n2020-01-02 00:01:30\t57.0%\n2020-01-02 00:02:00\t4G\n\n\
            2020-01-02 00:02:00\twifi\n2020-01-02 00:03:00\tscreen_unlock\n2020-01-03 00:00:00\tscreen_lock\n\
            2020-01-03 00:00:10\tUnknown\n";
        let recorded = read(serde_json::json!({ "3": { "guid": "3", "model": "x", "messages": messages } }));
        let [device] = &recorded.devices[..] else { panic!("{recorded:?}") };
        // 00:01:00 to 00:02:00 and 00:02:00 to 00:03:00 touch; then ten seconds of the next day.
        assert_eq!(device.windows, [(60.0, 180.0), (86_400.0, 86_410.0)]);
        assert_eq!((device.span, recorded.notes.len()), (Some((10.0, 86_410.0)), 0));
    }

    #[test]
    fn messages_out_of_order_are_followed_by_their_times() {
        // Ready from 00:01:00, when the Wi-Fi comes, to 00:02:00, when the screen is unlocked, which the file says last but one.
        let messages = "2020-01-02 00:00:10\tscreen_lock\n2020-01-02 00:01:00\twifi\n\
            2020-01-02 00:00:20\tbattery_charged_on\n2020-01-02 00:05:00\tbattery_charged_off\n\
            2020-01-02 00:02:00\tscreen_unlock\n2020-01-02 00:04:00\tunknown\n";
        let recorded = read(serde_json::json!({ "3": { "messages": messages } }));
        assert_eq!(recorded.devices[0].windows, [(60.0, 120.0)]);
        assert_eq!(recorded.devices[0].span, Some((10.0, 300.0)));
        let note = "1 devices have messages that are not in the order of their times; they were sorted";
        assert_eq!(recorded.notes, [note]);
    }

    #[test]
    fn what_cannot_be_read_is_never_ready_and_told() {
        let ready =
            "2020-01-02 00:00:10\tscreen_lock\n2020-01-02 00:00:10\twifi\n2020-01-02 00:00:10\tbattery_charged_on\n";
        let open = format!("{ready}2020-01-02 00:01:00\t50%");
        let recorded = read(serde_json::json!({
            "10": { "messages": "yesterday\twifi" },
            "9": { "messages": format!("{ready}2020-01-02 00:00:11\tphone_on") },
            "2": { "messages": "2020-01-01 00:00:00\twifi" },
            "1": { "messages": open },
            "11": { "messages": "" },
            "12": { "messages": "2020-01-03 00:00:00\twifi\n2020-01-03 00:00:00\twifi" },
        }));
        assert!(recorded.devices.iter().all(|device| device.windows.is_empty()));
        assert_eq!(recorded.devices[0].span, Some((10.0, 60.0)));
        assert!(recorded.devices[1..].iter().all(|device| device.span.is_none()));
        let expected = "5 devices are never ready, because their messages cannot be read; the first is `2`: \
            message 1: 2020-01-01T00:00:00 is before 2020-01-02T00:00:00";
        assert_eq!(recorded.notes[0], expected);
        assert!(recorded.notes[1].starts_with("1 devices were ready at their last message"));
        assert!(availability(b"{\"1\": {\"messages\": ").unwrap_err().to_string().contains("EOF"));
    }
}
