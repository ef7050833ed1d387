//! Partitions that come with the data: by a column, and from a file.

use std::path::Path;

use super::{run, straggler, text};

const SCENARIO: &str = "\
version: 1
name: natural
model: { name: builtin:tiny-roberta }
dataset:
  files: { train: train.csv, validation: validation.csv }
  max_seq_length: 16
  partition: PARTITION
tuning: head
clients:
  total: 3
  train: { per_device_train_batch_size: 4 }
  devices: { one: { share: 1, compute: { time_per_sample: 1 ms } } }
  networks: { road: { share: 1, downlink: 1 Mbps, uplink: 1 Mbps, latency: 1 ms } }
server: { rounds: 1, clients_per_round: 3 }
";

/// Rows of four users: ann 5, bob 3, cyd 2, dee 2, one after the other as long as they last.
const USERS: [&str; 12] = ["ann", "bob", "cyd", "dee", "ann", "bob", "cyd", "dee", "ann", "bob", "ann", "ann"];

fn write(folder: &Path, partition: &str) -> String {
    let label = |row: usize| if row.is_multiple_of(2) { "good" } else { "bad" };
    let rows: String =
        USERS.iter().enumerate().map(|(row, user)| format!("{user},{},text {row}\n", label(row))).collect();
    std::fs::write(folder.join("train.csv"), format!("user_id,label,text\n{rows}")).unwrap();
    // Only training rows belong to somebody.
    std::fs::write(folder.join("validation.csv"), "label,text\ngood,a\nbad,b\n").unwrap();
    let path = folder.join("natural.yaml");
    std::fs::write(&path, SCENARIO.replace("PARTITION", partition)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// `num_examples` of every client.
fn sizes(results: &Path) -> Vec<usize> {
    let clients = std::fs::read_to_string(results.join("clients.csv")).unwrap();
    let mut lines = clients.lines();
    let column = lines.next().unwrap().split(',').position(|name| name == "num_examples").unwrap();
    lines.map(|line| line.split(',').nth(column).unwrap().parse().unwrap()).collect()
}

fn refusal(scenario: &str, settings: &[&str]) -> String {
    let refused = straggler(&[&["run", scenario][..], settings].concat());
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    text(&refused.stderr)
}

#[test]
fn users_stay_whole_and_their_lock_repeats_the_run_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = write(folder.path(), "{ by_column: { column: user_id } }");
    let results = run(&scenario, &folder.path().join("out"), &[]);
    // The largest first, each to the poorest: ann 5 | bob 3 | cyd 2, then dee to the client of cyd.
    let mut found = sizes(&results);
    found.sort_unstable();
    assert_eq!(found, [3, 4, 5]);

    let explained = straggler(&["validate", &scenario, "--explain"]);
    let explained = text(&explained.stdout);
    assert!(explained.contains("groups per client         1       1       2"), "{explained}");

    let lock = results.join("scenario.lock.yaml");
    let again = run(lock.to_str().unwrap(), &folder.path().join("again"), &[]);
    for file in ["clients.csv", "rounds.csv", "timeline.csv", "adapters/final/delta.safetensors"] {
        let read = |results: &Path| std::fs::read(results.join(file)).unwrap();
        assert!(read(&results) == read(&again), "{file}");
    }
    // The same rows, but bob's are dee's now: 5, 5 and 2 rows.
    let path = folder.path().join("train.csv");
    let changed = std::fs::read_to_string(&path).unwrap().replace("bob", "dee");
    std::fs::write(&path, changed).unwrap();
    let message = refusal(lock.to_str().unwrap(), &[]);
    assert!(message.contains("the lock file was written for another partition"), "{message}");
}

#[test]
fn columns_and_numbers_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = write(folder.path(), "{ by_column: { column: user } }");
    let message = refusal(&scenario, &[]);
    let expected =
        "train.csv:1: no column `user` (there are: user_id, label, text); set dataset.partition.by_column.column";
    assert!(message.contains(expected), "{message}");
    let scenario = write(folder.path(), "{ by_column: { column: user_id } }");
    let message = refusal(&scenario, &["--set", "clients.total=5"]);
    assert!(message.contains("4 different values in column `user_id`, and there are 5 clients"), "{message}");
    assert!(message.contains("natural.yaml:7:"), "{message}");
}

#[test]
fn a_file_deals_the_rows_and_is_part_of_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = write(folder.path(), "{ file: parts.csv }");
    let message = refusal(&scenario, &[]);
    assert!(
        message.contains("error[missing-file]: `dataset.partition.file`: there is no file `parts.csv`"),
        "{message}"
    );
    let parts = |client_of: &dyn Fn(usize) -> usize| {
        let rows: String = (0..12).map(|row| format!("{row},{}\n", client_of(row))).collect();
        std::fs::write(folder.path().join("parts.csv"), format!("row,client_id\n{rows}")).unwrap();
    };
    // Rows 0 to 6 to client 0, 7 to 10 to client 1, 11 to client 2.
    parts(&|row| [6, 10, 11].into_iter().position(|last| row <= last).unwrap());
    let results = run(&scenario, &folder.path().join("out"), &[]);
    assert_eq!(sizes(&results), [7, 4, 1]);

    // The lock names the file wherever it lies itself.
    let lock = results.join("scenario.lock.yaml");
    assert_eq!(sizes(&run(lock.to_str().unwrap(), &folder.path().join("again"), &[])), [7, 4, 1]);
    // As many rows for each, but other ones.
    parts(&|row| [6, 10, 11].into_iter().position(|last| 11 - row <= last).unwrap());
    let message = refusal(lock.to_str().unwrap(), &[]);
    assert!(message.contains("the lock file was written for another partition"), "{message}");
    parts(&|row| row);
    let message = refusal(&scenario, &[]);
    assert!(message.contains("parts.csv:5: client_id 3 is out of range: clients.total is 3"), "{message}");
}
