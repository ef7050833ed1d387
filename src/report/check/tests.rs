//! Runs that agree, and each way of breaking one.

use super::super::fixture::{Run, run};
use super::super::{EnergySpent, Record};
use super::*;
use crate::units::SimTime;

fn of(run: &Run) -> Vec<String> {
    violations(&run.timeline, &run.rounds, &run.clients, &run.summary)
}

/// Breaks a run that agrees and returns what is found.
fn after(breaking: impl FnOnce(&mut Run)) -> String {
    let mut run = run();
    breaking(&mut run);
    let found = of(&run);
    assert!(!found.is_empty(), "nothing was found");
    found.join("\n")
}

fn position(run: &Run, event: EventKind) -> usize {
    run.timeline.iter().position(|row| row.record.event == event).expect("the run has such a row")
}

#[test]
fn a_run_that_agrees_has_no_violations() {
    assert_eq!(of(&run()), Vec::<String>::new());
}

#[test]
fn time_must_not_go_back() {
    let found = after(|run| run.timeline[20].record.time = SimTime::ZERO);
    assert!(found.contains("time goes back at seq 20"), "{found}");
}

#[test]
fn bytes_must_be_conserved() {
    let shrink = |record: &mut Record| record.bytes = Some(Bytes::new(7));
    let found = after(|run| {
        let index = position(run, EventKind::DownloadEnd);
        shrink(&mut run.timeline[index].record);
    });
    assert!(found.contains("7 B arrived of 3500000 B offered"), "{found}");
    let found = after(|run| {
        let index = position(run, EventKind::DownloadStart);
        run.timeline[index].record.event = EventKind::TrainStart;
    });
    assert!(found.contains("a transfer ends that has not started"), "{found}");
    let found = after(|run| run.rounds[2].bytes_up += Bytes::new(1));
    assert!(found.contains("rounds.csv: round 3: is") && found.contains("by the timeline"), "{found}");
    let found = after(|run| run.rounds[2].cum_bytes += Bytes::new(1));
    assert!(found.contains("rounds.csv: round 3: cum_bytes"), "{found}");
    assert!(after(|run| run.clients[1].bytes_down += Bytes::new(1)).contains("clients.csv: bytes_down"));
    assert!(after(|run| run.summary.bytes.wasted += Bytes::new(1)).contains("summary.json: bytes.wasted"));
}

#[test]
fn tasks_must_be_conserved() {
    let found = after(|run| {
        let index = position(run, EventKind::Accepted);
        run.timeline[index].record.event = EventKind::Eval;
    });
    assert!(found.contains("has no end"), "{found}");
    let found = after(|run| {
        let index = position(run, EventKind::Dropout);
        run.timeline[index].record.reason = None;
    });
    assert!(found.contains("ended without a reason"), "{found}");
    assert!(after(|run| run.rounds[0].late += 5).contains("rounds.csv: selected"));
    assert!(after(|run| run.summary.updates.selected += 1).contains("summary.json: updates.selected"));
    assert!(after(|run| run.clients[3].completed += 1).contains("clients.csv: completed"));
}

#[test]
fn energy_must_be_conserved() {
    let spending = |run: &mut Run, of_clients: f64, of_rounds: f64, wasted: f64| {
        (run.clients[0].energy_j, run.clients[1].energy_j) = (Some(of_clients - 1.0), Some(1.0));
        run.rounds[0].energy_j = Some(of_rounds);
        run.summary.energy = Some(EnergySpent { total: 5.0, wasted });
    };
    let mut sound = run();
    spending(&mut sound, 5.0, 5.0004, 5.0);
    assert_eq!(of(&sound), Vec::<String>::new());
    let found = after(|run| spending(run, 5.1, 5.0, 0.0));
    assert!(found.contains("clients.csv: energy_j is 5.1 J in all, but energy.total_j"), "{found}");
    let found = after(|run| spending(run, 5.0, 4.9, 0.0));
    assert!(found.contains("rounds.csv: energy_j is 4.9 J in all"), "{found}");
    assert_eq!(after(|run| spending(run, 5.0, 5.0, 5.1)), "summary.json: energy.wasted_j is 5.1 J of 5 J");
}
