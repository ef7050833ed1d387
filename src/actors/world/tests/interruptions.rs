//! Uploads that break off, a server that goes down, links that change.

use super::*;
use crate::sim::{AvailabilityModel, RestartConfig};

/// Client 0..10 online from 0 s to 4 s and from 6 s on, where a task uploads from 3.2 s to 5.2 s.
struct Gap;

pub(super) fn s(seconds: f64) -> SimTime {
    SimTime::from_nanos((seconds * 1e9).round() as u64)
}

/// When each client is online, from and to in seconds; clients beyond the list never are.
pub(super) struct Shifts(pub(super) Vec<Vec<(f64, f64)>>);

impl AvailabilityModel for Shifts {
    fn is_online(&self, client_id: u32, time: SimTime) -> bool {
        let mut shifts = self.0.get(client_id as usize).into_iter().flatten();
        shifts.any(|&(from, to)| s(from) <= time && time < s(to))
    }
    fn next_change(&self, client_id: u32, time: SimTime) -> SimTime {
        let shifts = self.0.get(client_id as usize).into_iter().flatten();
        shifts.flat_map(|&(from, to)| [s(from), s(to)]).filter(|change| *change > time).min().unwrap_or(NEVER)
    }
    fn online_fraction(&self, _: u32, _: SimTime) -> f64 {
        1.0
    }
}

/// Without an end.
pub(super) const EVER: f64 = f64::INFINITY;

impl AvailabilityModel for Gap {
    fn is_online(&self, _: u32, time: SimTime) -> bool {
        time < s(4.0) || time >= s(6.0)
    }
    fn next_change(&self, _: u32, time: SimTime) -> SimTime {
        [s(4.0), s(6.0)].into_iter().find(|change| time < *change).unwrap_or(NEVER)
    }
    fn online_fraction(&self, _: u32, _: SimTime) -> f64 {
        1.0
    }
}

fn with_gap(uploads: serde_json::Value) -> (Outcome, Notes) {
    let mut plan = plan();
    plan.rounds.rounds = 1;
    plan.availability = Arc::new(Gap);
    plan.uploads = from_json(uploads);
    simulate(&plan)
}

#[test]
fn an_interrupted_upload_fails_restarts_or_resumes() {
    // Download 0.1 s + 1 s, training 2 s, latency 0.1 s: the upload of 1 MB moves 500 kB/s from 3.2 s on, 400 kB by 4 s.
    let (outcome, notes) = with_gap(serde_json::json!({ "when_interrupted": "fail" }));
    assert_eq!(outcome.totals.dropped[&(Reason::Offline, Phase::Upload)], 4);
    assert_eq!(outcome.totals.bytes_up.get(), 4 * 400_000);
    assert_eq!(notes.times_of(EventKind::RoundEnd), [4.0]);
    // Restart: at 6 s, latency 0.1 s, 2 s for the whole.
    let (outcome, notes) = with_gap(serde_json::json!({ "when_interrupted": "restart" }));
    assert_eq!(notes.times_of(EventKind::RoundEnd), [8.1]);
    assert_eq!(outcome.totals.bytes_up.get(), 4 * 1_400_000);
    assert_eq!(notes.count(EventKind::Interrupted, Reason::Offline), 4);
    // The 400 kB of each first attempt were of no use, though the updates were used.
    assert_eq!((outcome.totals.aggregated, outcome.totals.bytes_wasted.get()), (4, 4 * 400_000));
    assert_eq!(notes.rounds[0].bytes_wasted.get(), 4 * 400_000);
    // Resume: 600 kB are left, 1.2 s.
    let (outcome, notes) = with_gap(serde_json::json!({ "when_interrupted": "resume" }));
    assert_eq!(notes.times_of(EventKind::RoundEnd), [7.3]);
    assert_eq!((outcome.totals.bytes_up.get(), outcome.totals.bytes_wasted.get()), (4 * 1_000_000, 0));
    // Upload time is that of transfers: 0.1 + 0.8 s and 0.1 + 1.2 s, without the 2 s of absence.
    let uploads: Vec<f64> =
        outcome.clients.iter().filter(|c| c.selected > 0).map(|client| client.upload.as_secs_f64()).collect();
    assert_eq!(uploads, [2.2; 4]);
}

