//! Late updates, rounds below their minimum, asynchronous and semi-synchronous operation.

use super::interruptions::{EVER, Shifts, s};
use super::*;
use crate::sim::AvailabilityModel;

fn strategy(json: serde_json::Value) -> StrategyConfig {
    from_json(json)
}

/// Two device classes in equal shares: a task takes 5.2 s on the fast one and 13.2 s on the slow one, whose ten samples
/// take 1 s each.
fn mixed() -> Plan {
    let mut plan = plan();
    population(&mut plan).devices = vec![
        device(serde_json::json!({ "share": 0.5, "compute": { "time_per_sample": "200 ms" } })),
        device(serde_json::json!({ "share": 0.5, "compute": { "time_per_sample": "1 s" } })),
    ];
    plan
}

fn accepted(notes: &Notes) -> Vec<(f64, u32, u32)> {
    let accepted = notes.records.iter().filter(|record| record.event == EventKind::Accepted);
    accepted.map(|record| (record.time.as_secs_f64(), record.client_id.unwrap(), record.staleness.unwrap())).collect()
}

fn is_conserved(outcome: &Outcome) -> bool {
    let totals = &outcome.totals;
    let sum = |counts: &mut dyn Iterator<Item = &u64>| counts.sum::<u64>();
    let ended = totals.aggregated
        + sum(&mut totals.late.values())
        + sum(&mut totals.dropped.values())
        + sum(&mut totals.rejected.values());
    let moved: Bytes = outcome.clients.iter().map(|client| client.bytes_down + client.bytes_up).sum();
    totals.selected == ended && moved == totals.bytes_down + totals.bytes_up
}

#[test]
fn a_buffer_makes_a_model_whenever_it_is_full() {
    let mut plan = plan();
    plan.rounds.rounds = 3;
    plan.rounds.strategy = strategy(serde_json::json!({ "fedbuff": { "buffer_size": 2, "concurrency": 4 } }));
    let (outcome, notes) = simulate(&plan);
    // Four equal clients arrive together at 5.2 s: two models come out at that instant. The first two asked anew arrive
    // at 10.4 s with the others, and the third model ends the run.
    assert_eq!(notes.times_of(EventKind::Aggregate), [5.2, 5.2, 10.4]);
    // All four of the first started from version 0: the second pair is one version behind. Of the second four, two were
    // asked with version 0 (before the first model came out)... none: clients are asked again once the buffer is empty.
    let staleness: Vec<u32> = accepted(&notes).into_iter().map(|(_, _, staleness)| staleness).collect();
    assert_eq!(staleness[..4], [0, 0, 1, 1]);
    assert!(is_conserved(&outcome), "{:?}", outcome.totals);
    // What was under way at the end is stopped.
    assert!(outcome.totals.late[&Reason::RunEnd] > 0);
    assert_eq!(outcome.last_model.version, 3);
}

#[test]
fn fast_clients_do_not_wait_for_slow_ones() {
    let mut plan = mixed();
    plan.rounds.rounds = 12;
    plan.rounds.strategy = strategy(serde_json::json!({ "fedbuff": { "buffer_size": 2, "concurrency": 10 } }));
    let (outcome, notes) = simulate(&plan);
    let population = &plan.population;
    let n_slow = (0..10).filter(|&client_id| population.device_class(client_id) == 1).count();
    assert!((2..=8).contains(&n_slow), "both classes are there");
    // All ten are always at work: a client's k-th update arrives at k x 5.2 s or k x 13.2 s.
    let mut n_accepted = [0; 10];
    for (time, client_id, _) in accepted(&notes) {
        let period = if population.device_class(client_id) == 1 { 13.2 } else { 5.2 };
        let k = &mut n_accepted[client_id as usize];
        *k += 1;
        // An update may wait for another to fill the buffer: at most until the next fast client is done.
        let waited = time - f64::from(*k) * period;
        assert!(waited > -1e-6 && waited < 5.2 + 1e-6, "{client_id} at {time}");
    }
    assert!(is_conserved(&outcome));
}

#[test]
fn updates_of_models_that_are_too_old_are_refused() {
    let mut plan = mixed();
    plan.rounds.rounds = 20;
    plan.rounds.strategy =
        strategy(serde_json::json!({ "fedbuff": { "buffer_size": 1, "concurrency": 10, "max_staleness": 3 } }));
    let (outcome, notes) = simulate(&plan);
    assert!(accepted(&notes).iter().all(|(_, _, staleness)| *staleness <= 3));
    assert_eq!(outcome.totals.rejected[&Reason::Stale], notes.count(EventKind::Rejected, Reason::Stale) as u64);
    let mut refused = notes.records.iter().filter(|record| record.reason == Some(Reason::Stale));
    assert!(refused.all(|record| record.staleness.is_some_and(|staleness| staleness > 3)), "they say how old they are");
    assert_eq!(
        notes.rounds.iter().map(|round| u64::from(round.stale)).sum::<u64>(),
        outcome.totals.rejected[&Reason::Stale]
    );
    assert!(is_conserved(&outcome));
}

