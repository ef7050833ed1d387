//! The model against the long way, and against what queueing theory says.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::RngExt;
use rand_distr::{Exp1, StandardNormal};

use super::reference::Fluid;
use crate::seed::{Purpose, Seeds, Stream};
use crate::sim::network::{
    ConstantConfig, Direction, Flow, NetworkModel, RegionConfig, ServerNetworkConfig, SharingConfig,
};
use crate::units::{Bandwidth, Bytes, SimDuration, SimTime};

fn mb_per_s(rate: f64) -> Bandwidth {
    Bandwidth::from_bits_per_s(rate * 8e6)
}

/// Links in MB/s, the same in both directions; infinite is no limit.
#[derive(Debug, Clone)]
struct Links {
    server: f64,
    regions: Vec<f64>,
}

impl Links {
    fn model(&self) -> Box<dyn NetworkModel> {
        let (server, regions) = self.config(SharingConfig::default());
        server.build(&regions)
    }

    fn config(&self, sharing: SharingConfig) -> (ServerNetworkConfig, Vec<RegionConfig>) {
        let limit = |rate: f64| rate.is_finite().then(|| mb_per_s(rate));
        let region = |rate: &f64| RegionConfig {
            share: 1.0,
            uplink: limit(*rate),
            downlink: limit(*rate),
            latency: SimDuration::ZERO,
        };
        let regions = self.regions.iter().map(region).collect();
        let (uplink, downlink) = (limit(self.server), limit(self.server));
        (ServerNetworkConfig { uplink, downlink, sharing }, regions)
    }

    fn fluid(&self) -> Fluid {
        let regions = if self.regions.is_empty() { &[f64::INFINITY][..] } else { &self.regions };
        Fluid::new(self.server * 1e6, regions.iter().map(|rate| rate * 1e6).collect())
    }
}

/// A network that is saved and restored after every change.
struct Reopened {
    config: (ServerNetworkConfig, Vec<RegionConfig>),
    network: Box<dyn NetworkModel>,
}

impl Reopened {
    fn after<T>(&mut self, now: SimTime, change: impl FnOnce(&mut dyn NetworkModel) -> T) -> T {
        let result = change(&mut *self.network);
        let (server, regions) = &self.config;
        self.network = server.restore(regions, &self.network.save(), now).expect("it was just saved");
        result
    }
}

impl NetworkModel for Reopened {
    fn start(&mut self, now: SimTime, flow: Flow) {
        self.after(now, |network| network.start(now, flow));
    }

    fn set_rate(&mut self, now: SimTime, id: u64, rate: Bandwidth) {
        self.after(now, |network| network.set_rate(now, id, rate));
    }

    fn cancel(&mut self, now: SimTime, id: u64) -> Bytes {
        self.after(now, |network| network.cancel(now, id))
    }

    fn next(&self) -> Option<SimTime> {
        self.network.next()
    }

    fn finish(&mut self, now: SimTime) -> Option<u64> {
        self.after(now, |network| network.finish(now))
    }

    fn n_flows(&self) -> usize {
        self.network.n_flows()
    }

    fn save(&self) -> String {
        self.network.save()
    }
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Start(Flow),
    SetRate(u64, f64),
    Cancel(u64),
}

/// What became of each flow: when it ended, or what it had moved when it was cancelled.
type Outcome = BTreeMap<u64, Result<u64, u64>>;

fn play(network: &mut dyn NetworkModel, actions: &[(u64, Action)]) -> Outcome {
    let mut outcome = Outcome::new();
    let end = [(u64::MAX, None)];
    for (time, action) in actions.iter().map(|(time, action)| (*time, Some(*action))).chain(end) {
        while let Some(now) = network.next().filter(|next| next.as_nanos() <= time) {
            let id = network.finish(now).expect("a flow ends at the time announced");
            outcome.insert(id, Ok(now.as_nanos()));
        }
        let now = SimTime::from_nanos(time);
        match action {
            Some(Action::Start(flow)) => network.start(now, flow),
            Some(Action::SetRate(id, rate)) if !outcome.contains_key(&id) => network.set_rate(now, id, mb_per_s(rate)),
            Some(Action::Cancel(id)) if !outcome.contains_key(&id) => {
                outcome.insert(id, Err(network.cancel(now, id).get()));
            }
            _ => {}
        }
    }
    outcome
}

