//! From YAML as written to a checked scenario.
