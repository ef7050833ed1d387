//! Where each value of a checked scenario comes from.

use serde_json::Value;

use super::checked::Scenario;
use super::schema::join;

/// One value of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedValue {
    /// Dotted path of the setting.
    pub path: String,
    /// The value as YAML.
    pub value: String,
    /// `file:line:column`, `--set ...`, or `default`.
    pub origin: String,
}

/// Every value of a scenario with its origin, in the order of the format.
pub fn explain(scenario: &Scenario) -> Vec<ResolvedValue> {
    let origins = scenario.origins();
    let mut values = Vec::new();
    let resolved = serde_json::to_value(scenario.raw()).expect("a scenario is made of what JSON can hold");
    flatten(&resolved, "", &mut |path, value| {
        let origin = origins.position(&path).unwrap_or_else(|| "default".into());
        values.push(ResolvedValue { path, value, origin });
    });
    values
}

fn flatten(value: &Value, path: &str, each: &mut dyn FnMut(String, String)) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            // a choice without settings is shown like it may be written
            if let (1, Some((key, Value::Object(settings)))) = (object.len(), object.iter().next())
                && settings.is_empty()
            {
                return each(path.to_string(), key.clone());
            }
            for (key, below) in object {
                flatten(below, &join(path, key), each);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (i, item) in items.iter().enumerate() {
                flatten(item, &join(path, &i.to_string()), each);
            }
        }
        Value::String(text) => each(path.to_string(), text.clone()),
        other => each(path.to_string(), other.to_string()),
    }
}
