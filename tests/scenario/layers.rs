//! `extends` < file < profile < `--set`.

use std::path::Path;

use straggler::scenario::{Input, Overrides, Scenario, explain, load};

const BASE: &str = "\
version: 1
name: base
model: { name: builtin:tiny-roberta }
dataset: { name: builtin:intents, partition: { dirichlet: { alpha: 0.3 } } }
tuning: { lora: { r: 8, target_modules: [query, value] } }
clients:
  total: 8
  devices: { phone: { share: 1, compute: { time_per_sample: 90 ms } } }
  networks: { lte: { share: 1, downlink: 5.4 Mbps, uplink: 1.1 Mbps, latency: 60 ms } }
server: { rounds: 2, clients_per_round: 4, deadline: 10 s }
";

const FILE: &str = "\
extends: parts/base.yaml
name: file
server: { rounds: 5 }
tuning: { lora: { target_modules: [key] } }
profiles:
  patient: { server: { deadline: null, rounds: 7 } }
  whole: { tuning: { full: {} } }
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("parts")).unwrap();
    std::fs::write(folder.path().join("parts/base.yaml"), BASE).unwrap();
    std::fs::write(folder.path().join("file.yaml"), FILE).unwrap();
    folder
}

fn overrides(profiles: &[&str], set: &[&str]) -> Overrides {
    let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    Overrides { profiles: owned(profiles), set: owned(set) }
}

fn read(path: &Path, profiles: &[&str], set: &[&str]) -> Scenario {
    load(&Input::File(path.into()), &overrides(profiles, set)).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

#[test]
fn maps_merge_and_choices_and_lists_are_replaced_whole() {
    let folder = folder();
    let scenario = read(&folder.path().join("file.yaml"), &[], &[]);
    assert_eq!((scenario.name(), scenario.rounds(), scenario.clients_per_round()), ("file", 5, 4));
    let tuning = serde_json::to_value(scenario.tuning()).unwrap();
    assert_eq!(tuning["lora"]["target_modules"], serde_json::json!(["key"]));
    assert_eq!(scenario.base_dir(), folder.path());
}

#[test]
fn profiles_come_after_the_file_and_set_comes_last() {
    let folder = folder();
    let path = folder.path().join("file.yaml");
    let scenario = read(&path, &["patient"], &[]);
    assert_eq!((scenario.rounds(), scenario.deadline()), (7, None));
    assert_eq!(read(&path, &["patient"], &["server.rounds=9"]).rounds(), 9);
    assert_eq!(read(&path, &["whole"], &[]).tuning().key(), "full");
    let unknown = load(&Input::File(path), &overrides(&["patinet"], &[])).expect_err("is not there");
    assert!(unknown.to_string().contains("did you mean `patient`?"), "{unknown}");
}

#[test]
fn every_value_tells_its_origin() {
    let folder = folder();
    let path = folder.path().join("file.yaml");
    let values = explain(&load(&Input::File(path), &overrides(&["patient"], &["clients.total=20"])).unwrap());
    let origin = |path: &str| values.iter().find(|value| value.path == path).unwrap().origin.clone();
    assert_eq!(origin("clients.total"), "--set clients.total=20");
    assert!(origin("server.rounds").ends_with("file.yaml:6:48"), "{}", origin("server.rounds"));
    assert!(origin("server.clients_per_round").ends_with("parts/base.yaml:10:41"));
    assert_eq!(origin("evaluation.metric"), "default");
}

#[test]
fn a_problem_of_two_files_names_both() {
    let folder = folder();
    std::fs::write(folder.path().join("file.yaml"), "extends: parts/base.yaml\nclients: { total: 3 }\n").unwrap();
    let diagnostics = load(&Input::File(folder.path().join("file.yaml")), &Overrides::default()).expect_err("too few");
    let text = diagnostics.to_string();
    assert!(text.contains("base.yaml:10 and "), "{text}");
    assert!(text.contains("file.yaml:2 "), "{text}");
}

#[test]
fn a_missing_or_circular_base_is_named() {
    let folder = folder();
    let path = folder.path().join("file.yaml");
    std::fs::write(&path, "extends: nowhere.yaml\n").unwrap();
    let missing = load(&Input::File(path.clone()), &Overrides::default()).expect_err("is missing").to_string();
    assert!(missing.contains("no such file") && missing.contains("file.yaml:1:10"), "{missing}");
    std::fs::write(&path, "extends: file.yaml\n").unwrap();
    let circular = load(&Input::File(path), &Overrides::default()).expect_err("is circular").to_string();
    assert!(circular.contains("extends itself"), "{circular}");
}

#[test]
fn a_path_starts_from_where_it_was_written() {
    let folder = folder();
    let rows = "text\tlabel\nyes\ta\nno\tb\n";
    std::fs::write(folder.path().join("parts/rows.tsv"), rows).unwrap();
    std::fs::write(folder.path().join("own.tsv"), rows).unwrap();
    let base = BASE.replace("name: builtin:intents", "files: { train: rows.tsv }");
    std::fs::write(folder.path().join("parts/base.yaml"), base).unwrap();
    let path = folder.path().join("file.yaml");
    let train = |set: &[&str]| read(&path, &[], set).dataset().unwrap().files.as_ref().unwrap().train.clone();
    assert_eq!(train(&[]), folder.path().join("parts/rows.tsv").to_string_lossy());
    std::fs::write(&path, format!("{FILE}dataset: {{ files: {{ train: own.tsv }} }}\n")).unwrap();
    assert_eq!(train(&[]), "own.tsv");
}

#[test]
fn keys_of_a_users_own_hold_anchors() {
    let text =
        BASE.replace("lora: { r: 8,", "lora: { r: *rank,").replace("version: 1\n", "version: 1\nx-rank: &rank 3\n");
    let input = Input::Embedded { name: "own.yaml".into(), text };
    let scenario = load(&input, &Overrides::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(serde_json::to_value(scenario.tuning()).unwrap()["lora"]["r"], 3);
}

#[test]
fn what_is_no_scenario_file_is_called_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let told = |path: &Path| load(&Input::File(path.into()), &Overrides::default()).expect_err("is none").to_string();
    let directory = told(folder.path());
    assert!(directory.contains("error[not-a-file]") && directory.contains("it is a directory"), "{directory}");
    assert!(directory.contains("help: give a scenario file"), "{directory}");
    std::fs::write(folder.path().join("scenario.lock.yaml"), "").unwrap();
    let run = told(folder.path());
    assert!(run.contains("give its lock file, `") && run.contains("scenario.lock.yaml`"), "{run}");
    let file = folder.path().join("a.yaml");
    let utf16: Vec<u8> = "\u{feff}version: 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (content, help) in [(&utf16[..], "it is UTF-16; save it as UTF-8"), (b"name: \xE9\n", "save it as UTF-8")] {
        std::fs::write(&file, content).unwrap();
        let told = told(&file);
        assert!(told.contains("error[not-text]") && told.contains("it is not UTF-8 text"), "{told}");
        assert!(told.contains(&format!("help: {help}")), "{told}");
    }
    let missing = told(&folder.path().join("b.yaml"));
    assert!(missing.contains("error[missing-file]") && missing.contains("`straggler list` names"), "{missing}");
}