fn rates() -> impl Strategy<Value = f64> {
    prop_oneof![1 => Just(0.0), 2 => Just(0.31), 2 => Just(1.7), 2 => Just(23.0), 7 => 0.01f64..50.0]
}

fn links() -> impl Strategy<Value = Links> {
    let link = || prop_oneof![1 => Just(f64::INFINITY), 1 => Just(2.0), 6 => 0.3f64..60.0];
    (link(), prop::collection::vec(link(), 0..5)).prop_map(|(server, regions)| Links { server, regions })
}

fn actions(n_regions: usize, n_flows: std::ops::Range<usize>) -> impl Strategy<Value = Vec<(u64, Action)>> {
    let direction = prop_oneof![3 => Just(Direction::Down), 1 => Just(Direction::Up)];
    let changes = prop::collection::vec((1u64..20_000_000_000, rates()), 0..4);
    let cancelled = prop::option::weighted(0.3, 1u64..20_000_000_000);
    let bytes = prop_oneof![1 => Just(0u64), 1 => Just(1_000_000), 8 => 1u64..20_000_000];
    let one = (0u64..30_000_000_000, direction, 0..n_regions.max(1), rates(), bytes, changes, cancelled);
    prop::collection::vec(one, n_flows).prop_map(|transfers| {
        let mut actions = Vec::new();
        for ((start, direction, region, rate, bytes, changes, cancelled), id) in transfers.into_iter().zip(0u64..) {
            let flow = Flow { id, direction, client_rate: mb_per_s(rate), bytes: Bytes::new(bytes), region };
            actions.push((start, Action::Start(flow)));
            actions.extend(changes.into_iter().map(|(after, rate)| (start + after, Action::SetRate(id, rate))));
            actions.extend(cancelled.map(|after| (start + after, Action::Cancel(id))));
        }
        actions.sort_by_key(|(time, _)| *time);
        actions
    })
}

/// The ends agree to a billionth (and the nanosecond to which both round), and so do the bytes of what was cancelled.
fn assert_same(model: &Outcome, fluid: &Outcome) {
    assert_eq!(model.keys().collect::<Vec<_>>(), fluid.keys().collect::<Vec<_>>());
    for (id, outcome) in model {
        match (outcome, &fluid[id]) {
            (Ok(end), Ok(expected)) => {
                let allowed = 2 + (*expected as f64 * 1e-9) as u64;
                assert!(end.abs_diff(*expected) <= allowed, "flow {id} ended at {end}, not {expected}");
            }
            (Err(moved), Err(expected)) => {
                assert!(moved.abs_diff(*expected) <= 1, "flow {id} moved {moved}, not {expected}");
            }
            both => panic!("flow {id}: {both:?}"),
        }
    }
}

proptest! {
    /// Nothing shows that a network was saved and restored, however often: every end to the nanosecond, every byte.
    #[test]
    fn a_restored_network_goes_on_exactly(
        (links, actions) in links().prop_flat_map(|links| { let n = links.regions.len(); (Just(links), actions(n, 1..25)) }),
        is_constant in any::<bool>(),
    ) {
        let sharing = match is_constant {
            true => SharingConfig::Constant(ConstantConfig {}),
            false => SharingConfig::default(),
        };
        let config = links.config(sharing);
        let mut whole = config.0.build(&config.1);
        let mut reopened = Reopened { network: config.0.build(&config.1), config };
        prop_assert_eq!(play(&mut *whole, &actions), play(&mut reopened, &actions));
    }
}

