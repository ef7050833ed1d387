//! Runs that are killed, interrupted and gone on with: the same bytes as if nothing had happened; and runs that branch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;
use straggler::report::{EventKind, Stopwatch, read_timeline};

use super::replay::contents;
use super::{straggler, text};

/// A few short rounds of the quickstart, with its failures and its deadline, saved after each.
const SYNC: [&str; 8] = [
    "--set",
    "server.rounds=8",
    "--set",
    "dataset.num_examples=300",
    "--set",
    "clients.train.num_train_epochs=1",
    "--set",
    "output.checkpoint_every=1",
];

const ASYNC: [&str; 10] = [
    "--profile",
    "async",
    "--set",
    "server.rounds=8",
    "--set",
    "dataset.num_examples=300",
    "--set",
    "clients.train.num_train_epochs=1",
    "--set",
    "output.checkpoint_every=1",
];

fn start(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
    command.args(args).env("NO_COLOR", "1").env("STRAGGLER_CACHE", "off");
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn run_args<'a>(out: &'a Path, settings: &[&'a str]) -> Vec<&'a str> {
    [&["run", "quickstart", "--quiet", "--out", out.to_str().unwrap()], settings].concat()
}

fn latest(out: &Path) -> PathBuf {
    out.join("quickstart/latest").canonicalize().unwrap()
}

/// Everything that must be the same in a run that was never stopped: all but its checkpoints, which know host time.
fn outcome(run: &Path) -> BTreeMap<String, Vec<u8>> {
    contents(run).into_iter().filter(|(name, _)| !name.starts_with("checkpoints/")).collect()
}

fn assert_same(run: &Path, whole: &BTreeMap<String, Vec<u8>>, what: &str) {
    let found = outcome(run);
    assert_eq!(found.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>(), "{what}");
    for (name, content) in whole {
        assert!(content == &found[name], "{name} of {what} is not that of the run that was never stopped");
    }
}

fn fails(args: &[&str], code: i32) -> String {
    let Output { status, stderr, .. } = straggler(args);
    let told = text(&stderr);
    assert_eq!(status.code(), Some(code), "{told}");
    told
}

/// Kills runs again and again, `n_kills` times in all, at times spread over what a whole run takes: while it loads, works,
/// saves its state, and writes its results. Each is gone on with until it ends.
fn kill_and_resume(settings: &[&str], n_kills: u32) {
    let folder = tempfile::tempdir().unwrap();
    let whole_out = folder.path().join("whole");
    let watch = Stopwatch::start();
    let done = straggler(&run_args(&whole_out, settings));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let mut takes = Duration::from_secs_f64(watch.seconds());
    let whole = outcome(&latest(&whole_out));

    let (mut kills, mut attempts, mut after_checkpoints, mut runs) = (0, 0, 0, 0);
    while kills < n_kills {
        let out = folder.path().join(format!("killed-{runs}"));
        runs += 1;
        let mut child = start(&run_args(&out, settings));
        loop {
            // The golden ratio spreads the times evenly, whatever their number. Some come after the end of a run.
            let fraction = (f64::from(attempts) * 0.618_033_988_749_895).fract();
            attempts += 1;
            assert!(attempts < 20 * n_kills, "runs end before they are killed");
            let mut killed = false;
            if kills < n_kills {
                std::thread::sleep(takes.mul_f64(fraction));
                killed = child.try_wait().unwrap().is_none();
            }
            if killed {
                child.kill().unwrap();
                kills += 1;
            }
            let ended = child.wait_with_output().unwrap();
            if !killed {
                // The whole run may have shared the machine with more than this one.
                takes = takes.mul_f64(0.8);
                assert!(ended.status.success(), "{}", text(&ended.stderr));
                break;
            }
            let has_checkpoint = latest_checkpoint(&out).is_some();
            after_checkpoints += u32::from(has_checkpoint);
            // The page is what a run writes last.
            if out.join("quickstart/latest/report.html").exists() {
                break;
            }
            child = match has_checkpoint {
                true => start(&["resume", "latest", "--quiet", "--results", out.to_str().unwrap()]),
                // Nothing was saved yet: the run is begun anew.
                false => start(&run_args(&out, settings)),
            };
        }
        assert_same(&latest(&out), &whole, &format!("run {runs}"));
    }
    println!("{kills} kills in {runs} runs, {after_checkpoints} of them with a checkpoint to go on from");
    assert!(after_checkpoints > n_kills / 4, "{after_checkpoints} of {kills}");
}

fn latest_checkpoint(out: &Path) -> Option<PathBuf> {
    straggler::report::checkpoints_of(&out.join("quickstart/latest")).ok()?.pop()
}

#[test]
fn synchronous_runs_survive_kills_at_any_point() {
    kill_and_resume(&SYNC, 25);
}

#[test]
fn asynchronous_runs_survive_kills_at_any_point() {
    kill_and_resume(&ASYNC, 25);
}

/// Waits until the run has saved its state once, sends it a signal, and gives what it said.
fn interrupt(out: &Path, settings: &[&str], signal: &str) -> Output {
    let child = start(&run_args(out, settings));
    let watch = Stopwatch::start();
    while latest_checkpoint(out).is_none() {
        assert!(watch.seconds() < 120.0, "no checkpoint after two minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    child.wait_with_output().unwrap()
}

#[test]
fn an_interrupted_run_saves_its_state_says_how_to_go_on_and_goes_on_with_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let long = [&SYNC[..], &["--set", "server.rounds=12"]].concat();
    let whole_out = folder.path().join("whole");
    assert!(straggler(&run_args(&whole_out, &long)).status.success());
    let whole = outcome(&latest(&whole_out));
    for (signal, code, workers) in [("-INT", 130, "1"), ("-TERM", 143, "4")] {
        let out = folder.path().join(signal);
        let ended = interrupt(&out, &long, signal);
        let told = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{told}");
        let run = latest(&out);
        assert!(
            told.contains(&format!("straggler resume {}", run.parent().unwrap().parent().unwrap().display())),
            "{told}"
        );
        let resumed = straggler(&["resume", run.to_str().unwrap(), "--quiet", "-j", workers]);
        assert!(resumed.status.success(), "{}", text(&resumed.stderr));
        assert_same(&run, &whole, signal);
        let again = fails(&["resume", run.to_str().unwrap()], 2);
        assert!(again.contains("is complete") && again.contains("--fork"), "{again}");
    }
}

/// A run of time alone, saved every 20 rounds, that is killed after 100 or later.
fn killed_timing_run(out: &Path) -> PathBuf {
    let mut child = timing_run_under_way(out);
    child.kill().unwrap();
    child.wait().unwrap();
    latest(out)
}

/// A run of time alone, saved every 20 rounds, that has gone through 100.
fn timing_run_under_way(out: &Path) -> Child {
    let args = ["--timing-only", "--set", "server.rounds=4000", "--set", "output.checkpoint_every=20"];
    let mut child = start(&run_args(out, &args));
    while latest_checkpoint(out).is_none_or(|path| !path.to_str().unwrap().contains("round-0001")) {
        std::thread::sleep(Duration::from_millis(2));
        assert!(child.try_wait().unwrap().is_none(), "it was to run for longer");
    }
    child
}

#[test]
fn a_run_that_is_under_way_is_not_gone_on_with_by_another_program() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = timing_run_under_way(folder.path());
    let run = latest(folder.path());
    let name = run.to_str().unwrap();
    let told = fails(&["resume", name], 2);
    assert!(child.try_wait().unwrap().is_none(), "it was to run for longer");
    assert!(told.contains("error[under-way]: this run is still under way") && told.contains("help: wait"), "{told}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // Nothing of it was cut or written over meanwhile, and nobody holds it any more.
    let done = straggler(&["resume", name, "--quiet"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(straggler::report::check::violations_in(&run).unwrap(), Vec::<String>::new());
}

#[test]
fn an_earlier_checkpoint_is_gone_on_from_by_its_name_and_later_ones_end_with_what_they_were_of() {
    let folder = tempfile::tempdir().unwrap();
    let every_400 = ["--timing-only", "--set", "server.rounds=4000", "--set", "output.checkpoint_every=400"];
    let whole_out = folder.path().join("whole");
    assert!(straggler(&run_args(&whole_out, &every_400)).status.success());
    let out = folder.path().join("killed");
    let mut child = start(&run_args(&out, &every_400));
    let checkpoints = || straggler::report::checkpoints_of(&out.join("quickstart/latest")).unwrap_or_default();
    while checkpoints().len() < 2 {
        std::thread::sleep(Duration::from_millis(2));
        assert!(child.try_wait().unwrap().is_none(), "it was to run for longer");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let run = latest(&out);
    let saved = checkpoints();
    let earlier = saved[0].file_name().unwrap().to_str().unwrap();
    let args = ["resume", run.to_str().unwrap(), "--quiet", "--checkpoint", earlier];
    let child = start(&args);
    // It is interrupted as soon as it goes on, in the 400 rounds before it would save its state by itself.
    let begins = || std::fs::read_to_string(run.join("log.jsonl")).unwrap().matches("\"event\":\"start\"").count();
    let watch = Stopwatch::start();
    while begins() < 2 {
        assert!(watch.seconds() < 120.0, "it has not gone on after two minutes");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{}", text(&ended.stderr));
    // The later state of before no longer fits the files: what is gone on from is the one that was just saved.
    let done = straggler(&["resume", run.to_str().unwrap(), "--quiet"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_same(&run, &outcome(&latest(&whole_out)), "the run from an earlier state");
}

#[test]
fn a_branch_with_another_target_tells_when_that_was_reached() {
    let folder = tempfile::tempdir().unwrap();
    assert!(straggler(&run_args(folder.path(), &SYNC)).status.success());
    let run = latest(folder.path());
    // A target of its own that the run had met in some round before it was saved, by rounds.csv.
    let rounds = straggler::report::read_rounds(&run.join("rounds.csv")).unwrap().rows;
    let target = rounds[2].eval_metric.unwrap();
    let first = rounds.iter().find(|row| row.eval_metric.is_some_and(|value| value >= target)).unwrap();
    let out = folder.path().join("branches");
    for (asked, expected) in [(target.to_string(), json!(first.round)), ("0.999".into(), json!(null))] {
        let set = format!("evaluation.target={asked}");
        let args = ["resume", run.to_str().unwrap(), "--fork", "--json", "--out", out.to_str().unwrap()];
        let done = straggler(&[&args[..], &["--set", "server.rounds=9", "--set", &set]].concat());
        assert!(done.status.success(), "{}", text(&done.stderr));
        let summary: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(summary["target"]["reached_round"], expected, "{summary}");
        if !expected.is_null() {
            assert_eq!(summary["target"]["bytes"], json!(first.cum_bytes.get()));
            assert_eq!(summary["target"]["sim_time_s"], json!(first.sim_end.as_secs_f64()));
        }
    }
}

#[test]
fn what_was_altered_since_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let run = killed_timing_run(folder.path());
    let name = run.to_str().unwrap();
    let checkpoint = latest_checkpoint(folder.path()).unwrap();
    let refused_when = |path: &Path, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let before = std::fs::read(path).unwrap();
        std::fs::write(path, change(before.clone())).unwrap();
        let told = fails(&["resume", name], 2);
        std::fs::write(path, before).unwrap();
        told
    };
    let flipped = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    assert!(refused_when(&checkpoint.join("world.json"), &flipped).contains("`world.json` was altered"));
    assert!(refused_when(&checkpoint.join("network.json"), &cut).contains("`network.json` was cut"));
    assert!(refused_when(&checkpoint.join("checkpoint.json"), &cut).contains("`checkpoint.json` is cut or altered"));
    let lock = refused_when(&run.join("scenario.lock.yaml"), &|bytes| [&bytes[..], b"\n"].concat());
    assert!(lock.contains("scenario.lock.yaml` is not the scenario that checkpoint"), "{lock}");
    let timeline = std::fs::read(run.join("timeline.csv")).unwrap();
    std::fs::write(run.join("timeline.csv"), &timeline[..timeline.len() / 8]).unwrap();
    let told = fails(&["resume", name], 2);
    assert!(told.contains("timeline.csv` is not as the checkpoint found it"), "{told}");
    assert!(told.contains("help: go on from an earlier state with --checkpoint NAME"), "{told}");
    std::fs::write(run.join("timeline.csv"), timeline).unwrap();

    let other = fails(&["resume", name, "--checkpoint", "round-000001-row-000000001"], 2);
    assert!(
        other.contains("has no checkpoint `round-000001-row-000000001`") && other.contains("it has round-"),
        "{other}"
    );
    assert!(fails(&["resume", "nobody"], 2).contains("there is no run `nobody`"));
}

#[test]
fn a_branch_shares_the_past_of_its_run_and_has_a_future_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let run = killed_timing_run(folder.path());
    let before = contents(&run);
    let name = run.to_str().unwrap();
    let out = folder.path().join("branches");
    let fork = |settings: &[&str]| {
        let args = ["resume", name, "--fork", "--quiet", "--out", out.to_str().unwrap()];
        straggler(&[&args[..], settings].concat())
    };
    // Slower uploads from here on; 200 rounds more than were over.
    let checkpoint = latest_checkpoint(folder.path()).unwrap();
    let round: u32 = checkpoint.file_name().unwrap().to_str().unwrap()[6..12].parse().unwrap();
    let rounds = format!("server.rounds={}", round + 200);
    let slow = "server.network={uplink: 40 Mbps, downlink: 1 Mbps}";
    let done = fork(&["--set", &rounds, "--set", slow]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(before == contents(&run), "the run itself stays as it is");

    let branch = latest(&out);
    let rows = read_timeline(&branch.join("timeline.csv")).unwrap();
    let is_saved = |row: &&straggler::report::TimelineRow| {
        row.record.event == EventKind::Checkpoint && row.record.round == Some(round)
    };
    let past = rows.iter().find(is_saved).expect("the branch has the past of its run").seq as usize;
    let timelines = [&run, &branch].map(|run| std::fs::read_to_string(run.join("timeline.csv")).unwrap());
    let [before, after] = timelines.each_ref().map(|text| text.lines().take(past + 2).collect::<Vec<_>>());
    assert_eq!(before, after);
    let mean_upload = |rows: &[straggler::report::TimelineRow]| {
        let ends = rows.iter().filter(|row| row.record.event == EventKind::UploadEnd);
        let seconds: Vec<f64> = ends.map(|row| row.record.duration.unwrap().as_secs_f64()).collect();
        seconds.iter().sum::<f64>() / seconds.len() as f64
    };
    let (then, now) = (mean_upload(&rows[..past]), mean_upload(&rows[past..]));
    assert!(now > 1.2 * then, "uploads took {then} s, and take {now} s on a slower link");
    assert_eq!(straggler::report::check::violations_in(&branch).unwrap(), Vec::<String>::new());

    let lock = branch.join("scenario.lock.yaml");
    assert!(std::fs::read_to_string(&lock).unwrap().contains("forked_from: "));
    let told = fails(&["run", lock.to_str().unwrap()], 2);
    assert!(told.contains("this run branched from"), "{told}");
    for (settings, expected) in [
        (&["--set", "clients.total=40"][..], "a branch cannot change `clients.total`"),
        (&["--set", "tuning=bitfit"][..], "a branch cannot change `tuning"),
        (&["--set", "server.rounds=20"][..], "is over, and the branch is to have 20 rounds"),
        (
            &[
                "--set",
                "server.strategy={fedbuff: {buffer_size: 2, concurrency: 4}}",
                "--set",
                "server.over_selection=null",
                "--set",
                "server.deadline=null",
                "--set",
                "server.min_updates=null",
            ][..],
            "a branch keeps the way in which models are made",
        ),
        (&["--set", "server.network={sharing: constant}"][..], "a branch keeps `server.network.sharing`"),
    ] {
        let Output { status, stderr, .. } = fork(settings);
        let told = text(&stderr);
        assert_eq!(status.code(), Some(2), "{told}");
        assert!(told.contains(expected), "{told}");
    }
}