#[test]
fn a_profile_of_a_file_without_any_is_told_with_the_file() {
    let folder = folder();
    let path = folder.path().join("parts/base.yaml");
    let told = load(&Input::File(path), &overrides(&["foo"], &[])).expect_err("it has none").to_string();
    assert!(told.contains("no profile is called `foo`") && told.contains("base.yaml:1:1"), "{told}");
    assert!(told.contains("the file has no profiles; add `profiles: { foo: { … } }`"), "{told}");
}

#[test]
fn what_is_asserted_of_a_metric_is_left_aside_when_another_layer_trains_nothing() {
    let text = format!("{BASE}assert: [final.accuracy >= 0.5]\n");
    let timing = |text: &str, set: &[&str]| {
        load(&Input::Embedded { name: "a.yaml".into(), text: text.into() }, &overrides(&[], set))
    };
    let scenario = timing(&text, &["compute.mode=timing_only"]).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(scenario.assertions().is_empty());
    let warning = scenario.warnings().to_string();
    assert!(warning.contains("warning[no-effect]: `assert` is left aside"), "{warning}");
    // In one file they contradict each other.
    let both = timing(&format!("{text}compute: {{ mode: timing_only }}\n"), &[]).expect_err("a contradiction");
    assert!(both.to_string().contains("computes no metric"), "{both}");
    // Where something is trained they stay.
    assert_eq!(timing(&text, &[]).unwrap().assertions().len(), 1);
}
