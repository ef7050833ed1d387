//! Reads the `sweep` section, and says what is wrong with its form.

use super::cells::text_of;
use super::section::{Assigned, Axis, CELLS_MAX, PROFILE, Section, is_same};
use super::seeds::parse_seeds;
use crate::scenario::diagnostic::{Diagnostic, Place};
use crate::scenario::node::{Entry, Node, Value, describe};
use crate::scenario::schema::{Definitions, join, suggest};

const KEYS: [&str; 5] = ["matrix", "exclude", "include", "seeds", "repeats"];

/// Reads the section.
pub(super) fn read(entry: &Entry, definitions: &Definitions, problems: &mut Vec<Diagnostic>) -> Section {
    let mut reader = Reader { definitions, problems };
    reader.section(entry)
}

struct Reader<'a> {
    definitions: &'a Definitions,
    problems: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn refuse(&mut self, code: &'static str, message: String, place: Place, help: &str) {
        self.problems.push(Diagnostic::new(code, message, Some(place)).help(help));
    }

    fn section(&mut self, entry: &Entry) -> Section {
        let mut section = Section::default();
        if !matches!(entry.value.value, Value::Map(_) | Value::Null | Value::Unreadable) {
            let message = format!("`sweep` must be a map of settings, not {}", describe(&entry.value.value));
            self.refuse(
                "wrong-type",
                message,
                entry.value.place,
                "write `sweep: { matrix: { server.rounds: [10, 20] } }`",
            );
        }
        for part in entry.value.entries() {
            match part.key.as_str() {
                // What cannot be read is told already.
                _ if matches!(part.value.value, Value::Null | Value::Unreadable) => {}
                "matrix" => self.matrix(part, &mut section.axes),
                "exclude" => section.exclude = self.assignments(part),
                "include" => section.include = self.assignments(part),
                "seeds" => section.seeds = self.seeds(&part.value).map(|seeds| (part.key_place, seeds)),
                "repeats" => {
                    let n = self.whole(&part.value, "sweep.repeats").map(|n| (part.key_place, n));
                    section.repeats = n.filter(|(_, n)| *n >= 1 && *n <= CELLS_MAX as u64);
                    if n.is_some() && section.repeats.is_none() {
                        let message = format!("`sweep.repeats` must be between 1 and {CELLS_MAX}");
                        self.refuse("out-of-range", message, part.value.place, "3 runs each cell with three seeds");
                    }
                }
                key => {
                    let problem = Diagnostic::new(
                        "unknown-key",
                        format!("unknown field `{key}` in `sweep`"),
                        Some(part.key_place),
                    );
                    self.problems.push(match suggest(key, KEYS.into_iter()) {
                        Some(close) => problem.hint(format!("did you mean `{close}`?")),
                        None => problem.help(format!("known here: {}", KEYS.join(", "))),
                    });
                }
            }
        }
        if let (Some((place, _)), Some((other, _))) = (&section.seeds, &section.repeats) {
            let problem =
                Diagnostic::new("conflict", "`sweep.seeds` and `sweep.repeats` both say the seeds", Some(*place));
            self.problems.push(problem.other(Some(*other)).help("remove one of them"));
        }
        let axes: Vec<&str> = section.axes.iter().map(|axis| axis.path.as_str()).collect();
        for assigned in section.exclude.iter().flat_map(|(_, of)| of).filter(|one| !axes.contains(&one.path.as_str())) {
            let message = format!("`sweep.exclude` names `{}`, which is not in the matrix", assigned.path);
            let problem = Diagnostic::new("unknown-key", message, Some(assigned.place));
            self.problems.push(match suggest(&assigned.path, axes.iter().copied()) {
                Some(close) => problem.hint(format!("did you mean `{close}`?")),
                None => problem.help(format!(
                    "the matrix has {}",
                    if axes.is_empty() { "nothing".into() } else { axes.join(", ") }
                )),
            });
        }
        section
    }

    /// Settings with their values; a map below a key is a longer path.
    fn matrix(&mut self, entry: &Entry, axes: &mut Vec<Axis>) {
        if !matches!(entry.value.value, Value::Map(_)) {
            let message = format!("`sweep.matrix` must be a map of settings, not {}", describe(&entry.value.value));
            return self.refuse(
                "wrong-type",
                message,
                entry.value.place,
                "write `matrix: { server.rounds: [10, 20] }`",
            );
        }
        for axis in entry.value.entries() {
            self.axis("", axis, axes);
        }
    }

    fn axis(&mut self, above: &str, entry: &Entry, axes: &mut Vec<Axis>) {
        let path = join(above, entry.key.trim());
        let values = match &entry.value.value {
            Value::Map(below) if !below.is_empty() => {
                return below.iter().for_each(|below| self.axis(&path, below, axes));
            }
            Value::List(values) => values,
            Value::Unreadable => return,
            // Null takes out what a lower layer put there.
            Value::Null => return axes.retain(|axis| axis.path != path),
            other => {
                let message = format!("`{path}` must be a list of values in `sweep.matrix`, not {}", describe(other));
                return self.refuse("wrong-type", message, entry.value.place, "write a list, such as `[1, 2]`");
            }
        };
        if values.is_empty() {
            let message = format!("`{path}` has no values, so there would be no cells");
            return self.refuse("empty-list", message, entry.key_place, "list the values to try, or remove the line");
        }
        for (i, value) in values.iter().enumerate() {
            if values[..i].iter().any(|earlier| is_same(earlier, value)) {
                let message = format!("`{path}` has {} twice", describe_value(value));
                self.refuse("duplicate-value", message, value.place, "keep one of them");
            }
        }
        if path == PROFILE {
            self.profiles(values);
        } else {
            self.path(&path, entry.key_place);
        }
        let axis = Axis { path, place: entry.key_place, values: values.clone() };
        match axes.iter_mut().find(|other| other.path == axis.path) {
            // `--set sweep.matrix.…` takes the place of the file's list.
            Some(other) => *other = axis,
            None => axes.push(axis),
        }
    }

    fn profiles(&mut self, values: &[Node]) {
        for value in values {
            let names: &[Node] = match &value.value {
                Value::List(names) => names,
                Value::Null => &[],
                _ => std::slice::from_ref(value),
            };
            for name in names.iter().filter(|name| !matches!(name.value, Value::Scalar { .. })) {
                let message = format!("a profile is named by a word, not by {}", describe(&name.value));
                self.refuse("wrong-type", message, name.place, "write `profile: [null, async, [async, slow]]`");
            }
        }
    }

    /// A path must be one of the scenario's settings, and one that may differ between cells.
    fn path(&mut self, path: &str, place: Place) {
        let first = path.split('.').next().unwrap_or_default();
        let refused = match (first, path) {
            ("seed" | "repeats", _) => Some("seeds are given by `sweep.seeds` or `repeats`"),
            ("version" | "lock" | "name" | "extends" | "profiles" | "sweep", _) => {
                Some("it says what the scenario is; sweep over settings such as `server.rounds`")
            }
            ("output", _) | (_, "compute.workers" | "compute.memory_limit") => {
                Some("it decides nothing that is written to the results")
            }
            _ => None,
        };
        if let Some(help) = refused {
            return self.refuse("conflict", format!("`{path}` cannot be swept"), place, help);
        }
        let mut schema = Some(self.definitions.root());
        let mut walked = String::new();
        for key in path.split('.') {
            // Below a list, or where any value may stand, the cells' own checks say what is wrong.
            let Some(here) = schema else { return };
            let here = self.definitions.resolve(here);
            if here.get("type").is_some_and(|kind| kind == "array") {
                return;
            }
            schema = self.definitions.below(here, key);
            if schema.is_none() {
                let inside = if walked.is_empty() { "at the top level".into() } else { format!("in `{walked}`") };
                let problem = Diagnostic::new("unknown-key", format!("unknown field `{key}` {inside}"), Some(place));
                let known = self.definitions.keys(here);
                let close =
                    suggest(key, known.iter().map(String::as_str)).map(|close| path_with(path, &walked, key, close));
                self.problems.push(match close {
                    Some(close) => problem.hint(format!("did you mean `{close}`?")),
                    None if known.is_empty() => problem.help(format!("`{walked}` has no settings of its own")),
                    None => problem.help(format!("known here: {}", known.join(", "))),
                });
                return;
            }
            walked = join(&walked, key);
        }
    }

    /// A list of maps from setting to value.
    fn assignments(&mut self, entry: &Entry) -> Vec<(Place, Vec<Assigned>)> {
        let what = &entry.key;
        let Value::List(items) = &entry.value.value else {
            let message = format!("`sweep.{what}` must be a list of maps, not {}", describe(&entry.value.value));
            self.refuse("wrong-type", message, entry.value.place, "write `[{ server.rounds: 10, tuning: lora }]`");
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items {
            if item.entries().is_empty() {
                let message =
                    format!("an item of `sweep.{what}` must be a map of settings, not {}", describe(&item.value));
                self.refuse("wrong-type", message, item.place, "write `{ server.rounds: 10, tuning: lora }`");
                continue;
            }
            let assigned: Vec<Assigned> = item
                .entries()
                .iter()
                .map(|entry| Assigned {
                    path: entry.key.trim().into(),
                    place: entry.key_place,
                    value: entry.value.clone(),
                })
                .collect();
            if what == "include" {
                for one in &assigned {
                    match one.path.as_str() {
                        PROFILE => self.profiles(std::slice::from_ref(&one.value)),
                        path => self.path(path, one.place),
                    }
                }
            }
            found.push((item.place, assigned));
        }
        found
    }

    fn seeds(&mut self, node: &Node) -> Option<Vec<u64>> {
        let seeds: Vec<(Place, u64)> = match &node.value {
            Value::List(items) => {
                items.iter().filter_map(|item| Some((item.place, self.whole(item, "sweep.seeds")?))).collect()
            }
            Value::Scalar { text, .. } => match parse_seeds(text) {
                Ok(seeds) => seeds.into_iter().map(|seed| (node.place, seed)).collect(),
                Err(message) => {
                    self.refuse(
                        "wrong-type",
                        format!("`sweep.seeds`: {message}"),
                        node.place,
                        "write `[42, 43]` or `42..44`",
                    );
                    return None;
                }
            },
            other => {
                let message = format!("`sweep.seeds` must be a list of seeds, not {}", describe(other));
                self.refuse("wrong-type", message, node.place, "write `[42, 43]` or `42..44`");
                return None;
            }
        };
        if seeds.is_empty() {
            self.refuse("empty-list", "`sweep.seeds` is empty".into(), node.place, "write `[42, 43]` or `42..44`");
        }
        for (i, (place, seed)) in seeds.iter().enumerate() {
            if seeds[..i].iter().any(|(_, earlier)| earlier == seed) {
                let message = format!("`sweep.seeds` has {seed} twice, which would be the same run");
                self.refuse("duplicate-value", message, *place, "give each seed once");
            }
        }
        Some(seeds.into_iter().map(|(_, seed)| seed).collect())
    }

    fn whole(&mut self, node: &Node, path: &str) -> Option<u64> {
        let parsed = match &node.value {
            Value::Scalar { text, quoted: false } => text.replace('_', "").parse().ok(),
            _ => None,
        };
        if parsed.is_none() {
            let message = format!("`{path}` must be whole numbers, 0 or more, not {}", describe(&node.value));
            self.refuse("wrong-type", message, node.place, "such as 42");
        }
        parsed
    }
}

/// `path` with one of its keys spelt right.
fn path_with(path: &str, above: &str, key: &str, right: &str) -> String {
    let rest = &path[join(above, key).len()..];
    format!("{}{rest}", join(above, right))
}

fn describe_value(node: &Node) -> String {
    match &node.value {
        Value::Null => "`null`".into(),
        _ => format!("`{}`", text_of(node)),
    }
}
