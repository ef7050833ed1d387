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
