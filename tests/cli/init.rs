//! `straggler init`: what it writes runs as it is.

use std::path::Path;

use serde_json::Value;

use super::{stderr, stdout, straggler};

const PRESETS: [&str; 4] = ["text", "vision", "async", "timing"];

fn init(folder: &Path, preset: &str) -> String {
    let file = folder.join(format!("{preset}.yaml")).display().to_string();
    let output = straggler(&["init", &file, "--preset", preset]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    file
}

#[test]
fn a_starter_runs_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    for preset in ["text", "timing"] {
        let file = init(folder.path(), preset);
        let output = straggler(&["run", &file, "--json", "--out", &out]);
        assert_eq!(output.status.code(), Some(0), "{preset}: {}", stderr(&output));
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&summary["name"], &summary["status"]), (&preset.into(), &"completed".into()));
    }
    // the others in fewer rounds
    for (preset, rounds) in [("vision", "server.rounds=1"), ("async", "server.rounds=2")] {
        let output = straggler(&["run", &init(folder.path(), preset), "--set", rounds, "--out", &out]);
        assert_eq!(output.status.code(), Some(0), "{preset}: {}", stderr(&output));
    }
}

#[test]
fn a_starter_that_trains_can_be_timed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let output = straggler(&["run", &init(folder.path(), "text"), "--timing-only", "--json", "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("warning[no-effect]: `assert` is left aside"), "{}", stderr(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(summary["target"].is_null() && summary["validation"].is_null(), "nothing was evaluated: {summary}");
    // Its lock file repeats it.
    let lock = folder.path().join("out/text/latest/scenario.lock.yaml").display().to_string();
    let again = straggler(&["run", &lock, "--json", "--out", &out]);
    assert_eq!((again.status.code(), stdout(&again)), (Some(0), stdout(&output)), "{}", stderr(&again));
}

#[test]
fn every_starter_is_valid_with_each_of_its_profiles_and_names_every_section() {
    let folder = tempfile::tempdir().unwrap();
    for preset in PRESETS {
        let file = init(folder.path(), preset);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema=./scenario.schema.json\n") && !text.contains("{{"));
        assert!(text.lines().all(|line| line.chars().count() <= 130), "{preset}");
        let other = if preset == "async" { "rounds" } else { "async" };
        for profile in ["flaky", other] {
            let output = straggler(&["validate", &file, "--profile", profile]);
            assert_eq!(output.status.code(), Some(0), "{preset} {profile}: {}", stderr(&output));
        }
        let schema: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("scenario.schema.json")).unwrap()).unwrap();
        for section in schema["properties"].as_object().unwrap().keys() {
            let is_there = text.lines().any(|line| {
                let written = line.strip_prefix("# ").unwrap_or(line);
                written.starts_with(&format!("{section}:"))
            });
            assert!(is_there, "{preset} says nothing of `{section}`");
        }
    }
}

#[test]
fn nothing_is_overwritten_without_force() {
    let folder = tempfile::tempdir().unwrap();
    let file = init(folder.path(), "text");
    std::fs::write(&file, "mine").unwrap();
    std::fs::write(folder.path().join("scenario.schema.json"), "mine").unwrap();
    let output = straggler(&["init", &file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is there already") && stderr(&output).contains("--force"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    // a schema of another version stays, and that is said
    let other = folder.path().join("other.yaml").display().to_string();
    assert!(stderr(&straggler(&["init", &other])).contains("scenario.schema.json` is of another version"));
    assert_eq!(straggler(&["init", &file, "--force"]).status.code(), Some(0));
    for name in ["text.yaml", "scenario.schema.json"] {
        assert_ne!(std::fs::read_to_string(folder.path().join(name)).unwrap(), "mine");
    }
    let bad = straggler(&["init", &folder.path().join("a b?.yaml").display().to_string()]);
    assert_eq!(bad.status.code(), Some(2));
    let nowhere = straggler(&["init", &folder.path().join("none/a.yaml").display().to_string()]);
    assert_eq!(nowhere.status.code(), Some(3), "{}", stderr(&nowhere));
    assert!(stdout(&nowhere).is_empty());
}
