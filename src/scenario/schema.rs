//! Checks a tree against the JSON Schema of the scenario types, and brings its scalars to the type that is wanted.
//!
//! The schema is the one that editors use, so what they accept and what this accepts cannot differ.

mod definitions;
mod editor;
mod scalars;
mod suggest;

use serde_json::{Map, Value as Schema};

pub(super) use definitions::{Definitions, is_one_of, join};
pub use editor::json_schema;
pub(super) use suggest::suggest;

use definitions::{bare_keys, choices, type_of, words};
use suggest::suggest_part;

use super::diagnostic::{Diagnostic, Place};
use super::node::{Entry, Node, Value, describe};

/// Checks `root` and turns it into JSON. `None` when a problem leaves a hole that no default fills.
pub(super) fn check(root: &Node, definitions: &Definitions, problems: &mut Vec<Diagnostic>) -> Option<Schema> {
    let mut walker = Walker { definitions, problems };
    walker.value(root, root.place, definitions.root(), "")
}

struct Walker<'a> {
    definitions: &'a Definitions,
    problems: &'a mut Vec<Diagnostic>,
}

impl Walker<'_> {
    fn report(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    fn value(&mut self, node: &Node, key_place: Place, schema: &Schema, path: &str) -> Option<Schema> {
        if node.value == Value::Unreadable {
            // reported when it was read
            return None;
        }
        let definitions = self.definitions;
        let schema = definitions.resolve(schema);
        if schema.get("x-one-of").is_some() {
            return self.one_of(node, key_place, schema, path);
        }
        if let Some(kind) = schema.get("x-quantity").and_then(Schema::as_str) {
            return self.quantity(node, kind, path);
        }
        if schema.get("x-assertion").is_some() {
            return self.assertion(node, path);
        }
        if let Some(words) = words(schema) {
            return self.word(node, &words, path);
        }
        if let Some(branches) = schema.get("anyOf").and_then(Schema::as_array) {
            return self.either(node, key_place, branches, path);
        }
        match type_of(schema) {
            "object" => self.map(node, key_place, schema, path),
            "array" => self.list(node, schema, path),
            "string" => self.text(node, path),
            "boolean" => self.boolean(node, path),
            "integer" => self.integer(node, schema, path),
            "number" => self.number(node, path),
            other => unreachable!("the scenario's schema has no type {other:?} at {path}"),
        }
    }

    fn wrong_type(&mut self, node: &Node, path: &str, wanted: &str) -> Option<Schema> {
        let message = format!("`{path}` must be {wanted}, not {}", describe(&node.value));
        let problem = Diagnostic::new("wrong-type", message, Some(node.place));
        let is_quoted_number =
            matches!(&node.value, Value::Scalar { text, quoted: true } if text.parse::<f64>().is_ok());
        self.report(if is_quoted_number { problem.help("remove the quotes") } else { problem });
        None
    }

    fn map(&mut self, node: &Node, key_place: Place, schema: &Schema, path: &str) -> Option<Schema> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => return self.wrong_type(node, path, "a map of settings"),
        };
        let properties = schema.get("properties").and_then(Schema::as_object);
        let (mut object, mut is_whole) = (Map::new(), true);
        let mut seen: Vec<&str> = Vec::new();
        for entry in entries {
            let known = properties.and_then(|properties| properties.get_key_value(&entry.key));
            let named = known.map(|(key, below)| (key.as_str(), below)).or_else(|| {
                let any = schema.get("additionalProperties").filter(|any| any.is_object())?;
                Some((entry.key.as_str(), any))
            });
            let Some((key, below)) = named.or_else(|| self.unknown_key(entry, entries, properties, path)) else {
                continue;
            };
            seen.push(key);
            if matches!(entry.value.value, Value::Null) {
                seen.pop();
                continue;
            }
            match self.value(&entry.value, entry.key_place, below, &join(path, key)) {
                Some(value) => drop(object.insert(key.to_string(), value)),
                None => is_whole = false,
            }
        }
        let required = schema.get("required").and_then(Schema::as_array).map_or(&[][..], Vec::as_slice);
        for key in required.iter().filter_map(Schema::as_str).filter(|key| !seen.contains(key)) {
            is_whole = false;
            match entries.iter().find(|entry| entry.key == key) {
                Some(empty) => self.missing(key, properties, empty.key_place, path, true),
                None => self.missing(key, properties, key_place, path, false),
            }
        }
        is_whole.then_some(Schema::Object(object))
    }

    /// Reports a key that is not known. Gives the one that was probably meant, so that its value is checked too.
    fn unknown_key<'s>(
        &mut self,
        entry: &Entry,
        siblings: &[Entry],
        properties: Option<&'s Map<String, Schema>>,
        path: &str,
    ) -> Option<(&'s str, &'s Schema)> {
        let place = if path.is_empty() { "at the top level".to_string() } else { format!("in `{path}`") };
        let message = format!("unknown field `{}` {place}", entry.key);
        let problem = Diagnostic::new("unknown-key", message, Some(entry.key_place));
        let properties = properties?;
        if let Some(close) = suggest(&entry.key, properties.keys().map(String::as_str)) {
            self.report(problem.hint(format!("did you mean `{close}`?")));
            let is_free = siblings.iter().all(|sibling| sibling.key != close);
            return properties.get_key_value(close).filter(|_| is_free).map(|(key, below)| (key.as_str(), below));
        }
        let elsewhere = self.definitions.paths_of(&entry.key);
        if elsewhere.is_empty()
            && let Some(whole) = suggest_part(&entry.key, properties.keys().map(String::as_str))
        {
            self.report(problem.hint(format!("did you mean `{whole}`?")));
            return None;
        }
        self.report(match elsewhere.as_slice() {
            [] => problem
                .help(format!("known here: {}", properties.keys().map(String::as_str).collect::<Vec<_>>().join(", "))),
            [only] => problem.hint(format!("did you mean `{only}`? check the indentation")),
            [first, ..] => problem.hint(format!("did you mean one such as `{first}`? check the indentation")),
        });
        None
    }

    fn missing(
        &mut self,
        key: &str,
        properties: Option<&Map<String, Schema>>,
        place: Place,
        path: &str,
        is_empty: bool,
    ) {
        let what = properties
            .and_then(|properties| properties.get(key))
            .and_then(|schema| {
                schema.get("description").or_else(|| self.definitions.resolve(schema).get("description"))
            })
            .and_then(Schema::as_str)
            .and_then(|text| text.lines().next())
            .unwrap_or_default();
        let inside = if path.is_empty() { "the scenario".to_string() } else { format!("`{path}`") };
        let message = format!("{inside} needs `{key}`{}", if is_empty { ", which is empty here" } else { "" });
        let problem = Diagnostic::new("missing-key", message, Some(place));
        self.report(if what.is_empty() { problem } else { problem.help(format!("{key}: {what}")) });
    }

    fn list(&mut self, node: &Node, schema: &Schema, path: &str) -> Option<Schema> {
        let Value::List(items) = &node.value else {
            return self.wrong_type(node, path, "a list, such as `[a, b]`");
        };
        let item_schema = schema.get("items").unwrap_or(&Schema::Null);
        // every item is looked at, so that all problems are found
        let values: Vec<Option<Schema>> = items
            .iter()
            .enumerate()
            .map(|(i, item)| self.value(item, item.place, item_schema, &join(path, &i.to_string())))
            .collect();
        values.into_iter().collect::<Option<Vec<_>>>().map(Schema::Array)
    }

    fn one_of(&mut self, node: &Node, key_place: Place, schema: &Schema, path: &str) -> Option<Schema> {
        let choices = choices(schema);
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let known = format!("one of {}", names.join(", "));
        match &node.value {
            Value::Scalar { text, .. } => {
                let Some((name, below)) = choices.iter().find(|(name, _)| name == text) else {
                    return self.unknown_choice(text, node.place, &names, path);
                };
                if bare_keys(schema).contains(name) {
                    return Some(Schema::String(text.clone()));
                }
                let is_text = type_of(self.definitions.resolve(below)) == "string";
                let nothing = if is_text { Value::Null } else { Value::Map(Vec::new()) };
                let empty = Node { value: nothing, place: node.place };
                self.value(&empty, node.place, below, &join(path, name))
            }
            Value::Map(entries) => match entries.as_slice() {
                [] => {
                    let message = format!("`{path}` needs exactly one choice");
                    self.report(Diagnostic::new("one-of", message, Some(key_place)).help(known));
                    None
                }
                [entry] => {
                    let Some((name, below)) = choices.iter().find(|(name, _)| *name == entry.key) else {
                        return self.unknown_choice(&entry.key, entry.key_place, &names, path);
                    };
                    let value = self.value(&entry.value, entry.key_place, below, &join(path, name))?;
                    Some(Schema::Object(Map::from_iter([((*name).to_string(), value)])))
                }
                [first, second, ..] => {
                    let message =
                        format!("`{path}` takes exactly one choice, found `{}` and `{}`", first.key, second.key);
                    let problem =
                        Diagnostic::new("one-of", message, Some(second.key_place)).other(Some(first.key_place));
                    self.report(problem.help("keep one of them"));
                    None
                }
            },
            Value::List(_) => match self.definitions.list_branch(schema) {
                Some(list) => self.list(node, list, path),
                None => self.wrong_type(node, path, &known),
            },
            Value::Null | Value::Unreadable => self.wrong_type(node, path, &known),
        }
    }

    fn unknown_choice(&mut self, text: &str, place: Place, names: &[&str], path: &str) -> Option<Schema> {
        let problem = Diagnostic::new("unknown-choice", format!("`{path}` cannot be `{text}`"), Some(place));
        let close = suggest(text, names.iter().copied()).or_else(|| suggest_part(text, names.iter().copied()));
        self.report(match close {
            Some(close) => problem.hint(format!("did you mean `{close}`?")),
            None => problem.help(format!("one of {}", names.join(", "))),
        });
        None
    }

    fn word(&mut self, node: &Node, words: &[&str], path: &str) -> Option<Schema> {
        match &node.value {
            Value::Scalar { text, .. } if words.contains(&text.as_str()) => Some(Schema::String(text.clone())),
            Value::Scalar { text, .. } => self.unknown_choice(text, node.place, words, path),
            _ => self.wrong_type(node, path, &format!("one of {}", words.join(", "))),
        }
    }

    /// An untagged alternative: the first branch that takes this shape of value.
    fn either(&mut self, node: &Node, key_place: Place, branches: &[Schema], path: &str) -> Option<Schema> {
        let wants_map = |schema: &Schema| type_of(schema) == "object";
        let is_map = matches!(node.value, Value::Map(_));
        let definitions = self.definitions;
        let mut fitting: Vec<&Schema> =
            branches.iter().map(|branch| definitions.resolve(branch)).filter(|b| wants_map(b) == is_map).collect();
        // a number goes to the branch for numbers if there is one, a word to the words
        if let Value::Scalar { text, .. } = &node.value {
            let is_number = text.parse::<f64>().is_ok();
            fitting.sort_by_key(|branch| matches!(type_of(branch), "integer" | "number") != is_number);
        }
        match fitting.first() {
            Some(branch) => self.value(node, key_place, branch, path),
            None => self.wrong_type(node, path, if is_map { "a single value" } else { "a map of settings" }),
        }
    }
}
