//! The pieces of scenarios in the README are right.

use std::path::Path;

use straggler::scenario::{Input, Overrides, load_with_cells};

/// What the pieces are laid on.
const BASE: &str = "\
version: 1
name: readme
model: { name: builtin:tiny-roberta }
dataset: { name: builtin:intents, partition: iid }
tuning: lora
clients: { total: 40 }
server: { rounds: 2, clients_per_round: 4 }
";

/// For pieces that say nothing of clients.
const CLASSES: &str = "\
clients:
  devices: { phone: { share: 1, compute: { time_per_sample: 90 ms } } }
  networks: { lte: { share: 1, downlink: 5.4 Mbps, uplink: 1.1 Mbps, latency: 60 ms } }
";

fn problems(folder: &Path, piece: &str) -> Option<String> {
    let classes = if piece.contains("clients:\n") { "" } else { CLASSES };
    let file = folder.join("piece.yaml");
    std::fs::write(&file, format!("extends: base.yaml\n{classes}{piece}")).unwrap();
    load_with_cells(&Input::File(file), &Overrides::default()).err().map(|problems| problems.to_string())
}

#[test]
fn every_piece_of_yaml_in_the_readme_is_right() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("base.yaml"), BASE).unwrap();
    // The capacity of a link that one of them takes from a file.
    std::fs::write(
        folder.path().join("bandwidth.csv"),
        "client_id,time_s,down_kbps,up_kbps\n0,0,5000,1000\n0,60,800,200\n",
    )
    .unwrap();
    let readme = std::fs::read_to_string("README.md").unwrap();
    let blocks: Vec<&str> = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 3, "{blocks:?}");
    for block in blocks {
        // One choice a line, or one piece.
        let is_choice = |line: &str| line.starts_with("tuning: ");
        let pieces: Vec<&str> = if block.lines().all(is_choice) { block.lines().collect() } else { vec![block] };
        for piece in pieces {
            assert_eq!(problems(folder.path(), &format!("{piece}\n")), None, "{piece}");
        }
    }
    assert!(problems(folder.path(), "tuning: { lora: { rank: 8 } }\n").is_some());
    assert!(problems(folder.path(), "sweep: { matrix: { server.deadline: [1 min, soon] } }\n").is_some());
}
