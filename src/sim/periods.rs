//! Alternating on and off periods of each client, drawn when somebody asks.
//!
//! A period's length is a function of the client, the period's number and its start alone. So the process can be walked
//! from the start of the run to any instant, by anybody, in any order, and is always the same. Nothing is drawn for a
//! client that nobody asks about.

use std::sync::{Mutex, PoisonError};

use rand::RngExt;
use rand_distr::Exp1;

use super::{AvailabilityModel, NEVER};
use crate::seed::{Purpose, Seeds};
use crate::units::{SimDuration, SimTime};

/// The shortest mean length of a period. Shorter ones are noise of the link rather than absence, and millions of them would
/// have to be drawn.
pub(in crate::sim) const MEAN_MIN: SimDuration = SimDuration::from_nanos(1_000_000);

/// How long periods are.
pub(in crate::sim) trait Lengths: Send + Sync {
    /// Whether a client is on at time zero, and what remains of that period.
    fn first(&self, client_id: u32) -> (bool, SimDuration);

    /// Mean length of a period, on and off ones together, in seconds.
    fn mean_s(&self) -> f64;

    /// Length of the client's period of this number, 1 or more, which begins at `start`.
    fn length(&self, client_id: u32, number: u32, is_on: bool, start: SimTime) -> SimDuration;
}

/// The periods of all clients.
pub(in crate::sim) struct Periods<L> {
    lengths: L,
    /// The period found last for each client: where the next search starts. It saves time and changes no answer.
    found: Mutex<Vec<Option<Period>>>,
}

/// One period of one client.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct Period {
    pub(in crate::sim) start: SimTime,
    pub(in crate::sim) end: SimTime,
    /// Time on before the start.
    on_before: SimDuration,
    number: u32,
    pub(in crate::sim) is_on: bool,
}

impl<L: Lengths> Periods<L> {
    pub(in crate::sim) fn new(lengths: L) -> Self {
        Self { lengths, found: Mutex::new(Vec::new()) }
    }

    /// The period that holds `time`.
    pub(in crate::sim) fn at(&self, client_id: u32, time: SimTime) -> Period {
        // A panic elsewhere cannot leave a half-written period behind: each is stored whole.
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let index = client_id as usize;
        if index >= found.len() {
            found.resize(index + 1, None);
        }
        let known = found[index].filter(|period| period.start <= time);
        let mut period = known.unwrap_or_else(|| self.first(client_id));
        while period.end <= time && period.end != NEVER {
            period = self.after(client_id, period);
        }
        found[index] = Some(period);
        period
    }

    fn first(&self, client_id: u32) -> Period {
        let (is_on, length) = self.lengths.first(client_id);
        let start = SimTime::ZERO;
        Period { start, end: start + length, on_before: SimDuration::ZERO, number: 0, is_on }
    }

    /// The period after `period`.
    pub(in crate::sim) fn after(&self, client_id: u32, period: Period) -> Period {
        // Lengths repeat after 2^32 periods, which nobody lives to see.
        let (number, is_on, start) = (period.number.wrapping_add(1), !period.is_on, period.end);
        let end = start + self.lengths.length(client_id, number, is_on, start);
        Period { start, end, on_before: period.on_by(start), number, is_on }
    }
}

impl Period {
    /// Time on from the start of the run to `time`, which lies in this period or at its end.
    fn on_by(&self, time: SimTime) -> SimDuration {
        if self.is_on { self.on_before + time.since(self.start) } else { self.on_before }
    }
}

/// On and off periods with exponential lengths, started in the stationary state: on at time zero with probability
/// `mean_on / (mean_on + mean_off)`.
pub(in crate::sim) struct ExponentialPeriods {
    pub(in crate::sim) seeds: Seeds,
    /// Whose streams the lengths are drawn from.
    pub(in crate::sim) purpose: Purpose,
    pub(in crate::sim) mean_on: SimDuration,
    pub(in crate::sim) mean_off: SimDuration,
}

impl ExponentialPeriods {
    fn drawn(&self, unit: f64, is_on: bool) -> SimDuration {
        let mean = if is_on { self.mean_on } else { self.mean_off };
        length_of(mean.as_secs_f64() * unit)
    }
}

