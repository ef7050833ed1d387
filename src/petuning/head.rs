//! Linear probe: only the classification head is trained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Method;

/// Head-only tuning. Has no settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {}

impl Method for HeadConfig {}
