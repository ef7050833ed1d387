//! What the user should know of a run that is over.

use std::collections::BTreeMap;

use super::Found;
use crate::actors::world::Outcome;
use crate::cli::shell::quoted;
use crate::report::export::perfetto;
use crate::report::{Reason, Updates};
use crate::scenario::Scenario;
use crate::units::{SimDuration, SimTime};

/// Lines for console and log.
pub(super) fn of(scenario: &Scenario, outcome: &Outcome, found: &Found) -> Vec<String> {
    let mut remarks = Vec::new();
    remarks.extend(nothing_aggregated(&found.summary.updates, scenario.deadline().is_some()));
    let restarts = scenario.restarts().iter().map(|restart| restart.at);
    remarks.extend(beyond_the_end("server.restarts", restarts, outcome.end));
    let outages = scenario.outages().iter().map(|outage| outage.start);
    remarks.extend(beyond_the_end("clients.outages", outages, outcome.end));
    if !found.has_trace {
        let rows = perfetto::ROWS_MAX;
        let export = format!("straggler export {} --perfetto", quoted(&found.directory));
        remarks.push(format!("no trace.json: the timeline has more than {rows} rows; `{export}` writes it"));
    }
    if found.n_unknown_availabilities > 0 {
        let n = found.n_unknown_availabilities;
        remarks.push(format!(
            "clients.csv leaves `availability` empty for {n} clients: too many on and off periods would have to be gone through"
        ));
    }
    remarks
}

/// The model is the one that the run started with.
fn nothing_aggregated(updates: &Updates, has_deadline: bool) -> Option<String> {
    if updates.aggregated > 0 {
        return None;
    }
    let most = |causes: &BTreeMap<Reason, u64>| match causes.iter().max_by_key(|(_, n)| **n) {
        Some((reason, n)) if causes.len() > 1 => format!(" ({n} of them by `{}`)", reason.as_str()),
        Some((reason, _)) => format!(" (by `{}`)", reason.as_str()),
        None => String::new(),
    };
    let is_by_deadline = has_deadline && updates.late > updates.n_dropped().max(updates.n_rejected());
    Some(format!(
        "warning: the model is the one that the run started with: of {} tasks {} were dropped{}, {} were late and {} refused{}{}",
        updates.selected,
        updates.n_dropped(),
        most(&updates.dropped),
        updates.late,
        updates.n_rejected(),
        most(&updates.rejected),
        if is_by_deadline { "; raise `server.deadline`, or make tasks shorter" } else { "" },
    ))
}

/// Events of this setting that the run was over before.
fn beyond_the_end(setting: &str, times: impl Iterator<Item = SimDuration>, end: SimTime) -> Option<String> {
    let (never, all): (Vec<bool>, Vec<SimDuration>) = times.map(|time| (SimTime::ZERO + time > end, time)).unzip();
    let n_never = never.iter().filter(|is_never| **is_never).count();
    let first = all.iter().zip(&never).find(|(_, is_never)| **is_never)?.0;
    Some(format!(
        "warning: `{setting}`: {n_never} of {} never happened, the first of them at {first}: the run was over at {:.1} s",
        all.len(),
        end.as_secs_f64()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_learnt_nothing_names_the_main_cause_of_each_kind() {
        let mut updates = Updates { selected: 20, ..Updates::default() };
        updates.dropped.insert(Reason::Random, 3);
        updates.rejected.insert(Reason::RoundFailed, 17);
        let told = nothing_aggregated(&updates, true).unwrap();
        assert!(
            told.ends_with("of 20 tasks 3 were dropped (by `random`), 0 were late and 17 refused (by `round_failed`)"),
            "{told}"
        );
        updates.dropped.insert(Reason::Memory, 2);
        assert!(nothing_aggregated(&updates, true).unwrap().contains("5 were dropped (3 of them by `random`)"));
        let late = Updates { selected: 20, late: 20, ..Updates::default() };
        let told = nothing_aggregated(&late, true).unwrap();
        assert!(told.ends_with("20 were late and 0 refused; raise `server.deadline`, or make tasks shorter"), "{told}");
        assert!(nothing_aggregated(&late, false).unwrap().ends_with("20 were late and 0 refused"));
        assert!(nothing_aggregated(&Updates { aggregated: 1, ..late }, true).is_none());
    }

    #[test]
    fn what_comes_after_the_end_is_told() {
        let times = || ["1 s", "10 s", "20 s"].map(|time| time.parse().unwrap()).into_iter();
        let told = beyond_the_end("server.restarts", times(), SimTime::from_nanos(5_000_000_000)).unwrap();
        let expected =
            "warning: `server.restarts`: 2 of 3 never happened, the first of them at 10 s: the run was over at 5.0 s";
        assert_eq!(told, expected);
        assert_eq!(beyond_the_end("server.restarts", times(), SimTime::from_nanos(20_000_000_000)), None);
        assert_eq!(beyond_the_end("server.restarts", std::iter::empty(), SimTime::ZERO), None);
    }
}
