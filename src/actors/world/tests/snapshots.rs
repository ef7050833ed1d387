//! A run that is stopped between two events and gone on with from its state is the run that was never stopped.

use super::*;

/// Takes notes, and stops the run once there are so many of them.
#[derive(Default)]
pub(super) struct Stopping {
    pub(super) notes: Notes,
    pub(super) stop_after: Option<usize>,
    pub(super) snapshots: Vec<Snapshot>,
}

impl Observer for Stopping {
    fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        self.notes.record(record)
    }

    fn round(&mut self, report: &RoundReport) -> Result<(), ReportError> {
        self.notes.round(report)
    }

    fn host(&mut self, _: u32, _: SimTime, _: &HostWork) -> Result<(), ReportError> {
        Ok(())
    }

    fn checkpoint(&mut self, snapshot: &Snapshot) -> Result<(), ReportError> {
        self.snapshots.push(snapshot.clone());
        Ok(())
    }

    fn is_to_stop(&self) -> bool {
        self.stop_after.is_some_and(|n| self.notes.records.len() >= n)
    }
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Stops after so many records and goes on with what `plan` gives anew, which may be another world if it `is_fork`.
fn in_two_pieces(plan: &dyn Fn() -> Plan, stop_after: usize, is_fork: bool) -> Option<(Outcome, Notes)> {
    let mut observer = Stopping { stop_after: Some(stop_after), ..Stopping::default() };
    match block_on(run(&plan(), &mut observer)) {
        Err(WorldError::Stopped { .. }) => {}
        Err(error) => panic!("{error}"),
        // The last records come at one instant, between two of which nothing stops the run.
        Ok(_) => return None,
    }
    let snapshot = observer.snapshots.pop().expect("a run that stops tells its state");
    observer.stop_after = None;
    let outcome = block_on(resume(&plan(), snapshot, is_fork, &mut observer)).unwrap();
    Some((outcome, observer.notes))
}

/// Compares the run with itself stopped at each of its records.
fn assert_resumable(plan: impl Fn() -> Plan) {
    let (whole, notes) = simulate(&plan());
    let (n_records, mut n_pieces) = (notes.records.len(), 0);
    for stop_after in 1..n_records {
        // A branch into the same world is the same run.
        for is_fork in [false, true] {
            let Some((outcome, pieces)) = in_two_pieces(&plan, stop_after, is_fork) else { continue };
            n_pieces += 1;
            assert_eq!(pieces.records, notes.records, "stopped after {stop_after}, is_fork: {is_fork}");
            assert_eq!(pieces.rounds, notes.rounds, "stopped after {stop_after}, is_fork: {is_fork}");
            assert_eq!((outcome.end, &outcome.clients, &outcome.totals), (whole.end, &whole.clients, &whole.totals));
            assert_eq!(outcome.last_model.params, whole.last_model.params);
        }
    }
    assert!(n_pieces > n_records, "the run was stopped {n_pieces} times in {n_records} records");
}

/// Devices that differ, tasks that fail, updates that are not used, a model that diverges.
fn eventful(json: serde_json::Value) -> Plan {
    let mut plan = plan();
    let power = serde_json::json!({ "idle": "1 W", "compute": "4 W", "radio": "2 W" });
    let battery = serde_json::json!({ "capacity": "90 J", "initial": 0.9, "reserve": 0.05, "start_above": 0.1 });
    population(&mut plan).devices = vec![
        device(serde_json::json!({ "share": 0.5, "compute": { "time_per_sample": "200 ms" } })),
        device(serde_json::json!({
            "share": 0.5, "compute": { "time_per_sample": "900 ms" }, "energy": power, "battery": battery })),
    ];
    plan.dropout = from_json(serde_json::json!({ "during_train": 0.1, "during_upload": 0.2 }));
    plan.uploads = from_json(serde_json::json!({ "when_interrupted": "resume", "retries": 2 }));
    plan.server_network = from_json(serde_json::json!({ "uplink": "24 Mbps", "downlink": "10 Mbps" }));
    plan.availability = {
        let config: AvailabilityConfig =
            from_json(serde_json::json!({ "markov": { "mean_online": "40 s", "mean_offline": "10 s" } }));
        config.implementation().build(&BuildContext::new(Seeds::new(1), 100)).unwrap().into()
    };
    plan.rounds.rounds = 4;
    plan.rounds.evaluate_every = 2;
    plan.rounds.strategy = from_json(json);
    (plan.learning, _) = learning(AddClientId { diverging: vec![3, 7], ..AddClientId::default() }, 2);
    plan
}

#[test]
fn synchronous_rounds_can_be_stopped_anywhere() {
    assert_resumable(|| {
        let mut plan = eventful(serde_json::json!("fedavg"));
        plan.rounds.dispatches_per_round = 6;
        plan.rounds.deadline = Some("25 s".parse().unwrap());
        plan
    });
}

