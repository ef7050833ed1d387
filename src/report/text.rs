//! The short summary at the end of a run.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::{Reason, Status, Summary};
use crate::units::{Bytes, SimDuration, SimTime};

/// The text that ends a run: what was reached, what became of the updates, what was moved, where the results are, and
/// `next`, commands worth trying (none: no such part).
pub fn summary_text(summary: &Summary, directory: &Path, next: &[String]) -> String {
    let mut lines = vec![("", headline(summary)), ("", String::new())];
    lines.extend(metric_lines(summary));
    lines.push(("updates", updates(summary)));
    lines.push(("traffic", traffic(summary)));
    lines.push(("results", directory.display().to_string()));
    let mut text = String::new();
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, line) in lines {
        let row = if name.is_empty() { line } else { format!("  {name:width$}  {line}") };
        writeln!(text, "{row}").expect("a string takes all");
    }
    if !next.is_empty() {
        text.push_str("\nTry next:\n");
        for command in next {
            writeln!(text, "  {command}").expect("a string takes all");
        }
    }
    text
}

fn headline(summary: &Summary) -> String {
    let ended = match summary.status {
        Status::Completed => "completed",
        Status::Interrupted => "interrupted after",
        Status::Failed => "failed after",
    };
    let time = human_duration(summary.sim_time.since(SimTime::ZERO));
    format!("{}: {ended} {} in {time} of simulated time", summary.name, counted(summary.rounds.into(), "round"))
}

fn metric_lines(summary: &Summary) -> Vec<(&str, String)> {
    let mut lines = Vec::new();
    if let (Some(metric), Some(validation)) = (&summary.metric, &summary.validation) {
        let last =
            if validation.last == validation.best { String::new() } else { format!("; last {:.3}", validation.last) };
        let mut line = format!("validation {:.3} (best, round {}{last})", validation.best, validation.best_round);
        if let Some(test) = &summary.test {
            write!(line, ", test {:.3} (round {})", test.value, test.round).expect("a string takes all");
        }
        lines.push((metric.as_str(), line));
    }
    if let Some(target) = &summary.target {
        let reached = match (target.reached_round, target.sim_time, target.bytes) {
            (Some(round), Some(time), Some(bytes)) => {
                let time = human_duration(time.since(SimTime::ZERO));
                format!("reached in round {round}, after {time} and {}", human_bytes(bytes))
            }
            _ => "not reached".into(),
        };
        lines.push(("target", format!("{} {reached}", target.value)));
    }
    lines
}

fn updates(summary: &Summary) -> String {
    let updates = &summary.updates;
    let mut line =
        format!("{} used, {} late, {}", updates.aggregated, updates.late, by_reason("dropped", &updates.dropped));
    if updates.n_rejected() > 0 {
        write!(line, ", {}", by_reason("rejected", &updates.rejected)).expect("a string takes all");
    }
    write!(line, ", of {} asked for", updates.selected).expect("a string takes all");
    line
}

/// Such as `18 dropped (11 random, 7 network)`.
fn by_reason(what: &str, counts: &BTreeMap<Reason, u64>) -> String {
    let total: u64 = counts.values().sum();
    let reasons: Vec<_> =
        counts.iter().filter(|(_, n)| **n > 0).map(|(reason, n)| format!("{n} {}", reason.as_str())).collect();
    if reasons.is_empty() { format!("{total} {what}") } else { format!("{total} {what} ({})", reasons.join(", ")) }
}

fn traffic(summary: &Summary) -> String {
    let bytes = summary.bytes;
    let moved = bytes.up + bytes.down;
    let share = if moved == Bytes::ZERO { 0.0 } else { 100.0 * bytes.wasted.get() as f64 / moved.get() as f64 };
    let [up, down, wasted] = [bytes.up, bytes.down, bytes.wasted].map(human_bytes);
    format!("{up} up, {down} down, of which {wasted} ({share:.0} %) wasted")
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Three digits and a decimal unit, such as `52.3 MB`.
pub fn human_bytes(bytes: Bytes) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes.get() < 1000 {
        return format!("{} B", bytes.get());
    }
    let mut value = bytes.get() as f64 / 1000.0;
    let mut unit = 0;
    // 999.5 would be written as 1000.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {}", units[unit])
}

