//! Runs that start from an adapter.

use std::path::Path;

use super::{run, straggler, text};

const SHORT: [&str; 6] = ["--set", "server.rounds=2", "--set", "dataset.num_examples=300", "--seed", "5"];

fn rounds(results: &Path) -> String {
    std::fs::read_to_string(results.join("rounds.csv")).unwrap()
}

#[test]
fn a_run_starts_from_an_adapter_and_its_lock_repeats_it_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = run("quickstart", &folder.path().join("first"), &SHORT);
    let adapter = first.join("adapters/final");
    let init = ["--init", adapter.to_str().unwrap()];
    let second = run("quickstart", &folder.path().join("second"), &[&SHORT[..], &init].concat());
    assert_ne!(rounds(&first), rounds(&second), "it starts from other values");

    let lock = second.join("scenario.lock.yaml");
    let again = run(lock.to_str().unwrap(), &folder.path().join("again"), &[]);
    for file in ["rounds.csv", "timeline.csv", "summary.json", "adapters/best/adapter_model.safetensors"] {
        let read = |results: &Path| std::fs::read(results.join(file)).unwrap();
        assert!(read(&second) == read(&again), "{file}");
    }

    // Other values in the same place.
    for file in ["adapter_model.safetensors", "straggler.json"] {
        std::fs::copy(second.join("adapters/final").join(file), adapter.join(file)).unwrap();
    }
    let refused = straggler(&["run", lock.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("another initial adapter"), "{}", text(&refused.stderr));
}

#[test]
fn an_adapter_that_does_not_fit_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let first = run("quickstart", &folder.path().join("first"), &SHORT);
    let adapter = first.join("adapters/best");
    let refusal = |settings: &[&str]| {
        let out = folder.path().join("refused");
        let common = ["run", "quickstart", "--out", out.to_str().unwrap(), "--init", adapter.to_str().unwrap()];
        let done = straggler(&[&common, &SHORT[..], settings].concat());
        assert_eq!(done.status.code(), Some(2), "{}", text(&done.stderr));
        assert!(!out.exists(), "nothing is written");
        text(&done.stderr)
    };
    assert!(refusal(&["--set", "tuning=bitfit"]).contains("here it is `bitfit`"));
    assert!(refusal(&["--set", "tuning.lora.r=2"]).contains("here it is `2`"));
    assert!(refusal(&["--set", "model.name=builtin:tiny-roberta-random"]).contains("another backbone"));
    assert!(
        refusal(&["--set", "dataset.name=builtin:sentiment", "--set", "dataset.partition=iid"])
            .contains("labels, the data set 2")
    );
    // A damaged adapter is told at the setting, in a file by its line.
    let weights = adapter.join("adapter_model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    let scenario = folder.path().join("started.yaml");
    let quickstart = std::fs::read_to_string("scenarios/quickstart.yaml").unwrap();
    std::fs::write(&scenario, format!("init: {}\n{quickstart}", adapter.display())).unwrap();
    let refused = || {
        let done = straggler(&[&["run", scenario.to_str().unwrap()], &SHORT[..]].concat());
        assert_eq!(done.status.code(), Some(2), "{}", text(&done.stderr));
        text(&done.stderr)
    };
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    for message in [refused(), refusal(&[])] {
        assert!(message.starts_with("error[init]: ") && message.contains("adapter_model.safetensors"), "{message}");
    }
    assert!(refused().contains("started.yaml:1:7\n"), "{}", refused());
    assert!(refusal(&[]).contains("  --> --set init="), "{}", refusal(&[]));
    std::fs::remove_file(&weights).unwrap();
    let message = refused();
    assert!(message.starts_with("error[init]: cannot read `") && message.contains("started.yaml:1:7\n"), "{message}");
    let missing = straggler(&["run", "quickstart", "--init", "nowhere"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("`nowhere` is not a directory"), "{}", text(&missing.stderr));
}
