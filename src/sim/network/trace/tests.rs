use super::*;
use crate::sim::network::NetworkClassConfig;

const SMALL: &str = "client_id,time_s,down_kbps,up_kbps\n\
                     0,100,1000,500\n1,0,4000,0\n0,110,2000,500\n0,115,0,500\n1,1,4000,800\n0,120,3000,250\n";

fn config(trace: serde_json::Value) -> NetworkClassConfig {
    let class = serde_json::json!({ "share": 1.0, "latency": "50 ms", "trace": trace });
    serde_json::from_value(class).expect("valid settings")
}

fn context(dir: &std::path::Path, n_clients: u32) -> BuildContext {
    BuildContext { base_dir: dir.to_owned(), ..BuildContext::new(Seeds::new(5), n_clients) }
}

/// What is wrong with a file of these lines, for `n_clients`.
fn faults(text: &str, trace: serde_json::Value, n_clients: u32) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("b.csv"), text).expect("written");
    let config = config(trace);
    let found = config.file_problems(&context(dir.path(), n_clients));
    assert_eq!(found.is_empty(), config.build(&context(dir.path(), n_clients)).is_ok());
    assert!(found.iter().all(|problem| problem.path == "trace.file" && problem.help.is_some()));
    found.into_iter().map(|problem| problem.message).collect()
}

fn small(end: &str) -> crate::sim::LinkClass {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("b.csv"), SMALL).expect("written");
    config(serde_json::json!({ "file": "b.csv", "end": end })).build(&context(dir.path(), 2)).expect("a good file")
}

fn at(seconds: f64) -> SimTime {
    SimTime::from_nanos((seconds * 1e9) as u64)
}

/// kbps, and until when in seconds; a negative time is never.
fn state(class: &crate::sim::LinkClass, client: u32, direction: Direction, seconds: f64) -> (f64, f64) {
    let state = class.link(client, direction, at(seconds), SimDuration::ZERO).expect("within the trace");
    (state.rate.bits_per_s() / 1e3, if state.until == NEVER { -1.0 } else { state.until.as_secs_f64() })
}

#[test]
fn the_rates_are_those_of_the_rows_from_the_first_one_on() {
    let class = small("hold");
    let down = [0.0, 9.999, 10.0, 15.0, 20.0, 1e9].map(|time| state(&class, 0, Direction::Down, time));
    assert_eq!(down, [(1e3, 10.0), (1e3, 10.0), (2e3, 15.0), (0.0, 20.0), (3e3, -1.0), (3e3, -1.0)]);
    // Rows that change nothing are no changes.
    assert_eq!(state(&class, 0, Direction::Up, 1.0), (500.0, 20.0));
    assert_eq!(state(&class, 1, Direction::Down, 1.0), (4e3, -1.0));
    // 20 s of rows and 5 s more for the last, as long as the one before it: (10 x 1 + 5 x 2 + 5 x 0 + 5 x 3) / 25 Mbps.
    let stated = |client, direction| class.nominal_rate(client, direction, SimDuration::ZERO).bits_per_s();
    assert!((stated(0, Direction::Down) - 1.4e6).abs() < 1e-6);
    assert!((stated(1, Direction::Up) - 4e5).abs() < 1e-6);
}

#[test]
fn what_follows_the_end_is_a_setting() {
    let looped = small("loop");
    let down = [24.0, 25.0, 26.0, 2500.0 + 16.0].map(|time| state(&looped, 0, Direction::Down, time));
    assert_eq!(down, [(3e3, 25.0), (1e3, 35.0), (1e3, 35.0), (0.0, 2520.0)]);
    assert_eq!(state(&looped, 1, Direction::Down, 7.0), (4e3, -1.0));
    let ending = small("error");
    assert_eq!(state(&ending, 0, Direction::Down, 24.0), (3e3, 25.0));
    let over = ending.link(0, Direction::Down, at(25.0), SimDuration::ZERO).expect_err("the trace is over").to_string();
    assert!(over.starts_with("b.csv:7: the trace of client 0 is over after 25 s"), "{over}");
    assert_eq!(state(&ending, 1, Direction::Down, 1.5), (4e3, 2.0));
}

