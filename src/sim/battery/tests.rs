//! Levels over time, against straight lines.

use super::*;
use crate::units::Energy;
use proptest::prelude::*;

const HOUR_S: f64 = 3600.0;

fn at(seconds: f64) -> SimTime {
    SimTime::ZERO + length_of(seconds)
}

fn hours(hours: f64) -> SimDuration {
    length_of(hours * HOUR_S)
}

/// 10 Wh, half full, reserve 0.2, plugged in with 5 W from 22 h for 8 h where wished; the run starts at midnight.
fn config(is_charged: bool) -> BatteryConfig {
    BatteryConfig {
        capacity: Energy::from_joules(36_000.0),
        initial: InitialLevel::Fixed(0.5),
        reserve: 0.2,
        start_above: 0.3,
        charging: is_charged.then_some(ChargingConfig {
            power: Power::from_watts(5.0),
            from: hours(22.0),
            lasting: hours(8.0),
            starts_at: SimDuration::ZERO,
            time_zones: SimDuration::ZERO,
        }),
    }
}

fn battery(config: BatteryConfig) -> Battery {
    let idle = Power::from_watts(0.5);
    assert_eq!(config.problems(Some(idle)), []);
    Battery::new(config, idle, Seeds::new(8))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn a_constant_draw_is_a_straight_line_down_to_zero() {
    let battery = battery(config(false));
    let start = battery.initial(0);
    assert_eq!(start, BatteryState { joules: 18_000.0, at: SimTime::ZERO });
    // 18,000 J - 1,000 s x (0.5 + 4) W = 13,500 J.
    assert!(close(battery.advance(0, start, at(1000.0), 4.0).joules, 13_500.0));
    // From 18,000 J to 7,200 J at 4.5 W: 2,400 s. At 0.5 W: 21,600 s.
    assert_eq!(battery.empty_at(0, start, 4.0), at(2400.0));
    assert_eq!(battery.empty_at(0, start, 0.0), at(21_600.0));
    assert_eq!(battery.advance(0, start, at(1e6), 4.0).joules, 0.0);
    assert!(battery.is_usable(start));
    // 0.3 x 36,000 J = 10,800 J.
    assert!(battery.is_usable(BatteryState { joules: 10_800.0, ..start }));
    assert!(!battery.is_usable(BatteryState { joules: 10_799.0, ..start }));
    let low = BatteryState { joules: 7000.0, at: at(9.0) };
    assert_eq!(battery.empty_at(0, low, 4.0), at(9.0));
    assert_eq!(battery.advance(0, low, at(3.0), 4.0), low, "a time before the state changes nothing");
}

#[test]
fn it_charges_in_its_window_and_stops_when_full() {
    let battery = battery(config(true));
    let start = battery.initial(0);
    // Plugged in until 6 h: 4.5 W net. 18,000 J are missing: full after 4,000 s.
    assert!(close(battery.advance(0, start, at(1000.0), 0.0).joules, 22_500.0));
    assert!(close(battery.advance(0, start, at(4000.0), 0.0).joules, 36_000.0));
    assert_eq!(battery.advance(0, start, at(6.0 * HOUR_S), 0.0).joules, 36_000.0);
    // From 6 h to 22 h idle: 57,600 s x 0.5 W = 28,800 J.
    assert!(close(battery.advance(0, start, at(22.0 * HOUR_S), 0.0).joules, 7200.0));
    assert!(close(battery.advance(0, start, at(22.0 * HOUR_S + 1000.0), 0.0).joules, 11_700.0));
    // At 6.5 W net drain of 2 W while plugged in and 7 W after it: 18,000 - 7,200 = 10,800 J last 5,400 s.
    assert_eq!(battery.empty_at(0, start, 6.5), at(5400.0));
    // Idle it falls to the reserve exactly when it is plugged in again; a little less capacity to lose, and never.
    assert_eq!(battery.empty_at(0, start, 0.0), at(22.0 * HOUR_S));
    let lean = Battery { idle_w: 0.49, ..battery };
    assert_eq!(lean.empty_at(0, start, 0.0), NEVER);
}

#[test]
fn a_slow_loss_over_many_days_is_found() {
    // 8 h x (5 - 3.4) W - 16 h x (3.4 - 2.5) would be a gain; idle 0.5 W and a draw of 1.2 W lose per day
    // 24 h x 1.7 W - 8 h x 5 W = 0.8 Wh = 2,880 J, below full. The reserve is met some days later, on the falling side.
    let big = BatteryConfig { capacity: Energy::from_joules(360_000.0), ..config(true) };
    let battery = battery(big);
    let start = battery.initial(0);
    let empty = battery.empty_at(0, start, 1.2);
    assert!(empty > at(20.0 * DAY_S) && empty < at(40.0 * DAY_S), "{empty:?}");
    assert!(close(battery.advance(0, start, empty, 1.2).joules, 72_000.0));
    // 1.1 W lose 24 x 1.6 - 40 = -1.6 Wh: a gain.
    assert_eq!(battery.empty_at(0, start, 1.1), NEVER);
}

#[test]
fn it_is_usable_again_when_charging_has_brought_it_so_far() {
    let battery = battery(config(true));
    // 0.3 x 36,000 J = 10,800 J. From 7200 J at 22 h with 4.5 W net: 3600 J take 800 s.
    let low = BatteryState { joules: 7200.0, at: at(22.0 * HOUR_S) };
    assert_eq!(battery.usable_at(0, low, low.at), at(22.0 * HOUR_S + 800.0));
    assert_eq!(battery.usable_at(0, low, at(22.0 * HOUR_S + 300.0)), at(22.0 * HOUR_S + 800.0));
    assert_eq!(battery.usable_at(0, low, at(23.0 * HOUR_S)), at(23.0 * HOUR_S), "it is so already");
    // Unplugged at 6 h it falls below, and is back after the same rise the next evening: 10,799 J at noon, 0.5 W for
    // 10 h take 18,000 J, more than there is; from 0 J at 22 h on 10,800 J take 2,400 s.
    let noon = BatteryState { joules: 10_799.0, at: at(12.0 * HOUR_S) };
    assert_eq!(battery.usable_at(0, noon, noon.at), at(22.0 * HOUR_S + 2400.0));
    let without = Battery { config: config(false), ..battery.clone() };
    assert_eq!(without.usable_at(0, low, low.at), NEVER);
    // 8 h x 0.1 W add 2,880 J to 7,200 J, and 16 h x 4.9 W take all of it again.
    let weak = Battery { idle_w: 4.9, ..battery };
    assert_eq!(weak.usable_at(0, low, low.at), NEVER);
}

#[test]
fn time_zones_move_the_window() {
    let spread = |mut config: BatteryConfig| {
        let charging = config.charging.as_mut().unwrap();
        (charging.starts_at, charging.time_zones) = (hours(12.0), hours(4.0));
        config
    };
    let battery = battery(spread(config(true)));
    // At noon to 16 h local nobody is plugged in; 10 h later everybody is, 6 h later only those ahead by 4 h or more.
    let rising = |client, hour: f64| {
        let state = BatteryState { joules: 10_000.0, at: at(hour * HOUR_S) };
        battery.advance(client, state, at(hour * HOUR_S + 1.0), 0.0).joules > 10_000.0
    };
    assert!((0..200).all(|client| !rising(client, 0.0) && rising(client, 10.0)));
    let early = (0..2000).filter(|client| rising(*client, 8.0)).count();
    // 8 h after noon: local 20 h to 24 h, half of them at or after 22 h. 5 sqrt(0.25 x 2,000) = 112.
    assert!((888..1112).contains(&early), "{early}");
}

#[test]
fn levels_are_drawn_uniformly() {
    let drawn = InitialLevel::Drawn(DrawnLevel { uniform: [0.3, 1.0] });
    let battery = battery(BatteryConfig { initial: drawn, ..config(false) });
    let levels: Vec<f64> = (0..10_000).map(|client| battery.initial(client).joules / 36_000.0).collect();
    let mean = levels.iter().sum::<f64>() / 10_000.0;
    // The deviation is 0.7 / sqrt(12) = 0.202; five standard errors 0.0101.
    assert!((mean - 0.65).abs() < 0.0101 && levels.iter().all(|level| (0.3..1.0).contains(level)), "{mean}");
}

#[test]
fn what_is_wrong_is_named() {
    let bad = BatteryConfig {
        capacity: Energy::from_joules(0.0),
        initial: InitialLevel::Drawn(DrawnLevel { uniform: [0.9, 0.1] }),
        reserve: 0.4,
        start_above: 0.4,
        charging: Some(ChargingConfig {
            power: Power::from_watts(0.5),
            from: hours(24.0),
            lasting: SimDuration::ZERO,
            starts_at: SimDuration::ZERO,
            time_zones: hours(25.0),
        }),
    };
    let paths =
        |config: BatteryConfig, idle| config.problems(idle).into_iter().map(|problem| problem.path).collect::<Vec<_>>();
    let expected = [
        "capacity",
        "initial.uniform",
        "start_above",
        "charging.power",
        "charging.from",
        "charging.for",
        "charging.time_zones",
    ];
    assert_eq!(paths(bad, Some(Power::from_watts(0.5))), expected);
    assert_eq!(paths(config(true), None), [""]);
    let initial = InitialLevel::Fixed(f64::NAN);
    assert_eq!(paths(BatteryConfig { initial, reserve: 1.0, ..config(false) }, None), ["", "initial", "reserve"]);
}

proptest! {
    #[test]
    fn advancing_twice_is_advancing_once(
        is_charged: bool, level in 0.0f64..1.0, from in 0u32..200_000, first in 0u32..200_000, then in 0u32..200_000,
        watts in 0.0f64..8.0,
    ) {
        let battery = battery(config(is_charged));
        let state = BatteryState { joules: level * 36_000.0, at: at(f64::from(from)) };
        let (middle, end) = (at(f64::from(from + first)), at(f64::from(from + first + then)));
        let once = battery.advance(3, state, end, watts);
        let twice = battery.advance(3, battery.advance(3, state, middle, watts), end, watts);
        prop_assert!(close(once.joules, twice.joules) && once.at == twice.at);
        prop_assert!((0.0..=36_000.0).contains(&once.joules));
    }

    /// At `usable_at` enough is left, and at no earlier time since it was asked for.
    #[test]
    fn usable_at_is_when_there_is_enough(
        level in 0.0f64..0.3, from in 0u32..200_000, asked in 0u32..200_000, power in 0.51f64..9.0,
    ) {
        let mut settings = config(true);
        settings.charging.as_mut().unwrap().power = Power::from_watts(power);
        let battery = battery(settings);
        let state = BatteryState { joules: level * 36_000.0, at: at(f64::from(from)) };
        let asked = at(f64::from(from + asked));
        let usable = battery.usable_at(3, state, asked);
        let is_usable = |time| battery.is_usable(battery.advance(3, state, time, 0.0));
        if usable != NEVER {
            prop_assert!(is_usable(usable));
            let before = SimTime::from_nanos(usable.as_nanos().saturating_sub(1_000_000).max(asked.as_nanos()));
            prop_assert!(usable == asked || before == asked || !is_usable(before));
        }
        let watched = usable.min(asked + hours(24.0 * 20.0)).since(asked);
        for step in 0..200 {
            let time = asked + watched.scaled(f64::from(step) / 200.0 * (1.0 - 1e-6));
            prop_assert!(time == usable || !is_usable(time), "{step}");
        }
    }

    /// Just before `empty_at` more than the reserve is left, at it no more; at no earlier time less.
    #[test]
    fn empty_at_is_when_the_reserve_is_reached(
        is_charged: bool, level in 0.21f64..1.0, from in 0u32..200_000, watts in 0.0f64..8.0,
    ) {
        let battery = battery(config(is_charged));
        let state = BatteryState { joules: level * 36_000.0, at: at(f64::from(from)) };
        let empty = battery.empty_at(3, state, watts);
        let left = |time| battery.advance(3, state, time, watts).joules - 7200.0;
        if empty != NEVER {
            prop_assert!(left(empty).abs() < 1e-4, "{}", left(empty));
            let before = SimTime::from_nanos(empty.as_nanos().saturating_sub(1_000_000).max(state.at.as_nanos()));
            prop_assert!(left(before) > 0.0);
        }
        let watched = empty.min(state.at + hours(24.0 * 20.0)).since(state.at);
        for step in 0..200 {
            let time = state.at + watched.scaled(f64::from(step) / 200.0);
            prop_assert!(left(time) > -1e-6, "{} of {} at {step}", left(time), watts);
        }
    }
}
