//! The section for editors.

use serde_json::{Value as Json, json};

/// The section for editors.
pub(in crate::scenario) fn json_schema() -> Json {
    let values = json!({ "type": "object" });
    json!({
        "type": ["object", "null"],
        "description": "cells that `straggler sweep` runs: this scenario at many points, each with several seeds",
        "additionalProperties": false,
        "properties": {
            "matrix": {
                "type": ["object", "null"],
                "description": "values by setting, such as `tuning.lora.r: [2, 8]`, or `profile: [null, NAME]`; every \
                                combination is a cell",
                "additionalProperties": {
                    "anyOf": [{ "type": "array" }, { "type": "object" }, { "type": "null" }],
                },
            },
            "exclude": {
                "type": ["array", "null"],
                "description": "combinations that are left out: all cells that have these values",
                "items": values,
            },
            "include": {
                "type": ["array", "null"],
                "description": "cells beside the combinations: values by setting",
                "items": values,
            },
            "seeds": {
                "description": "the seeds of each cell, such as `[42, 43]` or `42..44`; default: those of `repeats`",
                "anyOf": [
                    { "type": "array", "items": { "type": "integer", "minimum": 0 } },
                    { "type": ["string", "integer", "null"] },
                ],
            },
            "repeats": { "type": ["integer", "null"], "description": "so many seeds from `seed` on", "minimum": 1 },
        },
    })
}
