//! What keeping records costs: the timeline in a run of time alone, checkpoints in a run that trains.
//!
//! `cargo bench --bench overheads`, or with `-- timeline` or `-- checkpoints` one of the two. Each pair of runs takes turns, and what is told is the median of their ratios.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::process::Command;

use straggler::actors::plan::Plan;
use straggler::actors::world::{self, HostWork, Observer, RoundReport};
use straggler::actors::{inputs, setup};
use straggler::report::{Record, ReportError, Stopwatch, TimelineWriter};
use straggler::scenario::{Input, Overrides, load};
use straggler::units::SimTime;

/// Writes the timeline, or drops it.
struct Timeline {
    writer: Option<TimelineWriter>,
    n_records: u64,
}

impl Observer for Timeline {
    fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        self.n_records += 1;
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(record))
    }

    fn round(&mut self, _: &RoundReport) -> Result<(), ReportError> {
        self.writer.as_mut().map_or(Ok(()), TimelineWriter::hand_over)
    }

    fn host(&mut self, _: u32, _: SimTime, _: &HostWork) -> Result<(), ReportError> {
        Ok(())
    }
}

/// Host seconds of a run, and its records.
fn timing(plan: &Plan, is_written: bool) -> (f64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let writer = is_written.then(|| TimelineWriter::create(&folder.path().join("timeline.csv")).unwrap());
    let mut timeline = Timeline { writer, n_records: 0 };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let watch = Stopwatch::start();
    runtime.block_on(world::run(plan, &mut timeline)).unwrap();
    timeline.writer.as_mut().map_or(Ok(()), TimelineWriter::flush).unwrap();
    (watch.seconds(), timeline.n_records)
}

/// Host seconds of `straggler run`, with all that it writes.
fn command(scenario: &str, settings: &[&str]) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
    command.args(["run", scenario, "--quiet", "--out", folder.path().to_str().unwrap()]).args(settings);
    let watch = Stopwatch::start();
    let done = command.output().unwrap();
    let seconds = watch.seconds();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    seconds
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians of what `with` takes beyond `without`: in seconds, and as a share of `without` in per cent.
fn overhead(n_pairs: usize, without: impl Fn() -> f64, with: impl Fn() -> f64) -> (f64, f64) {
    let pairs: Vec<(f64, f64)> = (0..n_pairs)
        .map(|pair| {
            // Taking turns at being first, so that neither profits from what the other warmed up.
            let (without, with) = match pair % 2 {
                0 => (without(), with()),
                _ => {
                    let with = with();
                    (without(), with)
                }
            };
            println!("  {without:.3} s without, {with:.3} s with");
            (with - without, 100.0 * (with / without - 1.0))
        })
        .collect();
    let (seconds, shares) = pairs.into_iter().unzip();
    (median(seconds), median(shares))
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test --all-targets` only wants to know that it builds.
    }
    let is_wanted = |name: &str| {
        let other = |argument: String| ["timeline", "checkpoints"].contains(&argument.as_str()) && argument != name;
        !std::env::args().any(other)
    };
    if is_wanted("timeline") {
        compare_timelines();
    }
    if is_wanted("checkpoints") {
        println!("quickstart, a checkpoint every 10 of 15 rounds:");
        let every = |rounds: &str| command("quickstart", &["--set", &format!("output.checkpoint_every={rounds}")]);
        let (_, checkpoints) = overhead(7, || every("null"), || every("10"));
        println!("checkpoints cost {checkpoints:.1} % (to stay under: 2 %)");
    }
}

fn compare_timelines() {
    let input = Input::File("scenarios/timing-1k.yaml".into());
    let scenario = load(&input, &Overrides::default()).unwrap();
    let plan = setup::prepare(&scenario, &inputs::local(&scenario)).unwrap().plan;
    println!("timing-1k, {} rows of timeline:", timing(&plan, true).1);
    let (seconds, share) = overhead(9, || timing(&plan, false).0, || timing(&plan, true).0);
    println!("the timeline costs {share:.1} % of the simulation's own time (to stay under: 10 %)");
    let whole = median((0..5).map(|_| command("scenarios/timing-1k.yaml", &[])).collect());
    println!("and {:.1} % of `straggler run`, {whole:.2} s with everything else", 100.0 * seconds / (whole - seconds));
}
