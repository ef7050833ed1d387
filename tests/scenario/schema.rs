//! The JSON Schema beside the scenarios: it is current, takes every scenario, and refuses what the program refuses.
//!
//! `REFRESH=1 cargo test --test main schema` writes it anew; so does `straggler schema -o scenarios/scenario.schema.json`.
//! The validator here is a plain reading of draft-07; `tests/peers/check_schema.py` asks Python's `jsonschema` the same.

mod validator;

use std::path::Path;

use serde_json::{Value, json};
use straggler::scenario::{Input, Overrides, json_schema, load};

use super::examples::files;
use super::mistakes::mistaken_texts;
use validator::Validator;

const FILE: &str = "scenarios/scenario.schema.json";

/// Problems that the shape of a text alone shows.
const STRUCTURAL: [&str; 7] =
    ["unknown-key", "wrong-type", "missing-unit", "wrong-unit", "unknown-choice", "one-of", "bad-assert"];

/// What a schema cannot know: whether text is a name that is there, or a number in its range.
const BEYOND_A_SCHEMA: [&str; 0] = [];

fn validator() -> Validator {
    Validator::new(json_schema())
}

fn yaml(text: &str) -> Option<Value> {
    serde_saphyr::from_str(text).ok()
}

#[test]
fn the_schema_beside_the_scenarios_is_current() {
    let text = format!("{:#}\n", json_schema());
    if std::env::var_os("REFRESH").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let found = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(found == text, "refresh it: straggler schema -o {FILE}");
}

#[test]
fn every_scenario_validates_and_names_the_schema_in_its_first_line() {
    let validator = validator();
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().next(), Some("# yaml-language-server: $schema=./scenario.schema.json"));
        let scenario = yaml(&text).expect("examples are YAML");
        assert_eq!(validator.problem(&scenario), None, "{}", path.display());
    }
}

#[test]
fn what_the_program_finds_by_shape_the_schema_finds_too() {
    let validator = validator();
    let (mut n_structural, mut let_through) = (0, Vec::new());
    for (name, text) in mistaken_texts() {
        let Some(value) = yaml(&text) else { continue };
        let input = Input::Embedded { name: "small.yaml".into(), text };
        let diagnostics = load(&input, &Overrides::default()).expect_err(name);
        if diagnostics.list().iter().any(|problem| STRUCTURAL.contains(&problem.code())) {
            n_structural += 1;
            if validator.is_valid(&value) {
                let_through.push(name);
            }
        }
    }
    assert!(n_structural >= 25, "{n_structural}");
    assert_eq!(let_through, BEYOND_A_SCHEMA);
}

/// A right scenario as a value, in which `change` is made.
fn changed(change: impl Fn(&mut Value)) -> Value {
    let mut value = yaml(&std::fs::read_to_string(Path::new("scenarios/quickstart.yaml")).unwrap()).unwrap();
    change(&mut value);
    value
}

#[test]
fn layers_are_part_of_it() {
    let validator = validator();
    let is_valid = |value: Value| validator.is_valid(&value);
    // a file that extends another may leave out what the other says, also inside a section
    assert!(is_valid(json!({ "extends": "base.yaml", "server": { "rounds": 3 } })));
    assert!(is_valid(json!({ "extends": "base.yaml", "clients": { "devices": { "phone": { "share": 0.5 } } } })));
    assert!(!is_valid(json!({ "server": { "rounds": 3 } })));
    assert!(!is_valid(json!({ "extends": "base.yaml", "server": { "ruonds": 3 } })));
    assert!(!is_valid(json!({ "extends": "base.yaml", "tuning": { "lora": { "r": "eight" } } })));
    // profiles are checked like the file, and null takes a setting back
    assert!(is_valid(changed(|v| v["profiles"]["late"] = json!({ "server": { "deadline": null } }))));
    assert!(!is_valid(changed(|v| v["profiles"]["late"] = json!({ "server": { "deadlin": null } }))));
    assert!(!is_valid(changed(|v| v["profiles"]["late"] = json!({ "server": { "deadline": "10 Mbps" } }))));
    // a choice is one key or one word
    assert!(is_valid(changed(|v| v["tuning"] = json!("bitfit"))));
    assert!(is_valid(changed(|v| v["tuning"] = json!({ "full": null }))));
    assert!(!is_valid(changed(|v| v["tuning"] = json!({ "lora": {}, "head": {} }))));
    assert!(!is_valid(changed(|v| v["server"]["network"]["uplink"] = json!("10 MB/s"))));
    // empty sections and extension keys
    assert!(is_valid(changed(|v| v["evaluation"] = Value::Null)));
    assert!(is_valid(changed(|v| v["seed"] = json!(7))));
    assert!(is_valid(changed(|v| v["x-note"] = json!("mine"))));
    assert!(!is_valid(changed(|v| v["output"] = json!({ "checkpoint_every": 0 }))));
}
