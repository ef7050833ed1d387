//! The links of a class of clients, as a run asks about them.

use super::{Direction, NetworkClassConfig};
use crate::seed::Stream;
use crate::sim::{NEVER, SimError};
use crate::units::{Bandwidth, SimDuration, SimTime};

/// The links of a class of clients. All queries are pure: an answer depends on the client, the direction and the time
/// alone, never on what was asked before.
#[derive(Debug, Clone)]
pub struct LinkClass {
    settings: NetworkClassConfig,
}

/// A client's link at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkState {
    /// What it carries, >= 0.
    pub rate: Bandwidth,
    /// When the rate changes next; [`NEVER`] if it does not.
    pub until: SimTime,
}

impl LinkClass {
    /// Links whose rates do not change.
    pub(super) fn constant(settings: &NetworkClassConfig) -> Self {
        Self { settings: settings.clone() }
    }

    /// The state of a client's own link at `time`.
    ///
    /// # Errors
    /// When the client's trace has ended by `time` and is set to end the run.
    pub fn link(&self, _client_id: u32, direction: Direction, _time: SimTime) -> Result<LinkState, SimError> {
        let rate = match direction {
            Direction::Down => self.settings.downlink,
            Direction::Up => self.settings.uplink,
        };
        Ok(LinkState { rate, until: NEVER })
    }

    /// Delay before the first byte of a transfer: normal with mean `latency` and standard deviation `jitter`, cut at
    /// zero. `stream` is that of the client in the round, for one direction.
    pub fn latency(&self, stream: &mut Stream) -> SimDuration {
        super::latency(&self.settings, stream)
    }

    /// The rate by which a client states how long its transfers take: that of its link, or the mean of its trace.
    pub fn nominal_rate(&self, _client_id: u32, direction: Direction) -> Bandwidth {
        match direction {
            Direction::Down => self.settings.downlink,
            Direction::Up => self.settings.uplink,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_link_has_its_rates_for_ever() {
        let settings =
            serde_json::json!({ "share": 1.0, "downlink": "8 Mbps", "uplink": "2 Mbps", "latency": "20 ms" });
        let settings: NetworkClassConfig = serde_json::from_value(settings).expect("valid settings");
        let class = LinkClass::constant(&settings);
        for (direction, mbps) in [(Direction::Down, 8.0), (Direction::Up, 2.0)] {
            let rate = Bandwidth::from_bits_per_s(mbps * 1e6);
            let at = SimTime::from_nanos(7);
            assert_eq!(class.link(3, direction, at), Ok(LinkState { rate, until: NEVER }));
            assert_eq!(class.nominal_rate(3, direction), rate);
        }
    }
}