/// Client 0 is recorded from 100 s to 125 s, client 1 from 0 s to 2 s.
#[test]
fn with_a_start_all_series_count_from_the_same_moment() {
    let build = |end: &str, start: &str| {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("b.csv"), SMALL).expect("written");
        let trace = serde_json::json!({ "file": "b.csv", "end": end, "start": start });
        config(trace).build(&context(dir.path(), 2)).map_err(|error| error.to_string())
    };
    // 108 s of the recording are 0 s of the run.
    let held = build("hold", "108 s").expect("a good file");
    let down = [0.0, 2.0, 7.0, 12.0].map(|time| state(&held, 0, Direction::Down, time));
    assert_eq!(down, [(1e3, 2.0), (2e3, 7.0), (0.0, 12.0), (3e3, -1.0)]);
    assert_eq!(state(&held, 1, Direction::Up, 0.0), (800.0, -1.0));
    // Before its first row, at 100 s, client 0 has its rates, which end at 110 s.
    let early = build("hold", "0 s").expect("a good file");
    let down = [0.0, 99.0, 110.0].map(|time| state(&early, 0, Direction::Down, time));
    assert_eq!(down, [(1e3, 110.0), (1e3, 110.0), (2e3, 115.0)]);
    assert_eq!(state(&early, 1, Direction::Up, 0.5), (0.0, 1.0));
    // Looped, it repeats every 25 s before it too: 93 s is 118 s, and 95 s is 120 s.
    let looped = build("loop", "93 s").expect("a good file");
    let down = [0.0, 2.0, 7.0].map(|time| state(&looped, 0, Direction::Down, time));
    assert_eq!(down, [(0.0, 2.0), (3e3, 7.0), (1e3, 17.0)]);
    // Stated is the mean of the whole series, wherever the run starts.
    let stated = |class: &crate::sim::LinkClass| class.nominal_rate(0, Direction::Down, SimDuration::ZERO);
    assert_eq!(stated(&looped), stated(&small("loop")));
    // A run that nothing follows starts within each series, and ends where that does.
    let not_recorded = |start, line, id, span| {
        let help = "choose `end: loop` or `end: hold`, or a `start` within each series";
        format!("b.csv:{line}: the run starts at {start} s, but `{id}` is recorded from {span}; {help}")
    };
    assert_eq!(build("error", "99 s").err(), Some(not_recorded(99, 7, 0, "100 s to 125 s")));
    assert_eq!(build("error", "110 s").err(), Some(not_recorded(110, 6, 1, "0 s to 2 s")));
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("b.csv"), SMALL.replace("1,0,", "1,100,").replace("1,1,", "1,110,"))
        .expect("written");
    let trace = serde_json::json!({ "file": "b.csv", "end": "error", "start": "105 s" });
    let ending = config(trace).build(&context(dir.path(), 2)).expect("a good file");
    assert_eq!(state(&ending, 0, Direction::Down, 19.0), (3e3, 20.0));
    let over = ending.link(1, Direction::Down, at(15.0), SimDuration::ZERO).expect_err("the trace is over").to_string();
    assert!(over.starts_with("b.csv:6: the trace of client 1 is over after 15 s"), "{over}");
}

/// Asking changes nothing, and `until` is when the answer changes: walking along the changes gives what asking gives.
#[test]
fn answers_are_pure() {
    for end in ["loop", "hold"] {
        let class = small(end);
        let (mut time, mut changes) = (at(3.0), Vec::new());
        while time < at(100.0) {
            let state = class.link(0, Direction::Down, time, SimDuration::ZERO).expect("no end");
            changes.push((time, state.rate));
            for between in [time.as_nanos() + 1, state.until.as_nanos() - 1] {
                let between = SimTime::from_nanos(between.max(time.as_nanos()));
                let between = class.link(0, Direction::Down, between, SimDuration::ZERO);
                assert_eq!(between, Ok(state));
            }
            time = state.until;
        }
        let again = changes.iter().rev().all(|(time, rate)| {
            class.link(0, Direction::Down, *time, SimDuration::ZERO).is_ok_and(|state| state.rate == *rate)
        });
        assert!(again && changes.len() == if end == "loop" { 16 } else { 4 }, "{changes:?}");
    }
}

