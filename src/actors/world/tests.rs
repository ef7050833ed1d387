//! Closed forms, conservation and replay of whole runs with a trainer whose values are known.

use std::sync::atomic::{AtomicUsize, Ordering};

mod books;
mod branches;
mod ends_of_traces;
mod interruptions;
mod jobs;
mod nothing_comes;
mod snapshots;
mod statements;
mod streams;

use super::*;
use crate::actors::plan::{Class, Facts, Learning, Population, SampleCosts, ShardSizes};
use crate::actors::server::RoundSettings;
use crate::actors::trainer::Trained;
use crate::actors::trainer::Trainer;
use crate::params::{Layout, Params, TensorSpec};
use crate::report::Reason;
use crate::report::Record;
use crate::seed::Seeds;
use crate::sim::{
    AvailabilityConfig, BuildContext, DeviceClass, DeviceClassConfig, DropoutConfig, LinkClass, NEVER,
    NetworkClassConfig, Phase, ServerNetworkConfig, UploadConfig,
};
use crate::strategy::round::{BelowMinUpdatesConfig, LateUpdatesConfig};
use crate::strategy::{CodecConfig, SelectionConfig, StrategyConfig};
use crate::training::{Cancel, Evaluation, TrainingMemory, Update};
use crate::units::{Bytes, Flops};

fn from_json<T: serde::de::DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).unwrap()
}

/// Adds the client's number to every value; diverges for the clients named.
#[derive(Default)]
struct AddClientId {
    diverging: Vec<u32>,
    panicking: Vec<u32>,
    /// Gives values that cannot be added up.
    is_huge: bool,
    trainings: AtomicUsize,
}

impl Trainer for AddClientId {
    fn train(&self, start: &Arc<Params>, client_id: u32, _: u32, _: &Cancel) -> Option<Result<Trained, LearningError>> {
        assert!(!self.panicking.contains(&client_id), "cannot train");
        self.trainings.fetch_add(1, Ordering::SeqCst);
        if self.diverging.contains(&client_id) {
            return Some(Ok(Trained::Diverged));
        }
        let mut params = Params::clone(start);
        let trained = |value: f32| if self.is_huge { f32::MAX } else { value + client_id as f32 };
        params.values_mut().iter_mut().for_each(|value| *value = trained(*value));
        let update = Update { params, num_examples: 10, train_loss: f64::from(client_id), steps: 1 };
        Some(Ok(Trained::Update(Box::new(update))))
    }

    fn evaluate(&self, params: &Params, _: &Cancel) -> Option<Result<Evaluation, LearningError>> {
        let accuracy = f64::from(params.values()[0]);
        Some(Ok(Evaluation { loss: 0.0, accuracy, f1: 0.0, macro_f1: 0.0, mcc: 0.0, n: 1 }))
    }
}

#[derive(Default)]
struct Notes {
    records: Vec<Record>,
    rounds: Vec<RoundReport>,
}

impl Observer for Notes {
    fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        self.records.push(*record);
        Ok(())
    }

    fn round(&mut self, report: &RoundReport) -> Result<(), ReportError> {
        self.rounds.push(report.clone());
        Ok(())
    }

    fn host(&mut self, _: u32, _: SimTime, _: &HostWork) -> Result<(), ReportError> {
        Ok(())
    }
}

impl Notes {
    fn times_of(&self, event: EventKind) -> Vec<f64> {
        self.records.iter().filter(|record| record.event == event).map(|record| record.time.as_secs_f64()).collect()
    }

    fn count(&self, event: EventKind, reason: Reason) -> usize {
        self.records.iter().filter(|record| record.event == event && record.reason == Some(reason)).count()
    }
}

/// Ten clients on a 8 Mbps / 4 Mbps link with 100 ms latency; 1 MB down, 1 MB up; 10 samples of 200 ms each.
fn context() -> BuildContext {
    BuildContext::new(Seeds::new(1), 10)
}

fn device(json: serde_json::Value) -> Class<DeviceClassConfig, DeviceClass> {
    let config: DeviceClassConfig = from_json(json);
    Class { name: "phone".into(), model: config.build(&context()).unwrap(), config }
}

fn network(json: serde_json::Value) -> Class<NetworkClassConfig, LinkClass> {
    let config: NetworkClassConfig = from_json(json);
    Class { name: "wifi".into(), model: config.build(&context()).unwrap(), config }
}

fn population(plan: &mut Plan) -> &mut Population {
    Arc::get_mut(&mut plan.population).expect("the plan is not in use")
}

