//! Outages that hit many clients at once: a region without power, a carrier that is down, a class of devices that updates.

mod config;

pub use config::{GroupNames, Membership, OutageConfig};

use std::sync::Arc;

use rand::RngExt;

use super::{AvailabilityModel, EndOfTrace, NEVER};
use crate::seed::{Purpose, Seeds};
use crate::units::{SimDuration, SimTime};

/// All outages of a run. Answers depend on the client and the time alone.
#[derive(Clone)]
pub struct Outages {
    outages: Vec<Outage>,
    seeds: Seeds,
    membership: Arc<dyn Fn(u32) -> Membership + Send + Sync>,
}

#[derive(Debug, Clone)]
struct Outage {
    start: u64,
    duration: u64,
    every: Option<u64>,
    device: Option<usize>,
    network: Option<usize>,
    region: Option<usize>,
    fraction: f64,
    number: u32,
}

impl Outage {
    /// True while it lasts, and when that changes next.
    fn state(&self, time: SimTime) -> (bool, SimTime) {
        let time = time.as_nanos();
        if time < self.start {
            return (false, SimTime::from_nanos(self.start));
        }
        let (since, origin) = match self.every {
            None => (time - self.start, self.start),
            Some(every) => ((time - self.start) % every, time - (time - self.start) % every),
        };
        let is_out = since < self.duration;
        let change = if is_out { Some(self.duration) } else { self.every };
        (is_out, change.map_or(NEVER, |after| SimTime::from_nanos(origin.saturating_add(after))))
    }

    /// How long it has lasted in all by `time`.
    fn out_by(&self, time: SimTime) -> u64 {
        let since = time.as_nanos().saturating_sub(self.start);
        match self.every {
            None => since.min(self.duration),
            Some(every) => since / every * self.duration + (since % every).min(self.duration),
        }
    }

    /// About how often it begins or ends by `until`.
    fn edges_until(&self, until: SimTime) -> f64 {
        self.every.map_or(2.0, |every| (2.0 * until.as_nanos() as f64 / every as f64).max(2.0))
    }
}

impl Outages {
    /// The outages of a run.
    ///
    /// # Panics
    /// If an outage names a class or a region that is not among the names: [`OutageConfig::problems`] told so before.
    pub fn new(
        configs: &[OutageConfig],
        names: &GroupNames,
        seeds: Seeds,
        membership: Arc<dyn Fn(u32) -> Membership + Send + Sync>,
    ) -> Self {
        let number_of = |name: &Option<String>, known: &[String]| {
            let position = |name| known.iter().position(|known| known == name);
            name.as_ref().map(|name| position(name).expect("a checked outage names groups that there are"))
        };
        let outages = configs.iter().zip(0u32..).map(|(config, number)| Outage {
            start: config.start.as_nanos(),
            duration: config.duration.as_nanos(),
            every: config.every.map(SimDuration::as_nanos),
            device: number_of(&config.device, &names.devices),
            network: number_of(&config.network, &names.networks),
            region: number_of(&config.region, &names.regions),
            fraction: config.fraction,
            number,
        });
        Self { outages: outages.collect(), seeds, membership }
    }

    /// True when an outage keeps the client offline at `time`.
    pub fn is_out(&self, client_id: u32, time: SimTime) -> bool {
        self.outages.iter().any(|outage| outage.state(time).0 && self.hits(outage, client_id))
    }

    /// The model in which clients are offline while they are out.
    pub fn around(self, inner: Arc<dyn AvailabilityModel>) -> Arc<dyn AvailabilityModel> {
        if self.outages.is_empty() { inner } else { Arc::new(WithOutages { outages: self, inner }) }
    }

    fn hits(&self, outage: &Outage, client_id: u32) -> bool {
        if (outage.device, outage.network, outage.region) != (None, None, None) {
            let member = (self.membership)(client_id);
            let is = |wanted: Option<usize>, number| wanted.is_none_or(|wanted| wanted == number);
            if !(is(outage.device, member.device)
                && is(outage.network, member.network)
                && is(outage.region, member.region))
            {
                return false;
            }
        }
        // Only what is not certain is drawn.
        outage.fraction >= 1.0
            || self.seeds.task(Purpose::Outage, client_id, outage.number).random::<f64>() < outage.fraction
    }

    /// The outages that hit a client.
    fn of(&self, client_id: u32) -> ThoseOf<'_> {
        ThoseOf(self.outages.iter().filter(|outage| self.hits(outage, client_id)).collect())
    }
}

/// The outages of one client.
struct ThoseOf<'a>(Vec<&'a Outage>);

