//! Transfers that share links: completions per second with 100,000 and with 1,000 in flight, and beside SimGrid.
//!
//! `cargo bench --bench flows`; with `STRAGGLER_SIMGRID_PYTHON=/usr/bin/python3` (a Python that can import `simgrid`, such
//! as Debian's with `python3-simgrid`) the same 10,000 flows are simulated by `tests/peers/simgrid_flows.py`, which takes
//! minutes.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use rand::RngExt;
use rand_distr::Exp1;
use straggler::report::Stopwatch;
use straggler::seed::{Purpose, Seeds, Stream};
use straggler::sim::{Direction, Flow, NetworkModel, RegionConfig, ServerNetworkConfig};
use straggler::units::{Bandwidth, Bytes, SimTime};

/// Ends that are timed, after as many as there are flows in flight.
const N_ENDS: u64 = 1_000_000;

fn network(server_mbps: f64, region_mbps: &[f64]) -> Box<dyn NetworkModel> {
    let server =
        serde_json::json!({ "uplink": format!("{server_mbps} Mbps"), "downlink": format!("{server_mbps} Mbps") });
    let region = |mbps: &f64| serde_json::json!({ "share": 0.5, "downlink": format!("{mbps} Mbps") });
    let regions = region_mbps.iter().map(|mbps| serde_json::from_value(region(mbps)).unwrap());
    let regions: Vec<RegionConfig> = regions.collect();
    serde_json::from_value::<ServerNetworkConfig>(server).unwrap().build(&regions)
}

fn stream() -> Stream {
    Seeds::new(1).global(Purpose::Selection)
}

/// Flows of exponential sizes with mean 1 MB.
fn flow(id: u64, mbps: f64, region: usize, stream: &mut Stream) -> Flow {
    let size: f64 = stream.sample(Exp1);
    let (client_rate, bytes) = (Bandwidth::from_bits_per_s(mbps * 1e6), Bytes::new((size * 1e6) as u64 + 1));
    Flow { id, direction: Direction::Down, client_rate, bytes, region }
}

/// Keeps `n` flows in flight, each that ends being followed by a new one, for a million.
fn steady(name: &str, n: u64, server_mbps: f64, region_mbps: &[f64], rate: impl Fn(&mut Stream) -> f64) {
    let n_regions = region_mbps.len().max(1);
    let mut stream = stream();
    let flows: Vec<Flow> = (0..2 * n + N_ENDS)
        .map(|id| {
            let mbps = rate(&mut stream);
            flow(id, mbps, id as usize % n_regions, &mut stream)
        })
        .collect();
    let mut rates = Vec::new();
    for _ in 0..3 {
        let mut network = network(server_mbps, region_mbps);
        let (first, then) = flows.split_at(n as usize);
        for flow in first {
            network.start(SimTime::ZERO, *flow);
        }
        let mut watch = Stopwatch::start();
        for (n_ended, flow) in (0..).zip(then) {
            if n_ended == n {
                watch.lap();
            }
            let now = network.next().unwrap();
            network.finish(now).unwrap();
            network.start(now, *flow);
        }
        assert_eq!(network.n_flows() as u64, n);
        rates.push(N_ENDS as f64 / watch.seconds());
    }
    rates.sort_by(f64::total_cmp);
    println!("  {name}: {:.0} completions per second (of three: {:.0} to {:.0})", rates[1], rates[0], rates[2]);
}

/// All flows with their starts, in seconds: 10,000 within a second, so that nearly all are in flight together.
fn arrivals() -> Vec<(f64, Flow)> {
    let mut stream = stream();
    let mut arrivals: Vec<_> = (0..10_000)
        .map(|id| {
            let mbps = stream.random_range(1.0..100.0);
            // Whole nanoseconds, so that both simulators are told the same.
            let start = f64::from(stream.random_range(0..1_000_000_000u32)) / 1e9;
            (start, flow(id, mbps, 0, &mut stream))
        })
        .collect();
    arrivals.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    arrivals
}

