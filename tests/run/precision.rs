//! A frozen encoder in 16 bits.

use std::path::Path;

use super::{run, straggler, text};

const SHORT: [&str; 4] = ["--set", "server.rounds=3", "--set", "dataset.num_examples=600"];

fn read(results: &Path, file: &str) -> String {
    std::fs::read_to_string(results.join(file)).unwrap()
}

#[test]
fn lora_learns_on_an_encoder_in_16_bits_and_its_run_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str, scenario: &str, settings: &[&str]| run(scenario, &folder.path().join(name), settings);
    let wide = start("wide", "quickstart", &SHORT);
    let narrow = start("narrow", "quickstart", &[&SHORT[..], &["--set", "model.dtype=bf16"]].concat());
    // The same world, for the same work: only what is learnt differs, in rounding.
    for file in ["timeline.csv", "clients.csv"] {
        assert!(read(&wide, file) == read(&narrow, file), "{file}");
    }
    let lock = read(&narrow, "scenario.lock.yaml");
    let hash = |lock: &str| lock.lines().find(|line| line.trim_start().starts_with("model_hash")).unwrap().to_owned();
    assert!(lock.contains("dtype: bf16"), "{lock}");
    assert_ne!(hash(&lock), hash(&read(&wide, "scenario.lock.yaml")), "the rounded weights are others");
    let losses = |results: &Path| -> Vec<f64> {
        let rows = straggler::report::read_rounds(&results.join("rounds.csv")).unwrap().rows;
        rows.iter().map(|row| row.eval_loss.unwrap()).collect()
    };
    let (wide, of_narrow) = (losses(&wide), losses(&narrow));
    assert_ne!(wide, of_narrow);
    assert!(of_narrow.last() < of_narrow.first(), "it learns: {of_narrow:?}");
    // Weights are off by at most 2^-9 = 0.2 % each, to either side.
    assert!(wide.iter().zip(&of_narrow).all(|(a, b)| (a - b).abs() < 0.05 * a), "{wide:?} {of_narrow:?}");
    let again = start("again", narrow.join("scenario.lock.yaml").to_str().unwrap(), &[]);
    for file in ["timeline.csv", "rounds.csv", "clients.csv", "summary.json"] {
        assert!(read(&again, file) == read(&narrow, file), "{file}");
    }
}

#[test]
fn full_tuning_of_an_encoder_in_16_bits_is_refused_with_both_places() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("narrow.yaml");
    let quickstart = std::fs::read_to_string("scenarios/quickstart.yaml").unwrap();
    let narrow = quickstart.replace("name: builtin:tiny-roberta }", "name: builtin:tiny-roberta, dtype: bf16 }");
    assert_ne!(narrow, quickstart);
    std::fs::write(&scenario, narrow).unwrap();
    let scenario = scenario.to_str().unwrap();
    assert!(straggler(&["validate", scenario]).status.success());
    for verb in ["validate", "run"] {
        let done = straggler(&[verb, scenario, "--set", "tuning=full"]);
        assert_eq!(done.status.code(), Some(2));
        let expected = "\
error[conflict]: `model.dtype`: bf16 is for a frozen encoder, and `full` trains matrices of it, such as `embeddings.position_embeddings.weight`
  --> narrow.yaml:11 and --set tuning=full     help: write `dtype: f32`, or choose a method that leaves the matrices as they are
";
        assert_eq!(text(&done.stderr).replace(scenario, "narrow.yaml"), expected);
    }
}