#[test]
fn at_random_each_client_has_a_series_and_with_loop_a_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "trace,t_s,down_kbps,up_kbps\nlte,0,5000,1\nlte,1,6000,1\numts,0,1000,2\numts,1,2000,2\numts,2,3000,2\n";
    std::fs::write(dir.path().join("b.csv"), text).expect("written");
    let build = |end: &str| {
        let trace = serde_json::json!({ "file": "b.csv", "assign": "random", "end": end });
        config(trace).build(&context(dir.path(), 1000)).expect("a good file")
    };
    let (looped, held) = (build("loop"), build("hold"));
    let down = |class: &crate::sim::LinkClass, client| state(class, client, Direction::Down, 0.0);
    let is_lte = |client: &u32| state(&looped, *client, Direction::Up, 0.0).0 == 1.0;
    // Five standard deviations of a binomial of 1000 and 1/2: 5 x 15.8 = 79.
    let n_lte = (0..1000).filter(is_lte).count();
    assert!((421..579).contains(&n_lte), "{n_lte}");
    for client in 0..1000 {
        let first = if is_lte(&client) { 5e3 } else { 1e3 };
        assert_eq!(down(&held, client), (first, 1.0), "without a loop all start at the first row");
    }
    // With a start they have the series they had, and all are in the same second of it.
    let trace = serde_json::json!({ "file": "b.csv", "assign": "random", "end": "loop", "start": "1 s" });
    let lined_up = config(trace).build(&context(dir.path(), 1000)).expect("a good file");
    for client in 0..1000 {
        let expected = if is_lte(&client) { (6e3, 1.0) } else { (2e3, 1.0) };
        assert_eq!(down(&lined_up, client), expected);
    }
    // A looping client starts anywhere: a third of the others in each of the three seconds, and within a second.
    let starts: Vec<_> = (0..1000).filter(|client| !is_lte(client)).map(|client| down(&looped, client)).collect();
    for rate in [1e3, 2e3, 3e3] {
        let n = starts.iter().filter(|start| start.0 == rate).count() as f64 / starts.len() as f64;
        assert!((n - 1.0 / 3.0).abs() < 0.12, "{n}");
    }
    let until = starts.iter().map(|start| start.1).sum::<f64>() / starts.len() as f64;
    assert!((until - 0.5).abs() < 0.07 && starts.iter().all(|start| start.1 > 0.0 && start.1 <= 1.0), "{until}");
}

#[test]
fn bad_files_are_told_by_line() {
    let by_id = || serde_json::json!({ "file": "b.csv", "end": "hold" });
    let header = "client_id,time_s,down_kbps,up_kbps\n";
    let told = |rows: &str, n: u32| faults(&format!("{header}{rows}"), by_id(), n);
    assert!(faults(SMALL, by_id(), 2).is_empty());
    assert_eq!(told("0,0,1,1\n0,5,1,1\n0,3,1,1\n", 1), ["b.csv:4: time_s 3 of `0` is not after that in line 3"]);
    assert_eq!(told("0,0,1,1\n0,0,1,1\n", 1), ["b.csv:3: time_s 0 of `0` is not after that in line 2"]);
    assert_eq!(told("0,0,1,1\n0,1e10,1,1\n", 1), ["b.csv:3: 10000000000 s is beyond the clock's range"]);
    assert_eq!(told("0,1e300,1,1\n0,1e301,1,1\n", 1).len(), 2);
    // Whatever else is wrong, who is nobody and who is missing is told.
    let several = [
        "b.csv:2: down_kbps `-1` is not a number of at least 0",
        "b.csv:3: there is no client `7`; clients are 0 to 2",
        "b.csv: client 1 has no series, nor have 1 others",
    ];
    assert_eq!(told("0,0,-1,1\n7,0,1,1\n", 3), several);
    assert_eq!(told("0,0,-1,1\n", 1), ["b.csv:2: down_kbps `-1` is not a number of at least 0"]);
    let beyond =
        ["b.csv:2: down_kbps `1e306` is more than 1.8e16", "b.csv:3: up_kbps `1e-300` is less than 1e-9 and not 0"];
    assert_eq!(told("0,0,1e306,1\n0,1,1,1e-300\n0,2,1,1\n", 1)[..2], beyond);
    assert!(told("0,0,1.8e16,1e-9\n", 1).is_empty());
    assert_eq!(told("0,0,1,fast\n", 1)[0], "b.csv:2: up_kbps `fast` is not a number");
    assert_eq!(
        told("0,0,0,1\n0,1,0,1\n", 1),
        ["b.csv:2: down_kbps of `0` is 0 in all its rows; nothing would ever arrive"]
    );
    assert_eq!(
        told("0,0,1,1\n0,1,1,0\n", 1),
        ["b.csv:3: the last up_kbps of `0` is 0, and would be held; nothing would arrive any more"]
    );
    assert_eq!(told("0,0,1,1\n7,0,1,1\n", 1), ["b.csv:3: there is no client `7`; clients are 0 to 0"]);
    assert_eq!(told("0,0,1,1\nlte,0,1,1\n", 1), ["b.csv:3: there is no client `lte`; clients are 0 to 0"]);
    assert_eq!(told("0,0,1,1\n", 3), ["b.csv: client 1 has no series, nor have 1 others"]);
    let spelled_twice = "b.csv:4: client 1 is already there under another spelling than `01`";
    assert_eq!(told("0,0,1,1\n1,0,1,1\n01,0,1,1\n", 2)[0], spelled_twice);
    assert_eq!(faults("client_id,time_s,down_kbps\n", by_id(), 1).len(), 1);
    assert_eq!(
        faults(SMALL, serde_json::json!({ "file": "c.csv", "end": "hold" }), 2),
        ["c.csv: there is no such file"]
    );
}

