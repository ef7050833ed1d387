//! Linear probe: only the classification head is trained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::method::ReplacedTensors;
use super::{Method, TrainableTensor, TrainableVars, TuningError};
use crate::model::{EncoderConfig, Hooks};
use crate::registry::Problem;

/// Head-only tuning. Has no settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {}

impl Method for HeadConfig {
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    fn tensors(&self, _: &EncoderConfig) -> Result<Vec<TrainableTensor>, TuningError> {
        Ok(Vec::new())
    }

    fn hooks(&self, values: TrainableVars) -> Box<dyn Hooks> {
        Box::new(ReplacedTensors(values))
    }
}
