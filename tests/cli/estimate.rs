//! `run --dry-run`: what it says is what the run then takes.

use serde_json::Value;

use super::{stderr, stdout, straggler};

fn json(args: &[&str]) -> Value {
    let output = straggler(args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_simulated_end_and_the_traffic_are_exactly_those_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let small = ["--set", "server.rounds=2", "--set", "clients.train.num_train_epochs=1"];
    for more in [&[][..], &["--profile", "async"]] {
        let args = [&["run", "quickstart", "--json"][..], &small, more].concat();
        let told = json(&[&args[..], &["--dry-run"]].concat());
        assert!(
            std::fs::read_dir(folder.path()).unwrap().next().is_none() || !more.is_empty(),
            "a dry run writes nothing"
        );
        let found = json(&[&args[..], &["--out", &out]].concat());
        assert_eq!(told["exact"], true);
        assert_eq!(told["sim_time_s"], found["sim_time_s"], "{more:?}");
        assert_eq!(told["selected"], found["updates"]["selected"]);
        assert_eq!(told["trainings"], found["updates"]["aggregated"]);
        let bytes = found["bytes"]["up"].as_u64().unwrap() + found["bytes"]["down"].as_u64().unwrap();
        assert_eq!(told["bytes"], bytes);
        assert!(told["host_s"].as_f64().unwrap() > 0.0 && told["memory_bytes"].as_u64().unwrap() > 1 << 20);
    }
}

#[test]
fn a_selection_that_looks_at_losses_is_no_exact_estimate() {
    let told = json(&[
        "run",
        "quickstart",
        "--dry-run",
        "--json",
        "--set",
        "server.rounds=2",
        "--set",
        "server.selection=oort",
    ]);
    assert_eq!(told["exact"], false);
    let output = straggler(&["run", "quickstart", "--dry-run", "--set", "server.selection=oort"]);
    assert!(stdout(&output).contains("looks at what clients have learnt"), "{}", stdout(&output));
}

#[test]
fn memory_over_the_limit_is_refused_with_the_flags_that_fit() {
    let limit = |size: &str| {
        let limit = format!("compute.memory_limit={size}");
        let output = straggler(&["run", "quickstart", "--dry-run", "-j", "8", "--set", &limit]);
        (output.status.code(), stderr(&output))
    };
    let (code, text) = limit("100 MiB");
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("error[memory]") && text.contains("--> --set compute.memory_limit=100 MiB"), "{text}");
    let flags = text.split("help: add `-j ").nth(1).unwrap_or_else(|| panic!("{text}"));
    let n: usize = flags.split('`').next().unwrap().parse().unwrap();
    assert!((1..8).contains(&n), "{text}");
    // and they do fit
    let fits =
        straggler(&["run", "quickstart", "--dry-run", "-j", &n.to_string(), "--set", "compute.memory_limit=100 MiB"]);
    assert_eq!(fits.status.code(), Some(0), "{}", stderr(&fits));
    let (code, text) = limit("1 MiB");
    assert_eq!(code, Some(3));
    assert!(text.contains("per_device_train_batch_size=8"), "{text}");
}

#[test]
fn a_partition_that_cannot_be_made_is_shown_where_it_is_written() {
    let output = straggler(&["run", "quickstart", "--set", "clients.total=1000000"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("error[partition]") && text.contains("--> quickstart:"), "{text}");
}
