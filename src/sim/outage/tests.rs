use super::*;
use crate::sim::periods::assert_queries_are_pure;
use crate::sim::{AlwaysConfig, Availability, BuildContext, MarkovConfig};
use proptest::prelude::*;

fn secs(seconds: u64) -> SimDuration {
    SimDuration::from_nanos(seconds * 1_000_000_000)
}

fn at(seconds: u64) -> SimTime {
    SimTime::ZERO + secs(seconds)
}

fn outage(start: u64, duration: u64) -> OutageConfig {
    OutageConfig {
        start: secs(start),
        duration: secs(duration),
        every: None,
        network: None,
        device: None,
        region: None,
        fraction: 1.0,
    }
}

fn names() -> GroupNames {
    let names = |all: &[&str]| all.iter().map(ToString::to_string).collect();
    GroupNames { devices: names(&["phone", "tablet"]), networks: names(&["lte"]), regions: names(&["north", "south"]) }
}

/// Even clients are phones in the north, odd ones tablets in the south.
fn outages(configs: &[OutageConfig]) -> Outages {
    let half = |client: u32| client as usize % 2;
    let member = move |client| Membership { device: half(client), network: 0, region: half(client) };
    Outages::new(configs, &names(), Seeds::new(2), Arc::new(member))
}

fn inner(seed: u64) -> Arc<dyn AvailabilityModel> {
    let config = MarkovConfig { mean_online: secs(40), mean_offline: secs(20) };
    config.build(&BuildContext::new(Seeds::new(seed), 100)).unwrap().into()
}

#[test]
fn it_hits_those_who_are_named_while_it_lasts() {
    let all = outages(&[
        OutageConfig { device: Some("phone".into()), ..outage(10, 5) },
        OutageConfig {
            region: Some("south".into()),
            network: Some("lte".into()),
            every: Some(secs(10)),
            ..outage(100, 1)
        },
    ]);
    let out = |client| (0..125).filter(|second| all.is_out(client, at(*second))).collect::<Vec<_>>();
    assert_eq!(out(0), [10, 11, 12, 13, 14]);
    assert_eq!(out(1), [100, 110, 120]);
    let always = AlwaysConfig {}.build(&BuildContext::new(Seeds::new(1), 10)).unwrap();
    let model = all.around(always.into());
    assert_eq!(model.online_until(0, at(0)), at(10));
    assert_eq!((model.next_online(0, at(10)), model.next_change(0, at(15))), (at(15), NEVER));
    assert_eq!((model.next_online(1, at(110)), model.next_change(1, at(111))), (at(111), at(120)));
    // 5 of 50 seconds; 3 of 125.
    assert!((model.online_fraction(0, at(50)) - 0.9).abs() < 1e-12);
    assert!((model.online_fraction(1, at(125)) - 122.0 / 125.0).abs() < 1e-12);
}

#[test]
fn a_fraction_is_drawn_for_each_client_once() {
    let partial = OutageConfig { fraction: 0.3, every: Some(secs(100)), ..outage(0, 50) };
    let all = outages(&[partial.clone(), OutageConfig { start: secs(50), ..partial }]);
    let hit = |time| (0..20_000).filter(|client| all.is_out(*client, at(time))).collect::<Vec<u32>>();
    // Five standard deviations: 5 sqrt(0.3 x 0.7 x 20,000) = 324.
    assert!((hit(0).len() as f64 - 6000.0).abs() < 324.0, "{}", hit(0).len());
    assert_eq!(hit(0), hit(149 + 51), "the same clients each time");
    // The other outage hits others: both with probability 0.09, 1,800 clients; 5 sqrt(0.09 x 0.91 x 20,000) = 202.
    let by_other = hit(60);
    let both = hit(0).into_iter().filter(|client| by_other.binary_search(client).is_ok()).count() as f64;
    assert!((both - 1800.0).abs() < 202.0, "{both}");
}

#[test]
fn cycles_that_miss_each_other_end_in_never() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.csv"), "client_id,start_s,end_s\n0,10,20\n").unwrap();
    let trace = serde_json::json!({ "file": "a.csv", "end": "loop", "length": "100 s" });
    let trace: crate::sim::TraceConfig = serde_json::from_value(trace).unwrap();
    let context = BuildContext { base_dir: dir.path().to_owned(), ..BuildContext::new(Seeds::new(1), 1) };
    let out = OutageConfig { every: Some(secs(100)), ..outage(5, 20) };
    let model = outages(&[out]).around(trace.build(&context).unwrap().into());
    assert_eq!(model.next_online(0, at(0)), NEVER);
}