#[test]
fn asynchronous_training_gives_the_same_with_any_number_of_workers() {
    let mut all = Vec::new();
    for workers in [1, 2, 4] {
        let mut plan = mixed();
        plan.rounds.rounds = 15;
        plan.rounds.strategy = strategy(serde_json::json!({ "fedbuff": { "buffer_size": 3, "concurrency": 7 } }));
        plan.dropout = DropoutConfig { during_download: 0.1, during_train: 0.1, during_upload: 0.1 };
        (plan.learning, _) = learning(AddClientId::default(), workers);
        let (outcome, notes) = simulate(&plan);
        assert!(is_conserved(&outcome));
        all.push((notes.records, outcome.last_model.params.clone().unwrap().values().to_vec()));
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
}

/// Clients 0 to 19 are always online, the others come after the run; counts what it is asked.
#[derive(Default)]
struct FewOnline(AtomicUsize);

impl AvailabilityModel for FewOnline {
    fn is_online(&self, client_id: u32, time: SimTime) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        client_id < 20 || time >= self.next_change(client_id, SimTime::ZERO)
    }

    fn next_change(&self, client_id: u32, _: SimTime) -> SimTime {
        if client_id < 20 { NEVER } else { SimTime::from_nanos(80_000_000_000_000 + u64::from(client_id)) }
    }

    fn online_fraction(&self, client_id: u32, _: SimTime) -> f64 {
        f64::from(u8::from(client_id < 20))
    }
}

#[test]
fn while_too_few_are_online_the_others_are_not_looked_at_after_each_task() {
    let n_clients = 3000;
    for selection in ["uniform", "fastest_first", "oort", "weighted", "tifl", "round_robin"] {
        let mut plan = plan();
        population(&mut plan).n_clients = n_clients;
        plan.rounds.rounds = 40;
        plan.rounds.selection = from_json(selection.into());
        plan.rounds.strategy = strategy(serde_json::json!({ "fedbuff": { "buffer_size": 5, "concurrency": 100 } }));
        let availability = Arc::new(FewOnline::default());
        plan.availability = availability.clone();
        let (outcome, _) = simulate(&plan);
        assert!(outcome.totals.aggregated >= 200 && outcome.totals.selected >= 200);
        // The first choice looks at all up to three times, and who comes when is asked with two looks for each; all
        // that follows are the 20 who are online, at each of some 200 ends of tasks.
        let n_looks = availability.0.load(Ordering::Relaxed);
        assert!(n_looks < 5 * n_clients as usize + 200 * 100, "{selection}: {n_looks} looks");
    }
}

#[test]
fn a_buffer_adds_the_weighted_changes_to_the_model() {
    let mut plan = plan();
    plan.rounds.rounds = 2;
    // s(0) = 1 and s(1) = 1/2. Each client adds its own number to what it starts from.
    plan.rounds.strategy = strategy(serde_json::json!({ "fedbuff": {
        "buffer_size": 2, "concurrency": 4, "staleness": { "polynomial": { "a": 1.0 } } } }));
    (plan.learning, _) = learning(AddClientId::default(), 2);
    let (outcome, notes) = simulate(&plan);
    let expected: f64 =
        accepted(&notes).iter().map(|(_, client, staleness)| f64::from(*client) / 2.0 / f64::from(1 + staleness)).sum();
    assert_eq!(f64::from(outcome.last_model.params.as_ref().unwrap().values()[0]), expected);
}

#[test]
fn a_semi_synchronous_server_makes_a_model_every_period() {
    let mut plan = mixed();
    plan.rounds.rounds = 4;
    plan.rounds.strategy = strategy(serde_json::json!({ "semi_sync": { "period": "8 s", "concurrency": 10 } }));
    let (outcome, notes) = simulate(&plan);
    assert_eq!(notes.times_of(EventKind::RoundEnd), [8.0, 16.0, 24.0, 32.0]);
    let population = &plan.population;
    for (time, client_id, staleness) in accepted(&notes) {
        // Fast clients (5.2 s) are in time for the model of their own period. Slow ones (13.2 s) come in the next: from 0 s to
        // 13.2 s and from 16 s to 29.2 s, after one model.
        let is_slow = population.device_class(client_id) == 1;
        assert_eq!(staleness, u32::from(is_slow), "{client_id} at {time}");
        assert!(!is_slow || [16.0, 32.0].contains(&time), "{client_id} at {time}");
    }
    assert!(is_conserved(&outcome));
}