/// Who is known to Oort, those who were cut off too, is part of the state.
#[test]
fn rounds_that_remember_whom_they_cut_off_can_be_stopped_anywhere() {
    assert_resumable(|| {
        let mut plan = eventful(serde_json::json!("fedavg"));
        (plan.rounds.dispatches_per_round, plan.rounds.clients_per_round) = (6, 3);
        plan.rounds.selection = from_json(serde_json::json!({ "oort": { "exploration": 0.5 } }));
        plan
    });
}

#[test]
fn rounds_that_fold_late_updates_can_be_stopped_anywhere() {
    assert_resumable(|| {
        let mut plan = eventful(serde_json::json!("fedavg"));
        plan.rounds.deadline = Some("8 s".parse().unwrap());
        plan.rounds.late_updates = from_json(serde_json::json!({ "fold": { "max_staleness": 2 } }));
        plan
    });
}

/// A model that diverges leaves the buffer one short: the others in it are folded when the run stops, and again after.
#[test]
fn asynchronous_runs_can_be_stopped_anywhere() {
    assert_resumable(|| eventful(serde_json::json!({ "fedbuff": { "buffer_size": 3, "concurrency": 6 } })));
    assert_resumable(|| eventful(serde_json::json!({ "semi_sync": { "period": "9 s", "concurrency": 6 } })));
}

#[test]
fn runs_with_a_server_that_goes_down_can_be_stopped_anywhere() {
    for strategy in
        [serde_json::json!("fedavg"), serde_json::json!({ "fedbuff": { "buffer_size": 3, "concurrency": 6 } })]
    {
        assert_resumable(|| {
            let mut plan = eventful(strategy.clone());
            plan.rounds.rounds = 6;
            plan.restarts = from_json(serde_json::json!([
                { "at": "3 s", "downtime": "12 s", "in_flight": "resumed" },
                { "at": "15 s", "downtime": "6 s", "in_flight": "lost" },
                { "at": "24 s", "downtime": "9 s", "in_flight": "resumed" } ]));
            plan
        });
    }
}

#[test]
fn checkpoints_come_after_the_rounds_that_were_asked_for_and_any_of_them_goes_on() {
    let plan = || {
        let mut plan = eventful(serde_json::json!("fedavg"));
        (plan.checkpoint_every, plan.rounds.rounds) = (Some(2), 5);
        plan
    };
    let mut whole = Stopping::default();
    block_on(run(&plan(), &mut whole)).unwrap();
    assert_eq!(whole.snapshots.iter().map(|snapshot| snapshot.round).collect::<Vec<_>>(), [2, 4]);
    let rows = whole.notes.records.iter().filter(|record| record.event == EventKind::Checkpoint);
    assert_eq!(rows.map(|record| record.round).collect::<Vec<_>>(), [Some(2), Some(4)]);
    for snapshot in whole.snapshots.clone() {
        let mut rest = Stopping::default();
        let round = snapshot.round;
        block_on(resume(&plan(), snapshot, false, &mut rest)).unwrap();
        let all = &whole.notes.records;
        let after = all.iter().position(|r| r.event == EventKind::Checkpoint && r.round == Some(round)).unwrap();
        assert_eq!(rest.notes.records, all[after + 1..]);
    }
}

#[test]
fn a_state_of_another_scenario_is_refused() {
    let mut observer = Stopping { stop_after: Some(9), ..Stopping::default() };
    assert!(block_on(run(&plan(), &mut observer)).is_err());
    let snapshot = observer.snapshots.pop().unwrap();
    let refusal = |snapshot: &Snapshot, change: &dyn Fn(&mut Plan)| {
        let mut other = plan();
        change(&mut other);
        let outcome = block_on(resume(&other, snapshot.clone(), false, &mut Stopping::default()));
        outcome.err().expect("is refused").to_string()
    };
    let fewer = refusal(&snapshot, &|plan| population(plan).n_clients = 1);
    assert!(fewer.contains("does not fit this scenario") && fewer.contains("is not there"), "{fewer}");
    let constant = serde_json::json!({ "sharing": "constant" });
    let other_network = refusal(&snapshot, &|plan| plan.server_network = from_json(constant.clone()));
    assert!(other_network.contains("transfers cannot be used"), "{other_network}");
    let without_models = Snapshot { models: std::collections::BTreeMap::new(), ..snapshot.clone() };
    assert!(refusal(&without_models, &|_| ()).contains("version 0 of the model is not there"));
    let cut = Snapshot { state: snapshot.state[..snapshot.state.len() / 2].into(), ..snapshot };
    assert!(refusal(&cut, &|_| ()).contains("does not fit this scenario"));
}
