//! What shows only with model and data at hand, and the line of the scenario that it is told at.

use std::path::Path;

use super::{stderr, straggler};

const SCENARIO: &str = "\
version: 1
name: fit
model: { name: builtin:tiny-roberta }
dataset:
  files: { train: train.csv, validation: validation.csv }
  max_seq_length: 100
tuning:
  lora: { r: 2 }
clients:
  total: 4
  train:
    per_device_train_batch_size: 4
  devices: { one: { share: 1, compute: { time_per_sample: 1 ms } } }
  networks: { road: { share: 1, downlink: 1 Mbps, uplink: 1 Mbps, latency: 1 ms } }
server: { rounds: 1, clients_per_round: 2 }
";

/// A scenario with these changes beside `rows` of its data.
fn write(folder: &Path, rows: &str, changes: &[(&str, &str)]) -> String {
    for file in ["train.csv", "validation.csv"] {
        std::fs::write(folder.join(file), rows).unwrap();
    }
    let text = changes.iter().fold(SCENARIO.to_owned(), |text, (from, to)| text.replace(from, to));
    let path = folder.join("fit.yaml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Sixteen texts of so many words.
fn rows(n_words: usize) -> String {
    let text = vec!["a"; n_words].join(" ");
    let row = |i: usize| format!("{},{text}\n", if i.is_multiple_of(2) { "good" } else { "bad" });
    format!("label,text\n{}", (0..16).map(row).collect::<String>())
}

fn refusal(scenario: &str) -> String {
    let output = straggler(&["run", scenario]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    stderr(&output).replace(scenario, "fit.yaml")
}

#[test]
fn texts_longer_than_the_positions_are_told_at_the_length_or_at_the_prompt() {
    let folder = tempfile::tempdir().unwrap();
    // Each word is a token, and two stand around a text. The model has 64 positions.
    let found = refusal(&write(folder.path(), &rows(70), &[]));
    let expected = "\
error[training]: an example of the train split has 72 tokens, but the model takes at most 64; set dataset.max_seq_length to 64 or less
  --> fit.yaml:6:19
   |   max_seq_length: 100
   |                   ^^^
";
    assert_eq!(found, expected);
    let prompt = [("lora: { r: 2 }", "prompt: { num_virtual_tokens: 20 }")];
    let found = refusal(&write(folder.path(), &rows(50), &prompt));
    let expected = "\
error[training]: an example of the train split has 52 tokens and the tuning method puts 20 virtual tokens before it, but the model takes at most 64 together; set dataset.max_seq_length to 44 or less, or lower `num_virtual_tokens`
  --> fit.yaml:8:33
   |   prompt: { num_virtual_tokens: 20 }
   |                                 ^^
";
    assert_eq!(found, expected);
    // With 42 words and the two around them it is full.
    let fits = write(folder.path(), &rows(42), &prompt);
    let output = straggler(&["run", &fits, "--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_tokenizer_of_another_model_is_told_at_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    let builtin = Path::new("src/model/builtin/tiny-roberta");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(builtin.join(file), model.join(file)).unwrap();
    }
    // As BERT's does, it gives the second text of a pair another type, for which RoBERTa has no row.
    let text = std::fs::read_to_string(builtin.join("tokenizer.json")).unwrap();
    let mut tokenizer: serde_json::Value = serde_json::from_str(&text).unwrap();
    tokenizer["post_processor"] =
        serde_json::json!({ "type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0] });
    std::fs::write(model.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let rows = "label,text,other\ngood,a,b\nbad,b,a\ngood,a,a\nbad,b,b\n".to_owned();
    let pairs = ("  max_seq_length: 100", "  columns: { text: text, text_pair: other }");
    let found = refusal(&write(folder.path(), &rows, &[("builtin:tiny-roberta", "./model"), pairs]));
    let expected = "\
error[training]: row 0 of the train split has token type 1, but the model has 1 of them; use the tokenizer that belongs to the weights
  --> fit.yaml:3:16
   | model: { name: ./model }
   |                ^^^^^^^
";
    assert_eq!(found, expected);
}

#[test]
fn clients_for_whom_a_round_is_all_warm_up_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    // 16 rows for 4 clients in batches of 4: one step each, and ceil(0.1 x 1) = 1 of it warms up.
    let warmup = [("per_device_train_batch_size: 4", "per_device_train_batch_size: 4\n    warmup_ratio: 0.1")];
    let scenario = write(folder.path(), &rows(3), &warmup);
    let expected = "\
warning[no-effect]: `clients.train.warmup_ratio`: 4 of 4 clients take no more steps in a round than the warm-up has, and never reach `learning_rate`; 4 of them take a single step, whose size is 0, and train nothing
  --> fit.yaml:13:19
   |     warmup_ratio: 0.1
   |                   ^^^ help: every round warms up anew: write `warmup_ratio: 0`, or give clients more steps by a smaller `per_device_train_batch_size` or more `num_train_epochs`
";
    let out = folder.path().join("out");
    let run = ["run", &scenario, "--set", "server.rounds=2", "--out", out.to_str().unwrap()];
    for args in [&["validate", "--explain", &scenario][..], &["run", &scenario, "--dry-run"], &run] {
        let output = straggler(args);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let told = stderr(&output).replace(&scenario, "fit.yaml");
        assert!(told.contains(expected), "{args:?}: {told}");
    }
    let results = out.join("fit/latest");
    let log = std::fs::read_to_string(results.join("log.jsonl")).unwrap();
    assert!(log.contains("and train nothing"), "{log}");
    let losses = || -> Vec<f64> {
        let rows = straggler::report::read_rounds(&results.join("rounds.csv")).unwrap().rows;
        rows.iter().map(|row| row.eval_loss.unwrap()).collect()
    };
    let unchanged = losses();
    assert_eq!(unchanged[0], unchanged[1], "nothing was learnt, as the warning says");
    // With a batch of 2 there are two steps, the second of the full size.
    let two_steps = straggler(&[&run[..], &["--set", "clients.train.per_device_train_batch_size=2"]].concat());
    assert!(!stderr(&two_steps).contains("warning"), "{}", stderr(&two_steps));
    assert_ne!(losses()[0], losses()[1]);
    let timing = straggler(&["run", &scenario, "--dry-run", "--timing-only"]);
    assert!(!stderr(&timing).contains("warning"), "{}", stderr(&timing));
}
