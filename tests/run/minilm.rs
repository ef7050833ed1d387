//! A real pretrained BERT on real questions. Needs weights and data that are not part of the repository.

use std::path::PathBuf;

use straggler::report::{check, read_rounds};

use super::run;

fn directory(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set")).into()
}

#[test]
#[ignore = "needs a MiniLM directory in STRAGGLER_MINILM_DIR and the data sets in STRAGGLER_DATA_DIR"]
fn minilm_runs_a_round_on_banking77() {
    let folder = tempfile::tempdir().unwrap();
    let data = directory("STRAGGLER_DATA_DIR").join("banking77");
    let set = [
        format!("model.name={}", directory("STRAGGLER_MINILM_DIR").display()),
        // The smaller file is enough to see it work.
        format!("dataset.files={{ train: {} }}", data.join("test.tsv.gz").display()),
        format!("dataset.labels_file={}", data.join("labels.txt").display()),
        "server={ rounds: 1, clients_per_round: 2 }".into(),
    ];
    let settings: Vec<&str> = set.iter().flat_map(|setting| ["--set", setting.as_str()]).collect();
    let results = run("scenarios/minilm-banking77.yaml", folder.path(), &settings);
    assert_eq!(check::violations_in(&results).unwrap(), Vec::<String>::new());
    let rounds = read_rounds(&results.join("rounds.csv")).unwrap().rows;
    assert!(rounds[0].aggregated + rounds[0].dropped + rounds[0].late == 2 && rounds[0].completed > 0);
    let adapter = std::fs::read_to_string(results.join("adapters/final/adapter_config.json")).unwrap();
    assert!(adapter.contains("\"LORA\""), "{adapter}");
}
