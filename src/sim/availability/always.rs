//! Every client is always online.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Availability, AvailabilityModel, NEVER};
use crate::sim::{BuildContext, SimError};
use crate::units::SimTime;

/// Always online. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlwaysConfig {}

impl Availability for AlwaysConfig {
    fn build(&self, _: &BuildContext) -> Result<Box<dyn AvailabilityModel>, SimError> {
        Ok(Box::new(*self))
    }
}

impl AvailabilityModel for AlwaysConfig {
    fn is_online(&self, _: u32, _: SimTime) -> bool {
        true
    }

    fn next_change(&self, _: u32, _: SimTime) -> SimTime {
        NEVER
    }

    fn online_fraction(&self, _: u32, _: SimTime) -> f64 {
        1.0
    }

    fn never_changes(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seeds;

    #[test]
    fn a_client_is_online_for_ever() {
        let model = AlwaysConfig {}.build(&BuildContext::new(Seeds::new(1), 10)).unwrap();
        let time = SimTime::from_nanos(123);
        assert!(model.is_online(7, time));
        assert_eq!(model.online_until(7, time), NEVER);
        assert_eq!(model.next_online(7, time), time);
        assert_eq!(model.online_fraction(7, time), 1.0);
    }
}
