//! A run that branches: tasks under way follow the new world.

use super::interruptions::{EVER, Shifts, s};
use super::snapshots::{Stopping, block_on};
use super::*;

/// Stops when the first round's clients train, at 1.1 s, and goes on with another plan: its records from then on.
fn branch(before: &Plan, after: &Plan) -> (Outcome, Notes) {
    let mut observer = Stopping::default();
    let is_training = |record: &Record| record.event == EventKind::TrainStart;
    let n_before = simulate(before).1.records.iter().rposition(|r| is_training(r) && r.round == Some(1)).unwrap() + 1;
    observer.stop_after = Some(n_before);
    assert!(matches!(block_on(run(before, &mut observer)), Err(WorldError::Stopped { .. })));
    let snapshot = observer.snapshots.pop().unwrap();
    let mut rest = Stopping::default();
    let outcome = block_on(resume(after, snapshot, true, &mut rest)).unwrap();
    (outcome, rest.notes)
}

#[test]
fn tasks_under_way_end_by_absences_of_the_new_world_alone() {
    let mut present = plan();
    present.rounds.rounds = 1;
    let mut absent = plan();
    absent.rounds.rounds = 1;
    absent.availability = Arc::new(Shifts(vec![vec![(0.0, 4.0), (9.0, EVER)]; 10]));
    let (outcome, notes) = branch(&present, &absent);
    assert_eq!(notes.times_of(EventKind::Dropout), [4.0; 4]);
    assert_eq!(outcome.last_model.version, 0);
    let (outcome, notes) = branch(&absent, &present);
    assert_eq!((notes.times_of(EventKind::RoundEnd), outcome.totals.aggregated), (vec![5.2], 4));
}

#[test]
fn an_upload_that_waits_for_its_client_goes_on_when_the_new_world_has_it_online() {
    // Uploads run from 3.2 s and need 2 s; clients leave at 4 s with 1.2 s to go.
    let away = |back: f64| {
        let mut plan = plan();
        plan.rounds.rounds = 1;
        plan.uploads = from_json(serde_json::json!({ "when_interrupted": "resume" }));
        plan.availability = Arc::new(Shifts(vec![vec![(0.0, 4.0), (back, EVER)]; 10]));
        plan
    };
    for (before, after) in [(9.0, 9.0), (9.0, 7.0), (7.0, 9.0)] {
        let mut observer = Stopping::default();
        let records = simulate(&away(before)).1.records;
        let n_left = records.iter().filter(|record| record.time <= s(4.0)).count();
        observer.stop_after = Some(n_left);
        assert!(matches!(block_on(run(&away(before), &mut observer)), Err(WorldError::Stopped { .. })));
        let mut rest = Stopping::default();
        block_on(resume(&away(after), observer.snapshots.pop().unwrap(), true, &mut rest)).unwrap();
        // Latency, then what was missing.
        let end = ((after + 0.1 + 1.2) * 10.0).round() / 10.0;
        assert_eq!(rest.notes.times_of(EventKind::RoundEnd), [end], "{before} s and {after} s");
    }
}

#[test]
fn tasks_under_way_drain_the_batteries_of_the_new_world() {
    // 4 W while they train: 6 J of 10 J are left above the reserve of 4 J, for 1.5 s from 1.1 s on; downloads were free.
    let power = serde_json::json!({ "idle": "0 W", "compute": "4 W", "radio": "0 W" });
    let battery = serde_json::json!({ "capacity": "10 J", "initial": 1.0, "reserve": 0.4, "start_above": 0.5 });
    let mut before = plan();
    before.rounds.rounds = 1;
    let mut after = plan();
    after.rounds.rounds = 1;
    population(&mut after).devices = vec![device(serde_json::json!({
        "share": 1.0, "compute": { "time_per_sample": "200 ms" }, "energy": power, "battery": battery }))];
    let (outcome, notes) = branch(&before, &after);
    assert_eq!(notes.times_of(EventKind::Dropout), [2.6; 4]);
    assert_eq!(outcome.totals.dropped, [((Reason::Battery, Phase::Train), 4)].into());
}

#[test]
fn late_updates_that_a_branch_discards_are_not_folded() {
    // The first round closes at 4 s; its clients go on and arrive at 5.2 s, in the second round.
    let rounds = |late: serde_json::Value| {
        let mut plan = plan();
        plan.rounds.rounds = 3;
        plan.rounds.deadline = Some("4 s".parse().unwrap());
        plan.rounds.late_updates = from_json(late);
        plan
    };
    let fold = || rounds(serde_json::json!({ "fold": {} }));
    let stale = |notes: &Notes| notes.records.iter().filter(|record| record.staleness.is_some()).count();
    assert!(stale(&simulate(&fold()).1) > 0, "late updates are folded where nothing branches");
    let mut observer = Stopping { stop_after: None, ..Stopping::default() };
    let records = simulate(&fold()).1.records;
    observer.stop_after = records.iter().position(|r| r.event == EventKind::RoundStart && r.round == Some(2));
    assert!(matches!(block_on(run(&fold(), &mut observer)), Err(WorldError::Stopped { .. })));
    let mut rest = Stopping::default();
    let snapshot = observer.snapshots.pop().unwrap();
    let outcome = block_on(resume(&rounds(serde_json::json!("discard")), snapshot, true, &mut rest)).unwrap();
    assert_eq!(rest.notes.times_of(EventKind::Accepted), Vec::<f64>::new());
    assert_eq!((outcome.totals.aggregated, outcome.totals.late[&Reason::Deadline]), (0, 12));
}
