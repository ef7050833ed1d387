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
