//! The JSON Schema of the scenario types, as the checks read it.

use serde_json::Value as Schema;

use crate::scenario::raw::Draft;

/// The schema of a whole scenario.
pub(in crate::scenario) struct Definitions {
    root: Schema,
}

impl Definitions {
    pub(in crate::scenario) fn new() -> Self {
        Self { root: schemars::schema_for!(Draft).to_value() }
    }

    pub(in crate::scenario) fn root(&self) -> &Schema {
        &self.root
    }

    /// Follows `$ref`, and takes the branch that is not null of an optional setting.
    pub(in crate::scenario) fn resolve<'s>(&'s self, schema: &'s Schema) -> &'s Schema {
        if let Some(reference) = schema.get("$ref").and_then(Schema::as_str) {
            let target = self.root.pointer(reference.trim_start_matches('#'));
            return self.resolve(target.expect("the generator defines what it refers to"));
        }
        if let Some(branches) = schema.get("anyOf").and_then(Schema::as_array) {
            let mut real = branches.iter().filter(|branch| branch.get("type").is_none_or(|t| t != "null"));
            if let (Some(only), None) = (real.next(), real.next()) {
                return self.resolve(only);
            }
        }
        schema
    }

    /// The schema of the setting `key` inside `schema`.
    pub(in crate::scenario) fn below<'s>(&'s self, schema: &'s Schema, key: &str) -> Option<&'s Schema> {
        let schema = self.resolve(schema);
        if let Some(choice) = choices(schema).into_iter().find(|(name, _)| *name == key) {
            return Some(choice.1);
        }
        schema
            .get("properties")
            .and_then(|properties| properties.get(key))
            .or_else(|| schema.get("additionalProperties").filter(|s| s.is_object()))
    }

    /// The settings and choices that may stand directly inside `schema`.
    pub(in crate::scenario) fn keys(&self, schema: &Schema) -> Vec<String> {
        let schema = self.resolve(schema);
        let properties = schema.get("properties").and_then(Schema::as_object);
        let choices = choices(schema).into_iter().map(|(name, _)| name.to_owned());
        choices.chain(properties.into_iter().flat_map(|properties| properties.keys().cloned())).collect()
    }

    /// The schema of the list that a one-of setting may be instead of one choice, if it may.
    pub(super) fn list_branch<'s>(&'s self, schema: &'s Schema) -> Option<&'s Schema> {
        let branches = schema.get("oneOf").and_then(Schema::as_array)?;
        branches.iter().map(|branch| self.resolve(branch)).find(|branch| type_of(branch) == "array")
    }

    /// Dotted paths of all settings called `key`.
    pub(super) fn paths_of(&self, key: &str) -> Vec<String> {
        let mut found = Vec::new();
        self.search(&self.root, key, "", 0, &mut found);
        found
    }

    fn search(&self, schema: &Schema, key: &str, path: &str, depth: usize, found: &mut Vec<String>) {
        let schema = self.resolve(schema);
        let Some(properties) = schema.get("properties").and_then(Schema::as_object) else { return };
        if depth > 4 {
            return;
        }
        for (name, below) in properties {
            let here = join(path, name);
            if name == key {
                found.push(here.clone());
            }
            self.search(below, key, &here, depth + 1, found);
        }
    }
}

/// True for a setting of which exactly one variant is chosen.
pub(in crate::scenario) fn is_one_of(schema: &Schema, definitions: &Definitions) -> bool {
    definitions.resolve(schema).get("x-one-of").is_some()
}

/// The variants of a one-of setting with the schemas of their settings.
pub(super) fn choices(schema: &Schema) -> Vec<(&str, &Schema)> {
    if schema.get("x-one-of").is_none() {
        return Vec::new();
    }
    let branches = schema.get("oneOf").and_then(Schema::as_array).map_or(&[][..], Vec::as_slice);
    branches
        .iter()
        .filter_map(|branch| branch.get("properties")?.as_object()?.iter().next())
        .map(|(key, schema)| (key.as_str(), schema))
        .collect()
}

/// Keys that may be written bare, because all their settings have defaults.
pub(super) fn bare_keys(schema: &Schema) -> Vec<&str> {
    let branches = schema.get("oneOf").and_then(Schema::as_array).map_or(&[][..], Vec::as_slice);
    branches.iter().filter_map(|branch| branch.get("enum")?.as_array()).flatten().filter_map(Schema::as_str).collect()
}

/// The words that an enumeration allows, if the schema is one.
pub(super) fn words(schema: &Schema) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Schema::as_array) {
        return Some(words.iter().filter_map(Schema::as_str).collect());
    }
    if let Some(word) = schema.get("const").and_then(Schema::as_str) {
        return Some(vec![word]);
    }
    let branches = schema.get("oneOf")?.as_array()?;
    let words: Vec<Vec<&str>> = branches.iter().map(words).collect::<Option<_>>()?;
    Some(words.concat())
}

/// The JSON type, for an optional setting the one that is not null.
pub(super) fn type_of(schema: &Schema) -> &str {
    match schema.get("type") {
        Some(Schema::String(name)) => name,
        Some(Schema::Array(names)) => {
            names.iter().filter_map(Schema::as_str).find(|name| *name != "null").unwrap_or("")
        }
        _ => "",
    }
}

/// One dotted path below another.
pub(in crate::scenario) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Visits every setting. A type that the walker does not know would be a crash in front of a user.
    fn visit(schema: &Schema, definitions: &Definitions, path: &str, depth: usize) {
        let schema = definitions.resolve(schema);
        let is_known = words(schema).is_some()
            || ["x-one-of", "x-quantity", "x-assertion", "anyOf"].iter().any(|key| schema.get(key).is_some())
            || ["object", "array", "string", "boolean", "integer", "number"].contains(&type_of(schema));
        assert!(is_known && depth < 20, "{path}: {schema}");
        for (name, below) in choices(schema) {
            visit(below, definitions, &join(path, name), depth + 1);
        }
        for branch in schema.get("anyOf").and_then(Schema::as_array).into_iter().flatten() {
            visit(branch, definitions, path, depth + 1);
        }
        for (name, below) in schema.get("properties").and_then(Schema::as_object).into_iter().flatten() {
            visit(below, definitions, &join(path, name), depth + 1);
        }
        for any in [schema.get("items"), schema.get("additionalProperties").filter(|s| s.is_object())] {
            any.into_iter().for_each(|any| visit(any, definitions, &join(path, "*"), depth + 1));
        }
    }

    #[test]
    fn the_walker_knows_every_type_of_the_schema() {
        let definitions = Definitions::new();
        visit(definitions.root(), &definitions, "", 0);
    }
}
