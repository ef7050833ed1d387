//! The program as a shell sees it: what goes to stdout and stderr, and the exit code.

mod colours;
mod estimate;
mod fit;
mod import;
mod init;
mod pages;
mod params;
mod report;
mod sweep;

use std::process::{Command, Output};

fn straggler(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
    command.args(args).env_remove("NO_COLOR").env("STRAGGLER_CACHE", "off").output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_shows_examples_and_every_verb_has_some() {
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["validate", "--help"],
        &["fetch", "--help"],
        &["list", "--help"],
        &["pretrain", "--help"],
        &["import", "--help"],
        &["report", "--help"],
        &["export", "--help"],
    ] {
        let output = straggler(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(stdout(&output).contains("Example"), "{args:?}");
    }
}

#[test]
fn bad_usage_is_exit_2() {
    for args in [&["rnu"][..], &["run"], &["run", "a.yaml", "--seed", "x"], &["list", "nothing"]] {
        let output = straggler(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_right_scenario_is_exit_0_and_a_wrong_one_exit_2_with_its_place() {
    let right = straggler(&["validate", "quickstart"]);
    assert_eq!((right.status.code(), stdout(&right).as_str()), (Some(0), "quickstart is valid\n"));
    for verb in ["validate", "run"] {
        let wrong = straggler(&[verb, "quickstart", "--set", "server.rounds=many"]);
        assert_eq!(wrong.status.code(), Some(2));
        let expected = "\
error[wrong-type]: `server.rounds` must be a whole number, 0 or more, not `many`
  --> --set server.rounds=many
   | server.rounds=many
   |               ^^^^
";
        assert_eq!((stdout(&wrong).as_str(), stderr(&wrong).as_str()), ("", expected));
    }
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_gpu_that_this_build_cannot_use_is_exit_3() {
    let output = straggler(&["run", "quickstart", "--device", "cuda"]);
    assert_eq!(output.status.code(), Some(3));
    let expected = "\
error[missing-feature]: `compute.device`: this program was built without support for NVIDIA GPUs
  --> --set compute.device=cuda
   | compute.device=cuda
   |                ^^^^ help: write `cpu`, or build it with `cargo build --release --features cuda`
";
    assert_eq!(stderr(&output), expected);
    // Time alone needs no device.
    let timing = straggler(&["validate", "quickstart", "--device", "cuda", "--timing-only"]);
    assert_eq!(timing.status.code(), Some(0));
}

#[test]
fn a_missing_file_is_named() {
    let output = straggler(&["run", "nowhere.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot read scenario `nowhere.yaml`: no such file"), "{}", stderr(&output));
}

#[test]
fn colours_are_for_terminals_or_on_request() {
    let args = ["validate", "nowhere.yaml"];
    let escape = '\u{1b}';
    assert!(!stderr(&straggler(&args)).contains(escape));
    assert!(stderr(&straggler(&["--color", "always", args[0], args[1]])).contains(escape));
    let unwanted = Command::new(env!("CARGO_BIN_EXE_straggler")).args(args).env("NO_COLOR", "1").output().unwrap();
    assert!(!stderr(&unwanted).contains(escape));
}

#[test]
fn json_is_one_object() {
    for args in
        [&["list", "--json"][..], &["validate", "quickstart", "--json"], &["validate", "nowhere.yaml", "--json"]]
    {
        let output = straggler(args);
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(value.is_object(), "{args:?}");
    }
}

#[test]
fn gradients_of_a_scenario_are_checked_and_listed() {
    for tuning in ["tuning={lora: {r: 2, target_modules: [value]}}", "tuning=[{prompt: {num_virtual_tokens: 2}}, ia3]"]
    {
        let output = straggler(&["check-grads", "quickstart", "--elements", "1", "--set", tuning, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let tensors = found["tensors"].as_array().unwrap();
        assert!(tensors.len() > 8 && tensors.iter().all(|tensor| tensor["state"] == "ok"), "{found}");
    }
    assert!(!stdout(&straggler(&["--help"])).contains("check-grads"), "it is for developers");
}

#[test]
fn gradients_of_a_scenario_of_timing_alone_are_refused_with_what_it_lacks() {
    let refusal = |more: &[&str]| {
        let output = straggler(&[&["check-grads", "scenarios/timing-1k.yaml"][..], more].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
        stderr(&output)
    };
    let told = refusal(&["--set", "model.name=shape-only:roberta-base"]);
    assert!(told.contains("error[no-weights]") && told.contains("is a shape without any"), "{told}");
    assert!(told.contains("give a model with weights, such as `builtin:tiny-roberta`, and a `dataset`"), "{told}");
    let told = refusal(&[]);
    assert!(told.contains("error[no-dataset]") && told.contains("in place of `clients.num_examples`"), "{told}");
    // What the help says is accepted.
    let clients = ["num_examples", "sequence_length", "num_labels"].map(|key| format!("clients.{key}=null"));
    let mut args = vec!["check-grads", "scenarios/timing-1k.yaml", "--elements", "1"];
    let sets = ["dataset={name: builtin:intents}"].into_iter().chain(clients.iter().map(String::as_str));
    sets.for_each(|set| args.extend(["--set", set]));
    args.extend(["--set", "tuning=head", "--set", "clients.total=10", "--set", "server.clients_per_round=5"]);
    let output = straggler(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn list_names_what_is_built_in() {
    let all = stdout(&straggler(&["list"]));
    for name in
        ["lora", "dirichlet", "markov", "fedavg", "max_min_fair", "builtin:tiny-roberta", "builtin:intents", "mcc"]
    {
        assert!(all.contains(&format!("  {name} ")), "{name} is not in\n{all}");
    }
    assert!(stdout(&straggler(&["list", "tuning"])).starts_with("tuning\n  lora"));
}
