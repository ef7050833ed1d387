//! The JSON Schema that editors use: the types of a scenario, and around them what the layers take out before the types
//! are filled.
//!
//! Draft-07, in keywords that every editor knows. Two of its parts are not the types' own: a setting that has a default
//! may be left empty, and in a profile, or in a file that extends another, a map of settings may hold any of them.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Schema, json};

use crate::scenario::raw::Draft;

/// The schema of a scenario file, for editors and validators.
///
/// ```
/// let schema = straggler::scenario::json_schema();
/// assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
/// assert!(schema["properties"]["tuning"].is_object());
/// ```
pub fn json_schema() -> Schema {
    let generator = SchemaSettings::draft07().into_generator();
    let mut root = generator.into_root_schema_for::<Draft>().to_value();
    let definitions = root.get_mut("definitions").map(Schema::take).unwrap_or_else(|| json!({}));
    let Schema::Object(definitions) = definitions else { unreachable!("definitions are a map") };
    let definitions: Map<String, Schema> =
        definitions.into_iter().map(|(name, schema)| (name, relaxed(schema))).collect();
    let whole = relaxed(root);

    let mut partial = Partial { definitions: &definitions, made: Map::new() };
    let part = partial.map(&whole);
    let made = partial.made;
    let mut definitions = definitions;
    definitions.extend(made);
    let mut profile = part.clone();
    describe(&mut profile, "settings that `--profile NAME` lays over the file; null takes one back to its default");
    definitions.insert("Profile".into(), profile);

    let properties_of = |schema: &Schema| schema["properties"].as_object().cloned().unwrap_or_default();
    let mut properties = Map::new();
    properties.insert(
        "extends".into(),
        json!({
            "type": "string",
            "description": "a scenario file that this one is laid over: maps are merged, all else is replaced; the path \
                            starts from the folder of this file",
        }),
    );
    // in a file that extends another, each section may hold a part of its settings
    properties.extend(properties_of(&part));
    properties.insert(
        "profiles".into(),
        json!({
            "type": ["object", "null"],
            "description": "named changes of this scenario, each applied by `--profile NAME`",
            "additionalProperties": { "anyOf": [{ "$ref": "#/definitions/Profile" }, { "type": "null" }] },
        }),
    );
    properties.insert("sweep".into(), crate::scenario::sweep::json_schema());
    let sections = properties_of(&whole).into_iter().collect::<Map<_, _>>();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "straggler scenario",
        "description": "Federated learning with parameter-efficient tuning, simulated by straggler. Made by \
                        `straggler schema`.",
        "type": "object",
        "properties": properties,
        "patternProperties": { "^x-": {} },
        "additionalProperties": false,
        "if": { "required": ["extends"] },
        "then": {},
        "else": { "properties": sections, "required": whole["required"] },
        "definitions": definitions,
    })
}

