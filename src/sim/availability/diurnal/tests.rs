//! The shares, the lengths and the bounds, against what they were derived from.

use super::*;
use crate::sim::periods::{assert_fraction_is_a_sum, assert_queries_are_pure};
use proptest::prelude::*;

fn hours(hours: f64) -> SimDuration {
    length_of(hours * 3600.0)
}

fn at(seconds: f64) -> SimTime {
    SimTime::ZERO + length_of(seconds)
}

fn config() -> DiurnalConfig {
    DiurnalConfig {
        online_at_peak: 0.6,
        online_at_trough: 0.1,
        peak_at: hours(4.0),
        mean_online: hours(0.5),
        starts_at: SimDuration::ZERO,
        time_zones: SimDuration::ZERO,
    }
}

fn model(config: DiurnalConfig, seed: u64) -> Box<dyn AvailabilityModel> {
    assert_eq!(config.problems(), []);
    config.build(&BuildContext::new(Seeds::new(seed), 100)).unwrap()
}

#[test]
fn the_share_online_follows_the_hour_exactly() {
    let model = model(config(), 1);
    let n = 20_000;
    for (hour, expected) in [(0.0, 0.475), (4.0, 0.6), (10.0, 0.35), (16.0, 0.1), (22.0, 0.35), (28.0, 0.6)] {
        // 0.35 + 0.25 cos(2 pi (h - 4) / 24): 0.475 at midnight, where the cosine is that of 60 degrees.
        let online = (0..n).filter(|client| model.is_online(*client, at(hour * 3600.0))).count();
        let share = online as f64 / f64::from(n);
        // Five standard deviations are at most 5 sqrt(0.25 / 20,000) = 0.018.
        assert!((share - expected).abs() < 0.018, "{share} at {hour} h");
    }
}

#[test]
fn sessions_are_exponential_and_the_mean_share_is_that_of_the_swing() {
    let model = model(config(), 2);
    let end = at(20.0 * DAY_S);
    let (mut lengths, mut fraction) = (Vec::new(), 0.0);
    for client in 0..100 {
        fraction += model.online_fraction(client, end) / 100.0;
        let mut time = model.next_change(client, SimTime::ZERO);
        while time < end {
            let next = model.next_change(client, time);
            if model.is_online(client, time) {
                lengths.push(next.since(time).as_secs_f64() / 1800.0);
            }
            time = next;
        }
    }
    let n = lengths.len() as f64;
    let mean = lengths.iter().sum::<f64>() / n;
    // About 2,000 days x 24 x 0.35 / 0.5 = 33,600 sessions; an exponential's deviation is its mean.
    assert!(n > 30_000.0 && (mean - 1.0).abs() < 5.0 / n.sqrt(), "{mean}, n {n}");
    let longer = lengths.iter().filter(|length| **length > 1.0).count() as f64 / n;
    assert!((longer - (-1f64).exp()).abs() < 5.0 * (0.37 * 0.63 / n).sqrt(), "{longer}");
    // The deviation of an online fraction over T is below sqrt(2 p (1 - p) L / T), with p (1 - p) <= 1/4 and T = 2,000
    // days: 0.0023; five of them.
    assert!((fraction - 0.35).abs() < 0.012, "{fraction}");
}

#[test]
fn time_zones_spread_the_peak() {
    let flat = model(DiurnalConfig { time_zones: hours(24.0), ..config() }, 3);
    let n = 20_000;
    for hour in [4.0, 16.0] {
        let online = (0..n).filter(|client| flat.is_online(*client, at(hour * 3600.0))).count();
        // Averaged over the earth 0.35; 5 sqrt(0.35 x 0.65 / 20,000) = 0.017.
        assert!((online as f64 / f64::from(n) - 0.35).abs() < 0.017, "{online} at {hour} h");
    }
    let later = model(DiurnalConfig { starts_at: hours(16.0), ..config() }, 3);
    let online = (0..n).filter(|client| later.is_online(*client, SimTime::ZERO)).count();
    assert!((online as f64 / f64::from(n) - 0.1).abs() < 0.011, "{online} at the trough");
}

#[test]
fn bounds_hold_and_are_tight() {
    let steep = DiurnalConfig { online_at_peak: 0.95, online_at_trough: 0.3, peak_at: hours(13.5), ..config() };
    for config in [config(), steep] {
        let diurnal = Diurnal::new(config, Seeds::new(1));
        for hour in 0..HOURS {
            let rates = (0..=100).map(|step| diurnal.rate_at((hour as f64 + f64::from(step) / 100.0) * 3600.0));
            let highest = rates.clone().fold(0.0, f64::max);
            assert!(rates.clone().all(|rate| (0.0..=diurnal.bounds[hour]).contains(&rate)), "{hour} h");
            assert!(highest > 0.3 * diurnal.bounds[hour], "{hour} h: {highest} under {}", diurnal.bounds[hour]);
        }
    }
}