#[test]
fn a_period_asks_for_the_absent_and_not_again_for_those_who_are_done() {
    // Nine of ten are there at 0 s and done at 5.2 s; the tenth comes at 5.5 s, takes the place that was left for it, and is
    // done at 10.7 s, in the second period, at whose start the nine are asked again.
    let mut plan = plan();
    plan.rounds.rounds = 2;
    plan.rounds.strategy = strategy(serde_json::json!({ "semi_sync": { "period": "8 s", "concurrency": 10 } }));
    let mut shifts = vec![vec![(0.0, EVER)]; 10];
    shifts[3] = vec![(5.5, EVER)];
    plan.availability = Arc::new(Shifts(shifts));
    let (outcome, notes) = simulate(&plan);
    let mut asked = vec![0.0; 9];
    asked.push(5.5);
    asked.extend([8.0; 9]);
    assert_eq!(notes.times_of(EventKind::Selected), asked);
    assert_eq!(notes.rounds.iter().map(|round| round.aggregated).collect::<Vec<_>>(), [9, 10]);
    assert!(is_conserved(&outcome));
}

#[test]
fn whom_a_round_cuts_off_is_not_explored_again() {
    let mut plan = mixed();
    (plan.rounds.clients_per_round, plan.rounds.dispatches_per_round) = (5, 5);
    plan.rounds.deadline = Some("6 s".parse().unwrap());
    plan.rounds.selection = from_json(serde_json::json!({ "oort": { "exploration": 1.0, "exploration_min": 1.0 } }));
    let (outcome, notes) = simulate(&plan);
    // Slow clients take 13.2 s. Whether cut off or not, the first five are known, so the second round asks the other five.
    assert!(notes.rounds[0].late > 0, "the first round has slow clients");
    assert!(outcome.clients.iter().all(|client| client.selected == 1));
}

#[test]
fn late_updates_are_folded_into_the_round_in_which_they_arrive() {
    let mut plan = mixed();
    plan.rounds.rounds = 4;
    plan.rounds.clients_per_round = 5;
    plan.rounds.dispatches_per_round = 5;
    plan.rounds.deadline = Some("6 s".parse().unwrap());
    plan.rounds.late_updates =
        from_json(serde_json::json!({ "fold": { "staleness": { "polynomial": { "a": 1.0 } } } }));
    (plan.learning, _) = learning(AddClientId::default(), 2);
    let (outcome, notes) = simulate(&plan);
    let late: Vec<_> = accepted(&notes).into_iter().filter(|(_, _, staleness)| *staleness > 0).collect();
    assert!(!late.is_empty(), "slow clients take 13.2 s, rounds end after 6 s");
    assert!(late.iter().all(|(_, client, _)| plan.population.device_class(*client) == 1));
    assert!(is_conserved(&outcome));
    assert_eq!(notes.rounds.iter().map(|round| u64::from(round.aggregated)).sum::<u64>(), outcome.totals.aggregated);
    let mean: Vec<u64> = notes.rounds.iter().map(|round| round.staleness_sum).collect();
    assert_eq!(mean.iter().sum::<u64>(), late.iter().map(|(_, _, staleness)| u64::from(*staleness)).sum::<u64>());
}

#[test]
fn a_round_below_its_minimum_is_extended_then_fails() {
    let mut plan = plan();
    plan.rounds.rounds = 1;
    plan.rounds.min_updates = 4;
    plan.rounds.deadline = Some("2 s".parse().unwrap());
    let ends = |by: &str, times: u32| {
        let mut plan = self::plan();
        plan.rounds = RoundSettings {
            below_min_updates: from_json(serde_json::json!({ "extend": { "by": by, "times": times } })),
            ..self::plan().rounds
        };
        plan.rounds.rounds = 1;
        plan.rounds.min_updates = 4;
        plan.rounds.deadline = Some("2 s".parse().unwrap());
        let (outcome, notes) = simulate(&plan);
        (notes.times_of(EventKind::RoundEnd)[0], outcome.last_model.version)
    };
    // A task takes 5.2 s. 2 s + 3 x 1 s are too short, 2 s + 2 x 2 s are not: it ends when the last update is there.
    assert_eq!(ends("1 s", 3), (5.0, 0));
    assert_eq!(ends("2 s", 2), (5.2, 1));
    let (_, failed) = simulate(&plan);
    assert_eq!(failed.times_of(EventKind::RoundEnd), [2.0]);
}

