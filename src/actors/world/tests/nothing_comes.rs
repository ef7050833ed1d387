//! Runs of which no model comes: when they end, and what is said to be to blame.

use super::interruptions::{EVER, Shifts, with_battery};
use super::*;
use crate::actors::server::{Blame, ServerError};

/// How a run ends that makes no model for too long: since when, when, and what is to blame.
fn standstill(plan: &Plan) -> (f64, f64, Blame) {
    match try_simulate(plan).0.err().expect("no model comes of it") {
        WorldError::House(HouseError::Server(ServerError::Standstill { since_s, now_s, blame, .. })) => {
            (since_s, now_s, blame)
        }
        error => panic!("{error}"),
    }
}

/// What is to blame for a run that can never ask enough clients.
fn nobody_ever(plan: &Plan) -> Blame {
    match try_simulate(plan).0.err().expect("nobody can be asked") {
        WorldError::House(HouseError::Server(ServerError::NobodyEver { blame, .. })) => blame,
        error => panic!("{error}"),
    }
}

#[test]
fn rounds_without_a_model_are_no_progress() {
    let mut plan = plan();
    plan.rounds.rounds = 1_000_000;
    plan.rounds.give_up_after = "1 h".parse().unwrap();
    plan.dropout = DropoutConfig { during_train: 1.0, ..DropoutConfig::default() };
    for strategy in ["fedavg", "semi_sync"] {
        plan.rounds.strategy = match strategy {
            "fedavg" => StrategyConfig::default(),
            _ => from_json(serde_json::json!({ "semi_sync": { "period": "10 s", "concurrency": 4 } })),
        };
        let (since_s, now_s, blame) = standstill(&plan);
        // Something happens every ten seconds at the least.
        assert!(since_s == 0.0 && now_s > 3600.0 && now_s < 3611.0, "{strategy}: {now_s}");
        assert_eq!(blame.setting, "clients.dropout.during_train", "{strategy}");
        assert!(blame.why.contains("did so with `random` during training"), "{}", blame.why);
    }
}

#[test]
fn patience_begins_anew_with_each_model() {
    // Five models by 26 s; from 30 s on nobody is there, and at 1,026 s nobody has been for 1,000 s.
    let mut plan = plan();
    plan.rounds.rounds = 100;
    plan.rounds.give_up_after = "1000 s".parse().unwrap();
    plan.availability = Arc::new(Shifts(vec![vec![(0.0, 30.0), (1026.1, EVER)]; 10]));
    let (since_s, now_s, blame) = standstill(&plan);
    assert_eq!((since_s, now_s), (26.0, 1026.1));
    assert_eq!(blame.setting, "clients.availability");
    plan.availability = Arc::new(Shifts(vec![vec![(0.0, 30.0), (1025.9, EVER)]; 10]));
    plan.rounds.rounds = 6;
    assert_eq!(simulate(&plan).0.last_model.version, 5, "the sixth round failed at 30 s");
}

#[test]
fn flat_batteries_are_to_blame_and_not_the_availability() {
    let mut plan =
        with_battery(serde_json::json!({ "capacity": "100 J", "initial": 0.1, "reserve": 0.05, "start_above": 0.9 }));
    for strategy in ["fedavg", "semi_sync"] {
        if strategy == "semi_sync" {
            plan.rounds.strategy =
                from_json(serde_json::json!({ "semi_sync": { "period": "10 s", "concurrency": 4 } }));
        }
        let blame = nobody_ever(&plan);
        assert_eq!(blame.setting, "clients.devices.phone.battery", "{strategy}");
        assert!(blame.why.contains("10 online with too little in the battery"), "{}", blame.why);
    }
}

#[test]
fn one_client_too_few_is_said_to_be_one() {
    let mut plan = plan();
    population(&mut plan).n_clients = 5;
    (plan.rounds.clients_per_round, plan.rounds.dispatches_per_round, plan.rounds.min_updates) = (5, 5, 5);
    plan.availability = Arc::new(Shifts(vec![vec![(0.0, EVER)]; 4]));
    let blame = nobody_ever(&plan);
    assert_eq!(blame.setting, "server.min_updates");
    let expected = "5 clients are needed, of whom no more than 4 can be asked, and no other ever will be: 4 online, 1 \
                    offline; lower `server.min_updates`, or change `clients.availability`";
    assert_eq!(blame.why, expected);
}

#[test]
fn outages_without_a_gap_are_to_blame() {
    let mut plan = plan();
    // From 1 s to 11 s, 8 s to 18 s, 16 s to 26 s, and so on.
    let outage = serde_json::json!([
        { "start": "1 s", "duration": "10 s", "every": "15 s" }, { "start": "8 s", "duration": "10 s", "every": "15 s" }]);
    let configs: Vec<crate::sim::OutageConfig> = from_json(outage);
    let members = plan.population.clone();
    let names = plan.population.group_names();
    let membership = Arc::new(move |client_id| members.membership(client_id));
    let outages = crate::sim::Outages::new(&configs, &names, plan.population.seeds, membership);
    plan.availability = outages.clone().around(plan.availability.clone());
    plan.outages = Some(outages);
    let blame = nobody_ever(&plan);
    assert_eq!(blame.setting, "clients.outages");
    assert!(blame.why.contains("10 kept away by an outage"), "{}", blame.why);
}

#[test]
fn what_never_arrives_is_waited_for_no_longer_than_patience_lasts() {
    // A link that has another rate each second, and a payload of 499 MB that takes 4e9 bits / 15 bps = 2.7e8 s.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("slow.csv"), "client_id,time_s,down_kbps,up_kbps\na,0,1000,0.01\na,1,1001,0.02\n")
        .unwrap();
    let config: NetworkClassConfig = from_json(serde_json::json!({
        "share": 1.0, "latency": "100 ms", "trace": { "file": "slow.csv", "assign": "random", "end": "loop" } }));
    let context = BuildContext { base_dir: dir.path().to_owned(), ..context() };
    let mut plan = plan();
    let model = config.build(&context).unwrap();
    population(&mut plan).networks = vec![Class { name: "wifi".into(), config, model }];
    population(&mut plan).uplink_payload = Bytes::new(499_000_000);
    let (since_s, now_s, blame) = standstill(&plan);
    // The day is over within a second, the time between two events.
    assert!(since_s == 0.0 && now_s > 86_400.0 && now_s <= 86_401.0, "{now_s}");
    assert_eq!(blame.setting, "server.give_up_after");
    assert!(blame.why.starts_with("the 4 clients at work take longer"), "{}", blame.why);
}
