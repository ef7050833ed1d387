//! What a run writes agrees with itself, in many scenarios.

use std::path::Path;

use straggler::report::{EventKind, check, read_clients, read_rounds, read_timeline};

use super::run;

fn check_results(results: &Path) {
    let violations = check::violations_in(results).unwrap();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn bytes_tasks_and_time_are_conserved_with_failures_deadline_and_absence() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        &["--set", "clients.availability={ markov: { mean_online: 3 min, mean_offline: 1 min } }"][..],
        &["--set", "clients.dropout={ during_download: 0.1, during_train: 0.2, during_upload: 0.1 }"],
        &["--set", "server.deadline=8 s", "--set", "server.rounds=200", "--timing-only"],
    ]
    .concat();
    let results = run("quickstart", folder.path(), &settings);
    check_results(&results);
    let timeline = read_timeline(&results.join("timeline.csv")).unwrap();
    let has = |event| timeline.iter().any(|row| row.record.event == event);
    assert!(has(EventKind::Dropout) && has(EventKind::Rejected) && has(EventKind::Deadline));
}

#[test]
fn random_scenarios_conserve_tasks_bytes_and_time() {
    // Corners of the settings, each with its own seed: with and without over-selection, deadline, failures, absence.
    for case in 0..32u32 {
        let bit = |i: u32| case & (1 << i) != 0;
        let folder = tempfile::tempdir().unwrap();
        let over_selection = if bit(0) { "1.5" } else { "1.0" };
        let deadline = if bit(1) { "6 s" } else { "null" };
        let dropout = if bit(2) { "0.3" } else { "0.0" };
        let availability = if bit(3) { "{ markov: { mean_online: 60 s, mean_offline: 60 s } }" } else { "always" };
        let sharing = if bit(4) { "constant" } else { "max_min_fair" };
        let seed = (100 + case).to_string();
        let set = [
            format!("server.over_selection={over_selection}"),
            format!("server.deadline={deadline}"),
            format!("clients.dropout.during_upload={dropout}"),
            format!("clients.availability={availability}"),
            format!("server.network.sharing={sharing}"),
            "server.network.downlink=3 Mbps".into(),
            "server.rounds=20".into(),
        ];
        let mut settings = vec!["--timing-only", "--seed", seed.as_str()];
        settings.extend(set.iter().flat_map(|setting| ["--set", setting.as_str()]));
        check_results(&run("quickstart", folder.path(), &settings));
    }
}

#[test]
fn clients_csv_has_every_client_and_agrees_with_the_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let results = run("quickstart", folder.path(), &["--timing-only"]);
    let clients = read_clients(&results.join("clients.csv")).unwrap();
    assert_eq!(clients.len(), 30);
    // All rows of the data set but those held back for validation are dealt.
    assert_eq!(clients.iter().map(|client| client.num_examples).sum::<u64>(), 3000);
    let rounds = read_rounds(&results.join("rounds.csv")).unwrap().rows;
    assert_eq!(rounds.len(), 15);
    let of_clients: u32 = clients.iter().map(|client| client.selected).sum();
    assert_eq!(of_clients, rounds.iter().map(|round| round.selected).sum::<u32>());
}