#[test]
fn the_energy_of_an_upload_that_is_begun_anew_is_wasted() {
    let mut plan = with_battery(serde_json::Value::Null);
    plan.availability = Arc::new(Gap);
    let wasted_j = |plan: &mut Plan, when: &str| {
        plan.uploads = from_json(serde_json::json!({ "when_interrupted": when }));
        simulate(plan).0.totals.energy_wasted_j
    };
    // From 3.1 s, with the latency, to 4 s at 0.5 W + 1.2 W: 1.53 J of each of four clients.
    let restarted = wasted_j(&mut plan, "restart");
    assert!((restarted - 4.0 * 1.53).abs() < 1e-9, "{restarted}");
    assert_eq!(wasted_j(&mut plan, "resume"), 0.0);
}

fn with_failing_uploads(probability: f64, uploads: serde_json::Value) -> Plan {
    let mut plan = plan();
    plan.rounds.rounds = 1;
    plan.dropout = DropoutConfig { during_upload: probability, ..DropoutConfig::default() };
    plan.uploads = from_json(uploads);
    plan
}

#[test]
fn a_transfer_that_fails_at_random_is_tried_again_at_once() {
    // One client whose first attempt fails and whose second does not: for a quarter of the seeds.
    let found = (0..100).find_map(|seed| {
        let mut plan = with_failing_uploads(0.5, serde_json::json!({ "when_interrupted": "resume" }));
        population(&mut plan).seeds = Seeds::new(seed);
        (plan.rounds.clients_per_round, plan.rounds.dispatches_per_round) = (1, 1);
        let (outcome, notes) = simulate(&plan);
        (notes.count(EventKind::Interrupted, Reason::Network) == 1).then_some((outcome, notes))
    });
    let (outcome, notes) = found.expect("(3/4)^100 is nothing");
    assert_eq!(outcome.totals.aggregated, 1);
    // One more latency of 0.1 s; the bytes are moved once.
    let end = notes.times_of(EventKind::RoundEnd)[0];
    assert!((end - 5.3).abs() < 1e-5, "{end}");
    assert_eq!(outcome.totals.bytes_up.get(), 1_000_000);
}

#[test]
fn each_attempt_at_an_upload_may_fail() {
    let uploads = serde_json::json!({ "when_interrupted": "restart", "retries": 3 });
    let (outcome, notes) = simulate(&with_failing_uploads(1.0, uploads.clone()));
    // All of the first attempt and of three more.
    assert_eq!(outcome.totals.dropped, [((Reason::Network, Phase::Upload), 4)].into());
    assert_eq!(notes.count(EventKind::Interrupted, Reason::Network), 3 * 4);

    let mut plan = with_failing_uploads(0.5, uploads);
    plan.rounds.rounds = 1000;
    let (outcome, _) = simulate(&plan);
    // 1 - 0.5^4 = 0.9375 of 4,000; five deviations are 5 sqrt(0.9375 x 0.0625 / 4,000) = 0.019.
    let share = outcome.totals.aggregated as f64 / outcome.totals.selected as f64;
    assert!((share - 0.9375).abs() < 0.019, "{share}");
}

#[test]
fn an_upload_of_which_each_attempt_fails_is_not_trained_for() {
    let jobs = |retries: u32, probability: f64| {
        let uploads = serde_json::json!({ "when_interrupted": "resume", "retries": retries });
        let mut plan = with_failing_uploads(probability, uploads);
        plan.rounds.rounds = 50;
        let trainer;
        (plan.learning, trainer) = learning(AddClientId::default(), 2);
        let (outcome, _) = simulate(&plan);
        (trainer.trainings.load(Ordering::SeqCst) as u64, outcome.totals.aggregated)
    };
    assert_eq!(jobs(2, 1.0), (0, 0));
    let (trainings, aggregated) = jobs(2, 0.5);
    // Of 200 tasks 1 - 0.5^3 = 0.875 come through: with five deviations of 0.117 those are between 150 and 200.
    assert!(trainings == aggregated && (150..200).contains(&aggregated), "{trainings}, {aggregated}");
}

