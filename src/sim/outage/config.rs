//! Settings of outages, and what can be wrong with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::registry::Problem;
use crate::units::SimDuration;

/// A window in which clients are offline together: one of `clients.outages`.
///
/// It hits the clients for which everything that is named holds; nothing named means all clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutageConfig {
    /// When it begins, from the start of the run.
    pub start: SimDuration,
    /// How long it lasts, > 0.
    pub duration: SimDuration,
    /// It comes back after this time, counted from start to start; longer than `duration`. Absent: it comes once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<SimDuration>,
    /// Only clients of this network class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Only clients of this device class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Only clients of this region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Fraction of these clients that is hit, in (0, 1]; drawn for each client once, the same each time the outage comes back.
    #[serde(default = "all_of_them")]
    pub fraction: f64,
}

fn all_of_them() -> f64 {
    1.0
}

/// Names of what clients belong to, each list in the order that [`Membership`] counts by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupNames {
    /// Device classes.
    pub devices: Vec<String>,
    /// Network classes.
    pub networks: Vec<String>,
    /// Regions.
    pub regions: Vec<String>,
}

/// What a client belongs to, as numbers in [`GroupNames`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Membership {
    /// Its device class.
    pub device: usize,
    /// Its network class.
    pub network: usize,
    /// Its region; anything where there are none.
    pub region: usize,
}

impl OutageConfig {
    /// What is wrong with the settings, given what clients may belong to.
    pub fn problems(&self, names: &GroupNames) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.duration == SimDuration::ZERO {
            found.push(Problem::new("duration", "an outage takes time").help("remove it for none"));
        }
        if self.every.is_some_and(|every| every <= self.duration) {
            let message = format!("it lasts {} and would be back before its end", self.duration);
            found.push(Problem::new("every", message).help("write a time above `duration`, from start to start"));
        }
        // Written so that NaN is refused too.
        if !(self.fraction > 0.0 && self.fraction <= 1.0) {
            let problem = Problem::new("fraction", format!("fraction {} is not in (0, 1]", self.fraction));
            found.push(problem.help("write 0.3 for three in ten clients; for none remove the outage"));
        }
        let named = [
            ("device", &self.device, &names.devices, "`clients.devices`"),
            ("network", &self.network, &names.networks, "`clients.networks`"),
            ("region", &self.region, &names.regions, "`clients.regions`"),
        ];
        for (path, name, known, setting) in named {
            let Some(name) = name.as_ref().filter(|name| !known.contains(name)) else { continue };
            let help = match known.as_slice() {
                [] => format!("there are none in {setting}"),
                known => format!("{setting} has {}", known.join(", ")),
            };
            found.push(Problem::new(path, format!("there is no {path} `{name}`")).help(help));
        }
        found
    }
}
