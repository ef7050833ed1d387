//! `report` and `export`, on the committed quickstart and on what is no run.

use std::fs;
use std::path::Path;

use super::{stderr, stdout, straggler};

const RUN: &str = "results/quickstart";

#[test]
fn a_report_is_one_page_and_the_same_each_time() {
    let out = tempfile::tempdir().unwrap();
    let page = |name: &str| {
        let file = out.path().join(name);
        let output = straggler(&["report", RUN, "-o", &file.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stdout(&output).trim(), file.to_string_lossy());
        fs::read_to_string(file).unwrap()
    };
    let html = page("a.html");
    assert_eq!(html, page("b.html"));
    assert!(html.contains("Critical paths, longest round first: all 15 rounds"));
    // By the name of the scenario, where its runs are looked up.
    let file = out.path().join("c.html").to_string_lossy().into_owned();
    let output = straggler(&["report", "quickstart", "--results", "results", "-o", &file, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(json["report"], file.as_str());
    assert_eq!(json["run"], RUN);
}

#[test]
fn a_run_is_exported_in_all_formats() {
    let out = tempfile::tempdir().unwrap();
    let to = out.path().to_string_lossy().into_owned();
    let output = straggler(&["export", RUN, "--perfetto", "--parquet", "--tensorboard", "-o", &to]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let names: Vec<_> = stdout(&output)
        .lines()
        .map(|line| Path::new(line).strip_prefix(out.path()).unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "trace.json",
            "timeline.parquet",
            "rounds.parquet",
            "clients.parquet",
            "events.out.tfevents.0000000000.straggler"
        ]
    );
    let trace: serde_json::Value = serde_json::from_slice(&fs::read(out.path().join("trace.json")).unwrap()).unwrap();
    assert!(trace["traceEvents"].as_array().is_some_and(|events| events.len() > 1000));

    // A run whose folder has no adapter, and one that has.
    let refused = straggler(&["export", RUN, "--peft", "-o", &to]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("error[no-adapter]") && stderr(&refused).contains("help: adapters come of runs"));
    let run = out.path().join("run");
    fs::create_dir_all(run.join("adapters/best")).unwrap();
    fs::copy(Path::new(RUN).join("rounds.csv"), run.join("rounds.csv")).unwrap();
    fs::write(run.join("adapters/best/adapter_config.json"), "{}").unwrap();
    let copied = straggler(&["export", &run.to_string_lossy(), "--peft", "-o", &format!("{to}/adapter")]);
    assert_eq!(copied.status.code(), Some(0), "{}", stderr(&copied));
    assert_eq!(fs::read_to_string(out.path().join("adapter/adapter_config.json")).unwrap(), "{}");
}

#[test]
fn what_is_no_run_is_refused_with_its_remedy() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_string_lossy().into_owned();
    let rounds = out.path().join("old/rounds.csv");
    fs::create_dir_all(rounds.parent().unwrap()).unwrap();
    fs::write(&rounds, "round,sim_end_s,eval_accuracy\n1,2.0,0.5\n").unwrap();
    let old = rounds.parent().unwrap().to_string_lossy().into_owned();
    for (run, code, help) in [
        (
            "no-such-run",
            "error[no-such-run]: there is no run `no-such-run`",
            "help: give the folder of a run, or one of these",
        ),
        (&folder, "error[not-a-run]", "help: give the folder of a run"),
        ("results/quickstart/rounds.csv", "error[not-a-run]", "help: give the folder that holds rounds.csv"),
        (&old, "rounds.csv:1: the columns are `round,sim_end_s`", "help: another version of straggler made this run"),
    ] {
        for verb in [&["report"][..], &["export", "--parquet", "--tensorboard"]] {
            let to = out.path().join("out").to_string_lossy().into_owned();
            let output = straggler(&[verb, &[run, "-o", &to]].concat());
            assert_eq!(output.status.code(), Some(2), "{run}");
            assert!(stdout(&output).is_empty());
            let message = stderr(&output);
            assert!(message.contains(code) && message.contains(help), "{message}");
        }
    }
    // Nothing to write is bad usage.
    let nothing = straggler(&["export", RUN]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("--perfetto"), "{}", stderr(&nothing));
}

#[test]
fn a_place_that_leads_nowhere_is_bad_input_with_a_remedy_that_the_verb_has() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("file");
    fs::write(&file, "").unwrap();
    let nowhere = file.join("x").to_string_lossy().into_owned();
    for args in [&["export", RUN, "--parquet"][..], &["export", RUN, "--perfetto"], &["report", RUN], &["compare", RUN]]
    {
        let output = straggler(&[args, &["-o", &nowhere]].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        let told = stderr(&output);
        assert!(told.contains("check the path, or choose another place") && !told.contains("--out"), "{told}");
    }
    let run = straggler(&["run", "quickstart", "--timing-only", "--out", &nowhere]);
    assert_eq!(run.status.code(), Some(2), "{}", stderr(&run));
}

#[test]
fn every_quantity_of_a_comparison_can_be_asked_for_by_its_name() {
    for quantity in ["sim_time_s", "dropped", "dropped_random", "dropped_offline"] {
        let output = straggler(&["compare", RUN, "--quantity", quantity]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let unknown = straggler(&["compare", RUN, "--quantity", "dropped_by_chance"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("dropped_REASON such as dropped_offline"), "{}", stderr(&unknown));
}