#[test]
fn a_round_that_accepts_less_than_its_minimum_counts() {
    let mut plan = mixed();
    plan.rounds.rounds = 1;
    plan.rounds.clients_per_round = 10;
    plan.rounds.dispatches_per_round = 10;
    plan.rounds.min_updates = 10;
    plan.rounds.deadline = Some("6 s".parse().unwrap());
    assert_eq!(simulate(&plan).0.last_model.version, 0);
    plan.rounds.below_min_updates = from_json("accept".into());
    assert_eq!(simulate(&plan).0.last_model.version, 1);
}

#[test]
fn who_comes_online_first_is_asked_first() {
    // Clients 0 and 1 are at work, 2 is expected at 3,600 s. Client 0 leaves at 10 s in its second task and is back at 70 s,
    // between the ends of the tasks of client 1, which come every 5.2 s.
    let mut plan = plan();
    plan.rounds.rounds = 20;
    plan.rounds.strategy = strategy(serde_json::json!({ "fedbuff": { "buffer_size": 1, "concurrency": 3 } }));
    plan.availability =
        Arc::new(Shifts(vec![vec![(0.0, 10.0), (70.0, EVER)], vec![(0.0, EVER)], vec![(3600.0, EVER)]]));
    let (_, notes) = simulate(&plan);
    let selected = notes.records.iter().filter(|r| r.event == EventKind::Selected && r.client_id == Some(0));
    assert_eq!(selected.map(|record| record.time).collect::<Vec<_>>()[..3], [s(0.0), s(5.2), s(70.0)]);
}

#[test]
fn a_server_between_two_rounds_asks_once_to_be_woken_at_a_time() {
    let mut plan = plan();
    plan.rounds.late_updates = from_json(serde_json::json!({ "fold": { "max_staleness": 2 } }));
    plan.rounds.deadline = Some("6 s".parse().unwrap());
    plan.availability = Arc::new(Shifts(vec![vec![(0.0, 7.0), (100.0, EVER)]; 4]));
    let view = view_of(&plan, None);
    let model = Arc::new(GlobalModel { version: 0, params: None, payload: Bytes::ZERO });
    let mut server = Server::new(plan.rounds.clone(), Seeds::new(1), model);
    let mut wakes = |at: f64, message| -> Vec<SimTime> {
        let commands = server.on(s(at), message, &view).unwrap();
        commands.iter().filter_map(|c| if let Command::Wake { at, .. } = c { Some(*at) } else { None }).collect()
    };
    let failed = |task| {
        let cause = Cause { reason: Reason::Offline, phase: Some(Phase::Train) };
        ServerMessage::Failed { task, cause }
    };
    let none: Vec<SimTime> = Vec::new();
    assert_eq!(wakes(0.0, ServerMessage::Start), [s(6.0)]);
    // The round fails with all four at work, so that nobody is left to begin the next with.
    assert_eq!(wakes(6.0, ServerMessage::Woken(Alarm::Deadline { round: 1 })), none);
    assert_eq!(wakes(7.0, failed(1)), [s(100.0)]);
    assert_eq!(wakes(7.0, failed(2)), none);
    assert_eq!(wakes(8.0, failed(3)), none);
    // The second round begins, with its deadline.
    assert_eq!(wakes(100.0, ServerMessage::Woken(Alarm::ClientsExpected { round: 2 })), [s(106.0)]);
}

#[test]
fn a_run_that_comes_to_nothing_says_so() {
    let mut plan = plan();
    plan.rounds.strategy = strategy(serde_json::json!({ "fedbuff": { "buffer_size": 2, "concurrency": 4 } }));
    plan.dropout = DropoutConfig { during_download: 1.0, ..DropoutConfig::default() };
    // Four at a time fail within the 1.1 s of their download: 100,000 failures take less than 27,500 s of the day.
    let error = try_simulate(&plan).0.err().expect("no update ever arrives").to_string();
    assert!(error.contains("tasks failed one after the other"), "{error}");
    assert!(
        error.ends_with("did so with `network` during the download; lower `clients.dropout.during_download`"),
        "{error}"
    );
    plan.rounds.give_up_after = "1 h".parse().unwrap();
    let error = try_simulate(&plan).0.err().expect("no update ever arrives").to_string();
    assert!(error.contains("give_up_after"), "{error}");
}
