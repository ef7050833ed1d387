use super::*;
use crate::sim::periods::{assert_fraction_is_a_sum, assert_queries_are_pure};
use proptest::prelude::*;
use std::path::Path;

fn at(seconds: u64) -> SimTime {
    SimTime::from_nanos(seconds * 1_000_000_000)
}

fn context(dir: &Path, n_clients: u32) -> BuildContext {
    BuildContext { base_dir: dir.to_owned(), ..BuildContext::new(Seeds::new(3), n_clients) }
}

fn config(end: TraceEnd) -> TraceConfig {
    TraceConfig {
        file: "a.csv".into(),
        devices_file: None,
        assign: Assign::ById,
        end,
        start: SimDuration::ZERO,
        length: None,
    }
}

fn folder(windows: &str, devices: Option<&str>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.csv"), windows).unwrap();
    if let Some(devices) = devices {
        std::fs::write(dir.path().join("d.csv"), devices).unwrap();
    }
    dir
}

const HEADER: &str = "client_id,start_s,end_s\n";

/// Client 0 is online from 10 s to 20 s and from 30 s to 40 s, client 1 from 0 s to 5 s; nothing is known of client 2.
const WINDOWS: &str = "client_id,start_s,end_s\n0,30,40\n1,0,5\n0,10,15\n0,15,20\n0,12,12\n";

fn small(config: &TraceConfig) -> Box<dyn AvailabilityModel> {
    let dir = folder(WINDOWS, None);
    assert_eq!(config.file_problems(&context(dir.path(), 3)), []);
    config.build(&context(dir.path(), 3)).unwrap()
}

#[test]
fn clients_are_online_within_their_windows() {
    let model = small(&config(TraceEnd::Hold));
    assert_eq!([9, 10, 15, 20, 30, 39].map(|s| model.is_online(0, at(s))), [false, true, true, false, true, true]);
    // Windows that touch are one, and an empty window is none.
    assert_eq!((model.next_change(0, at(10)), model.next_change(0, at(20))), (at(20), at(30)));
    assert_eq!((model.next_online(1, at(5)), model.next_online(2, at(0))), (NEVER, NEVER));
    assert_eq!(model.online_fraction(0, at(35)), 15.0 / 35.0);
    assert_eq!(model.online_fraction(2, at(35)), 0.0);
    assert_eq!(model.end_of_trace(), None);
}

#[test]
fn what_follows_the_end_is_as_chosen() {
    let held = small(&config(TraceEnd::Hold));
    assert!(held.is_online(0, at(1000)) && !held.is_online(1, at(1000)));
    assert_eq!((held.next_change(0, at(30)), held.next_change(0, at(1000))), (NEVER, NEVER));
    // Until 40 s it was online for 20 s, and then for 60 s more.
    assert_eq!(held.online_fraction(0, at(100)), 0.8);
    let looped = small(&config(TraceEnd::Loop));
    assert!(!looped.is_online(0, at(40)) && looped.is_online(0, at(50)));
    assert_eq!((looped.next_change(0, at(35)), looped.next_change(0, at(40))), (at(40), at(50)));
    assert_eq!(looped.online_fraction(0, at(400)), 0.5);
    let limited = small(&TraceConfig { start: SimDuration::from_nanos(15_000_000_000), ..config(TraceEnd::Error) });
    // The recording ends with the last window of all, though it is client 0's; client 1, of line 3, is over with it.
    let end = EndOfTrace { at: at(25), client_id: 0, place: "a.csv:2".into() };
    assert_eq!(limited.end_of_trace(), Some(&end));
    assert_eq!(limited.next_change(0, at(0)), at(5));
}

#[test]
fn a_window_across_the_end_of_a_loop_is_one_period() {
    let dir = folder(&format!("{HEADER}0,0,10\n0,90,100\n1,0,100\n"), None);
    let model = config(TraceEnd::Loop).build(&context(dir.path(), 2)).unwrap();
    assert_eq!(model.next_change(0, at(95)), at(110));
    assert_eq!(model.next_change(1, at(95)), NEVER);
    assert_eq!(model.online_fraction(1, at(1234)), 1.0);
}