fn restart(at: &str, downtime: &str, in_flight: &str) -> RestartConfig {
    from_json(serde_json::json!({ "at": at, "downtime": downtime, "in_flight": in_flight }))
}

#[test]
fn a_server_that_restarts_loses_the_round_or_lets_it_go_on() {
    let mut plan = plan();
    plan.restarts = vec![restart("4 s", "3 s", "lost")];
    let (outcome, notes) = simulate(&plan);
    // The first round fails at 4 s, the second takes 5.2 s from 7 s on.
    assert_eq!(notes.times_of(EventKind::RoundEnd), [4.0, 12.2]);
    assert_eq!(outcome.totals.dropped[&(Reason::ServerRestart, Phase::Upload)], 4);
    assert_eq!((notes.times_of(EventKind::ServerDown), notes.times_of(EventKind::ServerUp)), (vec![4.0], vec![7.0]));
    assert_eq!(notes.times_of(EventKind::RoundStart), [0.0, 7.0]);
    assert_eq!(outcome.last_model.version, 1);

    // In the last round there is nothing to wait for.
    plan.restarts = vec![restart("8 s", "3 s", "lost")];
    let (outcome, notes) = simulate(&plan);
    assert_eq!(notes.times_of(EventKind::RoundEnd), [5.2, 8.0]);
    assert_eq!((outcome.end.as_secs_f64(), outcome.last_model.version), (8.0, 1));

    plan.restarts = vec![restart("4 s", "3 s", "resumed")];
    let (outcome, notes) = simulate(&plan);
    // 400 kB were up by 4 s; the other 600 kB take 1.2 s from 7 s on.
    assert_eq!(notes.times_of(EventKind::RoundEnd), [8.2, 13.4]);
    assert_eq!((outcome.last_model.version, outcome.totals.bytes_up.get()), (2, 8_000_000));

    // Clients train on while the server is down: the upload that was to begin at 3.1 s begins at 5 s.
    plan.restarts = vec![restart("2 s", "3 s", "resumed")];
    assert_eq!(simulate(&plan).1.times_of(EventKind::RoundEnd)[0], 7.0);
}

#[test]
fn a_server_that_is_down_hears_no_alarm() {
    // Client 0 works without a pause, 5.2 s a task; client 1 comes online at 50 s, for which an alarm is set at 0 s.
    let mut plan = plan();
    plan.rounds.rounds = 9;
    plan.rounds.strategy = from_json(serde_json::json!({ "fedbuff": { "buffer_size": 1, "concurrency": 2 } }));
    plan.availability = Arc::new(Shifts(vec![vec![(0.0, EVER)], vec![(50.0, EVER)]]));
    plan.restarts = vec![restart("40 s", "30 s", "lost")];
    let (outcome, notes) = simulate(&plan);
    // Seven rounds by 36.4 s; the eighth is lost; both clients are asked at 70 s. Nine rounds, eight models.
    assert_eq!(notes.times_of(EventKind::RoundEnd)[6..], [36.4, 40.0, 75.2]);
    assert_eq!(outcome.last_model.version, 8);
    assert_eq!(notes.times_of(EventKind::RoundStart)[8], 70.0);
    assert!(notes.records.iter().all(|record| record.time <= s(40.0) || record.time >= s(70.0)));
    let selected = notes.times_of(EventKind::Selected);
    assert_eq!(selected[selected.len() - 2..], [70.0, 70.0]);

    // Rounds: the second fails at 10 s, when the client leaves; the third waits for it to come back at 50 s.
    let mut plan = self::plan();
    plan.rounds.rounds = 3;
    plan.availability = Arc::new(Shifts(vec![vec![(0.0, 10.0), (50.0, EVER)]]));
    plan.restarts = vec![restart("40 s", "30 s", "lost")];
    assert_eq!(simulate(&plan).1.times_of(EventKind::RoundEnd), [5.2, 10.0, 75.2]);
}

