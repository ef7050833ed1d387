//! Data sets in folders laid out as on the hub.

use std::path::Path;

use parquet::basic::Compression;
use straggler::data::{DatasetConfig, TextDataset, load};
use straggler::seed::Seeds;

use super::table::parquet;

fn loaded(base: &Path, settings: serde_json::Value) -> Result<TextDataset, String> {
    let config: DatasetConfig = serde_json::from_value(settings).unwrap();
    load(&config, base, &Seeds::new(1)).map_err(|error| error.to_string().replace(&base.display().to_string(), "BASE"))
}

fn rows(labels: &[i64]) -> Vec<(String, i64)> {
    labels.iter().enumerate().map(|(i, label)| (format!("text {i}"), *label)).collect()
}

fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = base.path().join("set").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    base
}

#[test]
fn a_folder_gives_its_splits_and_the_names_of_its_labels() {
    let names = ["zero", "1", "0"];
    let base = folder(&[
        ("train-00000-of-00002.parquet", parquet(&rows(&[0, 1, 2]), &names, Compression::SNAPPY)),
        ("train-00001-of-00002.parquet", parquet(&rows(&[2, 1, 0]), &names, Compression::UNCOMPRESSED)),
        ("dev.csv", b"label,text\nzero,a\n1,b\n".to_vec()),
        ("test.jsonl", b"{\"text\": \"c\", \"label\": 2}\n".to_vec()),
    ]);
    let set = loaded(base.path(), serde_json::json!({ "name": "set" })).unwrap();
    assert_eq!((set.name.as_str(), set.labels), ("set", names.map(String::from).to_vec()));
    // Stored numbers are numbers, whatever the names look like.
    assert_eq!(set.train.iter().map(|row| row.label).collect::<Vec<_>>(), [0, 1, 2, 2, 1, 0]);
    assert_eq!(set.train[4].text, "text 1");
    assert_eq!(set.validation.iter().map(|row| row.label).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(set.test.unwrap()[0].label, 2);
}

#[test]
fn bad_parquet_rows_and_files_are_named() {
    let good = parquet(&rows(&[0, 1, 0, 1]), &["no", "yes"], Compression::SNAPPY);
    let base = folder(&[
        ("train.parquet", good.clone()),
        ("test.parquet", parquet(&rows(&[-1, 5]), &["no", "yes"], Compression::SNAPPY)),
        ("validation.parquet", good[..good.len() - 30].to_vec()),
    ]);
    let message = loaded(base.path(), serde_json::json!({ "name": "set" })).unwrap_err();
    let lines: Vec<&str> = message.lines().collect();
    assert!(lines[0].starts_with("BASE/set/validation.parquet: cannot be read as parquet"), "{message}");
    assert_eq!(
        lines[1..],
        [
            "BASE/set/test.parquet:1: the row has no label (-1): choose splits with labels by dataset.splits",
            "BASE/set/test.parquet:2: label 5 is out of range: labels are numbered 0 to 1",
        ]
    );
    let columns = serde_json::json!({ "name": "set", "columns": { "text": "label" }, "splits": {} });
    assert!(loaded(base.path(), columns).unwrap_err().contains("is already the column"));
    let columns = serde_json::json!({ "name": "set", "columns": { "text": "idx" }, "splits": {} });
    assert!(loaded(base.path(), columns).unwrap_err().contains("train.parquet:1: `idx` is 0, not a text"));
}

/// GLUE's own shape: FedPETuning's splits without a word in the scenario, and every one of them overridden.
#[test]
fn glue_has_its_columns_labels_and_splits() {
    let csv = |n: usize, column: &str| {
        let row = |i: usize| format!("sentence number {i},{}\n", i % 2);
        format!("{column},label\n{}", (0..n).map(row).collect::<String>()).into_bytes()
    };
    let base = folder(&[]);
    let set = base.path().join("glue/cola");
    std::fs::create_dir_all(&set).unwrap();
    for (name, n) in [("train.csv", 200), ("validation.csv", 30), ("test.csv", 10)] {
        std::fs::write(set.join(name), csv(n, "sentence")).unwrap();
    }
    let glue = loaded(base.path(), serde_json::json!({ "name": "glue", "config": "cola" })).unwrap();
    // 10 % of 200; the development split is the test split
    assert_eq!((glue.train.len(), glue.validation.len(), glue.test.map(|rows| rows.len())), (180, 20, Some(30)));
    assert_eq!(glue.labels, ["unacceptable", "acceptable"]);
    let other = serde_json::json!({
        "name": "glue", "config": "cola", "labels": ["no", "yes"], "validation_fraction": 0.25,
        "splits": { "train": "train", "test": "test" },
    });
    let other = loaded(base.path(), other).unwrap();
    assert_eq!((other.train.len(), other.validation.len(), other.test.map(|rows| rows.len())), (150, 50, Some(10)));
    assert_eq!(other.labels, ["no", "yes"]);
}
