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
//! Where clients return once in many days, the next point under the bounds is found by inverting their integral, whole days
//! at once, in place of asking each hour.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_distr::Exp1;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Availability, AvailabilityModel};
use crate::registry::Problem;
use crate::seed::{Purpose, Seeds, Stream};
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
const HOUR_S: f64 = DAY_S / HOURS as f64;
/// With fewer points under the bounds in a day, days are skipped.
const POINTS_A_DAY_MIN: f64 = 0.01;
/// End of the clock's range: who returns later never does.
const CLOCK_S: f64 = u64::MAX as f64 / 1e9;

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
    /// Their integral over a day: how many points a process of these rates has in a day on average.
    points_a_day: f64,
}

impl Diurnal {
    fn new(config: DiurnalConfig, seeds: Seeds) -> Self {
        let mut made = Self { config, seeds, bounds: [0.0; HOURS], points_a_day: 0.0 };
        made.bounds = std::array::from_fn(|hour| made.bound(hour));
        made.points_a_day = made.bounds.iter().sum::<f64>() * HOUR_S;
        made
    }

    fn bound_at(&self, local_s: f64) -> f64 {
        self.bounds[(local_s / HOUR_S).floor() as usize % HOURS]
    }

    /// The next point after `local_s` of a process that has the bounds for its rates, asked hour by hour.
    fn next_point(&self, mut local_s: f64, stream: &mut Stream) -> f64 {
        loop {
            let wait = stream.sample::<f64, _>(Exp1) / self.bound_at(local_s);
            let hour_end = hour_end(local_s);
            if local_s + wait < hour_end {
                return local_s + wait;
            }
            local_s = hour_end;
        }
    }

    /// The same by one draw: the integral of the bounds up to the next point is exponential. Infinite beyond the clock's range.
    fn next_rare_point(&self, local_s: f64, stream: &mut Stream) -> f64 {
        let integral: f64 = stream.sample(Exp1);
        let n_days = (integral / self.points_a_day).floor();
        let mut local_s = local_s + n_days * DAY_S;
        let mut left = integral - n_days * self.points_a_day;
        // By rounding more may be left than a day has.
        while local_s < CLOCK_S {
            let (bound, hour_end) = (self.bound_at(local_s), hour_end(local_s));
            let of_hour = bound * (hour_end - local_s);
            if left < of_hour {
                return local_s + left / bound;
            }
            left -= of_hour;
            local_s = hour_end;
        }
        f64::INFINITY
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
        let from = self.angle(hour as f64 * HOUR_S);
        let width = TAU / HOURS as f64;
        let numerator = mean * leaving + swing * leaving.hypot(turning) * cos_max(from + turning.atan2(leaving), width);
        // Lifted a little above rounding errors.
        numerator / (1.0 - mean - swing * cos_max(from, width)) * (1.0 + 1e-9)
    }
}

fn hour_end(local_s: f64) -> f64 {
    ((local_s / HOUR_S).floor() + 1.0) * HOUR_S
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
            local_s = match self.points_a_day < POINTS_A_DAY_MIN {
                true => self.next_rare_point(local_s, &mut stream),
                false => self.next_point(local_s, &mut stream),
            };
            if local_s - start_s >= CLOCK_S {
                return length_of(f64::INFINITY);
            }
            if stream.random::<f64>() * self.bound_at(local_s) < self.rate_at(local_s) {
                return length_of(local_s - start_s);
            }
        }
    }
}

#[cfg(test)]
mod tests;
