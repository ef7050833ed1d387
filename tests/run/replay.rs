//! Invariant 1: the same scenario gives the same bytes, whatever the number of workers, in every run.

use std::collections::BTreeMap;
use std::path::Path;

use super::{run, straggler, text};

/// A few rounds of the quickstart: two classes of each kind, failures in each phase, over-selection, a deadline.
const SHORT: [&str; 4] = ["--set", "server.rounds=3", "--set", "dataset.num_examples=600"];

/// Every file that must not change, by its path below the folder.
pub(super) fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            // Host time, and how the run was carried out, with checksums of that, are in these.
            let is_how = ["perf.csv", "log.jsonl", "scenario.lock.yaml", "/run.json", "/checkpoint.json"];
            if !is_how.iter().any(|end| name.ends_with(end)) {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn one_two_and_four_workers_and_a_second_run_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let runs: Vec<_> = ["1", "2", "4", "2"]
        .iter()
        .enumerate()
        .map(|(i, workers)| {
            let settings = [&SHORT[..], &["-j", workers]].concat();
            contents(&run("quickstart", &folder.path().join(i.to_string()), &settings))
        })
        .collect();
    for name in ["timeline.csv", "rounds.csv", "clients.csv", "summary.json", "adapters/best/adapter_model.safetensors"]
    {
        assert!(runs[0].contains_key(name), "{name} is missing among {:?}", runs[0].keys());
    }
    all_equal(&runs);
}

fn all_equal(runs: &[BTreeMap<String, Vec<u8>>]) {
    for other in &runs[1..] {
        assert_eq!(runs[0].keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for (name, content) in &runs[0] {
            assert!(content == &other[name], "{name} differs between runs");
        }
    }
}

/// Whatever decides when updates become a model, and which.
const MODES: [(&str, &[&str]); 4] = [
    ("buffer", &["--profile", "async", "--set", "server.rounds=4"]),
    (
        "period",
        &[
            "--profile",
            "async",
            "--set",
            "server.strategy={semi_sync: {period: 10 s, concurrency: 10}}",
            "--set",
            "server.rounds=3",
        ],
    ),
    (
        "each",
        &["--profile", "async", "--set", "server.strategy={fedasync: {concurrency: 6}}", "--set", "server.rounds=12"],
    ),
    (
        "late",
        &[
            "--set",
            "server.late_updates=fold",
            "--set",
            "server.deadline=6 s",
            "--set",
            "clients.uploads.when_interrupted=resume",
        ],
    ),
];

#[test]
fn other_ways_of_making_models_give_the_same_bytes_with_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    for (mode, settings) in MODES {
        let runs: Vec<_> = ["1", "2", "4"]
            .iter()
            .map(|workers| {
                let settings = [&SHORT[..], settings, &["-j", workers]].concat();
                contents(&run("quickstart", &folder.path().join(format!("{mode}-{workers}")), &settings))
            })
            .collect();
        all_equal(&runs);
        assert!(runs[0].contains_key("adapters/final/adapter_model.safetensors"), "{mode} trains");
    }
}

#[test]
fn a_lock_file_repeats_its_run_and_another_seed_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = run("quickstart", &folder.path().join("first"), &SHORT);
    let lock = first.join("scenario.lock.yaml");
    let again = run(lock.to_str().unwrap(), &folder.path().join("again"), &[]);
    assert!(contents(&first) == contents(&again));
    assert!(std::fs::read(&lock).unwrap() == std::fs::read(again.join("scenario.lock.yaml")).unwrap());
    let seeded = [&SHORT[..], &["--seed", "7"]].concat();
    let other = run("quickstart", &folder.path().join("other"), &seeded);
    assert!(contents(&first)["timeline.csv"] != contents(&other)["timeline.csv"]);
}

#[test]
fn a_lock_file_refuses_a_model_with_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/builtin/tiny-roberta");
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(built_in.join(file), model.join(file)).unwrap();
    }
    let name = format!("model.name={}", model.display());
    let settings = [&SHORT[..], &["--set", &name, "--timing-only"]].concat();
    let lock = run("quickstart", &folder.path().join("first"), &settings).join("scenario.lock.yaml");
    let lock = lock.to_str().unwrap();
    run(lock, &folder.path().join("again"), &[]);
    // The weights stay as they are; what the model does with them and with texts does not.
    for (file, from, to) in [
        ("config.json", r#""hidden_dropout_prob": 0.0"#, r#""hidden_dropout_prob": 0.2"#),
        ("tokenizer.json", r#""use_regex":true},"post"#, r#""use_regex":false},"post"#),
    ] {
        let before = std::fs::read_to_string(model.join(file)).unwrap();
        let after = before.replace(from, to);
        assert_ne!(before, after, "{file}");
        std::fs::write(model.join(file), after).unwrap();
        let refused = straggler(&["run", lock, "--out", folder.path().join("other").to_str().unwrap()]);
        let message = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{file}: {message}");
        assert!(message.contains("configuration, tokenizer or image processor"), "{file}: {message}");
        std::fs::write(model.join(file), before).unwrap();
    }
    run(lock, &folder.path().join("restored"), &[]);
}

#[test]
fn timing_only_tells_the_same_story_of_time_and_bytes_as_training_does() {
    // What trains decides no time and no traffic: only the lines about evaluation are missing.
    let folder = tempfile::tempdir().unwrap();
    let timeline = |name: &str, settings: &[&str]| {
        let settings = [&SHORT[..], settings].concat();
        let path = run("quickstart", &folder.path().join(name), &settings).join("timeline.csv");
        let rows = straggler::report::read_timeline(&path).unwrap();
        let rows = rows.into_iter().map(|row| row.record);
        rows.filter(|record| record.event != straggler::report::EventKind::Eval).collect::<Vec<_>>()
    };
    assert_eq!(timeline("real", &[]), timeline("timing", &["--timing-only"]));
}