#[test]
fn the_longest_possible_session_is_the_one_stated() {
    // 2 sqrt(0.6 x 0.1) / 0.5 x 24 h / 2 pi = 3.742 h.
    let longest = config().mean_online_max_s() / 3600.0;
    assert!((longest - 3.7425).abs() < 1e-3, "{longest}");
    let lowest = |mean_h: f64| {
        let diurnal = Diurnal::new(DiurnalConfig { mean_online: hours(mean_h), ..config() }, Seeds::new(1));
        (0..86_400).map(|second| diurnal.rate_at(f64::from(second))).fold(f64::INFINITY, f64::min)
    };
    assert!(lowest(longest) > -1e-9 && lowest(longest * 1.01) < 0.0);
}

#[test]
fn what_cannot_be_is_named() {
    let paths = |config: DiurnalConfig| config.problems().into_iter().map(|problem| problem.path).collect::<Vec<_>>();
    assert_eq!(paths(DiurnalConfig { online_at_peak: 1.0, ..config() }), ["online_at_peak"]);
    assert_eq!(paths(DiurnalConfig { online_at_trough: 0.0, ..config() }), ["online_at_trough"]);
    assert_eq!(paths(DiurnalConfig { online_at_trough: 0.7, ..config() }), ["online_at_trough"]);
    assert_eq!(paths(DiurnalConfig { mean_online: hours(4.0), ..config() }), ["mean_online"]);
    assert_eq!(paths(DiurnalConfig { mean_online: SimDuration::ZERO, ..config() }), ["mean_online"]);
    let clock = DiurnalConfig { peak_at: hours(24.0), starts_at: hours(30.0), time_zones: hours(25.0), ..config() };
    assert_eq!(paths(clock), ["peak_at", "starts_at", "time_zones"]);
    let help = DiurnalConfig { mean_online: hours(4.0), ..config() }.problems()[0].help.clone().unwrap();
    assert_eq!(help, "at most `224 min`, or raise `online_at_trough`");
    assert_eq!(paths(DiurnalConfig { online_at_trough: 0.6, mean_online: hours(90.0), ..config() }), [""; 0]);
}

#[test]
fn skipping_days_finds_points_as_asking_each_hour_does() {
    // From 10 h on; points a day: 0.35 / 0.5 h x 24 h and more, so most within some hours.
    let diurnal = Diurnal::new(config(), Seeds::new(4));
    let n = 20_000;
    let shares = |next: &dyn Fn(&mut Stream) -> f64, purpose| {
        let waits: Vec<f64> =
            (0..n).map(|client| next(&mut diurnal.seeds.client(purpose, client)) / HOUR_S - 10.0).collect();
        [0.1, 0.5, 1.5, 3.0, 6.0].map(|hours| waits.iter().filter(|wait| **wait < hours).count() as f64 / f64::from(n))
    };
    let hourly = shares(&|stream| diurnal.next_point(10.0 * HOUR_S, stream), Purpose::Availability);
    let skipping = shares(&|stream| diurnal.next_rare_point(10.0 * HOUR_S, stream), Purpose::Crash);
    // Two shares of n differ by at most 5 sqrt(2 x 0.25 / n) = 0.025.
    assert!(hourly.iter().zip(skipping).all(|(a, b)| (a - b).abs() < 0.025), "{hourly:?} {skipping:?}");
    assert!(hourly[0] < 0.3 && hourly[4] > 0.8, "{hourly:?}");
}

#[test]
fn rare_returns_take_as_long_as_their_rate_says() {
    // Always 1e-5 online for 1 h: away for (1 - 1e-5) / 1e-5 h on average, an exponential.
    let rare = DiurnalConfig { online_at_peak: 1e-5, online_at_trough: 1e-5, mean_online: hours(1.0), ..config() };
    let diurnal = Diurnal::new(rare, Seeds::new(6));
    assert!(diurnal.points_a_day < POINTS_A_DAY_MIN);
    let n = 4000;
    let lengths = (0..n).map(|client| diurnal.length(client, 1, false, at(5000.0)).as_secs_f64() / HOUR_S);
    let mean = lengths.sum::<f64>() / f64::from(n);
    // The deviation of the mean is that of one, 1e5 h, over sqrt(n); five of them.
    assert!((mean - 99_999.0).abs() < 5.0 * 1e5 / f64::from(n).sqrt(), "{mean}");
}

#[test]
fn who_is_hardly_ever_online_is_not_waited_for_hour_by_hour() {
    for share in [1e-12, 1e-100] {
        let tiny = DiurnalConfig { online_at_peak: share, online_at_trough: share / 2.0, ..config() };
        let model = model(tiny, 5);
        // 1e-12 of half an hour's sessions: back after 5e11 h, where the clock ends after 5.1e6 h: one in 1e5 sees it.
        let never = (0..1000).filter(|client| model.next_online(*client, SimTime::ZERO) == crate::sim::NEVER);
        assert!(never.count() >= 999);
    }
}

#[test]
fn the_online_fraction_is_the_sum_of_the_online_periods() {
    assert_fraction_is_a_sum(&*model(config(), 3), 5, at(3.0 * DAY_S));
}

proptest! {
    #[test]
    fn queries_are_pure(queries in prop::collection::vec((0u32..4, 0u32..200_000), 1..40)) {
        let queries: Vec<_> = queries.into_iter().map(|(client, s)| (client, at(f64::from(s)))).collect();
        let spread = DiurnalConfig { time_zones: hours(9.0), ..config() };
        assert_queries_are_pure(|| model(spread, 9), &queries);
    }
}
