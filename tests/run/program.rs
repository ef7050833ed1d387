//! The program at its edges: bad places, unmet asserts, killed runs.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{run, straggler, text};

#[test]
fn a_bare_call_is_the_quickstart_and_help_names_every_verb() {
    let help = text(&straggler(&["--help"]).stdout);
    for verb in ["run", "validate", "list", "pretrain"] {
        assert!(help.contains(verb), "{help}");
    }
}

#[test]
fn a_place_of_results_that_leads_nowhere_ends_with_code_2_and_the_path_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("taken");
    std::fs::write(&file, "").unwrap();
    let out = file.join("results");
    let done = straggler(&["run", "quickstart", "--timing-only", "--out", out.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("taken"), "{}", text(&done.stderr));
}

#[test]
fn a_full_disk_ends_with_code_3_and_names_the_file() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: this system has no /dev/full");
        return;
    }
    // A results folder whose timeline lies on a full device cannot be made from outside, so the program's own stdout does.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let program = env!("CARGO_BIN_EXE_straggler");
    let done = Command::new(program).arg("list").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(done.status.code(), Some(3));
    assert!(text(&done.stderr).contains("cannot write the result"), "{}", text(&done.stderr));
}

#[test]
fn an_unmet_assert_ends_with_code_4_and_leaves_the_results() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let shorten = ["--set", "server.rounds=1", "--set", "dataset.num_examples=300", "--quiet", "--out", out];
    let args = [&["run", "quickstart", "--set", "assert=[final.accuracy >= 0.999]"], &shorten[..]].concat();
    let done = straggler(&args);
    assert_eq!(done.status.code(), Some(4), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("final.accuracy >= 0.999"), "{}", text(&done.stderr));
    assert!(folder.path().join("quickstart/latest/summary.json").exists());
}

#[test]
fn json_puts_one_object_on_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let done = straggler(&["run", "quickstart", "--timing-only", "--json", "--out", out]);
    let summary: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(summary["rounds"], 15);
    assert!(summary["metric"].is_null());
}

#[test]
fn a_killed_run_leaves_readable_rows_and_no_half_files() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let args = ["run", "quickstart", "--timing-only", "--quiet", "--set", "server.rounds=100000", "--out", out];
    let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
    let mut child = command.args(args).env("STRAGGLER_CACHE", "off").spawn().unwrap();
    let rounds = folder.path().join("quickstart/latest/rounds.csv");
    let has_rows = || std::fs::read_to_string(&rounds).is_ok_and(|text| text.lines().count() > 10);
    while !has_rows() {
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(child.try_wait().unwrap().is_none(), "it was to run for long");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for name in ["timeline.csv", "rounds.csv"] {
        let content = std::fs::read_to_string(rounds.with_file_name(name)).unwrap();
        // The system may stop a killed write at a page: only the last row may be cut.
        let (whole, _) = content.rsplit_once('\n').unwrap();
        let n_columns = whole.lines().next().unwrap().split(',').count();
        assert!(whole.lines().all(|line| line.split(',').count() == n_columns), "{name} has a broken row");
    }
    assert!(!rounds.with_file_name("summary.json").exists());
}

#[test]
fn updates_that_diverge_are_refused_and_the_run_goes_on() {
    // Steps of 1e20: what they make is finite, but cannot be added up.
    let folder = tempfile::tempdir().unwrap();
    let settings = ["--set", "clients.train.learning_rate=1e20", "--set", "server.rounds=2"];
    let small = ["--set", "dataset.num_examples=600", "--set", "evaluation.target=null"];
    let results = run("quickstart", folder.path(), &[&settings[..], &small].concat());
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(results.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["rounds"], 2);
    assert_eq!(summary["updates"]["aggregated"], 0);
    let diverged = summary["updates"]["rejected"]["diverged"].as_u64().unwrap();
    assert!(diverged > 0, "{summary}");
    let timeline = std::fs::read_to_string(results.join("timeline.csv")).unwrap();
    assert_eq!(timeline.lines().filter(|line| line.contains("diverged")).count() as u64, diverged);
}

#[test]
fn a_lock_of_another_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let results = run("quickstart", folder.path(), &["--timing-only"]);
    let lock = std::fs::read_to_string(results.join("scenario.lock.yaml")).unwrap();
    let line = lock.lines().find(|line| line.trim_start().starts_with("model_hash")).unwrap();
    let changed = folder.path().join("changed.yaml");
    std::fs::write(&changed, lock.replace(line, "  model_hash: \"00\"")).unwrap();
    let done = straggler(&["run", changed.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(2), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("another model"), "{}", text(&done.stderr));
}

