//! The `sweep` section as it was written, with the place of every value.

use super::cells::{Point, name_points, text_of};
use crate::scenario::diagnostic::{Diagnostic, Place};
use crate::scenario::node::{Entry, Node, Value, describe};
use crate::scenario::schema::{Definitions, join, suggest};

/// A setting of the matrix, and its values.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) values: Vec<Node>,
}

/// A value of one setting.
#[derive(Debug, Clone)]
pub(super) struct Assigned {
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) value: Node,
}

/// The section, checked for its form.
#[derive(Debug, Default)]
pub(super) struct Section {
    axes: Vec<Axis>,
    exclude: Vec<(Place, Vec<Assigned>)>,
    include: Vec<(Place, Vec<Assigned>)>,
    seeds: Option<(Place, Vec<u64>)>,
    repeats: Option<(Place, u64)>,
}

/// The pseudo setting whose values are profiles.
pub(super) const PROFILE: &str = "profile";

const KEYS: [&str; 5] = ["matrix", "exclude", "include", "seeds", "repeats"];

/// Most runs of one sweep: more than anyone waits for.
const CELLS_MAX: usize = 10_000;

/// Checks the form of the section, for verbs that do not sweep.
pub(in crate::scenario) fn check(entry: &Entry, definitions: &Definitions, problems: &mut Vec<Diagnostic>) {
    let section = read(entry, definitions, problems);
    section.points(problems);
}

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

/// Seeds as the command line writes them: `42..44` (both included), `1,5,9`, or one.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_seeds(text: &str) -> Result<Vec<u64>, String> {
    let number = |part: &str| part.trim().parse::<u64>().map_err(|_| format!("`{}` is not a seed", part.trim()));
    let mut seeds = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last.trim_start_matches('='))?);
                if last < first {
                    return Err(format!("`{}` ends before it starts", part.trim()));
                }
                if last - first >= CELLS_MAX as u64 {
                    return Err(format!("`{}` are more than {CELLS_MAX} seeds", part.trim()));
                }
                seeds.extend(first..=last);
            }
            None => seeds.push(number(part)?),
        }
    }
    let twice = (1..seeds.len()).find(|&i| seeds[..i].contains(&seeds[i]));
    twice.map_or(Ok(()), |i| Err(format!("{} is given twice, which would be the same run", seeds[i])))?;
    Ok(seeds)
}

fn describe_value(node: &Node) -> String {
    match &node.value {
        Value::Null => "`null`".into(),
        _ => format!("`{}`", text_of(node)),
    }
}

/// True when two values mean the same, wherever they stand. Numbers may be written in several ways.
pub(super) fn is_same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Null, Value::Null) => true,
        (Value::Scalar { text: a, .. }, Value::Scalar { text: b, .. }) => {
            a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
        }
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|a| b.iter().any(|b| a.key == b.key && is_same(&a.value, &b.value)))
        }
        _ => false,
    }
}

