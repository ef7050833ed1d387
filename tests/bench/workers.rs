//! How much faster two workers finish the quickstart than one; runs alternate, so that the machine's moods hit both.
//!
//! `cargo bench --bench workers`

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::process::Command;

use straggler::report::Stopwatch;

const PAIRS: usize = 3;

fn seconds(workers: &str, mode: &[&str]) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let watch = Stopwatch::start();
    let args = ["run", "scenarios/quickstart.yaml", "--quiet", "--out", out, "-j", workers];
    let args = [&args[..], mode].concat();
    let done = Command::new(env!("CARGO_BIN_EXE_straggler")).args(args).env("STRAGGLER_CACHE", "off").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    watch.seconds()
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test --all-targets` only wants to know that it builds.
    }
    for (name, mode) in [("synchronous", &[][..]), ("asynchronous (FedBuff)", &["--profile", "async"])] {
        let mut ratios = Vec::new();
        for pair in 1..=PAIRS {
            let (one, two) = (seconds("1", mode), seconds("2", mode));
            println!("{name}, pair {pair}: one worker {one:.2} s, two workers {two:.2} s, ratio {:.2}", one / two);
            ratios.push(one / two);
        }
        ratios.sort_by(f64::total_cmp);
        println!("{name}, median ratio: {:.2} (to reach: 1.6)", ratios[PAIRS / 2]);
    }
}
