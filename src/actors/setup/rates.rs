//! Links that are too slow for the simulated clock.

use super::SetupError;
use crate::actors::plan::Population;
use crate::sim::Direction;
use crate::units::{SimDuration, SimTime};

/// Refuses a rate at which one payload, alone on its way, would not arrive before the clock ends. Rates from traces are not
/// looked at.
pub(super) fn check_rates(population: &Population) -> Result<(), SetupError> {
    for (direction, of_client, of_server, payload) in [
        (Direction::Down, "downlink", "uplink", population.downlink_payload),
        (Direction::Up, "uplink", "downlink", population.uplink_payload),
    ] {
        let networks = population.networks.iter().filter(|class| class.config.trace.is_none()).map(|class| {
            let rate = class.model.nominal_rate(0, direction, SimDuration::ZERO);
            (format!("clients.networks.{}.{of_client}", class.name), Some(rate))
        });
        let regions = population.regions.iter();
        let regions =
            regions.map(|(name, region)| (format!("clients.regions.{name}.{of_client}"), region.rate(direction)));
        let server = (format!("server.network.{of_server}"), population.server_rates[direction as usize]);
        for (setting, rate) in networks.chain(regions).chain([server]) {
            let arrives = rate.map(|rate| (rate, SimTime::ZERO + rate.time_for(payload)));
            if let Some((rate, _)) = arrives.filter(|(_, arrives)| *arrives == crate::sim::NEVER) {
                return Err(SetupError::Rate { setting, rate, payload });
            }
        }
    }
    Ok(())
}