#[test]
fn a_server_that_is_down_learns_of_failures_when_it_is_up() {
    let mut plan = plan();
    plan.rounds.rounds = 1;
    plan.availability = Arc::new(Shifts(vec![vec![(0.0, 4.0), (8.0, EVER)]; 4]));
    plan.restarts = vec![restart("3 s", "4 s", "resumed")];
    let (_, notes) = simulate(&plan);
    assert_eq!(notes.times_of(EventKind::Dropout), [4.0; 4]);
    assert_eq!(notes.times_of(EventKind::RoundEnd), [7.0]);

    // If it goes down again in that instant and loses all, it never learns of them.
    plan.rounds.rounds = 2;
    plan.restarts.push(restart("7 s", "2 s", "lost"));
    let (outcome, notes) = simulate(&plan);
    assert_eq!(notes.times_of(EventKind::RoundEnd), [7.0, 9.0 + 5.2]);
    assert_eq!(outcome.totals.dropped, [((Reason::Offline, Phase::Upload), 4)].into());
}

#[test]
fn a_server_that_goes_down_again_at_once_stays_down() {
    let mut plan = plan();
    plan.rounds.rounds = 1;
    plan.restarts = vec![restart("4 s", "3 s", "resumed"), restart("7 s", "2 s", "resumed")];
    // 400 kB were up by 4 s; the other 600 kB take 1.2 s from 9 s on.
    assert_eq!(simulate(&plan).1.times_of(EventKind::RoundEnd), [10.2]);
}

#[test]
fn an_asynchronous_server_goes_on_after_a_restart() {
    let mut plan = plan();
    plan.rounds.rounds = 3;
    plan.rounds.strategy = from_json(serde_json::json!({ "fedbuff": { "buffer_size": 4, "concurrency": 4 } }));
    plan.restarts = vec![restart("6 s", "1 s", "lost")];
    let (outcome, notes) = simulate(&plan);
    // 5.2 s; the second round is lost at 6 s; from 7 s on the third takes 5.2 s.
    assert_eq!(notes.times_of(EventKind::RoundEnd), [5.2, 6.0, 12.2]);
    assert_eq!(outcome.last_model.version, 2);
}

#[test]
fn crashes_and_outages_have_their_reasons() {
    let mut plan = plan();
    plan.rounds.rounds = 500;
    plan.crashes = Some(from_json(serde_json::json!({ "mean_time_between": "20 s" })));
    let (outcome, _) = simulate(&plan);
    let crashed: u64 =
        outcome.totals.dropped.iter().filter(|((reason, _), _)| *reason == Reason::Crash).map(|(_, n)| n).sum();
    // A task of 5.2 s comes through with probability exp(-5.2 / 20) = 0.771; of 2,000 tasks, five deviations are 0.047.
    let share = crashed as f64 / outcome.totals.selected as f64;
    assert!((share - 0.229).abs() < 0.047, "{share}");

    let mut plan = self::plan();
    plan.rounds.rounds = 1;
    let outage = serde_json::json!([{ "start": "2 s", "duration": "10 s", "network": "wifi" }]);
    let configs: Vec<crate::sim::OutageConfig> = from_json(outage);
    let members = plan.population.clone();
    let names = plan.population.group_names();
    let membership = Arc::new(move |client_id| members.membership(client_id));
    let outages = crate::sim::Outages::new(&configs, &names, plan.population.seeds, membership);
    plan.availability = outages.clone().around(plan.availability.clone());
    plan.outages = Some(outages);
    let (outcome, notes) = simulate(&plan);
    assert_eq!(outcome.totals.dropped[&(Reason::Outage, Phase::Train)], 4);
    assert_eq!(notes.times_of(EventKind::Dropout), [2.0; 4]);
}

