//! Runs whose availability is known for a while only.

use super::*;
use crate::sim::{AvailabilityModel, EndOfTrace};
use crate::units::SimDuration;

/// Nothing is known from this time on; until then everybody is online, or nobody.
struct Recorded {
    end: EndOfTrace,
    is_online: bool,
}

fn recorded(end_s: u64, is_online: bool) -> Recorded {
    let at = SimTime::ZERO + SimDuration::from_nanos(end_s * 1_000_000_000);
    Recorded { end: EndOfTrace { at, client_id: 2, place: "a.csv:7".into() }, is_online }
}

impl AvailabilityModel for Recorded {
    fn is_online(&self, _: u32, _: SimTime) -> bool {
        self.is_online
    }
    fn next_change(&self, _: u32, _: SimTime) -> SimTime {
        NEVER
    }
    fn online_fraction(&self, _: u32, _: SimTime) -> f64 {
        f64::from(u8::from(self.is_online))
    }
    fn end_of_trace(&self) -> Option<&EndOfTrace> {
        Some(&self.end)
    }
}

fn ends_at(availability: Recorded) -> (f64, Notes) {
    let mut plan = plan();
    plan.availability = Arc::new(availability);
    match try_simulate(&plan) {
        (Err(WorldError::EndOfTrace { seconds, client_id, place }), notes) => {
            assert_eq!((client_id, &*place), (2, "a.csv:7"));
            (seconds, notes)
        }
        (Err(error), _) => panic!("{error}"),
        (Ok(_), _) => panic!("the run went beyond the trace"),
    }
}

#[test]
fn nothing_happens_from_the_end_of_a_trace_on() {
    // Training ends at 3.1 s, the uploads at 5.2 s.
    let (seconds, notes) = ends_at(recorded(4, true));
    assert_eq!((seconds, notes.times_of(EventKind::TrainEnd)), (4.0, vec![3.1; 4]));
    assert!(notes.records.iter().all(|record| record.time.as_secs_f64() < 4.0), "{:?}", notes.records);
}

#[test]
fn a_trace_in_which_nobody_is_online_ends_the_run_at_its_end() {
    assert_eq!(ends_at(recorded(50, false)).0, 50.0);
}