/// Allows what the program's own reader allows beside the types' schema.
fn relaxed(mut schema: Schema) -> Schema {
    let bare = bare_keys(&schema);
    let required = texts(schema.get("required"));
    let Schema::Object(object) = &mut schema else { return schema };
    if let Some(Schema::Object(properties)) = object.get_mut("properties") {
        for (name, below) in properties.iter_mut() {
            let setting = relaxed(below.take());
            *below = if required.contains(name) { setting } else { nullable(setting) };
        }
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        for branch in object.get_mut(key).and_then(Schema::as_array_mut).into_iter().flatten() {
            *branch = relaxed(branch.take());
            // a choice whose settings all have defaults may be left empty
            let settings = branch.get_mut("properties").and_then(Schema::as_object_mut).into_iter().flatten();
            for (_, below) in settings.filter(|(name, _)| bare.contains(name)) {
                *below = nullable(below.take());
            }
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(below) = object.get_mut(key).filter(|below| below.is_object()) {
            *below = relaxed(below.take());
        }
    }
    // any scalar can stand for a text: `labels: [0, 1]`
    let is_plain = ["pattern", "enum", "const", "format"].iter().all(|key| !object.contains_key(*key));
    let mut names = texts(object.get("type"));
    if is_plain && names.iter().any(|name| name == "string") {
        names.extend(["number".to_string(), "boolean".to_string()]);
        object.insert("type".into(), json!(names));
    }
    if object.get("format").is_some_and(|format| format == "uint32") {
        object.insert("maximum".into(), json!(u32::MAX));
    }
    schema
}

/// The keys of a one-of setting that may be written bare.
fn bare_keys(schema: &Schema) -> Vec<String> {
    let branches = schema.get("oneOf").and_then(Schema::as_array).map_or(&[][..], Vec::as_slice);
    branches.iter().flat_map(|branch| texts(branch.get("enum"))).collect()
}

fn texts(list: Option<&Schema>) -> Vec<String> {
    list.map(texts_of).unwrap_or_default()
}

fn texts_of(value: &Schema) -> Vec<String> {
    match value {
        Schema::String(text) => vec![text.clone()],
        Schema::Array(items) => items.iter().filter_map(Schema::as_str).map(String::from).collect(),
        _ => Vec::new(),
    }
}

/// The same, or null.
fn nullable(mut schema: Schema) -> Schema {
    let has_only_a_type =
        ["enum", "const", "oneOf", "anyOf", "allOf", "$ref"].iter().all(|key| schema.get(key).is_none());
    if has_only_a_type && let Some(name) = schema.get("type") {
        let mut names = texts_of(name);
        if !names.iter().any(|name| name == "null") {
            names.push("null".into());
        }
        schema["type"] = json!(names);
        return schema;
    }
    if let Some(Schema::Array(branches)) = schema.get_mut("anyOf") {
        if !branches.iter().any(|branch| branch["type"] == "null") {
            branches.push(json!({ "type": "null" }));
        }
        return schema;
    }
    let mut around = Map::new();
    if let Schema::Object(object) = &mut schema {
        for key in ["description", "default"] {
            around.extend(object.remove(key).map(|value| (key.to_string(), value)));
        }
        // `allOf` with one branch only stands around a `$ref` that had a description beside it
        if let Some(Schema::Array(branches)) = object.get("allOf")
            && let [only] = branches.as_slice()
            && object.len() == 1
        {
            schema = only.clone();
        }
    }
    around.insert("anyOf".into(), json!([schema, { "type": "null" }]));
    Schema::Object(around)
}

fn describe(schema: &mut Schema, text: &str) {
    if let Schema::Object(object) = schema {
        object.insert("description".into(), json!(text));
    }
}

/// Makes the forms of settings in which nothing is required, for layers that are laid over others.
struct Partial<'a> {
    definitions: &'a Map<String, Schema>,
    made: Map<String, Schema>,
}

impl Partial<'_> {
    /// A map of settings of which each may be there.
    fn map(&mut self, schema: &Schema) -> Schema {
        let mut part = schema.clone();
        let Schema::Object(object) = &mut part else { return part };
        for key in ["required", "$schema", "title", "definitions"] {
            object.remove(key);
        }
        if let Some(Schema::Object(properties)) = object.get_mut("properties") {
            for (_, below) in properties.iter_mut() {
                *below = nullable(self.setting(below));
            }
        }
        if let Some(below) = object.get_mut("additionalProperties").filter(|below| below.is_object()) {
            *below = nullable(self.setting(below));
        }
        part
    }

    /// One setting: a map in its partial form, anything else as it is.
    fn setting(&mut self, schema: &Schema) -> Schema {
        let mut part = schema.clone();
        let Schema::Object(object) = &mut part else { return part };
        if let Some(Schema::String(reference)) = object.get_mut("$ref") {
            let name = reference.trim_start_matches("#/definitions/").to_string();
            if let Some(partial_name) = self.definition(&name) {
                *reference = format!("#/definitions/{partial_name}");
            }
            return part;
        }
        for key in ["anyOf", "allOf"] {
            if let Some(Schema::Array(branches)) = object.get_mut(key) {
                branches.iter_mut().for_each(|branch| *branch = self.setting(branch));
                return part;
            }
        }
        let is_map =
            object.contains_key("properties") || object.get("additionalProperties").is_some_and(Schema::is_object);
        if is_map && !object.contains_key("oneOf") { self.map(schema) } else { part }
    }

    /// The name of a definition's partial form; none where it is replaced whole.
    fn definition(&mut self, name: &str) -> Option<String> {
        let schema = self.definitions.get(name)?;
        if schema.get("oneOf").is_some() || schema.get("properties").is_none() {
            return None;
        }
        let partial_name = format!("{name}Part");
        if !self.made.contains_key(&partial_name) {
            // stands there while the definition is made, should it name itself
            self.made.insert(partial_name.clone(), Schema::Null);
            let part = self.map(schema);
            self.made.insert(partial_name.clone(), part);
        }
        Some(partial_name)
    }
}
