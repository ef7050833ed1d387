//! `params` against what a run charges.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{stderr, straggler};

fn params(args: &[&str]) -> Value {
    let output = straggler(&[&["params", "--json"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The row of a method.
fn row<'a>(table: &'a Value, method: &str) -> &'a Value {
    let rows = table["methods"].as_array().unwrap();
    rows.iter().find(|row| row["method"] == method).unwrap_or_else(|| panic!("{method} is not in {table}"))
}

/// The bytes of all rows of a timeline with this event.
fn bytes_of(results: &Path, event: &str) -> BTreeSet<u64> {
    let timeline = std::fs::read_to_string(results.join("timeline.csv")).unwrap();
    let column = |name: &str| timeline.lines().next().unwrap().split(',').position(|title| title == name).unwrap();
    let (events, bytes) = (column("event"), column("bytes"));
    let rows = timeline.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|row| row[events] == event).map(|row| row[bytes].parse().unwrap()).collect()
}

#[test]
fn its_bytes_are_those_that_a_run_charges() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = "{prefix: {prefix_projection: true, travels: kv}}";
    for (i, (tuning, title)) in
        [("lora", "lora"), ("[bitfit, ia3]", "bitfit, ia3"), (prefix, "prefix")].into_iter().enumerate()
    {
        let out = folder.path().join(i.to_string());
        let tuning = format!("tuning={tuning}");
        let settings =
            ["quickstart", "--set", &tuning, "--set", "server.rounds=1", "--set", "dataset.num_examples=300"];
        let run = straggler(&[&["run", "--quiet", "--out", out.to_str().unwrap()], &settings[..]].concat());
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        let table = params(&settings);
        let own = row(&table, title);
        assert_eq!(own["is_scenarios"], true);
        let results = out.join("quickstart/latest");
        for (event, key) in [("download_end", "bytes_down"), ("upload_end", "bytes_up")] {
            assert_eq!(bytes_of(&results, event), BTreeSet::from([own[key].as_u64().unwrap()]), "{tuning} {key}");
        }
        // A method beside the scenario's own has the bytes of its own run.
        if title != "lora" {
            let results = folder.path().join("0/quickstart/latest");
            assert_eq!(row(&table, "lora")["is_scenarios"], false);
            let bytes = row(&table, "lora")["bytes_up"].as_u64().unwrap();
            assert_eq!(bytes_of(&results, "upload_end"), BTreeSet::from([bytes]));
        }
    }
}

#[test]
fn its_numbers_are_those_of_roberta_base_and_it_says_what_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("shape.yaml");
    let text = "version: 1
name: shape
model: { name: shape-only:roberta-base }
tuning: [lora, bitfit]
clients:
  total: 10
  num_examples: 100
  sequence_length: 500
  num_labels: 2
  devices: { a: { share: 1, compute: { time_per_sample: 1 ms } } }
  networks: { a: { share: 1, downlink: 1 Mbps, uplink: 1 Mbps, latency: 1 ms } }
server: { rounds: 1, clients_per_round: 2 }
compute: { mode: timing_only }
";
    std::fs::write(&scenario, text).unwrap();
    let scenario = scenario.to_str().unwrap();
    let table = params(&[scenario]);
    let trainable = |method: &str| row(&table, method)["trainable"].as_u64().unwrap();
    // The head 768 x 768 + 768 + 768 x 2 + 2 = 592,130; of 12 layers, two maps with 8 x 768 + 768 x 8.
    assert_eq!(trainable("head"), 592_130);
    assert_eq!(trainable("lora"), 592_130 + 12 * 2 * (8 * 768 + 768 * 8));
    assert_eq!(trainable("lora"), 887_042);
    assert_eq!(trainable("full"), 124_647_170);
    // Biases of a layer 5 x 768 + 3072 + 2 x 768, and one normalisation after the embeddings.
    assert_eq!(trainable("lora, bitfit"), 887_042 + 12 * (5 * 768 + 3072 + 2 * 768) + 768);
    let ratio = row(&table, "lora")["full_over_this"].as_f64().unwrap();
    assert!((ratio - 124_647_170.0 / 887_042.0).abs() < 1e-9, "{ratio}");
    // 20 virtual tokens and texts of 500 are more than 512 positions; with 490 there is room.
    let left_out: Vec<&str> =
        table["left_out"].as_array().unwrap().iter().map(|one| one["method"].as_str().unwrap()).collect();
    assert_eq!(left_out, ["prefix", "prompt"]);
    let reason = table["left_out"][1]["reason"].as_str().unwrap();
    assert!(
        reason.contains("500 tokens") && reason.contains("20 virtual tokens") && reason.contains("512"),
        "{reason}"
    );
    let roomy = params(&[scenario, "--set", "clients.sequence_length=490"]);
    assert_eq!(roomy["left_out"], serde_json::json!([]));
    assert!(row(&roomy, "prompt")["trainable"].as_u64().unwrap() == 592_130 + 20 * 768);
    // What an encoder in 16 bits cannot have.
    let narrow = params(&[scenario, "--set", "model.dtype=bf16", "--set", "clients.sequence_length=490"]);
    assert_eq!(narrow["left_out"][0]["method"], "full", "{narrow}");
    assert_eq!(narrow["left_out"].as_array().unwrap().len(), 1);
}
