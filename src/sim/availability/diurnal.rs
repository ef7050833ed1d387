//! A population that follows the hour of the day.
//!
//! # Derivation
//! A client is a two-state Markov process in continuous time whose rates depend on the local time. It leaves at the constant
//! rate 1/L, so that sessions are exponential with mean L, and comes back at a rate r(t). The probability p(t) of being online
//! obeys p' = r (1 - p) - p / L. Asking for
//!
//! p(t) = M + A cos(w (t - peak)), M = (peak + trough) / 2, A = (peak - trough) / 2, w = 2 pi / 24 h
//!
//! gives r = (p' + p / L) / (1 - p). It is at least 0 for all t exactly when L <= sqrt(M^2 - A^2) / (A w): longer sessions
//! could not thin out as fast as p falls. A client that is online at time zero with probability p(0) is then online with
//! probability p(t) at each t.
//!
//! Returns are the first point of a Poisson process of rate r(t), drawn by thinning (Lewis and Shedler, "Simulation of
//! nonhomogeneous Poisson processes by thinning", 1979) under a bound of its own for each hour. Nothing is discretised.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_distr::Exp1;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Availability, AvailabilityModel};
use crate::registry::Problem;
use crate::seed::{Purpose, Seeds};
use crate::sim::local_time::{DAY_S, LocalTime, time_of_day_problem};
use crate::sim::periods::{Lengths, MEAN_MIN, Periods, length_of};
use crate::sim::{BuildContext, SimError};
use crate::units::{SimDuration, SimTime};

/// Online with a probability that swings once a day between two values; sessions of exponential length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiurnalConfig {
    /// Fraction of the clients that is online at the peak, in (0, 0.99].
    pub online_at_peak: f64,
    /// Fraction of the clients that is online twelve hours later, in (0, `online_at_peak`].
    pub online_at_trough: f64,
    /// Local time of day of the peak, in [0 h, 24 h).
    pub peak_at: SimDuration,
    /// Mean length of an online period, at least 1 ms; at most what the fall from peak to trough leaves room for.
    pub mean_online: SimDuration,
    /// Local time of day at the start of the run, in [0 h, 24 h). 0 h is midnight.
    #[serde(default)]
    pub starts_at: SimDuration,
    /// Clients' clocks are ahead of the earliest by a uniform draw from 0 to this, at most 24 h. 0 h: one time zone.
    #[serde(default)]
    pub time_zones: SimDuration,
}

const PEAK_MAX: f64 = 0.99;
const HOURS: usize = 24;

impl DiurnalConfig {
    fn local_time(&self) -> LocalTime {
        LocalTime { starts_at: self.starts_at, time_zones: self.time_zones }
    }

    /// Longest mean session for which the population can thin out as fast as it is to, in seconds.
    fn mean_online_max_s(&self) -> f64 {
        let (peak, trough) = (self.online_at_peak, self.online_at_trough);
        2.0 * (peak * trough).sqrt() / (peak - trough) * DAY_S / TAU
    }
}

impl Availability for DiurnalConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let (peak, trough) = (self.online_at_peak, self.online_at_trough);
        // Written so that NaN is refused too.
        let peak_is_good = peak > 0.0 && peak <= PEAK_MAX;
        if !peak_is_good {
            found.push(
                Problem::new("online_at_peak", format!("fraction {peak} is not in (0, {PEAK_MAX}]"))
                    .help("for clients that are always online write `availability: always`"),
            );
        }
        let trough_is_good = trough > 0.0 && trough <= peak;
        if peak_is_good && !trough_is_good {
            let message = format!("fraction {trough} is not in (0, online_at_peak], which is (0, {peak}]");
            found.push(Problem::new("online_at_trough", message).help("with 0 sessions could not outlast the trough"));
        }
        if self.mean_online < MEAN_MIN {
            let message = format!("mean {} is below {MEAN_MIN}", self.mean_online);
            found.push(Problem::new("mean_online", message).help("sessions of phones last minutes to hours"));
        }
        if peak_is_good && trough_is_good && self.mean_online.as_secs_f64() > self.mean_online_max_s() {
            let help = match self.mean_online_max_s() * 0.999 {
                most_s if most_s >= 60.0 => format!("at most `{}`, or ", length_of((most_s / 60.0).floor() * 60.0)),
                most_s if most_s >= 1.0 => format!("at most `{}`, or ", length_of(most_s.floor())),
                _ => String::new(),
            };
            let message = format!(
                "sessions of {} are too long for a population that falls from {peak} to {trough} within 12 hours",
                self.mean_online
            );
            found.push(Problem::new("mean_online", message).help(format!("{help}raise `online_at_trough`")));
        }
        found.extend(time_of_day_problem("peak_at", self.peak_at));
        found.extend(self.local_time().problems());
        found
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn AvailabilityModel>, SimError> {
        Ok(Box::new(Periods::new(Diurnal::new(*self, context.seeds))))
    }
}

