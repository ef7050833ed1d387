//! Where an event's time goes: the calendar alone, with a call of an actor, in the whole engine without files, and with
//! them; beside NeXosim and SimPy on the same game of ping-pong.
//!
//! ```text
//! cargo build --release --manifest-path tests/peers/nexosim_ping_pong/Cargo.toml --target-dir target/nexosim
//! python3 -m venv target/simpy && target/simpy/bin/pip install simpy
//! cargo bench --bench ping_pong
//! ```
//!
//! A peer that has not been built is named and left out.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

#[path = "ping_pong/game.rs"]
mod game;

use std::path::Path;
use std::process::Command;

use straggler::actors::world::{self, HostWork, Observer, RoundReport};
use straggler::actors::{inputs, setup};
use straggler::report::{Record, ReportError, ResultsWriter, Stopwatch};
use straggler::scenario::{Input, Overrides, load};
use straggler::units::SimTime;

/// Messages of a game.
const N_EVENTS: u64 = 2_000_000;

/// The median of three rates, in events per second.
fn rate(mut play: impl FnMut() -> f64) -> f64 {
    let mut rates = [play(), play(), play()];
    rates.sort_by(f64::total_cmp);
    rates[1]
}

fn timed(play: fn(u64) -> u64) -> f64 {
    let watch = Stopwatch::start();
    assert!(play(N_EVENTS) > 0);
    N_EVENTS as f64 / watch.seconds()
}

/// Counts the events of the engine, and writes its timeline if it has somewhere to write it.
struct Counter {
    timeline: Option<ResultsWriter>,
    events: u64,
}

impl Observer for Counter {
    fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        self.timeline.as_mut().map_or(Ok(()), |writer| writer.record(record))
    }

    fn round(&mut self, _: &RoundReport) -> Result<(), ReportError> {
        self.timeline.as_mut().map_or(Ok(()), ResultsWriter::hand_over)
    }

    fn host(&mut self, _: u32, _: SimTime, work: &HostWork) -> Result<(), ReportError> {
        self.events = work.events;
        Ok(())
    }
}

/// 1,000 clients in every round, timing only: events per second of simulation.
fn engine(writes: bool) -> f64 {
    let scenario = load(&Input::File("scenarios/timing-1k.yaml".into()), &Overrides::default()).unwrap();
    let plan = setup::prepare(&scenario, &inputs::local(&scenario)).unwrap().plan;
    let folder = tempfile::tempdir().unwrap();
    let timeline = writes.then(|| ResultsWriter::create(folder.path(), "bench", "0000", "accuracy").unwrap());
    let mut counter = Counter { timeline, events: 0 };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let watch = Stopwatch::start();
    runtime.block_on(world::run(&plan, &mut counter)).unwrap();
    counter.timeline.as_mut().map_or(Ok(()), ResultsWriter::flush).unwrap();
    counter.events as f64 / watch.seconds()
}

/// The rate that a peer states on its last line; none if it is not there.
fn peer(program: &str, arguments: &[&str]) -> Option<f64> {
    if !Path::new(program).exists() {
        return None;
    }
    let done = Command::new(program).args(arguments).arg(N_EVENTS.to_string()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8(done.stdout).unwrap().trim().parse().unwrap())
}

fn show(what: &str, events_per_s: f64) {
    println!("  {what:<48} {events_per_s:>12.0} events/s {:>9.3} µs/event", 1e6 / events_per_s);
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test --all-targets` only wants to know that it builds.
    }
    println!("Ping-pong of {} clients with a server, {N_EVENTS} messages, one core:", game::N_CLIENTS);
    let calendar = rate(|| timed(game::calendar_alone));
    show("our calendar alone", calendar);
    let actors = rate(|| timed(game::with_actors));
    show("our calendar, a call of an actor per message", actors);
    println!("The whole engine, 1,000 clients in every round, timing only, one core:");
    show("without files", rate(|| engine(false)));
    show("with the timeline written", rate(|| engine(true)));
    println!("Peers on the same ping-pong:");
    let peers = [
        ("NeXosim 1.0, one thread", "target/nexosim/release/nexosim_ping_pong", &[][..]),
        ("SimPy, a timeout per message", "target/simpy/bin/python", &["tests/peers/simpy_ping_pong.py", "timeouts"]),
        ("SimPy, a store per player", "target/simpy/bin/python", &["tests/peers/simpy_ping_pong.py", "stores"]),
    ];
    for (name, program, arguments) in peers {
        let runs: Option<Vec<f64>> = (0..3).map(|_| peer(program, arguments)).collect();
        let Some(mut runs) = runs else {
            println!("  {name}: `{program}` is not there");
            continue;
        };
        runs.sort_by(f64::total_cmp);
        show(name, runs[1]);
        println!(
            "    calendar and actors are {:.2} times as fast, the calendar alone {:.1} times",
            actors / runs[1],
            calendar / runs[1]
        );
    }
}
