//! Runs of the whole program: what lands on disk, and that it is always the same.

mod engine;
mod init;
mod log;
mod minilm;
mod partition;
mod precision;
mod program;
mod random_scenarios;
mod replay;
mod resume;
mod traces;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program under test, deaf to what the caller's environment says about colours.
fn straggler(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
    command.args(args).env("NO_COLOR", "1").env("STRAGGLER_CACHE", "off").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a scenario into `out` and gives the folder of its results.
fn run(scenario: &str, out: &Path, settings: &[&str]) -> PathBuf {
    let mut args = vec!["run", scenario, "--quiet", "--out", out.to_str().unwrap()];
    args.extend(settings);
    let done = straggler(&args);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let named = std::fs::read_dir(out).unwrap().next().unwrap().unwrap().path();
    named.join("latest").canonicalize().unwrap()
}
