//! Sweeps as they are run: the same at any number of threads and after a kill, one world for all cells.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use straggler::report::{EventKind, Reason, checkpoints_of, read_timeline};
use straggler::scenario::sweep::{SweepPart, load_sweep};
use straggler::scenario::{Input, Overrides};
use straggler::units::SimTime;

use super::{stderr, stdout, straggler};

const SCENARIO: &str = "\
version: 1
name: timing
model: { name: builtin:tiny-roberta }
tuning: lora
clients:
  total: 40
  num_examples: { lognormal: { median: 60, sigma: 0.5 } }
  sequence_length: 16
  num_labels: 3
  devices: { phone: { share: 1, compute: { flops: 20 GFLOPS, efficiency: 0.25, jitter: { lognormal: { sigma: 0.3 } } } } }
  networks: { lte: { share: 1, downlink: 5.4 Mbps, uplink: 1.1 Mbps, latency: 60 ms, jitter: 20 ms } }
  availability: { markov: { mean_online: 10 min, mean_offline: 2 min } }
  dropout: { during_download: 0.02, during_train: 0.2, during_upload: 0.05 }
server: { rounds: 30, clients_per_round: 10 }
compute: { mode: timing_only }
sweep:
  matrix: { server.selection: [uniform, round_robin], server.deadline: [null, 1 min] }
  seeds: [1, 2]
";

/// The folder of the sweep that a line of the shell runs in `out`.
fn sweep(file: &Path, out: &Path, more: &[&str]) -> (Output, PathBuf) {
    let mut args = vec!["sweep", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    args.extend(more);
    (straggler(&args), out.join("timing/latest").canonicalize().unwrap())
}

fn write(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("timing.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

/// Every file of a sweep's folder that is not about host time, by its path there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(inside) = folders.pop() {
        for path in std::fs::read_dir(inside).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                // States that were saved on the way are no result.
                true if path.file_name().unwrap() == "checkpoints" => {}
                true => folders.push(path),
                false if ["perf.csv", "log.jsonl"].contains(&path.file_name().unwrap().to_str().unwrap()) => {}
                false => {
                    drop(found.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap()))
                }
            }
        }
    }
    found
}

fn assert_same_files(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (path, content) in &a {
        assert!(content == &b[path], "{} differs", path.display());
    }
}

