//! `log.jsonl`: what became of a run, also of one that was stopped.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{run, straggler, text};

fn entries(run: &Path) -> Vec<Value> {
    let log = std::fs::read_to_string(run.join("log.jsonl")).unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(entries: &'a [Value], event: &str) -> Vec<&'a Value> {
    entries.iter().filter(|entry| entry["event"] == event).collect()
}

#[test]
fn a_log_tells_start_rounds_checkpoints_and_end() {
    let out = tempfile::tempdir().unwrap();
    let settings =
        ["--set", "server.rounds=4", "--set", "dataset.num_examples=300", "--set", "output.checkpoint_every=2"];
    let settings = [&settings[..], &["--set", "clients.train.num_train_epochs=1", "-j", "2"]].concat();
    let run = run("quickstart", out.path(), &settings);
    let entries = entries(&run);
    assert_eq!((&entries[0]["event"], &entries.last().unwrap()["event"]), (&json!("start"), &json!("end")));
    let start = &entries[0];
    assert_eq!((&start["scenario"], &start["seed"], &start["rounds"]), (&json!("quickstart"), &json!(42), &json!(4)));
    assert_eq!((&start["straggler"], &start["workers"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(2)));
    let lock = std::fs::read_to_string(run.join("scenario.lock.yaml")).unwrap();
    assert!(lock.contains(&format!("kernel: {}", start["kernel"].as_str().unwrap())), "{start}");
    assert_eq!(start["scenario_sha256"].as_str().unwrap().len(), 64);
    let rounds = of(&entries, "round");
    let told: Vec<u64> = rounds.iter().map(|round| round["round"].as_u64().unwrap()).collect();
    assert_eq!(told, [1, 2, 3, 4]);
    // Simulated seconds are those of rounds.csv, to its microsecond.
    let rows = straggler::report::read_rounds(&run.join("rounds.csv")).unwrap().rows;
    for (entry, row) in rounds.iter().zip(&rows) {
        let (told, written) = (entry["sim_time_s"].as_f64().unwrap(), row.sim_end.as_secs_f64());
        assert!((told - written).abs() < 1e-6 && entry["host_s"].as_f64().unwrap() > 0.0, "{entry}");
    }
    let evaluated: Vec<_> = of(&entries, "evaluation").iter().map(|entry| entry["value"].as_f64().unwrap()).collect();
    let written: Vec<_> = rows.iter().map(|row| row.eval_metric.unwrap()).collect();
    assert_eq!(evaluated.len(), 4);
    assert!(evaluated.iter().zip(&written).all(|(told, written)| (told - written).abs() < 1e-6), "{evaluated:?}");
    let saved: Vec<_> = of(&entries, "checkpoint").iter().map(|entry| entry["round"].as_u64().unwrap()).collect();
    // After the last round there is nothing to go on with.
    assert_eq!(saved, [2]);
    let end = entries.last().unwrap();
    assert_eq!((&end["status"], &end["exit"], end.get("message")), (&json!("completed"), &json!(0), None));
    assert!(entries.windows(2).all(|pair| pair[0]["elapsed_s"].as_f64() <= pair[1]["elapsed_s"].as_f64()));
}

#[test]
fn an_unmet_assert_and_a_run_that_fails_are_told() {
    let out = tempfile::tempdir().unwrap();
    let scenario = ["run", "quickstart", "-q", "--set", "server.rounds=1", "--set", "dataset.num_examples=300"];
    let ends = |name: &str, settings: &[&str], code: i32| {
        let out = out.path().join(name);
        let ended = straggler(&[&scenario[..], &["--out", out.to_str().unwrap()], settings].concat());
        assert_eq!(ended.status.code(), Some(code), "{}", text(&ended.stderr));
        let entries = entries(&out.join("quickstart/latest"));
        let end = entries.last().unwrap().clone();
        (end["status"].clone(), end["exit"].clone(), end["message"].as_str().unwrap().to_owned())
    };
    let (status, exit, message) = ends("unmet", &["--set", "assert=[final.accuracy >= 0.99]"], 4);
    assert_eq!((status, exit), (json!("completed"), json!(4)));
    assert!(message.starts_with("unmet: final.accuracy >= 0.99 (it is "), "{message}");
    let (status, exit, message) = ends("failed", &["--timing-only", "--set", "server.give_up_after=1 s"], 1);
    assert_eq!((status, exit), (json!("failed"), json!(1)));
    assert!(!message.is_empty());
}

#[test]
#[cfg(unix)]
fn a_run_that_was_stopped_and_gone_on_with_keeps_one_log() {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
    command.args(["run", "quickstart", "--timing-only", "-q", "--out", out.path().to_str().unwrap()]);
    command.args(["--set", "server.rounds=4000", "--set", "output.checkpoint_every=50"]);
    let child = command.env("STRAGGLER_CACHE", "off").spawn().unwrap();
    let latest = out.path().join("quickstart/latest");
    while !std::fs::read_to_string(latest.join("log.jsonl")).is_ok_and(|log| log.contains("\"checkpoint\"")) {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    let before = entries(&latest);
    let end = before.last().unwrap();
    assert_eq!((&end["status"], &end["exit"]), (&json!("interrupted"), &json!(143)));
    let saved = of(&before, "checkpoint").last().unwrap()["checkpoint"].clone();

    let resumed = straggler(&["resume", latest.to_str().unwrap(), "-q"]);
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    let all = entries(&latest);
    assert_eq!(all[..before.len()], before[..]);
    let start = &all[before.len()];
    assert_eq!((&start["event"], &start["from"]["checkpoint"]), (&json!("start"), &saved));
    assert_eq!(start["scenario_sha256"], before[0]["scenario_sha256"]);
    assert_eq!(all.last().unwrap()["status"], "completed");
    assert_eq!(of(&all, "round").last().unwrap()["round"], 4000);
}
