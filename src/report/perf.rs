//! `perf.csv` and the host's clock: with `log.jsonl` the one place of the results where host time is allowed.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// The columns of `perf.csv`.
pub(super) const PERF_COLUMNS: [&str; 12] = [
    "round",
    "host_s",
    "train_s",
    "eval_s",
    "wait_s",
    "events",
    "events_per_s",
    "workers",
    "jobs",
    "inline_jobs",
    "cancelled_jobs",
    "peak_rss_mib",
];

/// A row of `perf.csv`: what one round cost the host. Times are in seconds of the host's clock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PerfRow {
    /// The round, from 1.
    pub round: u32,
    /// From the start of the round to its end.
    pub host_s: f64,
    /// Spent in training, summed over the workers.
    pub train_s: f64,
    /// Spent in evaluation, summed over the workers.
    pub eval_s: f64,
    /// During which the clock stood still and waited for a job.
    pub wait_s: f64,
    /// Calendar events.
    pub events: u64,
    /// Calendar events per second of `host_s`.
    pub events_per_s: f64,
    /// Workers of the pool.
    pub workers: u32,
    /// Jobs that were run.
    pub jobs: u64,
    /// Of those, run by the waiting side.
    pub inline_jobs: u64,
    /// Jobs that were cancelled.
    pub cancelled_jobs: u64,
    /// Most memory that the process has held, in MiB; `None` where the system does not tell.
    pub peak_rss_mib: Option<f64>,
}

/// Measures the host's time for `perf.csv`, progress and logs. Nothing that it says may decide a result.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts one.
    #[expect(clippy::disallowed_methods, reason = "host time for perf.csv and progress alone")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    /// Seconds since the start or the last lap, and starts the next.
    pub fn lap(&mut self) -> f64 {
        let seconds = self.seconds();
        *self = Self::start();
        seconds
    }
}

/// Most memory that this process has held so far, in MiB. `None` where `/proc` does not tell.
pub fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// Memory that the system could still give this process, within the limit of its control group; `None` where the system
/// does not tell.
pub fn available_memory() -> Option<Bytes> {
    let table = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = 1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    let of_group = |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let number = |name: &str| of_group(name)?.trim().parse::<u64>().ok();
    let in_group = number("memory.max").and_then(|max| {
        // files that the system only remembers count as used there, and are given up when memory is wanted
        let stat = of_group("memory.stat")?;
        let remembered: u64 = stat.lines().find_map(|line| line.strip_prefix("inactive_file "))?.trim().parse().ok()?;
        Some((max + remembered).saturating_sub(number("memory.current")?))
    });
    Some(Bytes::new(in_group.map_or(free, |limit| free.min(limit))))
}

/// The present date and time for the name of a results directory, such as `20261120T190332Z`.
pub(super) fn utc_stamp() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The present date and time for `log.jsonl`, such as `2026-11-20T19:03:32.125Z`.
pub(super) fn utc_now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_a_plain_file_name() {
        let stamp = utc_stamp();
        assert_eq!(stamp.len(), 16);
        assert!(stamp.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{stamp}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_known_on_linux() {
        assert!(peak_rss_mib().expect("linux has /proc") > 1.0);
    }
}
