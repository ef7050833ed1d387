//! The links of a class of clients, as they are set.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::link::{LinkClass, Rates};
use super::rate_problem;
use super::trace::LinkTraceConfig;
use super::transport::{Path, Transport};
use crate::registry::Problem;
use crate::sim::{BuildContext, SimError};
use crate::units::{Bandwidth, SimDuration};

/// A class of client links: `clients.networks.<name>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkClassConfig {
    /// Fraction of the clients that are of this class, in (0, 1]. All shares sum to 1.
    pub share: f64,
    /// Rate from the server to the client, > 0. Absent with a `trace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downlink: Option<Bandwidth>,
    /// Rate from the client to the server, > 0. Absent with a `trace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Bandwidth>,
    /// Rates that change with time, from a file, in the place of `downlink` and `uplink`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<LinkTraceConfig>,
    /// One-way delay before the first byte of a transfer.
    pub latency: SimDuration,
    /// Standard deviation of the delay, normal and cut at zero. 0 is no jitter.
    #[serde(default)]
    pub jitter: SimDuration,
    /// Fraction p of the packets that are lost, in [0, 1); default 0. A transfer then runs at
    /// (1 - p) min(rate, MSS / RTT sqrt(3/2) / sqrt(p)): the bound is that of M. Mathis et al., *The macroscopic behavior of
    /// the TCP congestion avoidance algorithm*, CCR 27(3), 1997, equation 3, with segments of 1,460 bytes and RTT = 2 x
    /// `latency`, the region's included; what is lost is sent again. Meant for light loss: beyond some 5 % time-outs make TCP slower still.
    /// It narrows the client's own link alone: what is sent again takes nothing of the links of server and region, whose
    /// capacities are of payload.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub packet_loss: f64,
    /// What the transport protocol makes of the client's own link; links of server and region have their capacity for payload.
    #[serde(default, skip_serializing_if = "Transport::is_ideal")]
    pub transport: Transport,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

impl NetworkClassConfig {
    /// Links of constant rates, without jitter and loss.
    pub fn constant(share: f64, downlink: Bandwidth, uplink: Bandwidth, latency: SimDuration) -> Self {
        Self {
            share,
            downlink: Some(downlink),
            uplink: Some(uplink),
            trace: None,
            latency,
            jitter: SimDuration::default(),
            packet_loss: 0.0,
            transport: Transport::default(),
        }
    }

    /// What is wrong with the settings, the share aside: see [`classes::problems`](crate::sim::classes::problems).
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for (path, rate) in [("downlink", self.downlink), ("uplink", self.uplink)] {
            match (rate, &self.trace) {
                (Some(rate), None) => found.extend(
                    rate_problem(path, rate)
                        .map(|problem| problem.help("write what the link carries, such as `20 Mbps`")),
                ),
                (None, Some(_)) => {}
                (Some(_), Some(_)) => found.push(
                    Problem::new("", format!("`{path}` and `trace` both give the rate"))
                        .help(format!("remove `{path}`, or the trace")),
                ),
                (None, None) => found.push(
                    Problem::new("", format!("`{path}` is missing"))
                        .help(format!("write `{path}: 20 Mbps`, or a `trace` of both rates")),
                ),
            }
        }
        if !(0.0..1.0).contains(&self.packet_loss) {
            let message = format!("packet loss {} is not in [0, 1)", self.packet_loss);
            found.push(Problem::new("packet_loss", message).help("it is a fraction: write 0.01 for one in a hundred"));
        }
        found
    }

    /// The files that are read, with their settings.
    pub fn files_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut String)> {
        self.trace.iter_mut().map(|trace| ("trace.file", &mut trace.file))
    }

    /// What is wrong with the files that the settings name, each message beginning with `file:line: `.
    pub fn file_problems(&self, context: &BuildContext) -> Vec<Problem> {
        self.trace.iter().flat_map(|trace| trace.file_problems(context)).collect()
    }

    /// The links of a run.
    ///
    /// # Errors
    /// When a file cannot be read; [`file_problems`](Self::file_problems) told why before. Rates that are missing are an
    /// error too, of which [`problems`](Self::problems) told.
    pub fn build(&self, context: &BuildContext) -> Result<LinkClass, SimError> {
        let path = Path { transport: self.transport, latency: self.latency, packet_loss: self.packet_loss };
        let rates = match (&self.trace, self.downlink, self.uplink) {
            (Some(trace), ..) => Rates::Trace(Arc::new(trace.build(context)?)),
            (None, Some(down), Some(up)) => Rates::Constant([down, up]),
            (None, ..) => return Err(SimError::NoRate),
        };
        Ok(LinkClass { path, jitter: self.jitter, rates })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(changes: serde_json::Value) -> NetworkClassConfig {
        let mut class =
            serde_json::json!({ "share": 1.0, "downlink": "8 Mbps", "uplink": "2 Mbps", "latency": "20 ms" });
        let map = class.as_object_mut().expect("a map");
        map.extend(changes.as_object().expect("a map").clone());
        map.retain(|_, value| !value.is_null());
        serde_json::from_value(class).expect("valid settings")
    }

    fn problems(changes: serde_json::Value) -> Vec<(String, String)> {
        class(changes).problems().into_iter().map(|problem| (problem.path, problem.message)).collect()
    }

    #[test]
    fn rates_must_be_above_zero() {
        let zero = ("uplink".into(), "rate 0 bps must be above 0; nothing would ever arrive".into());
        assert_eq!(problems(serde_json::json!({ "uplink": "0 bps" })), [zero]);
        assert_eq!(problems(serde_json::json!({})), []);
    }

    #[test]
    fn rates_come_from_a_trace_or_are_written() {
        let trace = serde_json::json!({ "file": "b.csv", "end": "loop" });
        let both = problems(serde_json::json!({ "trace": trace, "uplink": null }));
        assert_eq!(both, [(String::new(), "`downlink` and `trace` both give the rate".into())]);
        assert_eq!(problems(serde_json::json!({ "uplink": null })), [(String::new(), "`uplink` is missing".into())]);
        assert_eq!(problems(serde_json::json!({ "trace": trace, "uplink": null, "downlink": null })), []);
        let bare = class(serde_json::json!({ "uplink": null }));
        assert_eq!(bare.build(&BuildContext::new(crate::seed::Seeds::new(1), 1)).err(), Some(SimError::NoRate));
    }

    #[test]
    fn loss_is_a_fraction() {
        for loss in [-0.1, 1.0, 2.5] {
            let found = problems(serde_json::json!({ "packet_loss": loss }));
            assert_eq!(found, [("packet_loss".into(), format!("packet loss {loss} is not in [0, 1)"))]);
        }
    }
}