/// Ends of all flows, in seconds, and the host time it took.
fn ours(arrivals: &[(f64, Flow)]) -> (Vec<f64>, f64) {
    let mut ends = vec![0.0; arrivals.len()];
    let mut network = network(10_000.0, &[]);
    let watch = Stopwatch::start();
    let end = (f64::INFINITY, None);
    for (start, flow) in arrivals.iter().map(|(start, flow)| (*start, Some(flow))).chain([end]) {
        let now = SimTime::from_nanos((start * 1e9).round() as u64);
        while let Some(end) = network.next().filter(|end| *end <= now) {
            ends[network.finish(end).unwrap() as usize] = end.as_secs_f64();
        }
        if let Some(flow) = flow {
            network.start(now, *flow);
        }
    }
    (ends, watch.seconds())
}

fn beside_simgrid(python: &str) {
    let arrivals = arrivals();
    let mut input = format!("{}\n", 10_000.0 * 1e6 / 8.0);
    for (start, flow) in &arrivals {
        writeln!(input, "{start} {} {}", flow.client_rate.bytes_per_s(), flow.bytes.get()).unwrap();
    }
    let mut times: Vec<f64> = (0..15).map(|_| ours(&arrivals).1).collect();
    times.sort_by(f64::total_cmp);
    let (ends, ours) = (ours(&arrivals).0, times[7]);
    println!("10,000 flows: {:.1} ms, {:.0} completions per second", ours * 1e3, 1e4 / ours);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/simgrid_flows.py");
    let mut command = Command::new(python);
    let mut peer = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    peer.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = peer.wait_with_output().unwrap();
    assert!(output.status.success(), "SimGrid failed; can {python} import it?");
    let output = String::from_utf8(output.stdout).unwrap();
    let mut lines = output.lines().map(|line| line.parse::<f64>().unwrap());
    let theirs = lines.next().unwrap();
    let mut error: f64 = 0.0;
    for ((_, flow), end) in arrivals.iter().zip(lines) {
        // Ours are rounded up to nanoseconds.
        let difference = (ends[flow.id as usize] - end).abs() - 1e-9;
        error = error.max(difference / end);
    }
    println!("  SimGrid CM02: {theirs:.1} s, {:.0} completions per second", 1e4 / theirs);
    println!("  largest relative difference of an end, beyond a nanosecond: {error:.1e} (to stay under: 1e-8)");
    println!("  ratio of times: {:.0} (to reach: 1,000)", theirs / ours);
    assert!(error < 1e-8, "the ends are not the same");
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test --all-targets` only wants to know that it builds.
    }
    // Rates average about 50 Mbps; the server's link lets each flow have about 35, so that half are held to the level.
    println!("100,000 flows in flight, max-min fair (to reach: 300,000 completions per second):");
    let four = |stream: &mut Stream| [5.0, 20.0, 50.0, 100.0][stream.random_range(0..4)];
    let different = |stream: &mut Stream| stream.random_range(1.0..100.0);
    let many = 100_000;
    steady("four client rates", many, 3.5e6, &[], four);
    steady("all client rates different", many, 3.5e6, &[], different);
    steady("all held to the server's link", many, 1e5, &[], different);
    let regions: Vec<f64> = (1..=16).map(|number| 3e4 * f64::from(number)).collect();
    steady("four client rates, 16 regions", many, 3e6, &regions, four);
    steady("all client rates different, 16 regions", many, 3e6, &regions, different);
    let thousand: Vec<f64> = (1..=1000).map(|number| 7.0 * f64::from(number)).collect();
    steady("all client rates different, 1,000 regions", many, 3e6, &thousand, different);
    println!("1,000 flows in flight, all client rates different:");
    steady("nobody held to the server's link", 1000, 1e5, &[], different);
    steady("half held to it", 1000, 3.5e4, &[], different);
    steady("all held to it", 1000, 1e3, &[], different);
    match std::env::var("STRAGGLER_SIMGRID_PYTHON") {
        Ok(python) => beside_simgrid(&python),
        Err(_) => println!("SimGrid is left out: STRAGGLER_SIMGRID_PYTHON names no Python that can import it"),
    }
}
