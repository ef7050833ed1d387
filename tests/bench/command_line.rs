//! How long the program takes for small things: `--help`, and `validate` of a scenario of 300 lines.
//!
//! `cargo bench --bench command_line`; medians of 21 processes each, from their start to their end.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::process::{Command, Stdio};

use straggler::report::Stopwatch;

/// A right scenario of 300 lines: classes in block form, as a study would write them.
fn scenario() -> String {
    let mut text = String::from(
        "version: 1\nname: long\nmodel: { name: builtin:tiny-roberta }\ntuning: lora\nserver:\n  rounds: 10\n  \
         clients_per_round: 10\ndataset: { name: builtin:intents, partition: iid }\nclients:\n  total: 100\n  devices:\n",
    );
    for i in 0..40 {
        text += &format!(
            "    phone_{i}:\n      share: 0.025\n      compute:\n        time_per_sample:\n          lognormal: {{ median: {} ms, \
             sigma: 0.5 }}\n",
            20 + i
        );
    }
    text += "  networks:\n";
    for i in 0..20 {
        text += &format!(
            "    link_{i}:\n      share: 0.05\n      latency: {i} ms\n      downlink: 50 Mbps\n      uplink: 20 Mbps\n"
        );
    }
    text
}

/// The median of 21 runs, in milliseconds.
fn median_ms(args: &[&str]) -> f64 {
    let mut times: Vec<f64> = (0..21)
        .map(|_| {
            let watch = Stopwatch::start();
            let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
            let status = command.args(args).stdout(Stdio::null()).status().unwrap();
            assert!(status.success(), "{args:?}");
            watch.seconds() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test --all-targets` only wants to know that it builds.
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.yaml");
    let text = scenario();
    assert!(text.lines().count() >= 300, "{}", text.lines().count());
    std::fs::write(&file, &text).unwrap();
    let file = file.display().to_string();
    for (what, args, to_reach) in [
        ("--help", &["--help"][..], 20.0),
        ("run --help", &["run", "--help"], 20.0),
        ("validate, 300 lines", &["validate", &file], 50.0),
        ("schema", &["schema"], 50.0),
    ] {
        let ms = median_ms(args);
        println!("{what}: {ms:.1} ms (to reach: {to_reach} ms)");
        assert!(ms < to_reach, "{what} takes {ms:.1} ms");
    }
}