/// 10 MB/s for two flows of 20 MB with caps of 4 and 100 MB/s: 4 and 6 MB/s. After 2 s, 12 and 8 MB are left, and the
/// link has 5 MB/s from then on: 2.5 MB/s each. The second ends at 2 + 8 / 2.5 = 5.2 s, when the first has
/// 12 - 8 = 4 MB left at its cap of 4 MB/s: 6.2 s. On links that are not shared: 20 MB at 4 MB/s, 5 s either way, and
/// 20 MB at 10 and then 5 MB/s: nothing is left after 2 s.
#[test]
fn restored_flows_share_the_links_that_there_are_then() {
    for (sharing, expected) in [
        (SharingConfig::default(), [(5_200_000_000, 2), (6_200_000_000, 1)]),
        (SharingConfig::Constant(ConstantConfig {}), [(2_000_000_000, 2), (5_000_000_000, 1)]),
    ] {
        let config = |server| Links { server, regions: Vec::new() }.config(sharing.clone()).0;
        let mut network = config(10.0).build(&[]);
        for (id, cap) in [(1, 4.0), (2, 100.0)] {
            let flow = Flow {
                id,
                direction: Direction::Up,
                client_rate: mb_per_s(cap),
                bytes: Bytes::new(20_000_000),
                region: 0,
            };
            network.start(SimTime::ZERO, flow);
        }
        let now = SimTime::from_nanos(2_000_000_000);
        let mut network = config(5.0).restore(&[], &network.save(), now).expect("it was just saved");
        let mut ends = Vec::new();
        while let Some(now) = network.next() {
            ends.push((now.as_nanos(), network.finish(now).expect("announced")));
        }
        assert_eq!(ends, expected);
        assert!(config(5.0).restore(&[], "{}x", now).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever starts, changes its rate and is cancelled when, with regions and without.
    #[test]
    fn it_is_the_fluid((links, actions) in links().prop_flat_map(|links| {
        let n_regions = links.regions.len();
        (Just(links), actions(n_regions, 1..60))
    })) {
        assert_same(&play(&mut *links.model(), &actions), &play(&mut links.fluid(), &actions));
    }

    /// The rates do not depend on how the flows came to be there: what moves in a nanosecond-free instant is decided by
    /// the flows alone. Flows that started and were cancelled at once leave nothing behind.
    #[test]
    fn flows_that_have_been_leave_nothing_behind(
        links in links(), caps in prop::collection::vec((0.01f64..50.0, any::<bool>(), 0usize..5), 1..40),
    ) {
        let play = |keep_passers: bool| {
            let mut network = links.model();
            for (&(cap, stays, region), id) in caps.iter().zip(0u64..) {
                let region = region % links.regions.len().max(1);
                let bytes = Bytes::new(1_000_000 + id);
                let flow = Flow { id, direction: Direction::Up, client_rate: mb_per_s(cap), bytes, region };
                if stays || keep_passers {
                    network.start(SimTime::ZERO, flow);
                }
            }
            for ((_, stays, _), id) in caps.iter().zip(0u64..) {
                if !stays && keep_passers {
                    network.cancel(SimTime::ZERO, id);
                }
            }
            let mut ends = Vec::new();
            while let Some(now) = network.next() {
                ends.push((now, network.finish(now)));
            }
            ends
        };
        prop_assert_eq!(play(true), play(false));
    }
}

/// Hundreds of flows at a time, so that classes change sides in numbers.
#[test]
fn it_is_the_fluid_with_many_flows() {
    let mut stream = Seeds::new(4).global(Purpose::Dropout);
    let links = Links { server: 150.0, regions: vec![50.0, f64::INFINITY, 60.0] };
    let mut actions = Vec::new();
    for id in 0..400 {
        let start = stream.random_range(0..3_000_000_000);
        let client_rate = mb_per_s(if id % 3 == 0 { 1.5 } else { stream.random_range(0.05..4.0) });
        let bytes = Bytes::new(stream.random_range(1..2_000_000));
        let flow = Flow { id, direction: Direction::Down, client_rate, bytes, region: (id % 3) as usize };
        actions.push((start, Action::Start(flow)));
        if id % 5 == 0 {
            let after = stream.random_range(1..1_000_000_000);
            actions.push((start + after, Action::SetRate(id, stream.random_range(0.0..4.0))));
        }
        if id % 7 == 0 {
            actions.push((start + stream.random_range(1..2_000_000_000), Action::Cancel(id)));
        }
    }
    actions.sort_by_key(|(time, _)| *time);
    assert_same(&play(&mut *links.model(), &actions), &play(&mut links.fluid(), &actions));
}

/// Sojourn times, in seconds, of `n` transfers of mean size 1 MB that arrive at random, `per_s` of them per second, at a
/// server's link of 1 MB/s from clients of `cap` MB/s each.
fn sojourns(seed: u64, n: u64, per_s: f64, cap: f64, size: impl Fn(&mut Stream) -> f64) -> Vec<f64> {
    let mut stream = Seeds::new(seed).global(Purpose::Selection);
    let mut network = Links { server: 1.0, regions: vec![] }.model();
    let (mut starts, mut times) = (Vec::new(), vec![0.0; n as usize]);
    let mut arrival = 0.0;
    for id in 0..=n {
        let gap: f64 = stream.sample(Exp1);
        arrival += gap / per_s;
        let now = SimTime::from_nanos(if id < n { (arrival * 1e9) as u64 } else { u64::MAX });
        while let Some(end) = network.next().filter(|end| *end <= now) {
            let ended = network.finish(end).expect("a flow ends at the time announced") as usize;
            times[ended] = end.since(starts[ended]).as_secs_f64();
        }
        if id < n {
            starts.push(now);
            let bytes = Bytes::new((size(&mut stream) * 1e6).round() as u64);
            network.start(now, Flow { id, direction: Direction::Up, client_rate: mb_per_s(cap), bytes, region: 0 });
        }
    }
    times
}

/// Mean and the half-width of its 99 % confidence interval, by the means of 30 batches after a tenth of warm-up: they
/// are nearly independent, and Student's quantile for 29 degrees of freedom is 2.756.
fn batch_mean(times: &[f64]) -> (f64, f64) {
    let times = &times[times.len() / 10..];
    let means: Vec<f64> = times
        .chunks_exact(times.len() / 30)
        .take(30)
        .map(|batch| batch.iter().sum::<f64>() / batch.len() as f64)
        .collect();
    let mean = means.iter().sum::<f64>() / 30.0;
    let variance = means.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / 29.0;
    (mean, 2.756 * (variance / 30.0).sqrt())
}

/// Draws a size.
type Size = fn(&mut Stream) -> f64;

/// Sizes of mean 1: exponential; all equal; lognormal of sigma 1.2, whose squared coefficient of variation is
/// exp(1.44) - 1 = 3.2.
const SIZES: [(&str, Size); 3] = [
    ("exponential", |stream| stream.sample(Exp1)),
    ("deterministic", |_| 1.0),
    ("lognormal", |stream| {
        let z: f64 = stream.sample(StandardNormal);
        (1.2 * z - 0.72).exp()
    }),
];

/// Flows that only the shared link holds back are an M/G/1 queue with processor sharing. Its number of customers is
/// geometric whatever the distribution of sizes, so by Little's law the mean sojourn is E[S] / (1 - rho) (Kleinrock,
/// *Queueing Systems* II, section 4.4): at rho = 0.7 and E[S] = 1 s it is 1 / 0.3 = 3.333 s.
#[test]
fn uncapped_flows_are_processor_sharing() {
    for (name, size) in SIZES {
        let (mean, half_width) = batch_mean(&sojourns(1, 120_000, 0.7, 50.0, size));
        assert!((mean - 1.0 / 0.3).abs() < half_width && half_width < 0.35, "{name}: {mean} +- {half_width}");
    }
}

/// Clients of a quarter of the link's rate each: up to four flows run at their caps and more share the link, which
/// serves n flows as four servers serve n customers. The queue is symmetric in Kelly's sense, so the number of customers
/// is that of M/M/4 whatever the distribution of sizes, and with a = lambda / mu = 2.8 erlangs, rho = 0.7,
/// Erlang's C = (a^4/4! / (1 - rho)) / (1 + a + a^2/2 + a^3/6 + a^4/4! / (1 - rho))
///            = 8.5369 / (1 + 2.8 + 3.92 + 3.6587 + 8.5369) = 0.42866.
/// A transfer alone takes 1 MB / 0.25 MB/s = 4 s, so the mean sojourn is 4 + 4 C / (4 (1 - rho)) = 5.4289 s.
#[test]
fn capped_flows_are_many_servers() {
    for (name, size) in SIZES {
        let (mean, half_width) = batch_mean(&sojourns(2, 120_000, 0.7, 0.25, size));
        assert!((mean - 5.4289).abs() < half_width && half_width < 0.35, "{name}: {mean} +- {half_width}");
    }
}