#[test]
fn transport_and_loss_apply_to_each_rate() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("b.csv"), SMALL).expect("written");
    let trace = serde_json::json!({ "file": "b.csv", "end": "loop" });
    let class = NetworkClassConfig { packet_loss: 0.02, ..config(trace) };
    let class = class.build(&context(dir.path(), 2)).expect("a good file");
    // 116.8 kbps x sqrt(1.5 / 0.02) = 1011.5 kbps at most, of which 98 % arrive; 500 kbps stay below.
    assert!((state(&class, 1, Direction::Down, 0.0).0 - 991.288).abs() < 1e-3);
    assert_eq!(state(&class, 0, Direction::Up, 0.0).0, 490.0);
    assert_eq!(state(&class, 0, Direction::Down, 15.0).0, 0.0);
    // Stated is the mean of what arrives: 991.288 kbps throughout, and with 200 ms more of a shared link, 5 times the round
    // trip, a fifth of it.
    let stated = |shared_ms: u64| {
        class.nominal_rate(1, Direction::Down, SimDuration::from_nanos(shared_ms * 1_000_000)).bits_per_s() / 1e3
    };
    let rates = [0, 200, 0].map(stated);
    assert!(
        (rates[0] - 991.288).abs() < 1e-3 && (rates[1] - 198.2576).abs() < 1e-3 && rates[2] == rates[0],
        "{rates:?}"
    );
    let latency = class.latency(&mut Seeds::new(1).global(Purpose::DownlinkLatency), SimDuration::ZERO);
    assert_eq!(latency, SimDuration::from_nanos(50_000_000));
}

#[test]
fn a_series_may_be_as_long_as_can_be_told() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("b.csv"), "trace,time_s,down_kbps,up_kbps\nlong,0,1,1\nlong,9e9,2,1\n")
        .expect("written");
    let trace = serde_json::json!({ "file": "b.csv", "assign": "random", "end": "loop" });
    let class = config(trace).build(&context(dir.path(), 20)).expect("a good file");
    // The series repeats after 18e9 s, wherever in it the run starts, and the clock ends at 18.4e9 s.
    for client in 0..20 {
        let (first, again) =
            (state(&class, client, Direction::Down, 0.0), state(&class, client, Direction::Down, 18e9));
        assert_eq!(first.0, again.0);
        let before_last = state(&class, client, Direction::Down, 17.999e9);
        assert!(before_last.1 < 0.0 || before_last.1 > 17.999e9, "{before_last:?}");
    }
}