/// The two largest units, such as `1 h 12 min`; seconds with a decimal below a minute.
pub fn human_duration(duration: SimDuration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (small, large) = match whole {
        0..3600 => ((1, "s"), (60, "min")),
        // From 23 h 59.5 min on, hours and minutes would round to 24 h.
        3600..86370 => ((60, "min"), (3600, "h")),
        _ => ((3600, "h"), (86400, "d")),
    };
    let n_small = (whole as f64 / small.0 as f64).round() as u64;
    let per_large = large.0 / small.0;
    match n_small % per_large {
        0 => format!("{} {}", n_small / per_large, large.1),
        rest => format!("{} {} {rest} {}", n_small / per_large, large.1, small.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{SCHEMA_VERSION, Target, Test, Traffic, Updates, Validation};

    fn summary() -> Summary {
        Summary {
            schema_version: SCHEMA_VERSION,
            name: "quickstart".into(),
            seed: 42,
            status: Status::Completed,
            rounds: 15,
            sim_time: SimTime::from_nanos(4_321_000_000_000),
            metric: Some("accuracy".into()),
            validation: Some(Validation { best_round: 13, best: 0.9124, last: 0.905 }),
            test: Some(Test { round: 13, value: 0.8979 }),
            target: Some(Target {
                value: 0.9,
                reached_round: Some(9),
                sim_time: Some(SimTime::from_nanos(2_585_000_000_000)),
                bytes: Some(Bytes::new(120_400_000)),
            }),
            updates: Updates {
                selected: 191,
                aggregated: 150,
                late: 22,
                dropped: BTreeMap::from([(Reason::Random, 11), (Reason::Network, 7)]),
                dropped_by_phase: BTreeMap::new(),
                rejected: BTreeMap::from([(Reason::Diverged, 1)]),
            },
            bytes: Traffic {
                up: Bytes::new(52_300_000),
                down: Bytes::new(104_100_000),
                wasted: Bytes::new(20_100_000),
            },
            energy: None,
        }
    }

    #[test]
    fn a_run_ends_with_what_came_out() {
        let text = summary_text(&summary(), Path::new("results/quickstart/a"), &["straggler list".into()]);
        assert_eq!(
            text,
            "quickstart: completed 15 rounds in 1 h 12 min of simulated time\n\
             \n\
             \x20 accuracy  validation 0.912 (best, round 13; last 0.905), test 0.898 (round 13)\n\
             \x20 target    0.9 reached in round 9, after 43 min 5 s and 120 MB\n\
             \x20 updates   150 used, 22 late, 18 dropped (11 random, 7 network), 1 rejected (1 diverged), of 191 asked for\n\
             \x20 traffic   52.3 MB up, 104 MB down, of which 20.1 MB (13 %) wasted\n\
             \x20 results   results/quickstart/a\n\
             \n\
             Try next:\n\
             \x20 straggler list\n"
        );
    }

    #[test]
    fn without_training_there_is_no_metric() {
        let bare = Summary { metric: None, validation: None, test: None, target: None, rounds: 1, ..summary() };
        let text = summary_text(&bare, Path::new("r"), &[]);
        assert!(text.starts_with("quickstart: completed 1 round in"), "{text}");
        assert!(!text.contains("accuracy") && !text.contains("Try next"), "{text}");
    }

    #[test]
    fn sizes_and_times_are_short() {
        let sizes = [0, 999, 1000, 9_994, 9_996, 99_960, 999_600, 1_500_000_000].map(|n| human_bytes(Bytes::new(n)));
        assert_eq!(sizes, ["0 B", "999 B", "1.00 kB", "9.99 kB", "10.0 kB", "100 kB", "1.00 MB", "1.50 GB"]);
        let times = [0.04, 59.9, 59.96, 61.0, 3599.6, 3600.0, 5400.0, 86_390.0, 90_000.0];
        let times = times.map(|seconds| human_duration(SimDuration::from_secs_f64(seconds).unwrap()));
        assert_eq!(
            times,
            ["0.0 s", "59.9 s", "1 min", "1 min 1 s", "1 h", "1 h", "1 h 30 min", "1 d", "1 d 1 h"].map(String::from)
        );
    }
}