struct Diurnal {
    config: DiurnalConfig,
    seeds: Seeds,
    /// Highest rate of returning within each hour of the local day, per second.
    bounds: [f64; HOURS],
}

impl Diurnal {
    fn new(config: DiurnalConfig, seeds: Seeds) -> Self {
        let mut made = Self { config, seeds, bounds: [0.0; HOURS] };
        made.bounds = std::array::from_fn(|hour| made.bound(hour));
        made
    }

    fn mean_and_swing(&self) -> (f64, f64) {
        let (peak, trough) = (self.config.online_at_peak, self.config.online_at_trough);
        ((peak + trough) / 2.0, (peak - trough) / 2.0)
    }

    fn angle(&self, local_s: f64) -> f64 {
        TAU / DAY_S * (local_s - self.config.peak_at.as_secs_f64())
    }

    /// p(t): probability of being online.
    fn online_at(&self, local_s: f64) -> f64 {
        let (mean, swing) = self.mean_and_swing();
        mean + swing * self.angle(local_s).cos()
    }

    /// r(t): rate at which an offline client returns, per second.
    fn rate_at(&self, local_s: f64) -> f64 {
        let (mean, swing) = self.mean_and_swing();
        let (sin, cos) = self.angle(local_s).sin_cos();
        let online = mean + swing * cos;
        (online / self.config.mean_online.as_secs_f64() - swing * TAU / DAY_S * sin) / (1.0 - online)
    }

    /// Bound of r within an hour: the highest numerator over the lowest denominator. The numerator
    /// M/L + A/L cos x - A w sin x is M/L + B cos(x + phase) with B = A sqrt(1/L^2 + w^2), tan(phase) = w L.
    fn bound(&self, hour: usize) -> f64 {
        let (mean, swing) = self.mean_and_swing();
        let leaving = 1.0 / self.config.mean_online.as_secs_f64();
        let turning = TAU / DAY_S;
        let from = self.angle(hour as f64 * 3600.0);
        let width = TAU / HOURS as f64;
        let numerator = mean * leaving + swing * leaving.hypot(turning) * cos_max(from + turning.atan2(leaving), width);
        // Lifted a little above rounding errors.
        numerator / (1.0 - mean - swing * cos_max(from, width)) * (1.0 + 1e-9)
    }
}

/// Highest cosine in [from, from + width], for a width below a turn.
fn cos_max(from: f64, width: f64) -> f64 {
    let to_next_crest = (-from).rem_euclid(TAU);
    if to_next_crest <= width { 1.0 } else { from.cos().max((from + width).cos()) }
}

impl Lengths for Diurnal {
    fn first(&self, client_id: u32) -> (bool, SimDuration) {
        let local_s = self.config.local_time().at_start_s(&self.seeds, client_id);
        let is_on = self.seeds.client(Purpose::Availability, client_id).random::<f64>() < self.online_at(local_s);
        (is_on, self.length(client_id, 0, is_on, SimTime::ZERO))
    }

    /// As a client is online for the mean fraction of the time, that is what its sessions are of both periods together.
    fn mean_s(&self) -> f64 {
        self.config.mean_online.as_secs_f64() / self.mean_and_swing().0 / 2.0
    }

    fn length(&self, client_id: u32, number: u32, is_on: bool, start: SimTime) -> SimDuration {
        // The stream of number 0 is the one that decides the state at time zero: the first period takes round 1.
        let mut stream = match number {
            0 => self.seeds.step(Purpose::Availability, client_id, 1, 0),
            _ => self.seeds.step(Purpose::Availability, client_id, 0, number),
        };
        if is_on {
            return length_of(self.config.mean_online.as_secs_f64() * stream.sample::<f64, _>(Exp1));
        }
        let origin_s = self.config.local_time().at_start_s(&self.seeds, client_id);
        let start_s = (origin_s + start.as_secs_f64()).rem_euclid(DAY_S);
        let mut local_s = start_s;
        loop {
            let hour = (local_s / 3600.0).floor();
            let bound = self.bounds[hour as usize % HOURS];
            let wait: f64 = stream.sample::<f64, _>(Exp1) / bound;
            let hour_end = (hour + 1.0) * 3600.0;
            if local_s + wait >= hour_end {
                local_s = hour_end;
                continue;
            }
            local_s += wait;
            if stream.random::<f64>() * bound < self.rate_at(local_s) {
                return length_of(local_s - start_s);
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        let paths =
            |config: DiurnalConfig| config.problems().into_iter().map(|problem| problem.path).collect::<Vec<_>>();
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
}
