//! Batteries: what is left in them, and when a task must stop.
//!
//! The level follows dE/dt = charging(t) - idle - task, held between 0 and the capacity. Charging is on in one window of each
//! local day, so the rate is constant between the window's edges and the level is a broken line that is followed exactly.

mod config;
mod pieces;

pub use config::{BatteryConfig, ChargingConfig, DrawnLevel, InitialLevel};

use rand::RngExt;
use serde::{Deserialize, Serialize};

use self::pieces::{Pieces, Plug, nanos_of_day};
use super::NEVER;
use super::local_time::DAY_S;
use super::periods::length_of;
use crate::seed::{Purpose, Seeds};
use crate::units::{Power, SimDuration, SimTime};

/// The batteries of a class of devices. All answers are functions of what is passed in.
#[derive(Debug, Clone)]
pub struct Battery {
    config: BatteryConfig,
    idle_w: f64,
    seeds: Seeds,
}

/// What a battery holds at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BatteryState {
    /// Energy left.
    pub joules: f64,
    /// The instant.
    pub at: SimTime,
}

impl Battery {
    pub(in crate::sim) fn new(config: BatteryConfig, idle: Power, seeds: Seeds) -> Self {
        Self { config, idle_w: idle.watts(), seeds }
    }

    /// Energy in a full battery, in joules.
    pub fn capacity_j(&self) -> f64 {
        self.config.capacity.joules()
    }

    /// Energy at which a task fails, in joules.
    pub fn reserve_j(&self) -> f64 {
        self.config.reserve * self.capacity_j()
    }

    /// A client's battery at the start of the run.
    pub fn initial(&self, client_id: u32) -> BatteryState {
        let level = match self.config.initial {
            InitialLevel::Fixed(level) => level,
            InitialLevel::Drawn(DrawnLevel { uniform: [low, high] }) => {
                low + (high - low) * self.seeds.client(Purpose::Battery, client_id).random::<f64>()
            }
        };
        BatteryState { joules: level * self.capacity_j(), at: SimTime::ZERO }
    }

    /// What the battery holds at `now`, after a draw of `watts` beside idle and charging since `state`. A time before the
    /// state changes nothing.
    pub fn advance(&self, client_id: u32, state: BatteryState, now: SimTime, watts: f64) -> BatteryState {
        let mut pieces = self.pieces(client_id, watts);
        let (mut joules, mut time) = (state.joules, state.at);
        while time < now {
            let piece = pieces.next(time);
            let end = piece.end.min(now);
            joules = self.held(joules + piece.watts * end.since(time).as_secs_f64());
            time = end;
        }
        BatteryState { joules, at: now.max(state.at) }
    }

    /// When the level falls to the reserve, under a draw of `watts` beside idle and charging: at once if it is there already,
    /// [`NEVER`] if charging makes up for it.
    pub fn empty_at(&self, client_id: u32, state: BatteryState, watts: f64) -> SimTime {
        let reserve = self.reserve_j();
        if state.joules <= reserve {
            return state.at;
        }
        let mut pieces = self.pieces(client_id, watts);
        let (mut joules, mut time) = (state.joules, state.at);
        // The level a day before: where a whole day loses nothing, no later one does, since the days are alike.
        let mut day_before = (joules, time);
        while time != NEVER {
            let piece = pieces.next(time);
            if piece.watts < 0.0 {
                let reached = time + length_of((joules - reserve) / -piece.watts);
                if reached <= piece.end {
                    return reached;
                }
            }
            if piece.end == NEVER {
                break;
            }
            joules = self.held(joules + piece.watts * piece.end.since(time).as_secs_f64());
            time = piece.end;
            if pieces.is_full_day {
                if joules >= day_before.0 && time.since(day_before.1).as_secs_f64() >= DAY_S - 1.0 {
                    return NEVER;
                }
                day_before = (joules, time);
            }
        }
        NEVER
    }

    /// When, from `from` on, enough is there to begin a task, if nothing but idle and charging changes the level that was
    /// `state`: [`NEVER`] if charging does not bring it so far.
    pub fn usable_at(&self, client_id: u32, state: BatteryState, from: SimTime) -> SimTime {
        let enough = self.start_above_j();
        let mut pieces = self.pieces(client_id, 0.0);
        let BatteryState { mut joules, at: mut time } = self.advance(client_id, state, from, 0.0);
        // The level a day before: where a whole day gains nothing, no later one does, since the days are alike.
        let mut day_before = (joules, time);
        while joules < enough {
            let piece = pieces.next(time);
            if piece.watts > 0.0 {
                let reached = time + length_of((enough - joules) / piece.watts);
                if reached <= piece.end {
                    return self.first_usable(client_id, state, reached);
                }
            }
            if piece.end == NEVER {
                return NEVER;
            }
            joules = self.held(joules + piece.watts * piece.end.since(time).as_secs_f64());
            time = piece.end;
            if pieces.is_full_day {
                if joules <= day_before.0 && time.since(day_before.1).as_secs_f64() >= DAY_S - 1.0 {
                    return NEVER;
                }
                day_before = (joules, time);
            }
        }
        time
    }

    /// The first of a few nanoseconds from `at` on, in which the level rises, at which rounding lets it be enough.
    fn first_usable(&self, client_id: u32, state: BatteryState, mut at: SimTime) -> SimTime {
        let mut step = SimDuration::from_nanos(1);
        while at != NEVER && !self.is_usable(self.advance(client_id, state, at, 0.0)) {
            at = at + step;
            step = step + step;
        }
        at
    }

    /// Energy from which on a task may begin, in joules.
    fn start_above_j(&self) -> f64 {
        self.config.start_above * self.capacity_j()
    }

    /// True when enough is left to begin a task.
    pub fn is_usable(&self, state: BatteryState) -> bool {
        state.joules >= self.start_above_j()
    }

    fn held(&self, joules: f64) -> f64 {
        joules.clamp(0.0, self.capacity_j())
    }

    fn pieces(&self, client_id: u32, watts: f64) -> Pieces {
        let plug = self.config.charging.map(|charging| {
            let local_s = charging.local_time().at_start_s(&self.seeds, client_id);
            Plug {
                // Since the last plugging in, at the start of the run.
                phase: nanos_of_day(local_s - charging.from.as_secs_f64()),
                lasting: charging.lasting.as_nanos(),
                watts: charging.power.watts(),
            }
        });
        Pieces { plug, drain_w: self.idle_w + watts, is_full_day: false }
    }
}

#[cfg(test)]
mod tests;