#[test]
fn the_end_of_a_long_outage_is_found_behind_many_short_ones() {
    let always = || Arc::from(AlwaysConfig {}.build(&BuildContext::new(Seeds::new(1), 1)).unwrap());
    // 60 days of outage hold 86,400 others of half a minute; the last of them begins as the long one ends.
    let short = OutageConfig { every: Some(secs(60)), ..outage(0, 30) };
    let days = 60 * 86_400;
    let model = outages(&[outage(0, days), short]).around(always());
    assert_eq!(model.next_online(0, at(0)), at(days + 30));
    assert_eq!(model.next_online(0, at(days + 29)), at(days + 30));
    // One after the other without a gap, for ever: never; with a last one: after it.
    let half = |start| OutageConfig { every: Some(secs(20)), ..outage(start, 10) };
    assert_eq!(outages(&[half(0), half(10)]).around(always()).next_online(0, at(3)), NEVER);
    let row: Vec<_> = (0..50).map(|n| outage(10 * n, 10)).collect();
    assert_eq!(outages(&row).around(always()).next_online(0, at(3)), at(500));
}

#[test]
fn what_is_wrong_is_named() {
    let bad = OutageConfig {
        every: Some(SimDuration::ZERO),
        device: Some("watch".into()),
        network: Some("lte".into()),
        region: Some("west".into()),
        fraction: f64::NAN,
        ..outage(0, 0)
    };
    let found = bad.problems(&names());
    let paths: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["duration", "every", "fraction", "device", "region"]);
    assert_eq!(found[3].help.as_deref(), Some("`clients.devices` has phone, tablet"));
    assert_eq!(OutageConfig { every: Some(secs(11)), ..outage(0, 10) }.problems(&names()), []);
}

/// A minute in every ten, over 30 days: 4,320 outages of 60 s in 2,592,000 s leave nine tenths, whoever is asked; the run
/// ends 30 s into the last one or between two, and what is not over does not count in full.
#[test]
fn many_outages_of_one_kind_are_counted_and_not_gone_through() {
    /// Online always; counts what it is asked.
    struct Counting(std::sync::atomic::AtomicU32);
    impl AvailabilityModel for Counting {
        fn is_online(&self, _: u32, _: SimTime) -> bool {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            true
        }
        fn next_change(&self, _: u32, _: SimTime) -> SimTime {
            NEVER
        }
        fn online_fraction(&self, _: u32, _: SimTime) -> f64 {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            1.0
        }
        fn never_changes(&self) -> bool {
            true
        }
    }
    let counting = Arc::new(Counting(0.into()));
    let model = outages(&[OutageConfig { every: Some(secs(600)), ..outage(0, 60) }]).around(counting.clone());
    let days = 30 * 86_400;
    assert_eq!(model.online_fraction(7, at(days)), 0.9);
    assert_eq!(model.online_fraction(8, at(630)), (630.0 - 90.0) / 630.0);
    assert_eq!(model.online_fraction(8, at(700)), (700.0 - 120.0) / 700.0);
    assert_eq!(counting.0.load(std::sync::atomic::Ordering::Relaxed), 3);
    assert_eq!(model.periods_until(at(days)), 0.0);
    // Two kinds are gone through: 2 x 4,320 and 2 x 720 edges, and the client's own periods of 30 s on average.
    let two = [(600, 60), (3600, 120)]
        .map(|(every, duration)| OutageConfig { every: Some(secs(every)), ..outage(0, duration) });
    assert_eq!(outages(&two).around(inner(1)).periods_until(at(days)), 8640.0 + 1440.0 + 86_400.0);
}

/// Online for 7 s in every 20, as a looped recording says.
fn recorded() -> Arc<dyn AvailabilityModel> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.csv"), "client_id,start_s,end_s\n0,3,10\n").unwrap();
    let trace = serde_json::json!({ "file": "a.csv", "end": "loop", "length": "20 s" });
    let trace: crate::sim::TraceConfig = serde_json::from_value(trace).unwrap();
    let context = BuildContext { base_dir: dir.path().to_owned(), ..BuildContext::new(Seeds::new(1), 1) };
    trace.build(&context).unwrap().into()
}

/// Passes questions on and counts them.
struct Counted(Arc<dyn AvailabilityModel>, std::sync::atomic::AtomicU32);

impl Counted {
    fn asked(&self) -> &dyn AvailabilityModel {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        &*self.0
    }
}

