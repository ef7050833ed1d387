//! Calendar events per second without training, on one core, with all result files written; and memory with many
//! registered clients.
//!
//! `cargo bench --bench engine`

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::process::Command;

use straggler::report::Stopwatch;

/// Runs a scenario in a process of its own; gives host seconds, events and peak memory in MiB.
fn measure(scenario: &str, settings: &[&str]) -> (f64, u64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
    command.env("STRAGGLER_CACHE", "off");
    command.args(["run", scenario, "--quiet", "--out", folder.path().to_str().unwrap()]).args(settings);
    let watch = Stopwatch::start();
    let done = command.output().unwrap();
    let seconds = watch.seconds();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let named = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let perf = std::fs::read_to_string(named.join("latest/perf.csv")).unwrap();
    let columns: Vec<&str> = perf.lines().next().unwrap().split(',').collect();
    let column = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let value = |line: &str, name: &str| line.split(',').nth(column(name)).unwrap().parse::<f64>().unwrap();
    let rows = || perf.lines().skip(1);
    let events = rows().map(|row| value(row, "events")).sum::<f64>() as u64;
    let in_rounds: f64 = rows().map(|row| value(row, "host_s")).sum();
    println!("  {events} events in {in_rounds:.2} s of rounds, {seconds:.2} s of the whole process");
    (in_rounds, events, value(rows().last().unwrap(), "peak_rss_mib"))
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test --all-targets` only wants to know that it builds.
    }
    println!("1,000 of 1,000 clients per round, timing only, all files written (three times):");
    let mut rates = Vec::new();
    for _ in 0..3 {
        let (seconds, events, rss) = measure("scenarios/timing-1k.yaml", &[]);
        rates.push(events as f64 / seconds);
        println!("  {:.0} events per second, peak memory {rss:.0} MiB", events as f64 / seconds);
    }
    rates.sort_by(f64::total_cmp);
    println!("median: {:.0} events per second (to reach: 1,000,000)", rates[1]);
    println!("100,000 registered clients, 100 per round:");
    let (_, _, rss) = measure("scenarios/timing-100k.yaml", &[]);
    println!("  peak memory {rss:.0} MiB (to stay under: 300 MB = 286 MiB)");
}
