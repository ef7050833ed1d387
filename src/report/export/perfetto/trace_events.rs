//! The writer of the Trace Event Format. Times are in microseconds.

use std::io::Write;

/// A process and one of its tracks.
pub(super) type Place = (u32, u64);

/// A trace in the making.
pub(super) struct TraceEvents {
    text: Vec<u8>,
    has_events: bool,
}

const HEAD: &[u8] = b"{\"displayTimeUnit\":\"ms\",\"otherData\":{\"clock\":\"simulated time\"},\"traceEvents\":[\n";

/// Bytes from which it is worth writing.
const TEXT_MAX: usize = 1 << 16;

impl TraceEvents {
    /// An empty trace of the processes with these names.
    pub(super) fn open(processes: &[(u32, &str)]) -> Self {
        let mut trace = Self { text: HEAD.into(), has_events: false };
        for (process, name) in processes {
            trace.event(format_args!(
                "\"ph\":\"M\",\"pid\":{process},\"tid\":0,\"name\":\"process_name\",\"args\":{{\"name\":\"{name}\"}}"
            ));
        }
        trace
    }

    /// What was written since it was taken last, once that is worth writing to a file.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        (self.text.len() > TEXT_MAX).then(|| std::mem::take(&mut self.text))
    }

    /// The rest of the file.
    pub(super) fn close(mut self) -> Vec<u8> {
        self.text.extend_from_slice(b"\n]}\n");
        self.text
    }

    pub(super) fn name_track(&mut self, (process, thread): Place, name: &str) {
        self.event(format_args!(
            "\"ph\":\"M\",\"pid\":{process},\"tid\":{thread},\"name\":\"thread_name\",\"args\":{{\"name\":\"{name}\"}}"
        ));
    }

    /// A slice begins, within what is open on its track. `args` are members of an object.
    pub(super) fn slice_begin(&mut self, time: u64, (process, thread): Place, name: &str, args: &str) {
        self.event(format_args!(
            "\"ph\":\"B\",\"ts\":{time},\"pid\":{process},\"tid\":{thread},\"name\":\"{name}\",\"args\":{{{args}}}"
        ));
    }

    /// The slice that began last on a track ends.
    pub(super) fn slice_end(&mut self, time: u64, (process, thread): Place) {
        self.event(format_args!("\"ph\":\"E\",\"ts\":{time},\"pid\":{process},\"tid\":{thread}"));
    }

    /// Something without length.
    pub(super) fn instant(&mut self, time: u64, (process, thread): Place, name: &str) {
        self.event(format_args!(
            "\"ph\":\"i\",\"s\":\"t\",\"ts\":{time},\"pid\":{process},\"tid\":{thread},\"name\":\"{name}\""
        ));
    }

    /// Where an arrow starts (`s`) or ends (`f`): on the slice that is open on that track.
    pub(super) fn arrow_end(&mut self, phase: &str, time: u64, id: u64, (process, thread): Place, name: &str) {
        let binding = if phase == "f" { ",\"bp\":\"e\"" } else { "" };
        self.event(format_args!(
            "\"ph\":\"{phase}\",\"id\":{id},\"ts\":{time},\"pid\":{process},\"tid\":{thread},\"name\":\"{name}\",\
             \"cat\":\"transfer\"{binding}"
        ));
    }

    /// A value of a counter of a process from now on; it is called `name part`.
    pub(super) fn counter(&mut self, time: u64, process: u32, (name, part): (&str, &str), value: u64) {
        self.event(format_args!(
            "\"ph\":\"C\",\"ts\":{time},\"pid\":{process},\"name\":\"{name}\",\"args\":{{\"{part}\":{value}}}"
        ));
    }

    fn event(&mut self, fields: std::fmt::Arguments<'_>) {
        let before: &[u8] = if std::mem::replace(&mut self.has_events, true) { b",\n{" } else { b"{" };
        self.text.extend_from_slice(before);
        self.text.write_fmt(fields).expect("a vector takes all");
        self.text.push(b'}');
    }
}
