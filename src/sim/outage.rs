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
    /// The online fraction of a client with a single outage: its own online periods, less what the outage takes of each.
    fn fraction_around(&self, outage: &Outage, client_id: u32, until: SimTime) -> f64 {
        let (mut time, mut online_ns) = (SimTime::ZERO, 0u128);
        while time < until {
            let end = self.inner.next_change(client_id, time).min(until);
            if self.inner.is_online(client_id, time) {
                online_ns += u128::from(end.since(time).as_nanos() - (outage.out_by(end) - outage.out_by(time)));
            }
            time = end;
        }
        online_ns as f64 / until.as_nanos() as f64
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
            [outage] => return self.fraction_around(outage, client_id, until),
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
        let edges = |outage: &Outage| outage.every.map_or(2.0, |every| 2.0 * until.as_nanos() as f64 / every as f64);
        // A single outage needs no walk.
        let of_outages =
            if self.outages.outages.len() > 1 { self.outages.outages.iter().map(edges).sum() } else { 0.0 };
        self.inner.periods_until(until) + of_outages
    }

    fn end_of_trace(&self) -> Option<&EndOfTrace> {
        self.inner.end_of_trace()
    }
}

#[cfg(test)]
mod tests {
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
        GroupNames {
            devices: names(&["phone", "tablet"]),
            networks: names(&["lte"]),
            regions: names(&["north", "south"]),
        }
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

    proptest! {
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
}
