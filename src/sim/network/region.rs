//! A second shared link, between the clients of a region and the server: an edge aggregator's, or an access network's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Direction, rate_problem};
use crate::registry::Problem;
use crate::units::{Bandwidth, SimDuration};

/// A region: `clients.regions.<name>`. All transfers of its clients share its link, and all regions the server's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionConfig {
    /// Fraction of the clients that are in this region, in (0, 1]. All shares sum to 1.
    pub share: f64,
    /// Rate from the region to the server, shared by the uploads of its clients, > 0, of payload. None: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Bandwidth>,
    /// Rate from the server to the region, shared by the downloads of its clients, > 0, of payload. None: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downlink: Option<Bandwidth>,
    /// One-way delay that the region's link adds to that of the client's own.
    #[serde(default)]
    pub latency: SimDuration,
}

impl RegionConfig {
    /// What is wrong with the settings, the share aside: see [`classes::problems`](crate::sim::classes::problems).
    pub fn problems(&self) -> Vec<Problem> {
        [("uplink", self.uplink), ("downlink", self.downlink)]
            .into_iter()
            .filter_map(|(path, rate)| {
                rate_problem(path, rate?).map(|problem| problem.help("leave it out for no limit"))
            })
            .collect()
    }

    /// Rate of the region's link for transfers in one direction; `None` is no limit.
    pub fn rate(&self, direction: Direction) -> Option<Bandwidth> {
        match direction {
            Direction::Down => self.downlink,
            Direction::Up => self.uplink,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_must_be_above_zero_and_may_be_left_out() {
        let region = |yaml| serde_json::from_value::<RegionConfig>(yaml).expect("valid settings");
        let open = region(serde_json::json!({ "share": 0.5 }));
        assert_eq!((open.problems(), open.rate(Direction::Up), open.latency), (vec![], None, SimDuration::ZERO));
        let zero =
            region(serde_json::json!({ "share": 0.5, "uplink": "0 bps", "downlink": "1 Mbps", "latency": "5 ms" }));
        let paths: Vec<_> = zero.problems().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["uplink"]);
        assert_eq!(zero.rate(Direction::Down), Some(Bandwidth::from_bits_per_s(1e6)));
    }
}
