//! Transfers between the server and its clients: the seam, the links' settings, and the models behind them.
//!
//! A transfer waits for its [`LinkClass::latency`], then is started as a [`Flow`]; a [`NetworkModel`] says when the next flow ends.
//! A model returns decisions and never touches the calendar: whoever moves the clock asks [`NetworkModel::next`] after
//! each change.

mod class;
mod constant;
mod link;
mod max_min_fair;
mod region;
mod trace;
mod transport;

pub use class::NetworkClassConfig;
pub use constant::ConstantConfig;
pub use link::{LinkClass, LinkState};
pub use max_min_fair::MaxMinFairConfig;
pub use region::RegionConfig;
pub use trace::LinkTraceConfig;
pub use transport::Transport;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::one_of;
use crate::registry::Problem;
use crate::sim::SimError;
use crate::units::{Bandwidth, Bytes, SimDuration, SimTime};

/// The server's own link: `server.network`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerNetworkConfig {
    /// Rate out of the server, shared by all downloads, > 0, of payload: what headers and loss take of clients' own links takes
    /// nothing here. None: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Bandwidth>,
    /// Rate into the server, shared by all uploads, > 0, of payload. None: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downlink: Option<Bandwidth>,
    /// How transfers share the link.
    #[serde(default)]
    pub sharing: SharingConfig,
}

one_of! {
    /// How the transfers in flight share the server's link.
    pub enum SharingConfig: dyn Sharing, setting "server.network.sharing" {
        "max_min_fair" => MaxMinFair(MaxMinFairConfig), "each transfer gets an equal share, capped by its own link; what is left goes to the others";
        "constant" => Constant(ConstantConfig), "each transfer runs at its own link's rate; the server's link limits each one alone";
    }
}

impl Default for SharingConfig {
    fn default() -> Self {
        Self::MaxMinFair(MaxMinFairConfig {})
    }
}

impl ServerNetworkConfig {
    /// What is wrong with the settings.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found: Vec<_> = [("uplink", self.uplink), ("downlink", self.downlink)]
            .into_iter()
            .filter_map(|(path, rate)| rate_problem(path, rate?).map(|p| p.help("leave it out for no limit")))
            .collect();
        found.extend(self.sharing.implementation().problems().into_iter().map(|mut problem| {
            let key = self.sharing.key();
            problem.path = match problem.path.as_str() {
                "" => format!("sharing.{key}"),
                path => format!("sharing.{key}.{path}"),
            };
            problem
        }));
        found
    }

    /// The network of a run whose clients are in these regions; none when they are all next to the server's link.
    pub fn build(&self, regions: &[RegionConfig]) -> Box<dyn NetworkModel> {
        self.sharing.implementation().build(self, regions)
    }

    /// The network of a run that goes on from a checkpoint; see [`Sharing::restore`].
    ///
    /// # Errors
    /// When the state does not fit.
    pub fn restore(
        &self,
        regions: &[RegionConfig],
        saved: &str,
        now: SimTime,
    ) -> Result<Box<dyn NetworkModel>, SimError> {
        self.sharing.implementation().restore(self, regions, saved, now)
    }

    /// Rate of the server's link for transfers in one direction; `None` is no limit.
    pub fn rate(&self, direction: Direction) -> Option<Bandwidth> {
        match direction {
            Direction::Down => self.uplink,
            Direction::Up => self.downlink,
        }
    }
}

fn rate_problem(path: &str, rate: Bandwidth) -> Option<Problem> {
    // Written so that NaN is refused too.
    let usable = rate.bits_per_s() > 0.0 && rate.bits_per_s().is_finite();
    (!usable).then(|| Problem::new(path, format!("rate {rate} must be above 0; nothing would ever arrive")))
}

/// Which way a transfer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the server to a client, over the server's uplink and the client's downlink.
    Down,
    /// From a client to the server, over the client's uplink and the server's downlink.
    Up,
}

/// One transfer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flow {
    /// Its name, unique among the flows in flight. Flows that end at the same time leave in the order of their ids.
    pub id: u64,
    /// Which way it goes.
    pub direction: Direction,
    /// Rate of the client's own link in that direction, >= 0. At 0 the flow stalls until its rate is set anew.
    pub client_rate: Bandwidth,
    /// How much there is to move. A flow of zero bytes ends at once.
    pub bytes: Bytes,
    /// Number of the client's region; 0 when there are no regions.
    pub region: usize,
}

