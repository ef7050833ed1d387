//! Progress on stderr: a bar on a terminal, a line now and then otherwise.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::Console;
use crate::report::Stopwatch;

/// A bar, if stderr is a terminal and the user did not ask for quiet.
pub(super) struct Bar {
    bar: Option<ProgressBar>,
}

impl Bar {
    /// A bar that says what is going on.
    pub(super) fn new(console: &Console, what: &'static str) -> Self {
        let is_wanted = !console.is_quiet() && std::io::stderr().is_terminal();
        let bar = is_wanted.then(|| {
            let template = "{prefix} [{bar:30}] {pos}/{len}  {msg}  {elapsed} gone, {eta} to go";
            let style = ProgressStyle::with_template(template).expect("the template is well formed");
            ProgressBar::new(0).with_style(style.progress_chars("=> ")).with_prefix(what)
        });
        Self { bar }
    }

    /// True when a bar is drawn, so that lines would disturb it.
    pub(super) fn is_drawn(&self) -> bool {
        self.bar.is_some()
    }

    /// Moves it.
    pub(super) fn set(&mut self, position: u64, length: u64, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(length);
            bar.set_position(position);
            bar.set_message(message.to_owned());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Lets a line through at most every so often.
pub(super) struct Throttle {
    since_last: Option<Stopwatch>,
    seconds: f64,
}

impl Throttle {
    /// At most one in 10 s of host time; the first at once.
    pub(super) fn every_10_s() -> Self {
        Self { since_last: None, seconds: 10.0 }
    }

    /// True when it is time for the next.
    pub(super) fn is_due(&mut self) -> bool {
        let is_due = self.since_last.as_ref().is_none_or(|watch| watch.seconds() >= self.seconds);
        if is_due {
            self.since_last = Some(Stopwatch::start());
        }
        is_due
    }
}