#[test]
fn a_sweep_gives_the_same_on_any_threads_and_when_it_is_killed_and_gone_on_with() {
    let root = tempfile::tempdir().unwrap();
    let file = write(root.path(), SCENARIO);
    let (output, whole) = sweep(&file, &root.path().join("one"), &["-j", "1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("timing: 4 cells x 2 seeds\n"), "{}", stdout(&output));
    assert_eq!(stderr(&output).lines().count(), 8, "a line for each run: {}", stderr(&output));
    let (_, parallel) = sweep(&file, &root.path().join("three"), &["-j", "3"]);
    assert_same_files(&whole, &parallel);
    let index = std::fs::read_to_string(whole.join("index.csv")).unwrap();
    let cells: Vec<&str> = index.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(cells.len(), 8);
    assert!(index.lines().nth(1).unwrap().starts_with("\"selection=uniform,deadline=null\",1,uniform,null,ok,0,,30,"));

    // Killed at several points: when so many rows are in the index.
    for n_rows in [0, 1, 3, 6] {
        let out = root.path().join(format!("killed-{n_rows}"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
        command.args(["sweep", file.to_str().unwrap(), "-q", "-j", "2", "--out", out.to_str().unwrap()]);
        let mut child = command.env("STRAGGLER_CACHE", "off").spawn().unwrap();
        let index = out.join("timing/latest/index.csv");
        let n_now = || std::fs::read_to_string(&index).map_or(0, |text| text.lines().count());
        while n_now() < 1 + n_rows && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let folder = out.join("timing/latest").canonicalize().unwrap();
        let resumed = straggler(&["sweep", "--resume", folder.to_str().unwrap(), "-j", "2"]);
        assert_eq!(resumed.status.code(), Some(0), "{}", stderr(&resumed));
        assert_same_files(&whole, &folder);
        // Nothing is left to do; what is asked for otherwise is refused by name.
        let again = straggler(&["sweep", file.to_str().unwrap(), "--resume", folder.to_str().unwrap()]);
        assert!(stderr(&again).contains("8 of 8 runs are done already"), "{}", stderr(&again));
        let other = straggler(&[
            "sweep",
            file.to_str().unwrap(),
            "--set",
            "clients.total=41",
            "--resume",
            folder.to_str().unwrap(),
        ]);
        assert_eq!(other.status.code(), Some(2));
        let words = "holds another sweep: in cell `selection=uniform,deadline=null`, `clients.total` is 40, not 41";
        assert!(stderr(&other).contains(words), "{}", stderr(&other));
    }
}

#[test]
fn a_sweep_that_is_under_way_is_not_gone_on_with_by_another_program() {
    let root = tempfile::tempdir().unwrap();
    let text = SCENARIO.replace("rounds: 30", "rounds: 4000").replace(", server.deadline: [null, 1 min]", "");
    let file = write(root.path(), &text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
    command.args(["sweep", file.to_str().unwrap(), "-q", "-j", "1", "--out", root.path().to_str().unwrap()]);
    let mut child = command.env("STRAGGLER_CACHE", "off").stdout(Stdio::null()).spawn().unwrap();
    let first = root.path().join("timing/latest/cells/selection=uniform/seed-1/rounds.csv");
    while std::fs::metadata(&first).map_or(0, |file| file.len()) < 20_000 {
        std::thread::yield_now();
    }
    let folder = root.path().join("timing/latest").canonicalize().unwrap();
    // Neither the sweep nor the run that it is at; what runs nothing may look.
    let again = straggler(&["sweep", "--resume", folder.to_str().unwrap(), "-q"]);
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
    assert!(stderr(&again).contains("error[under-way]: this sweep is still under way"), "{}", stderr(&again));
    let run = straggler(&["resume", first.parent().unwrap().to_str().unwrap()]);
    assert_eq!(run.status.code(), Some(2), "{}", stderr(&run));
    let listed = straggler(&["sweep", "--resume", folder.to_str().unwrap(), "--dry-run"]);
    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
    assert!(child.try_wait().unwrap().is_none(), "it was to run for longer");
    assert!(stderr(&run).contains("error[under-way]: this run is still under way"), "{}", stderr(&run));
    // What has ended is told apart from what is to come.
    assert_eq!(straggler(&["report", folder.to_str().unwrap()]).status.code(), Some(0));
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("<span class=\"badge warn\">unfinished: "), "two cells with two seeds are four runs");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[cfg(unix)]
fn a_signal_saves_what_is_under_way_and_resume_takes_it_back() {
    let root = tempfile::tempdir().unwrap();
    let text = SCENARIO.replace("rounds: 30", "rounds: 4000").replace(", server.deadline: [null, 1 min]", "");
    let file = write(root.path(), &text);
    let (_, whole) = sweep(&file, &root.path().join("whole"), &["-q"]);
    let out = root.path().join("stopped");
    let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
    command.args(["sweep", file.to_str().unwrap(), "-j", "2", "--out", out.to_str().unwrap()]);
    let child = command.env("STRAGGLER_CACHE", "off").stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let first = out.join("timing/latest/cells/selection=uniform/seed-1/rounds.csv");
    while std::fs::metadata(&first).map_or(0, |file| file.len()) < 20_000 {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let stopped = child.wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(143), "{}", stderr(&stopped));
    let told = stderr(&stopped);
    assert!(told.contains("of 4 runs are done") && told.contains("go on with: straggler sweep --resume"), "{told}");
    assert!(first.with_file_name("checkpoints").is_dir() && !first.with_file_name("summary.json").exists());
    let folder = out.join("timing/latest").canonicalize().unwrap();
    let resumed = straggler(&["sweep", "--resume", folder.to_str().unwrap(), "-q"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", stderr(&resumed));
    assert_same_files(&whole, &folder);
}

const TRAINING: &str = "\
version: 1
name: timing
model: { name: builtin:tiny-roberta }
dataset: { name: builtin:intents, num_examples: 100, partition: iid }
clients:
  total: 4
  train: { num_train_epochs: 1 }
  devices: { phone: { share: 1, compute: { time_per_sample: 90 ms } } }
  networks: { lte: { share: 1, downlink: 5.4 Mbps, uplink: 1.1 Mbps, latency: 60 ms } }
server: { rounds: 2, clients_per_round: 2 }
output: { checkpoint_every: 1 }
sweep: { matrix: { tuning: [bitfit, head] } }
";

#[test]
fn a_sweep_of_training_that_was_cut_off_goes_on_to_the_same_adapters() {
    let root = tempfile::tempdir().unwrap();
    let file = write(root.path(), TRAINING);
    let (output, whole) = sweep(&file, &root.path().join("whole"), &["-q", "-j", "1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let adapter = Path::new("cells/tuning=head/seed-42/adapters/best");
    assert!(files(&whole).keys().any(|path| path.starts_with(adapter)), "{:?}", files(&whole).keys());
    // Killed when the first cell has ended, and when the second has saved its state.
    let has_ended =
        |folder: &Path| std::fs::read_to_string(folder.join("index.csv")).is_ok_and(|it| it.lines().count() > 1);
    let second = Path::new("cells/tuning=head/seed-42");
    let has_saved = |folder: &Path| checkpoints_of(&folder.join(second)).is_ok_and(|saved| !saved.is_empty());
    type Moment<'a> = &'a dyn Fn(&Path) -> bool;
    for (name, is_reached) in [("ended", &has_ended as Moment<'_>), ("saved", &has_saved)] {
        let out = root.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
        command.args(["sweep", file.to_str().unwrap(), "-q", "-j", "1", "--out", out.to_str().unwrap()]);
        let mut child = command.env("STRAGGLER_CACHE", "off").spawn().unwrap();
        let latest = out.join("timing/latest");
        while !is_reached(&latest) && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let folder = latest.canonicalize().unwrap();
        let was_saved = has_saved(&folder) && !folder.join(second).join("summary.json").exists();
        let resumed = straggler(&["sweep", "--resume", folder.to_str().unwrap(), "-q", "-j", "2"]);
        assert_eq!(resumed.status.code(), Some(0), "{}", stderr(&resumed));
        assert_same_files(&whole, &folder);
        // A cell that had saved its state is gone on with from there.
        let log = std::fs::read_to_string(folder.join(second).join("log.jsonl")).unwrap();
        assert_eq!(log.contains("\"from\":"), was_saved, "{log}");
    }
}

#[test]
fn a_seed_gives_every_cell_the_same_world() {
    let root = tempfile::tempdir().unwrap();
    let file = write(root.path(), SCENARIO);
    let (_, folder) = sweep(&file, root.path(), &["-q"]);
    // What a task met, by client and round: how long it trained, whether it failed at random, whether a download broke off.
    let met = |cell: &str, seed: u64| {
        let path = folder.join(format!("cells/{cell}/seed-{seed}/timeline.csv"));
        let mut met: BTreeMap<(u32, u32, &str), String> = BTreeMap::new();
        for row in read_timeline(&path).unwrap() {
            let record = row.record;
            let (Some(client), Some(round)) = (record.client_id, record.round) else { continue };
            match (record.event, record.reason) {
                (EventKind::TrainEnd, _) => {
                    drop(met.insert((client, round, "train"), format!("{:?}", record.duration)))
                }
                (EventKind::Dropout, Some(Reason::Random)) => {
                    drop(met.insert((client, round, "random"), "failed".into()))
                }
                _ => {}
            }
        }
        met
    };
    for seed in [1, 2] {
        let uniform = met("selection=uniform,deadline=null", seed);
        let robin = met("selection=round_robin,deadline=null", seed);
        let trained = |of: &BTreeMap<(u32, u32, &str), String>| of.keys().filter(|key| key.2 == "train").count();
        let mut n_shared = [0, 0];
        for (&(client, round, what), value) in &uniform {
            let other = if what == "train" { "random" } else { "train" };
            // Met by the other policy too: then the same happened there. To fail is never to finish.
            if let Some(found) = robin.get(&(client, round, what)) {
                assert_eq!(found, value, "client {client} in round {round}");
                n_shared[usize::from(what == "random")] += 1;
            }
            assert!(
                !robin.contains_key(&(client, round, other)),
                "client {client} in round {round}: {what} and {other}"
            );
        }
        // 10 of 40 clients in each of 30 rounds: about 300 / 4 pairs are shared, a fifth of which fails.
        assert!(n_shared[0] >= 20 && n_shared[1] >= 3, "{n_shared:?} of {}", trained(&uniform));
        assert_ne!(uniform, robin, "the policies ask others");
    }
    assert_ne!(met("selection=uniform,deadline=null", 1), met("selection=uniform,deadline=null", 2));

    // Who is online when: the same periods in every cell, others with another seed.
    let found = load_sweep(&Input::File(file), &Overrides::default(), SweepPart::Whole, None).unwrap();
    let periods = |cell: usize, seed: u64| {
        let scenario = found.cells()[cell].scenario(seed, 1, 1);
        let model = scenario.availability().implementation().build(&scenario.build_context()).unwrap();
        let of_client = |client: u32| {
            std::iter::successors(Some(SimTime::ZERO), |now| Some(model.next_change(client, *now)))
                .take(20)
                .collect::<Vec<_>>()
        };
        (0..40).map(of_client).collect::<Vec<_>>()
    };
    for cell in 1..4 {
        assert_eq!(periods(0, 1), periods(cell, 1));
    }
    assert_ne!(periods(0, 1), periods(0, 2));
}

#[test]
fn a_cell_that_fails_does_not_stop_the_others_and_is_tried_again() {
    let root = tempfile::tempdir().unwrap();
    // No round ends within a second, so a run that gives up after one fails.
    let matrix = "server.selection: [uniform, round_robin], server.deadline: [null, 1 min]";
    let text = SCENARIO.replace(matrix, "server.give_up_after: [30 d, 1 s]");
    let file = write(root.path(), &text);
    let (output, folder) = sweep(&file, root.path(), &["-j", "2"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("error[sweep]: 2 of 4 runs failed:\n  give_up_after=1s seed 1: "),
        "{}",
        stderr(&output)
    );
    assert!(stdout(&output).contains("timing: 2 cells x 2 seeds, 2 failed"), "{}", stdout(&output));
    let index = std::fs::read_to_string(folder.join("index.csv")).unwrap();
    let statuses: Vec<&str> = index.lines().skip(1).map(|line| line.split(',').nth(3).unwrap()).collect();
    assert_eq!(statuses, ["ok", "ok", "failed", "failed"]);
    let resumed = straggler(&["sweep", "--resume", folder.to_str().unwrap(), "--json"]);
    assert_eq!(resumed.status.code(), Some(1));
    assert!(stderr(&resumed).contains("2 of 4 runs are done already"));
    let found: serde_json::Value = serde_json::from_slice(&resumed.stdout).unwrap();
    assert_eq!((&found["runs"]["ok"], &found["runs"]["failed"]), (&2.into(), &2.into()));
    assert_eq!(found["comparison"]["left_out"].as_array().unwrap().len(), 2);
}

#[test]
fn repeats_of_a_run_are_one_cell_over_seeds() {
    let root = tempfile::tempdir().unwrap();
    let text = SCENARIO.split("sweep:").next().unwrap().to_owned() + "repeats: 3\nseed: 5\n";
    let file = write(root.path(), &text);
    let output = straggler(&["run", file.to_str().unwrap(), "--out", root.path().to_str().unwrap(), "-q"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    assert!(shown.contains("timing: 3 runs, seeds 5 6 7") && shown.contains("95 % interval"), "{shown}");
    // Each run stands for itself: its lock repeats it.
    let lock = root.path().join("timing/latest/cells/base/seed-6/scenario.lock.yaml");
    let out = root.path().join("again");
    let again = straggler(&["run", lock.to_str().unwrap(), "-q", "--out", out.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    let again = out.join("timing/latest").canonicalize().unwrap();
    assert_same_files(&again, lock.parent().unwrap());
}

#[test]
fn a_plain_run_says_that_it_leaves_the_sweep_aside() {
    let root = tempfile::tempdir().unwrap();
    let file = write(root.path(), SCENARIO);
    let (file, out) = (file.to_str().unwrap(), root.path().join("out"));
    let run = |more: &[&str]| straggler(&[&["run", file, "--out", out.to_str().unwrap()], more].concat());
    let done = run(&[]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let expected = format!(
        "warning[no-effect]: `sweep` is left aside: this simulates the scenario as it is without it\n  --> {file}:16:1\n   | \
         sweep:\n   | ^^^^^ help: run its 4 cells with `straggler sweep {file}`\n"
    );
    assert!(stderr(&done).starts_with(&expected), "{}", stderr(&done));
    let log = std::fs::read_to_string(out.join("timing/latest/log.jsonl")).unwrap();
    assert!(log.contains(r#""event":"warning","message":"`sweep` is left aside"#), "{log}");
    assert!(stderr(&run(&["--dry-run"])).starts_with(&expected));
    assert!(stderr(&run(&["--set", "repeats=2"])).starts_with(&expected));
    assert_eq!(stderr(&run(&["-q"])), "");
    // What checks the sweep, or has none, has nothing to say of it.
    let validated = straggler(&["validate", file]);
    assert_eq!((validated.status.code(), stderr(&validated).as_str()), (Some(0), ""));
    assert!(!stderr(&run(&["--set", "sweep=null"])).contains("left aside"));
}

#[test]
fn what_is_asked_wrongly_is_exit_2_with_its_name() {
    let root = tempfile::tempdir().unwrap();
    let file = write(root.path(), SCENARIO);
    let file = file.to_str().unwrap();
    let folder = root.path().to_str().unwrap();
    let cases: [(&[&str], i32, &str); 8] = [
        (&["sweep"], 2, "FILE"),
        (&["sweep", file, "--seeds", "1,1"], 2, "1 is given twice"),
        (&["sweep", file, "--seeds", "x"], 2, "`x` is not a seed"),
        (&["sweep", file, "-j", "0"], 2, "at least one thread is needed"),
        (&["sweep", "--resume", folder], 2, "is no sweep's folder: it has no sweep.lock.yaml"),
        (&["sweep", "--resume", "/no/such/folder"], 2, "`/no/such/folder` is no folder"),
        (&["sweep", "nowhere.yaml"], 2, "cannot read scenario `nowhere.yaml`"),
        (&["sweep", file, "--out", file], 2, "not a directory"),
    ];
    for (args, exit, words) in cases {
        let output = straggler(args);
        assert_eq!(output.status.code(), Some(exit), "{args:?} {}", stderr(&output));
        assert!(stderr(&output).contains(words) && output.stdout.is_empty(), "{args:?} {}", stderr(&output));
    }
    let listed = straggler(&["sweep", file, "--dry-run", "--seeds", "1..3"]);
    assert_eq!(
        stdout(&listed),
        "\
timing: 4 cells x 3 seeds
  seeds  1 2 3
      1  selection=uniform,deadline=null
      2  selection=uniform,deadline=1min
      3  selection=round_robin,deadline=null
      4  selection=round_robin,deadline=1min
"
    );
}