#[test]
fn energy_is_power_times_time() {
    let mut plan = plan();
    plan.rounds.rounds = 1;
    population(&mut plan).devices = vec![device(serde_json::json!({
        "share": 1.0, "compute": { "time_per_sample": "200 ms" },
        "energy": { "idle": "0.5 W", "compute": "4 W", "radio": "1.2 W" } }))];
    let (outcome, notes) = simulate(&plan);
    // 1.1 s down, 2 s training, 2.1 s up: 0.5 W x 5.2 s + 1.2 W x 3.2 s + 4 W x 2 s = 14.44 J.
    let per_client: Vec<f64> = outcome.clients.iter().filter(|c| c.selected > 0).map(|c| c.energy_j).collect();
    assert!(per_client.iter().all(|joules| (joules - 14.44).abs() < 1e-9), "{per_client:?}");
    assert!((outcome.totals.energy_j - 4.0 * 14.44).abs() < 1e-9 && outcome.totals.energy_wasted_j == 0.0);
    assert!((notes.rounds[0].energy_j - 4.0 * 14.44).abs() < 1e-9);
}
#[test]
fn regions_share_their_link() {
    let mut plan = plan();
    plan.rounds.rounds = 1;
    population(&mut plan).regions = vec![(
        "town".into(),
        from_json(serde_json::json!({ "share": 1.0, "downlink": "16 Mbps", "latency": "50 ms" })),
    )];
    // Four downloads over 16 Mbps take 2 s in place of 1 s; each way has 50 ms more.
    assert_eq!(simulate(&plan).1.times_of(EventKind::RoundEnd), [6.3]);
}

pub(super) fn with_battery(battery: serde_json::Value) -> Plan {
    let mut plan = plan();
    plan.rounds.rounds = 1;
    population(&mut plan).devices = vec![device(serde_json::json!({
        "share": 1.0, "compute": { "time_per_sample": "200 ms" },
        "energy": { "idle": "0.5 W", "compute": "4 W", "radio": "1.2 W" }, "battery": battery }))];
    plan
}

#[test]
fn a_battery_that_runs_down_ends_the_task() {
    let plan = with_battery(serde_json::json!({ "capacity": "20 J", "reserve": 0.5, "start_above": 0.6 }));
    let (outcome, notes) = simulate(&plan);
    // 1.1 s of download at 0.5 + 1.2 W leave 20 - 1.87 = 18.13 J; at 0.5 + 4 W the 8.13 J above the reserve last 1.80667 s.
    assert_eq!(outcome.totals.dropped[&(Reason::Battery, Phase::Train)], 4);
    let times = notes.times_of(EventKind::Dropout);
    assert!(times.iter().all(|time| (time - 2.906_667).abs() < 1e-6), "{times:?}");
    // A larger one lasts: the task takes 14.44 J.
    let plan = with_battery(serde_json::json!({ "capacity": "29 J", "reserve": 0.5, "start_above": 0.6 }));
    assert_eq!(simulate(&plan).0.totals.aggregated, 4);
}

/// Jobs of a run that may have begun, those of evaluations included.
fn n_jobs(outcome: &Outcome) -> u64 {
    outcome.host.pool.finished + outcome.host.pool.withdrawn
}