/// A task takes 0.1 + 1 + 2 + 0.1 + 2 = 5.2 s when it has the server's link for itself.
fn plan() -> Plan {
    let population = Population {
        seeds: Seeds::new(1),
        n_clients: 10,
        devices: vec![device(serde_json::json!({ "share": 1.0, "compute": { "time_per_sample": "200 ms" } }))],
        networks: vec![network(serde_json::json!({
            "share": 1.0, "downlink": "8 Mbps", "uplink": "4 Mbps", "latency": "100 ms" }))],
        regions: Vec::new(),
        shard_sizes: ShardSizes::Fixed(10),
        sample_costs: SampleCosts::Same { per_sample: Flops(0.0), per_batch: Flops(0.0), batch_size: 1 },
        training_memory: TrainingMemory {
            frozen: Bytes::new(1 << 19),
            trained: Bytes::new(0),
            per_example: Bytes::new(1 << 17),
            batch_size: 4,
        },
        n_epochs: 1,
        server_rates: [None; 2],
        downlink_payload: Bytes::new(1_000_000),
        uplink_payload: Bytes::new(1_000_000),
        facts: Facts::new(3000),
    };
    Plan {
        population: Arc::new(population),
        server_network: from_json::<ServerNetworkConfig>(serde_json::json!({})),
        availability: AvailabilityConfig::default()
            .implementation()
            .build(&BuildContext::new(Seeds::new(1), 100))
            .unwrap()
            .into(),
        dropout: DropoutConfig::default(),
        crashes: None,
        outages: None,
        uploads: UploadConfig::default(),
        restarts: Vec::new(),
        rounds: RoundSettings {
            rounds: 2,
            clients_per_round: 4,
            dispatches_per_round: 4,
            deadline: None,
            min_updates: 1,
            below_min_updates: BelowMinUpdatesConfig::default(),
            late_updates: LateUpdatesConfig::default(),
            give_up_after: "1 d".parse().unwrap(),
            evaluate_every: 1,
            strategy: StrategyConfig::default(),
            selection: SelectionConfig::default(),
            downlink_codec: CodecConfig::default(),
        },
        learning: None,
        checkpoint_every: None,
        idle_clients_max: 2,
    }
}

fn learning(trainer: AddClientId, workers: usize) -> (Option<Learning>, Arc<AddClientId>) {
    let trainer = Arc::new(trainer);
    let initial = Arc::new(Params::zeros(Layout::new(vec![TensorSpec::new("w", [3])])));
    (Some(Learning { trainer: trainer.clone(), initial, workers }), trainer)
}

fn try_simulate(plan: &Plan) -> (Result<Outcome, WorldError>, Notes) {
    let mut notes = Notes::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcome = runtime.block_on(run(plan, &mut notes));
    (outcome, notes)
}

fn simulate(plan: &Plan) -> (Outcome, Notes) {
    let (outcome, notes) = try_simulate(plan);
    (outcome.unwrap(), notes)
}

#[test]
fn a_round_of_equal_clients_takes_latencies_transfers_and_training_one_after_the_other() {
    let (outcome, notes) = simulate(&plan());
    assert_eq!(notes.times_of(EventKind::RoundEnd), [5.2, 10.4]);
    assert_eq!(notes.times_of(EventKind::DownloadEnd)[..4], [1.1; 4]);
    assert_eq!(notes.times_of(EventKind::TrainEnd)[..4], [3.1; 4]);
    assert_eq!(outcome.end.as_secs_f64(), 10.4);
    assert_eq!((outcome.totals.bytes_down.get(), outcome.totals.bytes_up.get()), (8_000_000, 8_000_000));
    assert_eq!(outcome.totals.bytes_wasted, Bytes::ZERO);
}

#[test]
fn the_servers_link_is_shared_by_the_cohort() {
    let mut plan = plan();
    // Four downloads over 16 Mbps get 4 Mbps each: 2 s instead of 1 s.
    plan.server_network = from_json(serde_json::json!({ "uplink": "16 Mbps" }));
    assert_eq!(simulate(&plan).1.times_of(EventKind::RoundEnd), [6.2, 12.4]);
}

#[test]
fn over_selection_ends_the_round_with_the_fastest_and_charges_the_others_for_what_moved() {
    let mut plan = plan();
    plan.rounds.rounds = 1;
    plan.rounds.dispatches_per_round = 10;
    // Clients differ by their uploads: the server's downlink lets ten through at 1 Mbps each, so all end together
    // (8 s of upload), and the four with the lowest task numbers are used.
    plan.server_network = from_json(serde_json::json!({ "downlink": "10 Mbps" }));
    let (outcome, notes) = simulate(&plan);
    assert_eq!(notes.times_of(EventKind::RoundEnd), [0.1 + 1.0 + 2.0 + 0.1 + 8.0]);
    assert_eq!(notes.count(EventKind::Rejected, Reason::OverSelected), 6);
    assert_eq!(outcome.totals.late[&Reason::OverSelected], 6);
    assert_eq!(notes.rounds[0].late, 6);
    // Six downloads and six uploads, all of whose bytes had moved.
    assert_eq!(outcome.totals.bytes_wasted.get(), 12_000_000);
}

