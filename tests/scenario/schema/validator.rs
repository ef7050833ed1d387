//! JSON Schema draft-07, as far as the scenario's schema uses it. An unknown keyword fails the test.

use regex_lite::Regex;
use serde_json::Value;

pub(super) struct Validator {
    root: Value,
}

/// Keywords that say nothing about what is valid; `format` is an annotation in draft-07.
const ANNOTATIONS: [&str; 7] = ["$schema", "title", "description", "default", "format", "definitions", "examples"];

impl Validator {
    pub(super) fn new(root: Value) -> Self {
        Self { root }
    }

    pub(super) fn is_valid(&self, value: &Value) -> bool {
        self.problem(value).is_none()
    }

    /// Where a value breaks the schema, and which keyword says so.
    pub(super) fn problem(&self, value: &Value) -> Option<String> {
        self.check(value, &self.root, "").err()
    }

    fn check(&self, value: &Value, schema: &Value, path: &str) -> Result<(), String> {
        let schema = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(format!("{path}: nothing is allowed here")),
            Value::Object(schema) => schema,
            _ => panic!("{path}: a schema is a map or a boolean, not {schema}"),
        };
        if let Some(reference) = schema.get("$ref") {
            // draft-07: what stands beside `$ref` is not looked at
            let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
            return self.check(value, self.root.pointer(pointer).expect("what is referred to is there"), path);
        }
        let valid = |below: &Value| self.check(value, below, path).is_ok();
        for (keyword, given) in schema {
            let branches = || given.as_array().unwrap().iter();
            let holds = match keyword.as_str() {
                "type" => match given {
                    Value::Array(names) => names.iter().any(|name| is_of(value, name.as_str().unwrap())),
                    name => is_of(value, name.as_str().unwrap()),
                },
                "enum" => given.as_array().unwrap().contains(value),
                "const" => given == value,
                "anyOf" => branches().any(valid),
                "oneOf" => branches().filter(|branch| valid(branch)).count() == 1,
                "allOf" => {
                    branches().try_for_each(|branch| self.check(value, branch, path))?;
                    true
                }
                "if" => {
                    let next = schema.get(if valid(given) { "then" } else { "else" });
                    next.map_or(Ok(()), |next| self.check(value, next, path))?;
                    true
                }
                "pattern" => {
                    value.as_str().is_none_or(|text| Regex::new(given.as_str().unwrap()).unwrap().is_match(text))
                }
                "minimum" => value.as_f64().is_none_or(|n| n >= given.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|n| n <= given.as_f64().unwrap()),
                "items" => {
                    let mut items = value.as_array().into_iter().flatten().enumerate();
                    items.try_for_each(|(i, item)| self.check(item, given, &format!("{path}/{i}")))?;
                    true
                }
                "required" => {
                    value.as_object().is_none_or(|map| branches().all(|key| map.contains_key(key.as_str().unwrap())))
                }
                "properties" => {
                    for (key, below) in value.as_object().into_iter().flatten() {
                        given.get(key).map_or(Ok(()), |schema| self.check(below, schema, &format!("{path}/{key}")))?;
                    }
                    true
                }
                "additionalProperties" => {
                    let patterns = schema.get("patternProperties").and_then(Value::as_object);
                    for (key, below) in value.as_object().into_iter().flatten() {
                        let is_named = schema.get("properties").is_some_and(|named| named.get(key).is_some());
                        let is_patterned = patterns
                            .is_some_and(|patterns| patterns.keys().any(|p| Regex::new(p).unwrap().is_match(key)));
                        if !is_named && !is_patterned {
                            self.check(below, given, &format!("{path}/{key}"))?;
                        }
                    }
                    true
                }
                "patternProperties" => given.as_object().unwrap().values().all(|any| *any == serde_json::json!({})),
                "then" | "else" => true,
                known if ANNOTATIONS.contains(&known) || known.starts_with("x-") => true,
                unknown => panic!("{path}: this validator does not know `{unknown}`"),
            };
            if !holds {
                return Err(format!("{path}: {value} breaks `{keyword}: {given}`"));
            }
        }
        Ok(())
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("draft-07 has no type {other:?}"),
    }
}
