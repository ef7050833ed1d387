//! The stretches of time in which a battery's rate is constant.

use crate::sim::NEVER;
use crate::sim::local_time::{DAY, DAY_S};
use crate::units::{SimDuration, SimTime};

pub(super) fn nanos_of_day(seconds: f64) -> u64 {
    (seconds.rem_euclid(DAY_S) * 1e9) as u64 % DAY.as_nanos()
}

/// The stretches of time with a constant rate.
pub(super) struct Pieces {
    pub(super) plug: Option<Plug>,
    pub(super) drain_w: f64,
    /// The piece told last ends where a window of charging begins.
    pub(super) is_full_day: bool,
}

pub(super) struct Plug {
    pub(super) phase: u64,
    pub(super) lasting: u64,
    pub(super) watts: f64,
}

pub(super) struct Piece {
    pub(super) watts: f64,
    pub(super) end: SimTime,
}

impl Pieces {
    /// The piece that begins at or holds `time`.
    pub(super) fn next(&mut self, time: SimTime) -> Piece {
        let Some(plug) = &self.plug else { return Piece { watts: -self.drain_w, end: NEVER } };
        let since = (u128::from(plug.phase) + u128::from(time.as_nanos())) % u128::from(DAY.as_nanos());
        // Below a day, so it fits.
        let since = since as u64;
        let is_plugged = since < plug.lasting;
        self.is_full_day = !is_plugged || plug.lasting >= DAY.as_nanos();
        let (watts, edge) =
            if is_plugged { (plug.watts - self.drain_w, plug.lasting) } else { (-self.drain_w, DAY.as_nanos()) };
        Piece { watts, end: time + SimDuration::from_nanos(edge - since) }
    }
}