impl AvailabilityModel for Counted {
    fn is_online(&self, client_id: u32, time: SimTime) -> bool {
        self.asked().is_online(client_id, time)
    }
    fn next_change(&self, client_id: u32, time: SimTime) -> SimTime {
        self.asked().next_change(client_id, time)
    }
    fn online_fraction(&self, client_id: u32, until: SimTime) -> f64 {
        self.asked().online_fraction(client_id, until)
    }
}

/// 30 days of a recording have 259,200 windows and gaps between them; a single outage has two edges, one of an hour in every
/// twelve has 120. Each edge costs a question, and so many windows are tried before are two questions each.
#[test]
fn the_windows_of_a_recording_are_not_gone_through_for_one_outage() {
    let days = at(30 * 86_400);
    for (every, n_edges) in [(None, 2), (Some(secs(12 * 3600)), 120)] {
        let config = OutageConfig { every, ..outage(1001, 3600) };
        let counted = Arc::new(Counted(recorded(), 0.into()));
        let around = WithOutages { outages: outages(std::slice::from_ref(&config)), inner: counted.clone() };
        let fraction = around.online_fraction(0, days);
        let n_asked = counted.1.load(std::sync::atomic::Ordering::Relaxed);
        assert!(n_asked <= 3 * n_edges + 1, "{n_asked}");
        assert_eq!(around.periods_until(days), f64::from(n_edges));
        let walked = around.fraction_around(&around.outages.outages[0], 0, days, u64::MAX).unwrap();
        assert!((fraction - walked).abs() < 1e-12, "{fraction} and {walked}");
    }
}

proptest! {
    /// The integral over a single outage's edges, where these are fewer than the recording's, is what a walk finds.
    #[test]
    fn one_outage_around_a_recording_is_the_same_by_edges_and_by_windows(
        start in 0u64..3000, duration in 1u64..500, every in prop::option::of(500u64..2000), until_ms in 1u64..10_000_000,
    ) {
        let config = OutageConfig { every: every.map(secs), ..outage(start, duration) };
        let around = WithOutages { outages: outages(&[config]), inner: recorded() };
        let until = SimTime::from_nanos(until_ms * 1_000_000);
        let walked = around.fraction_around(&around.outages.outages[0], 0, until, u64::MAX).unwrap();
        prop_assert!((around.online_fraction(0, until) - walked).abs() < 1e-9);
    }

    #[test]
    fn queries_are_pure(queries in prop::collection::vec((0u32..5, 0u64..2_000_000), 1..40)) {
        let configs = [
            outage(100, 300),
            OutageConfig { every: Some(secs(90)), fraction: 0.5, ..outage(20, 30) },
            OutageConfig { device: Some("phone".into()), ..outage(400, 50) },
        ];
        let queries: Vec<_> =
            queries.into_iter().map(|(client, ms)| (client, SimTime::from_nanos(ms * 1_000_000))).collect();
        assert_queries_are_pure(|| Box::new(WithOutages { outages: outages(&configs), inner: inner(7) }), &queries);
    }

    /// Against the two parts, asked second by second: outages in whole seconds, a client with random periods.
    #[test]
    fn it_is_both_at_once(
        outages_of in prop::collection::vec((0u64..200, 1u64..40, prop::option::of(41u64..90)), 0..4),
        client in 0u32..5,
    ) {
        let configs: Vec<_> = outages_of
            .iter()
            .map(|(start, duration, every)| OutageConfig { every: every.map(secs), ..outage(*start, *duration) })
            .collect();
        let (parts, own) = (outages(&configs), inner(4));
        let model = outages(&configs).around(inner(4));
        let mut time = SimTime::ZERO;
        let mut online_s = 0.0;
        for second in 0..300 {
            let now = at(second);
            prop_assert_eq!(model.is_online(client, now), own.is_online(client, now) && !parts.is_out(client, now));
        }
        while time < at(300) {
            let next = model.next_change(client, time);
            prop_assert!(next > time);
            // Outages that take turns without a gap leave nothing that could change.
            if next == NEVER {
                let later = (0..300).map(at).filter(|later| *later >= time);
                prop_assert!(later.into_iter().all(|later| !model.is_online(client, later)));
                break;
            }
            prop_assert_ne!(model.is_online(client, next), model.is_online(client, time));
            let middle = SimTime::from_nanos(time.as_nanos().midpoint(next.as_nanos()));
            prop_assert_eq!(model.is_online(client, middle), model.is_online(client, time));
            if model.is_online(client, time) {
                online_s += next.min(at(300)).since(time).as_secs_f64();
            }
            time = next;
        }
        prop_assert!((model.online_fraction(client, at(300)) - online_s / 300.0).abs() < 1e-9);
    }
}