/// What a sharing setting must offer. To add one: a file with a config that implements this, a `mod` line and a line in
/// [`SharingConfig`].
pub trait Sharing {
    /// What is wrong with the settings.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// An empty network with the server's link and those of the regions as given.
    fn build(&self, server: &ServerNetworkConfig, regions: &[RegionConfig]) -> Box<dyn NetworkModel>;

    /// The network that [`NetworkModel::save`] told the state of, which goes on exactly as that one. Where the links have
    /// other rates now, its flows share those from `now` on, each with what it had left.
    ///
    /// # Errors
    /// When the state is not one of this model, or names a region that is not there.
    fn restore(
        &self,
        server: &ServerNetworkConfig,
        regions: &[RegionConfig],
        saved: &str,
        now: SimTime,
    ) -> Result<Box<dyn NetworkModel>, SimError>;
}

fn unusable(message: impl ToString) -> SimError {
    SimError::Saved { message: message.to_string() }
}

/// The transfers in flight. Time never goes back from one call to the next, and never beyond [`next`](Self::next)
/// without [`finish`](Self::finish) being called there.
pub trait NetworkModel: Send {
    /// Starts a flow at `now`.
    ///
    /// # Panics
    /// If a flow of this id is in flight, its rate is negative or not finite, or it names a region that does not exist:
    /// all are bugs of the caller.
    fn start(&mut self, now: SimTime, flow: Flow);

    /// The client's own link has this rate, >= 0, from `now` on. At 0 the flow stalls: it keeps what it has moved and
    /// [`next`](Self::next) does not count it. Nothing happens to a flow that has ended and not been taken out.
    ///
    /// # Panics
    /// If no flow of this id is in flight, or the rate is negative or not finite.
    fn set_rate(&mut self, now: SimTime, id: u64, rate: Bandwidth);

    /// Ends a flow early and returns how many of its bytes had been moved, rounded down; its share is free at once.
    ///
    /// # Panics
    /// If no flow of this id is in flight.
    fn cancel(&mut self, now: SimTime, id: u64) -> Bytes;

    /// When the next flow ends, if nothing else happens; `None` when nothing moves. Never before the flow's
    /// last byte has been moved, and at most a nanosecond after.
    fn next(&self) -> Option<SimTime>;

    /// Takes out one flow that has ended by `now`, the one with the lowest id if there are several; `None` when there
    /// is none. Call it until then.
    fn finish(&mut self, now: SimTime) -> Option<u64>;

    /// How many flows are in flight, ended ones that have not been taken out included.
    fn n_flows(&self) -> usize;

    /// The whole state as JSON, for [`Sharing::restore`].
    fn save(&self) -> String;
}

/// Time to move `bytes` at `bytes_per_s`, rounded up to a nanosecond. Excess below a thousandth of a nanosecond is
/// rounding error of the arithmetic and does not count.
fn transfer_time(bytes: f64, bytes_per_s: f64) -> SimDuration {
    let nanos = (bytes / bytes_per_s * 1e9).max(0.0);
    if nanos >= u64::MAX as f64 {
        return SimDuration::from_nanos(u64::MAX);
    }
    let tolerance = f64::max(1e-3, nanos * 4.0 * f64::EPSILON);
    SimDuration::from_nanos((nanos - tolerance).ceil().max(0.0) as u64)
}

/// Whole bytes moved of `size`, when `moved` is what the arithmetic says.
fn whole_bytes(moved: f64, size: Bytes) -> Bytes {
    // A millionth of a byte makes up for rounding, so that 499,999.9999999 is 500,000.
    Bytes::new(((moved + 1e-6).floor().max(0.0) as u64).min(size.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_must_be_above_zero() {
        let zero = Bandwidth::from_bits_per_s(0.0);
        let server = ServerNetworkConfig { downlink: Some(zero), ..ServerNetworkConfig::default() };
        let paths: Vec<_> = server.problems().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["downlink"]);
    }

    #[test]
    fn transfer_times_are_rounded_up_but_not_for_rounding_errors() {
        let nanos = |bytes, rate| transfer_time(bytes, rate).as_nanos();
        assert_eq!(nanos(1e6, 6.25e6), 160_000_000);
        // 1 / 3 s.
        assert_eq!(nanos(1.0, 3.0), 333_333_334);
        // 0.1 + 0.2 is slightly more than 0.3.
        assert_eq!(nanos(0.1 + 0.2, 1.0), 300_000_000);
        assert_eq!(nanos(0.0, 1.0), 0);
        assert_eq!(nanos(1.0, 0.0), u64::MAX);
    }
}