#[test]
fn devices_with_spans_of_their_own_loop_from_any_start() {
    // Device x is recorded from 1,000 s to 1,100 s; y was never seen ready.
    let devices = "device_id,status,trace_start_s,trace_end_s\nx,ok,1000,1100\ny,never_ready,,\n";
    let dir = folder("device_id,start_s,end_s\nx,1010,1030\n", Some(devices));
    let config = TraceConfig { devices_file: Some("d.csv".into()), assign: Assign::Random, ..config(TraceEnd::Loop) };
    let context = context(dir.path(), 1000);
    assert_eq!(config.file_problems(&context), []);
    let model = config.build(&context).unwrap();
    let ready: Vec<u32> = (0..1000).filter(|client| model.next_online(*client, at(0)) != NEVER).collect();
    // Half of the clients draw x: 500 with a deviation of 15.8.
    assert!((421..579).contains(&ready.len()), "{}", ready.len());
    assert!(ready.iter().all(|client| model.is_online(*client, at(10)) && !model.is_online(*client, at(230))));
    assert_eq!(model.next_online(ready[0], at(130)), at(210));
    assert_eq!(model.online_fraction(ready[0], at(1000)), 0.2);
}

#[test]
fn each_fault_is_told_with_its_line() {
    let check = |windows: &str, devices: Option<&str>, change: &dyn Fn(&mut TraceConfig)| {
        let dir = folder(&format!("{HEADER}{windows}"), devices);
        let mut config = config(TraceEnd::Error);
        config.devices_file = devices.map(|_| "d.csv".into());
        change(&mut config);
        let found = config.file_problems(&context(dir.path(), 3));
        assert_eq!(config.build(&context(dir.path(), 3)).is_err(), !found.is_empty());
        assert!(found.iter().all(|problem| problem.help.is_some()));
        found.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    let as_is = |_: &mut TraceConfig| {};
    assert_eq!(check("0,7200,3600\n", None, &as_is), ["a.csv:2: end_s 3600 is before start_s 7200"]);
    let overlap = check("0,0,10\n1,0,9\n0,5,20\n", None, &as_is);
    assert_eq!(overlap, ["a.csv:4: the window from 5 s of `0` overlaps that of line 2, which ends at 10 s"]);
    assert_eq!(check("0,a,1\n", None, &as_is), ["a.csv:2: start_s `a` is not a number"]);
    assert_eq!(check("0,0,1e12\n", None, &as_is), ["a.csv:2: 1000000000000 s is beyond the clock's range"]);
    assert_eq!(check("0,0,1\n3,0,1\n", None, &as_is), ["a.csv:3: there is no client `3`; clients are 0 to 2"]);
    assert_eq!(check("x,0,1\n", None, &as_is), ["a.csv:2: there is no client `x`; clients are 0 to 2"]);
    assert_eq!(check("1,0,1\n01,1,2\n", None, &as_is).len(), 1);
    assert_eq!(check("x,0,1\n", None, &|config| config.assign = Assign::Random), [""; 0]);
    assert_eq!(check("", None, &as_is), ["a.csv: it has a header and no row"]);
    assert_eq!(check("0,5,5\n", None, &as_is), ["a.csv: each window is empty: nobody is ever online"]);
    let late = |config: &mut TraceConfig| config.start = SimDuration::from_nanos(10_000_000_000);
    assert_eq!(
        check("0,0,10\n", None, &late),
        ["a.csv:2: the run starts at 10 s, but the device of client 0 is recorded from 0 s to 10 s"]
    );
    let short = |config: &mut TraceConfig| config.length = Some(SimDuration::from_nanos(1));
    assert_eq!(check("0,0,10\n", None, &short), ["a.csv:2: the window ends at 10 s, after the recording's `length`"]);
    let devices = "device_id,trace_start_s,trace_end_s\n0,0,10\n";
    assert_eq!(check("1,0,1\n", Some(devices), &as_is), ["a.csv:2: `1` is not listed in d.csv"]);
    let outside = check("0,9,11\n", Some(devices), &as_is);
    assert_eq!(outside, ["a.csv:2: the window 9 s to 11 s of `0` is outside its span, 0 s to 10 s"]);
    let twice = format!("{devices}0,5,5\n0,1,2\n");
    let expected = ["d.csv:3: trace_end_s 5 is not after trace_start_s 5", "d.csv:4: `0` is listed in line 2 already"];
    assert_eq!(check("0,0,1\n", Some(&twice), &as_is), expected);
    // Whatever else is wrong, who is nobody is told, in the file that lists them.
    let several = "0,0,10\n9,0,1\nx,0,x\n0,5,20\n";
    let expected = [
        "a.csv:3: there is no client `9`; clients are 0 to 2",
        "a.csv:4: there is no client `x`; clients are 0 to 2",
        "a.csv:4: end_s `x` is not a number",
        "a.csv:5: the window from 5 s of `0` overlaps that of line 2, which ends at 10 s",
    ];
    assert_eq!(check(several, None, &as_is), expected);
    let nobody = format!("{devices}7,5,9\n");
    let expected = ["d.csv:3: there is no client `7`; clients are 0 to 2", "a.csv:2: start_s `a` is not a number"];
    assert_eq!(check("0,a,1\n", Some(&nobody), &as_is), expected);
}

/// Eight devices, one of them recorded from 1,000 s on: only who draws it cannot start at 0 s, and what the others' recordings
/// are like does not matter.
#[test]
fn what_is_not_recorded_of_devices_that_nobody_drew_does_not_matter() {
    let drawn = Seeds::new(3).client(Purpose::Availability, 0).random_range(0..8u32);
    for late in 0..8 {
        let start = |device: u32| if device == late { 1000 } else { 0 };
        let rows: String =
            (0..8).map(|device| format!("d{device},{},{}\n", start(device), 2000 + u64::from(device))).collect();
        let windows: String = (0..8).map(|device| format!("d{device},1100,1200\n")).collect();
        let devices = format!("device_id,trace_start_s,trace_end_s\n{rows}");
        let dir = folder(&format!("device_id,start_s,end_s\n{windows}"), Some(&devices));
        let config =
            TraceConfig { devices_file: Some("d.csv".into()), assign: Assign::Random, ..config(TraceEnd::Error) };
        let context = context(dir.path(), 1);
        let found: Vec<_> = config.file_problems(&context).into_iter().map(|problem| problem.message).collect();
        let line = drawn + 2;
        if late == drawn {
            let end = 2000 + drawn;
            let text = format!(
                "d.csv:{line}: the run starts at 0 s, but the device of client 0 is recorded from 1000 s to {end} s"
            );
            assert_eq!(found, [text]);
        } else {
            assert_eq!(found, [""; 0]);
            let end = EndOfTrace { at: at(2000 + u64::from(drawn)), client_id: 0, place: format!("d.csv:{line}") };
            assert_eq!(config.build(&context).unwrap().end_of_trace(), Some(&end));
        }
    }
}

#[test]
fn settings_that_contradict_each_other_are_named() {
    let both =
        TraceConfig { devices_file: Some("d.csv".into()), length: Some(SimDuration::ZERO), ..config(TraceEnd::Loop) };
    let paths: Vec<_> = both.problems().into_iter().map(|problem| problem.path).collect();
    assert_eq!(paths, ["length", "length"]);
}

/// Alternating gaps and windows in whole seconds.
fn spans() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0u64..6, 0u64..6), 1..6)
}