#[test]
fn a_deadline_before_anybody_is_done_fails_the_round_and_trains_nobody() {
    let mut plan = plan();
    plan.rounds.deadline = Some("3 s".parse().unwrap());
    let trainer;
    (plan.learning, trainer) = learning(AddClientId::default(), 2);
    let (outcome, notes) = simulate(&plan);
    assert_eq!(notes.times_of(EventKind::RoundEnd), [3.0, 6.0]);
    assert_eq!(notes.count(EventKind::Rejected, Reason::Deadline), 8);
    assert_eq!(outcome.last_model.version, 0);
    // Training would have ended at 3.1 s: the values are known to be of no use before it begins.
    assert_eq!(trainer.trainings.load(Ordering::SeqCst), 0);
    assert_eq!(notes.rounds.iter().map(|round| round.aggregated).sum::<u32>(), 0);
}

#[test]
fn the_mean_of_the_cohort_becomes_the_next_model_with_any_number_of_workers() {
    let mut all = Vec::new();
    for workers in [1, 2, 4] {
        let mut plan = plan();
        (plan.learning, _) = learning(AddClientId::default(), workers);
        let (outcome, notes) = simulate(&plan);
        let chosen: Vec<f32> = notes
            .records
            .iter()
            .filter(|record| record.event == EventKind::Accepted)
            .map(|record| record.client_id.unwrap() as f32)
            .collect();
        // Each round adds the mean client number of its cohort; the sums of small integers are exact.
        let expected = chosen.iter().sum::<f32>() / 4.0;
        let last = outcome.last_model.params.clone().unwrap();
        assert_eq!(last.values(), [expected; 3]);
        let evaluated: Vec<f64> =
            notes.rounds.iter().map(|round| round.evaluation.as_ref().unwrap().0.accuracy).collect();
        assert_eq!(evaluated.last().copied(), Some(f64::from(expected)));
        all.push((notes.records, evaluated));
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
}

#[test]
fn a_diverged_update_is_rejected_and_a_surplus_client_takes_its_place() {
    let mut plan = plan();
    plan.rounds.rounds = 1;
    plan.rounds.clients_per_round = 3;
    plan.rounds.dispatches_per_round = 10;
    // Equal clients arrive at the same instant, in order of dispatch; of the first three, one diverges.
    let first = simulate(&plan).1;
    let third = first.records.iter().filter(|r| r.event == EventKind::Accepted).nth(2).unwrap().client_id.unwrap();
    (plan.learning, _) = learning(AddClientId { diverging: vec![third], ..AddClientId::default() }, 2);
    let (outcome, notes) = simulate(&plan);
    assert_eq!(notes.count(EventKind::Rejected, Reason::Diverged), 1);
    assert_eq!((outcome.totals.aggregated, outcome.totals.late[&Reason::OverSelected]), (3, 6));
}

#[test]
fn a_panic_in_training_ends_the_run_with_client_and_round() {
    let mut plan = plan();
    (plan.learning, _) = learning(AddClientId { panicking: (0..10).collect(), ..AddClientId::default() }, 2);
    let error = try_simulate(&plan).0.err().expect("nobody can train").to_string();
    assert!(
        error.starts_with("training of client ") && error.ends_with("in round 1 panicked: cannot train"),
        "{error}"
    );
}

#[test]
fn a_mean_that_is_no_number_ends_the_run_with_the_round() {
    let mut plan = plan();
    (plan.learning, _) = learning(AddClientId { is_huge: true, ..AddClientId::default() }, 2);
    let error = try_simulate(&plan).0.err().expect("f32::MAX twice is too much").to_string();
    assert!(error.starts_with("round 1: the new model has values that are no finite numbers"), "{error}");
}

#[test]
fn failures_are_recorded_with_cause_and_phase_and_every_task_has_one_end() {
    let mut plan = plan();
    plan.rounds.rounds = 200;
    plan.dropout = DropoutConfig { during_download: 0.1, during_train: 0.2, during_upload: 0.3 };
    plan.availability = from_json::<AvailabilityConfig>(
        serde_json::json!({ "markov": { "mean_online": "60 s", "mean_offline": "20 s" } }),
    )
    .implementation()
    .build(&BuildContext::new(plan.population.seeds, plan.population.n_clients))
    .unwrap()
    .into();
    plan.rounds.deadline = Some("6 s".parse().unwrap());
    population(&mut plan).networks = vec![network(serde_json::json!({
        "share": 1.0, "downlink": "8 Mbps", "uplink": "4 Mbps", "latency": "100 ms", "jitter": "50 ms" }))];
    let (outcome, notes) = simulate(&plan);
    let totals = &outcome.totals;
    let sum = |counts: Vec<u64>| counts.into_iter().sum::<u64>();
    let dropped = sum(totals.dropped.values().copied().collect());
    let late = sum(totals.late.values().copied().collect());
    let rejected = sum(totals.rejected.values().copied().collect());
    assert_eq!(totals.selected, totals.aggregated + dropped + late + rejected);
    let causes = [(Reason::Network, Phase::Download), (Reason::Random, Phase::Train), (Reason::Network, Phase::Upload)];
    assert!(causes.iter().all(|cause| totals.dropped.contains_key(cause)), "{totals:?}");
    assert!(totals.dropped.keys().any(|(reason, _)| *reason == Reason::Offline));
    assert!(notes.records.windows(2).all(|pair| pair[0].time <= pair[1].time));
    let moved: Bytes = outcome.clients.iter().map(|client| client.bytes_down + client.bytes_up).sum();
    assert_eq!(moved, totals.bytes_down + totals.bytes_up);
    assert_eq!(moved, notes.rounds.last().unwrap().cum_bytes);
    assert!(outcome.clients.iter().all(|client| client.selected > 0));
    // With dropout in each phase, 0.9 x 0.8 x 0.7 = 0.504 of the tasks come through but for those that go offline
    // (5 s of 60 s online: 8 %): 0.46 of some 800, with a standard deviation of 14.
    let completed: u32 = notes.rounds.iter().map(|round| round.completed).sum();
    let share = f64::from(completed) / totals.selected as f64;
    assert!((share - 0.46).abs() < 0.06, "{share}");
}

#[test]
fn a_client_without_memory_for_the_job_drops_after_its_download() {
    let mut plan = plan();
    population(&mut plan).devices = vec![device(serde_json::json!({
        "share": 1.0, "compute": { "time_per_sample": "200 ms" }, "memory": "512 KiB" }))];
    let (outcome, notes) = simulate(&plan);
    assert_eq!(outcome.totals.dropped[&(Reason::Memory, Phase::Train)], 8);
    assert_eq!(notes.times_of(EventKind::Dropout), [[1.1; 4], [2.2; 4]].concat());
}

#[test]
fn nobody_ever_online_ends_the_run_with_the_reason() {
    struct Never;
    impl crate::sim::AvailabilityModel for Never {
        fn is_online(&self, _: u32, _: SimTime) -> bool {
            false
        }
        fn next_change(&self, _: u32, _: SimTime) -> SimTime {
            NEVER
        }
        fn online_fraction(&self, _: u32, _: SimTime) -> f64 {
            0.0
        }
    }
    let mut plan = plan();
    plan.availability = Arc::new(Never);
    let error = try_simulate(&plan).0.err().expect("nobody can be asked").to_string();
    assert!(error.contains("no client can be asked"), "{error}");
}

#[test]
fn actors_come_and_go_without_a_trace_in_the_results() {
    let records = |idle_clients_max| {
        let mut plan = plan();
        plan.rounds.rounds = 20;
        plan.idle_clients_max = idle_clients_max;
        simulate(&plan).1.records
    };
    assert_eq!(records(0), records(1000));
}

#[test]
fn a_client_with_less_than_a_batch_pays_a_whole_step() {
    // 100 operations a sample and 40 a batch of 4: 1 sample pays 140, 4 pay 110 each, 6 in two batches 100 + 80 / 6.
    let costs = SampleCosts::Same { per_sample: Flops(100.0), per_batch: Flops(40.0), batch_size: 4 };
    assert_eq!([1, 4].map(|n| costs.of(0, n).0), [140.0, 110.0]);
    assert!((costs.of(0, 6).0 - (100.0 + 80.0 / 6.0)).abs() < 1e-12);
}

#[test]
fn sizes_of_timing_only_shards_follow_their_distribution() {
    let mut plan = plan();
    population(&mut plan).shard_sizes = ShardSizes::Lognormal { median: 100.0, sigma: 0.5 };
    let mut sizes: Vec<u32> = (0..2001).map(|client_id| plan.population.num_examples(client_id)).collect();
    sizes.sort_unstable();
    // The sample median of 2,001 draws has a relative standard deviation of 0.5 x 1.2533 / sqrt(2001) = 1.4 %.
    assert!(sizes[1000].abs_diff(100) < 7, "{}", sizes[1000]);
    let mut fixed = plan;
    population(&mut fixed).shard_sizes = ShardSizes::Fixed(7);
    population(&mut fixed).facts = Facts::new(10);
    assert_eq!(fixed.population.num_examples(3), 7);
}