#[test]
fn what_a_battery_or_a_crash_will_end_is_not_trained() {
    // As above: all four run down in training. Without a model nothing is evaluated either.
    let mut plan = with_battery(serde_json::json!({ "capacity": "20 J", "reserve": 0.5, "start_above": 0.6 }));
    (plan.learning, _) = learning(AddClientId::default(), 2);
    assert_eq!(n_jobs(&simulate(&plan).0), 0);
    let mut plan = with_battery(serde_json::json!({ "capacity": "29 J", "reserve": 0.5, "start_above": 0.6 }));
    let trainer;
    (plan.learning, trainer) = learning(AddClientId::default(), 2);
    assert_eq!(simulate(&plan).0.totals.aggregated, 4);
    assert_eq!(trainer.trainings.load(Ordering::SeqCst), 4);

    // One task of 5.2 s, which trains from 1.1 s to 3.1 s: for more than a third of the seeds its client crashes then.
    let in_training = [((Reason::Crash, Phase::Train), 1)].into();
    let outcome = (0..100).find_map(|seed| {
        let mut plan = self::plan();
        population(&mut plan).seeds = Seeds::new(seed);
        (plan.rounds.rounds, plan.rounds.dispatches_per_round) = (1, 1);
        plan.crashes = Some(from_json(serde_json::json!({ "mean_time_between": "2 s" })));
        (plan.learning, _) = learning(AddClientId::default(), 2);
        Some(simulate(&plan).0).filter(|outcome| outcome.totals.dropped == in_training)
    });
    assert_eq!(n_jobs(&outcome.expect("exp(-1.1 / 2) - exp(-3.1 / 2) = 0.36")), 0);
}

#[test]
fn an_upload_that_broke_off_does_not_mind_its_client_leaving_in_that_instant() {
    // Cut at random in the instant in which its client goes offline: found by letting clients leave when it happens.
    let simulate_seed = |seed: u64, leaves: f64| {
        let mut plan = with_failing_uploads(0.5, serde_json::json!({ "when_interrupted": "restart" }));
        population(&mut plan).seeds = Seeds::new(seed);
        (plan.rounds.clients_per_round, plan.rounds.dispatches_per_round) = (1, 1);
        plan.availability = Arc::new(Shifts(vec![vec![(0.0, leaves), (10.0, EVER)]]));
        simulate(&plan)
    };
    // Of client 0 the first attempt fails and the second does not, for a quarter of the seeds.
    let seed = (0..100).find(|seed| simulate_seed(*seed, 9.0).1.times_of(EventKind::Interrupted).len() == 1);
    let seed = seed.expect("(3/4)^100 is nothing");
    let at = simulate_seed(seed, 9.0).1.times_of(EventKind::Interrupted)[0];
    assert!((3.2..5.2).contains(&at), "{at}");
    let (outcome, notes) = simulate_seed(seed, at);
    assert_eq!(notes.times_of(EventKind::Interrupted), [at]);
    // Once more from 10 s on: 0.1 s + 2 s.
    assert_eq!((outcome.totals.aggregated, notes.times_of(EventKind::RoundEnd)), (1, vec![12.1]));
}

#[test]
fn a_client_with_an_empty_battery_is_not_asked_until_it_is_charged() {
    let battery = serde_json::json!({ "capacity": "100 J", "initial": 0.1, "reserve": 0.05, "start_above": 0.9 });
    let mut plan = with_battery(battery);
    let error = try_simulate(&plan).0.err().expect("nothing charges it").to_string();
    assert!(error.contains("no client can be asked, and no other ever will be: 10 online with too little"), "{error}");
    let charging = serde_json::json!({ "power": "10 W", "from": "1 h", "for": "8 h" });
    let battery = serde_json::json!({
        "capacity": "2000 J", "initial": 1.0, "reserve": 0.05, "start_above": 0.9, "charging": charging });
    plan.population = with_battery(battery).population;
    plan.rounds.rounds = 2;
    plan.restarts = vec![restart("1 s", "20 min", "lost")];
    // Idle drains 0.5 W: after 20 min 1,400 J are left, below the 1,800 J that a task needs. Charging begins at 1 h with 10 W
    // against 0.5 W: the six clients that have not worked have 200 J then, and 1,600 J more take 168.421053 s.
    let (_, notes) = simulate(&plan);
    let second = notes.times_of(EventKind::RoundStart)[1];
    assert!((second - 3_768.421_053).abs() < 1e-6, "{second}");
}
