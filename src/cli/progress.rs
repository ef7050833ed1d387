//! Progress on stderr: a bar on a terminal, a line now and then otherwise.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::Console;
use crate::report::{Stopwatch, human_duration};
use crate::units::SimDuration;

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

    /// Puts it where a run goes on, so that the time to go is told by what comes after.
    pub(super) fn goes_on_at(&mut self, position: u64, length: u64) {
        self.set(position, length, "");
        if let Some(bar) = &self.bar {
            bar.reset_eta();
        }
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
    since_start: Stopwatch,
    since_last: Option<Stopwatch>,
    seconds: f64,
    /// Rounds that were over when it started.
    n_before: u32,
}

impl Throttle {
    /// At most one in 10 s of host time; the first at once.
    pub(super) fn every_10_s() -> Self {
        Self { since_start: Stopwatch::start(), since_last: None, seconds: 10.0, n_before: 0 }
    }

    /// The run goes on after a round: those before it took no time here.
    pub(super) fn goes_on_after(&mut self, round: u32) {
        self.n_before = round;
        self.since_start = Stopwatch::start();
    }

    /// `, about 40 s to go`, if the rounds to come take as long as those gone by.
    pub(super) fn to_go(&self, round: u32, n_rounds: u32) -> String {
        let n_done = round.saturating_sub(self.n_before);
        if n_done == 0 || round >= n_rounds {
            return String::new();
        }
        format!(", about {} to go", duration(to_go(self.since_start.seconds(), n_done, n_rounds - round)))
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

/// Seconds for so many rounds more, if they take as long as those that are done.
fn to_go(seconds: f64, n_done: u32, n_left: u32) -> f64 {
    seconds / f64::from(n_done) * f64::from(n_left)
}

/// A bar of bytes, if stderr is a terminal and the user did not ask for quiet; else a line for each file.
pub(super) struct DownloadBar {
    bar: Option<ProgressBar>,
    console: Console,
}

impl DownloadBar {
    /// A bar of `total` bytes.
    pub(super) fn new(console: &Console, total: u64) -> Self {
        let is_wanted = !console.is_quiet() && std::io::stderr().is_terminal();
        let bar = is_wanted.then(|| {
            let template = "{bytes}/{total_bytes} [{bar:30}] {bytes_per_sec}, {eta} to go  {msg}";
            let style = ProgressStyle::with_template(template).expect("the template is well formed");
            ProgressBar::new(total).with_style(style.progress_chars("=> "))
        });
        Self { bar, console: *console }
    }

    /// A file begins, or goes on after `done` bytes.
    pub(super) fn file(&self, name: &str, done: u64) {
        match &self.bar {
            Some(bar) => bar.set_message(name.to_owned()),
            None if done > 0 => self.console.note(format_args!("  {name}, from {} on", size(done))),
            None => self.console.note(format_args!("  {name}")),
        }
    }

    /// So many bytes more.
    pub(super) fn advance(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    /// A line that does not disturb the bar.
    pub(super) fn note(&self, console: &Console, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| console.note(text)),
            None => console.note(text),
        }
    }
}

impl Drop for DownloadBar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `, 1.9 of 2 workers busy`, on average since the last report; nothing where nothing is trained.
pub(super) fn at_work(busy_nanos: u64, host_s: f64, workers: u32) -> String {
    if workers == 0 || host_s <= 0.0 {
        return String::new();
    }
    // jobs are counted when they end: some began before
    let busy = (busy_nanos as f64 / 1e9 / host_s).min(workers.into());
    format!(", {busy:.1} of {workers} workers busy")
}

/// A duration for people: `40.0 s`, `12 min 30 s`.
pub(super) fn duration(seconds: f64) -> String {
    SimDuration::from_secs_f64(seconds).map_or_else(|| "ages".into(), human_duration)
}

/// A size for people: `86.7 MiB`.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_workers_are_never_more_than_there_are() {
        // 3 s of work in 2 s on 2 workers: 1.5 at a time
        assert_eq!(at_work(3_000_000_000, 2.0, 2), ", 1.5 of 2 workers busy");
        // a job that began before the last report counts whole
        assert_eq!(at_work(9_000_000_000, 2.0, 2), ", 2.0 of 2 workers busy");
        assert_eq!(at_work(0, 2.0, 0), "");
    }

    #[test]
    fn what_is_left_is_told_between_the_first_round_and_the_last() {
        let throttle = Throttle::every_10_s();
        assert_eq!((throttle.to_go(0, 5), throttle.to_go(5, 5)), (String::new(), String::new()));
        assert!(throttle.to_go(1, 5).starts_with(", about 0.0 s to go"));
        // Gone on after round 90 of 100: 5 rounds in 20 s leave 4 s for each of the 5 to come.
        assert_eq!(to_go(20.0, 95 - 90, 100 - 95), 20.0);
        let mut resumed = Throttle::every_10_s();
        resumed.goes_on_after(90);
        assert_eq!(resumed.to_go(90, 100), "");
        assert!(resumed.to_go(91, 100).starts_with(", about 0.0 s to go"));
    }
}