impl ThoseOf<'_> {
    /// Whether the client is out at `time`, and when an outage next begins or ends for it. While several last, each end is
    /// told, though the client is still out.
    fn state(&self, time: SimTime) -> (bool, SimTime) {
        let states = self.0.iter().map(|outage| outage.state(time));
        states.fold((false, NEVER), |(any, first), (is_out, change)| (any || is_out, first.min(change)))
    }

    /// The latest end of the outages that last at `time`; none when none does.
    fn end(&self, time: SimTime) -> Option<SimTime> {
        let states = self.0.iter().map(|outage| outage.state(time));
        states.filter_map(|(is_out, change)| is_out.then_some(change)).max()
    }
}

struct WithOutages {
    outages: Outages,
    inner: Arc<dyn AvailabilityModel>,
}

/// A client that so many outages, its own absences between them, keep away one after the other counts as gone for good: two
/// cycles of the same length can miss each other for ever.
const ABSENCES_MAX: u32 = 100_000;

impl WithOutages {
    /// The online fraction of a client with a single outage: its own online periods, less what the outage takes of each. None
    /// when these are more than `n_max`.
    fn fraction_around(&self, outage: &Outage, client_id: u32, until: SimTime, n_max: u64) -> Option<f64> {
        let (mut time, mut online_ns, mut n) = (SimTime::ZERO, 0u128, 0);
        while time < until {
            if n == n_max {
                return None;
            }
            n += 1;
            let end = self.inner.next_change(client_id, time).min(until);
            if self.inner.is_online(client_id, time) {
                online_ns += u128::from(end.since(time).as_nanos() - (outage.out_by(end) - outage.out_by(time)));
            }
            time = end;
        }
        Some(online_ns as f64 / until.as_nanos() as f64)
    }
}

impl AvailabilityModel for WithOutages {
    fn is_online(&self, client_id: u32, time: SimTime) -> bool {
        !self.outages.is_out(client_id, time) && self.inner.is_online(client_id, time)
    }

    fn next_change(&self, client_id: u32, time: SimTime) -> SimTime {
        let outages = self.outages.of(client_id);
        let (is_out, change) = outages.state(time);
        if !is_out && self.inner.is_online(client_id, time) {
            return change.min(self.inner.next_change(client_id, time));
        }
        let mut time = time;
        for _ in 0..ABSENCES_MAX {
            // The client itself is asked about instants at which no outage lasts, so about few, and by rising time.
            match outages.end(time) {
                Some(end) => time = end,
                None => match self.inner.next_online(client_id, time) {
                    back if back == time => return time,
                    back => time = back,
                },
            }
            if time == NEVER {
                return NEVER;
            }
        }
        NEVER
    }

    fn online_fraction(&self, client_id: u32, until: SimTime) -> f64 {
        if until == SimTime::ZERO {
            return f64::from(u8::from(self.is_online(client_id, until)));
        }
        let outages = self.outages.of(client_id);
        match outages.0[..] {
            [] => return self.inner.online_fraction(client_id, until),
            [outage] => {
                // Where it is known at once how long the client was online by any instant, the outage's edges may be fewer.
                let n_max =
                    if self.inner.periods_until(until) > 0.0 { u64::MAX } else { outage.edges_until(until) as u64 };
                if let Some(fraction) = self.fraction_around(outage, client_id, until, n_max) {
                    return fraction;
                }
            }
            _ => {}
        }
        // The client's own online time, less the part of it that lies within outages.
        let own = |time: SimTime| self.inner.online_fraction(client_id, time) * time.as_secs_f64();
        let (mut time, mut within_s) = (SimTime::ZERO, Vec::new());
        while time < until {
            let (is_out, change) = outages.state(time);
            let end = change.min(until);
            if is_out {
                let before = if time == SimTime::ZERO { 0.0 } else { own(time) };
                within_s.push(own(end) - before);
            }
            time = end;
        }
        // Asked last: the client's periods are found by rising time.
        let online_s = within_s.into_iter().fold(own(until), |online_s, within_s| online_s - within_s);
        (online_s / until.as_secs_f64()).clamp(0.0, 1.0)
    }

    fn periods_until(&self, until: SimTime) -> f64 {
        let own = self.inner.periods_until(until);
        let of_outages = match &self.outages.outages[..] {
            // The client's own periods are gone through, where it has any, and not the outage's.
            [_] if own > 0.0 || self.inner.never_changes() => 0.0,
            outages => outages.iter().map(|outage| outage.edges_until(until)).sum(),
        };
        own + of_outages
    }

    fn end_of_trace(&self) -> Option<&EndOfTrace> {
        self.inner.end_of_trace()
    }
}

#[cfg(test)]
mod tests;
