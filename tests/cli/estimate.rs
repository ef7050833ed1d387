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
fn what_runs_no_worker_is_not_held_to_the_limit() {
    let limit = ["quickstart", "--set", "compute.memory_limit=1 MiB"];
    let more: [&[&str]; 3] = [&["params"], &["validate", "--explain"], &["check-grads", "--elements", "1"]];
    for verb in more {
        let output = straggler(&[verb, &limit, &["--set", "tuning=head"]].concat());
        assert_eq!(output.status.code(), Some(0), "{verb:?}: {}", stderr(&output));
    }
    let folder = tempfile::tempdir().unwrap();
    let output = straggler(&[&["run"], &limit[..], &["--out", folder.path().to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("error[memory]"), "{}", stderr(&output));
}

#[test]
fn memory_is_that_of_batches_that_clients_can_fill() {
    let memory = |size: &str| {
        let size = format!("clients.train.per_device_train_batch_size={size}");
        let told = json(&["params", "quickstart", "--json", "--set", &size]);
        told["methods"][0]["memory_bytes"].as_u64().unwrap()
    };
    // No shard of the quickstart has as many examples; more than this makes no difference.
    assert_eq!(memory("2000"), memory("16777216"));
    assert!(memory("16") < memory("2000"));
    let output =
        straggler(&["params", "quickstart", "--set", "clients.train.per_device_train_batch_size=18446744073709551615"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("18446744073709551615 is above 16777216"), "{}", stderr(&output));
}

#[test]
fn a_partition_that_cannot_be_made_is_shown_where_it_is_written() {
    let output = straggler(&["run", "quickstart", "--set", "clients.total=1000000"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("error[partition]") && text.contains("--> quickstart:"), "{text}");
}

#[test]
fn a_run_that_will_fail_begins_all_the_same_and_a_dry_run_says_why() {
    let args = ["run", "quickstart", "--set", "server.give_up_after=1 s"];
    let place = "--> --set server.give_up_after=1 s";
    let dry = straggler(&[&args[..], &["--dry-run"]].concat());
    assert_eq!(dry.status.code(), Some(1), "{}", stderr(&dry));
    assert!(stderr(&dry).contains("error[run]: round 1: no model was made") && stderr(&dry).contains(place));
    let folder = tempfile::tempdir().unwrap();
    let run = straggler(&[&args[..], &["--out", folder.path().to_str().unwrap()]].concat());
    let told = stderr(&run);
    assert_eq!(run.status.code(), Some(1), "{told}");
    assert!(told.contains("warning: played without learning, this run fails: round 1: no model was made"), "{told}");
    assert!(told.contains("error[run]: round 1: no model was made") && told.contains(place), "{told}");
    let log = std::fs::read_to_string(folder.path().join("quickstart/latest/log.jsonl")).unwrap();
    assert!(log.lines().last().unwrap().contains("\"failed\""), "{log}");
}

#[test]
fn a_play_that_does_not_come_to_the_end_of_a_round_is_cut_off() {
    // A link that has another rate each millisecond: 200 d of them are 1.7e10 events.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("slow.csv"),
        "client_id,time_s,down_kbps,up_kbps\na,0,1000,0.000001\na,0.001,1001,0.000002\n",
    )
    .unwrap();
    let text = "version: 1
name: slow
model: { name: builtin:tiny-roberta }
tuning: head
clients:
  total: 1
  num_examples: 1
  sequence_length: 8
  num_labels: 2
  devices: { a: { share: 1, compute: { time_per_sample: 1 ms } } }
  networks: { a: { share: 1, trace: { file: slow.csv, assign: random, end: loop }, latency: 1 ms } }
server: { rounds: 2, clients_per_round: 1, give_up_after: 200 d }
compute: { mode: timing_only }
";
    let file = folder.path().join("slow.yaml");
    std::fs::write(&file, text).unwrap();
    let output = straggler(&["run", file.to_str().unwrap(), "--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("the play was cut off in the first round"), "{}", stdout(&output));
}