impl Lengths for ExponentialPeriods {
    /// The first period's length has the distribution of any other, because what remains of an exponential period is
    /// exponential.
    fn first(&self, client_id: u32) -> (bool, SimDuration) {
        let mut stream = self.seeds.client(self.purpose, client_id);
        let (on, off) = (self.mean_on.as_secs_f64(), self.mean_off.as_secs_f64());
        let is_on = stream.random::<f64>() * (on + off) < on;
        (is_on, self.drawn(stream.sample(Exp1), is_on))
    }

    fn mean_s(&self) -> f64 {
        f64::midpoint(self.mean_on.as_secs_f64(), self.mean_off.as_secs_f64())
    }

    /// Drawn from a stream of its own: nothing but its number has to be remembered.
    fn length(&self, client_id: u32, number: u32, is_on: bool, _start: SimTime) -> SimDuration {
        self.drawn(self.seeds.step(self.purpose, client_id, 0, number).sample(Exp1), is_on)
    }
}

/// A number of seconds as a length; one that the clock cannot hold never ends.
pub(in crate::sim) fn length_of(seconds: f64) -> SimDuration {
    SimDuration::from_secs_f64(seconds).unwrap_or(SimDuration::from_nanos(u64::MAX))
}

impl<L: Lengths> AvailabilityModel for Periods<L> {
    fn is_online(&self, client_id: u32, time: SimTime) -> bool {
        self.at(client_id, time).is_on
    }

    fn next_change(&self, client_id: u32, time: SimTime) -> SimTime {
        self.at(client_id, time).end
    }

    fn online_fraction(&self, client_id: u32, until: SimTime) -> f64 {
        let period = self.at(client_id, until);
        if until == SimTime::ZERO {
            return f64::from(u8::from(period.is_on));
        }
        period.on_by(until).as_nanos() as f64 / until.as_nanos() as f64
    }

    fn periods_until(&self, until: SimTime) -> f64 {
        until.as_secs_f64() / self.lengths.mean_s()
    }
}

/// Whatever was asked before, in any order, an answer is that of a model that was asked nothing else.
#[cfg(test)]
pub(in crate::sim) fn assert_queries_are_pure(
    make: impl Fn() -> Box<dyn AvailabilityModel>,
    queries: &[(u32, SimTime)],
) {
    let busy = make();
    for &(client, time) in queries {
        let fresh = make();
        assert_eq!(busy.is_online(client, time), fresh.is_online(client, time), "{client} at {time:?}");
        assert_eq!(busy.next_change(client, time), fresh.next_change(client, time), "{client} at {time:?}");
        assert_eq!(busy.online_fraction(client, time), fresh.online_fraction(client, time), "{client} at {time:?}");
        let (until, next) = (busy.online_until(client, time), busy.next_online(client, time));
        assert_eq!(busy.is_online(client, time), until > time);
        assert_eq!(busy.is_online(client, time), next == time);
        assert!(next == NEVER || busy.is_online(client, next), "{client} is back at {next:?}");
        assert!(until == NEVER || !busy.is_online(client, until), "{client} is gone at {until:?}");
    }
}

/// The online fraction is the sum of the online periods over the time.
#[cfg(test)]
pub(in crate::sim) fn assert_fraction_is_a_sum(model: &dyn AvailabilityModel, client: u32, end: SimTime) {
    let (mut time, mut online) = (SimTime::ZERO, 0);
    while time < end {
        let next = model.next_change(client, time).min(end);
        assert!(next > time, "time stands still at {time:?}");
        online += if model.is_online(client, time) { next.since(time).as_nanos() } else { 0 };
        time = next;
    }
    assert_eq!(model.online_fraction(client, end), online as f64 / end.as_nanos() as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_is_followed_by_the_first() {
        let mean = SimDuration::from_nanos(1_000_000);
        let lengths =
            ExponentialPeriods { seeds: Seeds::new(1), purpose: Purpose::Availability, mean_on: mean, mean_off: mean };
        let periods = Periods::new(lengths);
        let last = Period { number: u32::MAX, ..periods.first(3) };
        let next = periods.after(3, last);
        assert_eq!((next.number, next.start, next.is_on), (0, last.end, !last.is_on));
    }
}
