//! Full tuning: every tensor of backbone and head is trained. The reference that PETuning is measured against.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::method::ReplacedTensors;
use super::{Method, TrainableTensor, TrainableVars, TuningError};
use crate::model::{EncoderConfig, Hooks, backbone_tensors};
use crate::registry::Problem;

/// Full tuning. Has no settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FullConfig {}

impl Method for FullConfig {
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    fn tensors(&self, config: &EncoderConfig) -> Result<Vec<TrainableTensor>, TuningError> {
        Ok(backbone_tensors(config).into_iter().map(|spec| TrainableTensor { spec, init: None }).collect())
    }

    fn hooks(&self, values: TrainableVars) -> Box<dyn Hooks> {
        Box::new(ReplacedTensors(values))
    }
}