proptest! {
    /// Against a list of seconds, played from the start.
    #[test]
    fn it_is_the_list_of_seconds(spans in spans(), start in 0u64..40, loops: bool, tail in 0u64..4) {
        let (mut seconds, mut windows) = (Vec::new(), String::from(HEADER));
        for (gap, window) in spans {
            seconds.extend(vec![false; gap as usize]);
            windows += &format!("0,{},{}\n", seconds.len(), seconds.len() as u64 + window);
            seconds.extend(vec![true; window as usize]);
        }
        prop_assume!(seconds.contains(&true));
        seconds.extend(vec![false; tail as usize]);
        let dir = folder(&windows, None);
        let config = TraceConfig {
            start: SimDuration::from_nanos(start * 1_000_000_000),
            length: Some(SimDuration::from_nanos(seconds.len() as u64 * 1_000_000_000)),
            ..config(if loops { TraceEnd::Loop } else { TraceEnd::Hold })
        };
        let model = config.build(&context(dir.path(), 1)).unwrap();
        let state = |second: u64| {
            let second = (second + start) as usize;
            seconds[if loops { second % seconds.len() } else { second.min(seconds.len() - 1) }]
        };
        let mut online = 0u64;
        for second in 0..80 {
            prop_assert_eq!(model.is_online(0, at(second)), state(second), "{}", second);
            let change = (second..second + 100).find(|later| state(*later) != state(second));
            prop_assert_eq!(model.next_change(0, at(second)), change.map_or(NEVER, at), "{}", second);
            if second > 0 {
                prop_assert!((model.online_fraction(0, at(second)) - online as f64 / second as f64).abs() < 1e-12);
            }
            online += u64::from(state(second));
        }
        if model.next_change(0, at(0)) != NEVER && loops {
            assert_fraction_is_a_sum(&*model, 0, at(77));
        }
    }

    #[test]
    fn queries_are_pure(queries in prop::collection::vec((0u32..3, 0u64..200), 1..10)) {
        let queries: Vec<_> = queries.into_iter().map(|(client, s)| (client, at(s))).collect();
        let dir = folder(WINDOWS, None);
        for end in [TraceEnd::Loop, TraceEnd::Hold, TraceEnd::Error] {
            assert_queries_are_pure(|| config(end).build(&context(dir.path(), 3)).unwrap(), &queries);
        }
    }
}
