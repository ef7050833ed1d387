//! The time of day of each client.

use rand::RngExt;

use crate::registry::Problem;
use crate::seed::{Purpose, Seeds};
use crate::units::SimDuration;

/// Seconds of a day.
pub(in crate::sim) const DAY_S: f64 = 86_400.0;
pub(in crate::sim) const DAY: SimDuration = SimDuration::from_nanos(86_400_000_000_000);

/// How a client's clock on the wall follows from the clock of the run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::sim) struct LocalTime {
    /// Time of day at the start of the run, where it is earliest.
    pub(in crate::sim) starts_at: SimDuration,
    /// Clients' clocks are ahead of the earliest by a draw, uniform from 0 to this.
    pub(in crate::sim) time_zones: SimDuration,
}

impl LocalTime {
    /// What is wrong with the settings `starts_at` and `time_zones`.
    pub(in crate::sim) fn problems(self) -> Vec<Problem> {
        let mut found: Vec<_> = time_of_day_problem("starts_at", self.starts_at).into_iter().collect();
        if self.time_zones > DAY {
            found.push(
                Problem::new("time_zones", format!("clocks are ahead by {}, which is more than 24 h", self.time_zones))
                    .help("`24 h` spreads the clients over the whole earth, `0 h` leaves all in one zone"),
            );
        }
        found
    }

    /// Seconds from a local midnight to the start of the run. A client has one time zone, whatever asks for it.
    pub(in crate::sim) fn at_start_s(self, seeds: &Seeds, client_id: u32) -> f64 {
        let ahead = match self.time_zones {
            SimDuration::ZERO => 0.0,
            span => seeds.client(Purpose::TimeZone, client_id).random::<f64>() * span.as_secs_f64(),
        };
        self.starts_at.as_secs_f64() + ahead
    }
}

/// What is wrong with a time of day.
pub(in crate::sim) fn time_of_day_problem(path: &str, time: SimDuration) -> Option<Problem> {
    (time >= DAY).then(|| {
        Problem::new(path, format!("{time} is no time of day")).help("write hours after midnight, `0 h` to `23.99 h`")
    })
}
