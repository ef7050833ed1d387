//! Settings of batteries, and what can be wrong with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::registry::Problem;
use crate::sim::local_time::{DAY_S, LocalTime, time_of_day_problem};
use crate::units::{Energy, Power, SimDuration};

/// The battery of a device class: `clients.devices.<name>.battery`. Needs `energy`, which drains it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatteryConfig {
    /// Energy in a full battery, > 0. Phones have 12 to 20 Wh.
    pub capacity: Energy,
    /// Level at the start of the run, as a fraction of the capacity.
    #[serde(default = "full")]
    pub initial: InitialLevel,
    /// A task fails with reason `battery` when the level has fallen to this fraction, in [0, 1).
    #[serde(default)]
    pub reserve: f64,
    /// A task begins only from this fraction on, in (`reserve`, 1].
    pub start_above: f64,
    /// When it is charged. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charging: Option<ChargingConfig>,
}

fn full() -> InitialLevel {
    InitialLevel::Fixed(1.0)
}

/// A level at the start, the same for all devices or drawn for each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum InitialLevel {
    /// The same for each device, in [0, 1].
    Fixed(f64),
    /// Drawn for each device.
    Drawn(DrawnLevel),
}

/// A distribution of levels over devices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrawnLevel {
    /// Uniform between two fractions, both in [0, 1], the lower one first.
    pub uniform: [f64; 2],
}

/// A window of each day in which the charger is plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChargingConfig {
    /// Power that reaches the battery, > idle power.
    pub power: Power,
    /// Local time of day at which it begins, in [0 h, 24 h).
    pub from: SimDuration,
    /// How long it lasts, in (0 h, 24 h]. 24 h: always plugged in.
    #[serde(rename = "for")]
    pub lasting: SimDuration,
    /// Local time of day at the start of the run, in [0 h, 24 h). 0 h is midnight.
    #[serde(default)]
    pub starts_at: SimDuration,
    /// Clients' clocks are ahead of the earliest by a uniform draw from 0 to this, at most 24 h. Write the same as in
    /// `availability.diurnal`: a client has one time zone.
    #[serde(default)]
    pub time_zones: SimDuration,
}

impl BatteryConfig {
    /// What is wrong with the settings, given the power that is drawn at all times.
    pub fn problems(&self, idle: Option<Power>) -> Vec<Problem> {
        let mut found = Vec::new();
        if idle.is_none() {
            found.push(
                Problem::new("", "a battery is drained by `energy`, which is not given")
                    .help("add `energy: { idle: 500 mW, compute: 4 W, radio: 1 W }` beside it"),
            );
        }
        if self.capacity.joules() <= 0.0 {
            found.push(Problem::new("capacity", "an empty battery runs nothing").help("phones have about `15 Wh`"));
        }
        // Written so that NaN is refused too.
        let is_fraction = |level: f64| (0.0..=1.0).contains(&level);
        match self.initial {
            InitialLevel::Fixed(level) if !is_fraction(level) => {
                found.push(Problem::new("initial", format!("level {level} is not in [0, 1]")).help("1 is full"));
            }
            InitialLevel::Drawn(DrawnLevel { uniform: [low, high] })
                if !(is_fraction(low) && is_fraction(high) && low <= high) =>
            {
                let message = format!("levels {low} to {high} are not a range within [0, 1]");
                found.push(Problem::new("initial.uniform", message).help("write the lower one first, as `[0.3, 1.0]`"));
            }
            _ => {}
        }
        if !(self.reserve >= 0.0 && self.reserve < 1.0) {
            let problem = Problem::new("reserve", format!("level {} is not in [0, 1)", self.reserve));
            found.push(problem.help("it is a fraction of the capacity: write 0.2 for a fifth"));
        } else if !(self.start_above > self.reserve && self.start_above <= 1.0) {
            let message = format!("level {} is not in (reserve, 1], which is ({}, 1]", self.start_above, self.reserve);
            found.push(Problem::new("start_above", message).help("a task that begins needs something to use up"));
        }
        for problem in self.charging.iter().flat_map(|charging| charging.problems(idle)) {
            found.push(Problem { path: format!("charging.{}", problem.path), ..problem });
        }
        found
    }
}

impl ChargingConfig {
    pub(super) fn local_time(&self) -> LocalTime {
        LocalTime { starts_at: self.starts_at, time_zones: self.time_zones }
    }

    fn problems(&self, idle: Option<Power>) -> Vec<Problem> {
        let mut found = Vec::new();
        if let Some(idle) = idle.filter(|idle| self.power <= *idle) {
            let message = format!("{} does not outweigh the {idle} that the device draws idle", self.power);
            found.push(Problem::new("power", message).help("phones charge with 5 W to 20 W"));
        }
        found.extend(time_of_day_problem("from", self.from));
        if !(self.lasting > SimDuration::ZERO && self.lasting.as_secs_f64() <= DAY_S) {
            let message = format!("{} is not in (0 h, 24 h]", self.lasting);
            found.push(Problem::new("for", message).help("leave out `charging` for never, write `24 h` for always"));
        }
        found.extend(self.local_time().problems());
        found
    }
}
