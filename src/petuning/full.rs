//! Full tuning: every tensor of backbone and head is trained. The reference that PETuning is measured against.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Method;

/// Full tuning. Has no settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FullConfig {}

impl Method for FullConfig {}