#[test]
fn token_ids_are_kept_for_the_next_run_and_made_anew_when_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let (out, cache) = (folder.path().join("results"), folder.path().join("cache"));
    let run = || {
        let args = ["run", "quickstart", "--timing-only", "-v", "--set", "dataset.num_examples=6000", "--out"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
        let done = command.args(args).arg(&out).env("STRAGGLER_CACHE", &cache).output().unwrap();
        assert!(done.status.success(), "{}", text(&done.stderr));
        let clients = std::fs::read(out.join("quickstart/latest/clients.csv")).unwrap();
        (text(&done.stderr), clients)
    };
    let (first, rows) = run();
    assert!(!first.contains("token ids"), "{first}");
    let (second, same) = run();
    assert!(second.contains("token ids as kept from an earlier run") && same == rows, "{second}");
    let kept = std::fs::read_dir(cache.join("tokens")).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&kept).unwrap();
    std::fs::write(&kept, &whole[..whole.len() / 2]).unwrap();
    let (third, same) = run();
    assert!(third.contains("the kept token ids were damaged; they were made anew") && same == rows, "{third}");
    assert_eq!(std::fs::read(&kept).unwrap(), whole);
}

/// A scenario of one client for time alone, with `changes` of its text.
fn alone(folder: &std::path::Path, changes: &[(&str, &str)]) -> String {
    let mut text = "version: 1
name: alone
model: { name: builtin:tiny-roberta }
tuning: head
clients:
  total: 1
  num_examples: 2
  sequence_length: 8
  num_labels: 2
  devices: { a: { share: 1, compute: { time_per_sample: 1 ms } } }
  networks: { a: { share: 1, downlink: 1 Mbps, uplink: 1 Mbps, latency: 1 ms } }
  availability: always
server: { rounds: 2, clients_per_round: 1, give_up_after: 1 h }
compute: { mode: timing_only }
"
    .to_string();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let file = folder.join("alone.yaml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Runs it, and gives the exit code and what stderr says.
fn run_alone(changes: &[(&str, &str)], more: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = alone(folder.path(), changes);
    let done = straggler(&[&["run", &file, "--out", folder.path().to_str().unwrap()], more].concat());
    (done.status.code(), text(&done.stderr))
}

#[test]
fn a_run_that_nobody_can_take_part_in_ends_with_the_place_of_the_setting() {
    let never = ("always", "{ markov: { mean_online: 1 ms, mean_offline: 300 d } }");
    for more in [&[][..], &["--dry-run"]] {
        let (code, told) = run_alone(&[never], more);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("no client can be asked") && told.contains("alone.yaml:12:"), "{told}");
    }
}

#[test]
fn a_training_time_beyond_the_clock_is_shown_where_devices_are() {
    // 200,000 d for each of two examples; the clock ends after 213,503 d.
    let (code, told) = run_alone(&[("time_per_sample: 1 ms", "time_per_sample: 200000 d")], &[]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("the training time of client 0 cannot be computed") && told.contains("alone.yaml:10:"),
        "{told}"
    );
    assert!(told.contains("help: give its class"), "{told}");
}

#[test]
fn a_rate_at_which_nothing_arrives_before_the_clock_ends_is_refused() {
    let (code, told) = run_alone(&[("uplink: 1 Mbps", "uplink: 0.0000001 bps")], &[]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("error[out-of-range]: `clients.networks.a.uplink`: at "), "{told}");
    assert!(told.contains("alone.yaml:11:") && told.contains("help: write what the link carries"), "{told}");
}

#[test]
fn a_class_that_cannot_train_and_a_run_that_learnt_nothing_are_told() {
    let small = ("share: 1, compute", "share: 1, memory: 1 KiB, compute");
    let (code, told) = run_alone(&[small], &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("warning[memory]: `clients.devices.a.memory`: none of the class's 1 clients can train"),
        "{told}"
    );
    assert!(told.contains("alone.yaml:10:"), "{told}");
    let nothing = "warning: the model is the one that the run started with: of 2 tasks 2 were dropped (by `memory`), 0 were late and 0 refused";
    assert!(told.contains(nothing), "{told}");
    // As many gigabytes are enough.
    let (code, told) = run_alone(&[("share: 1, compute", "share: 1, memory: 1 GiB, compute")], &[]);
    assert!(code == Some(0) && !told.contains("warning"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let explained = straggler(&["validate", "--explain", &alone(folder.path(), &[small])]);
    assert!(text(&explained.stderr).contains("warning[memory]"), "{}", text(&explained.stderr));
}