impl Section {
    /// True when it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.axes.is_empty() && self.include.is_empty() && self.seeds.is_none() && self.repeats.is_none()
    }

    /// The settings that cells differ in: those of the matrix, then what only `include` has.
    pub(super) fn settings(&self) -> Vec<String> {
        let mut settings: Vec<String> = self.axes.iter().map(|axis| axis.path.clone()).collect();
        for one in self.include.iter().flat_map(|(_, assigned)| assigned) {
            if !settings.contains(&one.path) {
                settings.push(one.path.clone());
            }
        }
        settings
    }

    /// A setting cannot be swept and fixed by `--set` at once.
    pub(super) fn refuse_set(&self, set: &[String], problems: &mut Vec<Diagnostic>) {
        for (text, path) in set.iter().filter_map(|text| Some((text, text.split_once('=')?.0.trim()))) {
            let touches = |axis: &&Axis| axis.path == path || axis.path.starts_with(&format!("{path}."));
            if let Some(axis) = self.axes.iter().find(touches) {
                let message = format!("`--set {text}` and the matrix both give `{}`", axis.path);
                let problem = Diagnostic::new("conflict", message, Some(axis.place));
                problems.push(problem.help(format!("change the list with `--set sweep.matrix.{}=[…]`", axis.path)));
            }
        }
    }

    /// Every combination that is not excluded, the first setting changing slowest, then what is included.
    pub(super) fn points(&self, problems: &mut Vec<Diagnostic>) -> Vec<Point> {
        let n_all = self.axes.iter().try_fold(1usize, |n, axis| n.checked_mul(axis.values.len()));
        if n_all.is_none_or(|n| n > CELLS_MAX) {
            let place = self.axes.first().map(|axis| axis.place);
            let problem = Diagnostic::new("out-of-range", format!("the matrix has more than {CELLS_MAX} cells"), place);
            problems.push(problem.help("shorten a list, or sweep in several steps"));
            return Vec::new();
        }
        let mut combinations: Vec<Vec<Assigned>> = vec![Vec::new()];
        for axis in &self.axes {
            let with = |combination: &Vec<Assigned>, value: &Node| {
                let assigned = Assigned { path: axis.path.clone(), place: axis.place, value: value.clone() };
                combination.iter().cloned().chain([assigned]).collect()
            };
            combinations = combinations
                .iter()
                .flat_map(|combination| axis.values.iter().map(move |value| with(combination, value)))
                .collect();
        }
        if self.axes.is_empty() && !self.include.is_empty() {
            combinations.clear();
        }
        let has = |combination: &[Assigned], rule: &[Assigned]| {
            rule.iter().all(|one| combination.iter().any(|own| own.path == one.path && is_same(&own.value, &one.value)))
        };
        for (place, rule) in &self.exclude {
            let names_axes = rule.iter().all(|one| self.axes.iter().any(|axis| axis.path == one.path));
            if names_axes && !combinations.iter().any(|combination| has(combination, rule)) {
                let problem = Diagnostic::new("no-cell", "this item of `sweep.exclude` names no cell", Some(*place));
                problems.push(problem.help("give values as the matrix has them"));
            }
        }
        combinations.retain(|combination| !self.exclude.iter().any(|(_, rule)| has(combination, rule)));
        for (place, assigned) in &self.include {
            if combinations.iter().any(|combination| combination.len() == assigned.len() && has(combination, assigned))
            {
                let problem =
                    Diagnostic::new("duplicate-value", "this item of `sweep.include` is a cell already", Some(*place));
                problems.push(problem.help("remove it"));
            }
            combinations.push(assigned.clone());
        }
        if combinations.is_empty() {
            let problem = Diagnostic::new(
                "no-cell",
                "`sweep.exclude` leaves no cell",
                self.exclude.first().map(|(place, _)| *place),
            );
            problems.push(problem.help("exclude fewer, or add values to the matrix"));
        }
        name_points(&self.settings(), combinations)
    }

    /// The seeds of each cell: those given, the section's, or so many from the scenario's own on.
    pub(super) fn seeds(
        &self,
        given: Option<&[u64]>,
        (seed, repeats): (u64, u32),
        root: &Node,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<u64> {
        if let Some(given) = given {
            return given.to_vec();
        }
        if let (Some((place, _)), true) = (&self.seeds, repeats > 1) {
            let problem = Diagnostic::new("conflict", "`sweep.seeds` and `repeats` both say the seeds", Some(*place));
            problems.push(problem.other(Some(root.locate("repeats"))).help("remove one of them"));
        }
        if let Some((_, seeds)) = &self.seeds {
            return seeds.clone();
        }
        let n = self.repeats.map_or(u64::from(repeats), |(_, n)| n);
        let seeds: Vec<u64> = (0..n).filter_map(|i| seed.checked_add(i)).collect();
        if let (Some((place, _)), true) = (self.repeats, seeds.len() as u64 != n) {
            let problem =
                Diagnostic::new("out-of-range", "the last of the `sweep.repeats` seeds is too large", Some(place));
            problems.push(problem.help("start with a lower `seed`"));
        }
        seeds
    }
}
