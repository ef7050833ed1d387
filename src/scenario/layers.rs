//! Layers: `extends` < file < profile < `--set`. The tree that results keeps the place of each value.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value as Schema;

use super::diagnostic::{Diagnostic, Place, Source};
use super::node::{Entry, Node, Value};
use super::parse::parse;
use super::schema::{Definitions, is_one_of, suggest};
use super::{Input, Overrides};

/// What the layers of a scenario come to.
pub(super) struct Layers {
    pub(super) sources: Vec<Source>,
    pub(super) root: Option<Node>,
    pub(super) base_dir: PathBuf,
    /// Source and line of all that is written in `profiles`.
    pub(super) profile_lines: BTreeSet<(usize, usize)>,
    /// The section `sweep`, which is no setting of one run.
    pub(super) sweep: Option<Entry>,
    pub(super) problems: Vec<Diagnostic>,
}

/// Longest chain of `extends`.
const CHAIN_MAX: usize = 16;

/// Reads all layers and merges them.
pub(super) fn read(input: &Input, overrides: &Overrides, definitions: &Definitions) -> Layers {
    let mut layers = Layers {
        sources: Vec::new(),
        root: None,
        base_dir: PathBuf::from("."),
        profile_lines: BTreeSet::new(),
        sweep: None,
        problems: Vec::new(),
    };
    let root = match input {
        Input::Embedded { name, text } => layers.text(name.clone(), text.clone(), PathBuf::from(".")),
        Input::File(path) => {
            layers.base_dir = folder_of(path);
            layers.file(path, None, definitions, &mut Vec::new())
        }
    };
    let Some(mut root) = root else { return layers };
    layers.profiles(&mut root, &overrides.profiles, definitions);
    for text in &overrides.set {
        layers.set(&mut root, text, definitions);
    }
    layers.sweep = take(&mut root, "sweep");
    layers.root = Some(root);
    layers
}

/// The folder that relative paths of a scenario file start from.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

impl Layers {
    fn add(&mut self, name: String, text: String, has_lines: bool, folder: PathBuf) -> usize {
        self.sources.push(Source { name, text, has_lines, folder });
        self.sources.len() - 1
    }

    /// The tree of one text, without the keys `x-…`: they hold what is a user's own, such as anchors.
    fn text(&mut self, name: String, text: String, folder: PathBuf) -> Option<Node> {
        let index = self.add(name, text, true, folder);
        let mut node = parse(&self.sources[index], index, &mut self.problems)?;
        if let Value::Map(entries) = &mut node.value {
            entries.retain(|entry| !entry.key.starts_with("x-"));
        }
        Some(node)
    }

    /// A file over what it extends. `asked` is where the file was named.
    fn file(
        &mut self,
        path: &Path,
        asked: Option<Place>,
        definitions: &Definitions,
        chain: &mut Vec<PathBuf>,
    ) -> Option<Node> {
        if chain.iter().any(|earlier| earlier == path) || chain.len() > CHAIN_MAX {
            let message = format!("`{}` extends itself", path.display());
            self.problems.push(Diagnostic::new("bad-extends", message, asked));
            return None;
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                self.problems.push(unreadable_file(path, &error, asked));
                return None;
            }
        };
        let mut node = self.text(path.display().to_string(), text, folder_of(path))?;
        let Some(extends) = take(&mut node, "extends") else { return Some(node) };
        if extends.value.value == Value::Unreadable {
            return None;
        }
        let Value::Scalar { text, .. } = &extends.value.value else {
            let message = "`extends` must name one scenario file";
            self.problems.push(Diagnostic::new("wrong-type", message, Some(extends.value.place)));
            return Some(node);
        };
        chain.push(path.to_path_buf());
        let base_path = folder_of(path).join(text);
        let mut base = self.file(&base_path, Some(extends.value.place), definitions, chain)?;
        merge(&mut base, node, definitions.root(), definitions);
        Some(base)
    }

    fn profiles(&mut self, root: &mut Node, names: &[String], definitions: &Definitions) {
        let section = take(root, "profiles");
        if section.as_ref().is_some_and(|entry| entry.value.value == Value::Unreadable) {
            return;
        }
        let profiles = section.as_ref().map_or(&[][..], |entry| entry.value.entries());
        profiles.iter().for_each(|profile| lines_of(&profile.value, &mut self.profile_lines));
        if let Some(entry) = &section
            && !matches!(entry.value.value, Value::Map(_) | Value::Null)
        {
            let message = "`profiles` must be a map of profiles by name";
            self.problems.push(Diagnostic::new("wrong-type", message, Some(entry.value.place)));
        }
        for name in names {
            match profiles.iter().find(|profile| profile.key == *name) {
                Some(profile) => merge(root, profile.value.clone(), definitions.root(), definitions),
                None => {
                    let known: Vec<&str> = profiles.iter().map(|profile| profile.key.as_str()).collect();
                    let start = self.sources.first().map(|_| Place { source: 0, line: 1, column: 1, length: 1 });
                    let place = section.as_ref().map(|entry| entry.key_place).or(start);
                    let mut problem =
                        Diagnostic::new("unknown-profile", format!("no profile is called `{name}`"), place);
                    if let Some(close) = suggest(name, known.iter().copied()) {
                        problem = problem.hint(format!("did you mean `{close}`?"));
                    } else if !known.is_empty() {
                        problem = problem.help(format!("the file has {}", known.join(", ")));
                    } else {
                        problem = problem.help(format!(
                            "the file has no profiles; add `profiles: {{ {name}: {{ … }} }}`, or leave --profile out"
                        ));
                    }
                    self.problems.push(problem);
                }
            }
        }
    }

    /// Applies one `key.path=value`.
    fn set(&mut self, root: &mut Node, text: &str, definitions: &Definitions) {
        let index = self.add(format!("--set {text}"), text.to_string(), false, PathBuf::from("."));
        let at = |column: usize, length: usize| Place { source: index, line: 1, column, length: length.max(1) };
        let Some((path, value)) = text.split_once('=') else {
            let place = at(1, text.chars().count());
            let problem = Diagnostic::new("bad-set", format!("`--set {text}` has no `=`"), Some(place));
            self.problems.push(problem.help("write `--set server.rounds=20`"));
            return;
        };
        let value_column = path.chars().count() + 2;
        // the value is read by the YAML parser, as the value of a key that stands where the path does
        let wrapped = Source { text: format!("v: {value}"), ..self.sources[index].clone() };
        let mut problems = Vec::new();
        let Some(parsed) = parse(&wrapped, index, &mut problems) else {
            let place = at(value_column, value.chars().count());
            self.problems.push(Diagnostic::new("bad-set", format!("`{value}` is not a YAML value"), Some(place)));
            return;
        };
        for mut problem in problems {
            let places = problem.place.iter_mut().chain(&mut problem.other);
            places.for_each(|place| moved(place, value_column, index));
            self.problems.push(problem);
        }
        let Some(entry) = parsed.entries().first() else { return };
        let mut new = entry.value.clone();
        shift(&mut new, value_column, index);
        let mut column = 1;
        let keys: Vec<(&str, Place)> = path
            .split('.')
            .map(|key| {
                let place = at(column, key.chars().count());
                column += key.chars().count() + 1;
                (key.trim(), place)
            })
            .collect();
        if let Some((_, place)) = keys.iter().find(|(key, _)| key.is_empty()) {
            self.problems.push(Diagnostic::new("bad-set", format!("`{path}` is not a path of settings"), Some(*place)));
            return;
        }
        put(root, &keys, new, Some(definitions.root()), definitions);
    }
}

/// Why a scenario file could not be read, and what the user may have meant.
fn unreadable_file(path: &Path, error: &std::io::Error, asked: Option<Place>) -> Diagnostic {
    use std::io::ErrorKind;
    let message = format!("cannot read scenario `{}`: {}", path.display(), plain(error));
    let (code, help) = match error.kind() {
        ErrorKind::IsADirectory if path.join("scenario.lock.yaml").is_file() => {
            let lock = path.join("scenario.lock.yaml");
            ("not-a-file", format!("to repeat the run that it holds, give its lock file, `{}`", lock.display()))
        }
        ErrorKind::IsADirectory if path.join("sweep.lock.yaml").is_file() => {
            ("not-a-file", "it holds a sweep, which `straggler sweep --resume` goes on with".to_owned())
        }
        ErrorKind::IsADirectory => ("not-a-file", "give a scenario file, such as study.yaml".to_owned()),
        ErrorKind::InvalidData => {
            let start = std::fs::read(path).unwrap_or_default();
            let is_utf16 = start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]);
            let help = if is_utf16 { "it is UTF-16; save it as UTF-8" } else { "save it as UTF-8" };
            ("not-text", help.to_owned())
        }
        ErrorKind::PermissionDenied => ("unreadable-file", "check its permissions".to_owned()),
        _ => ("missing-file", "check the path; `straggler list` names what is built in".to_owned()),
    };
    Diagnostic::new(code, message, asked).help(help)
}

/// The lines on which a value and what is in it are written.
fn lines_of(node: &Node, lines: &mut BTreeSet<(usize, usize)>) {
    lines.insert((node.place.source, node.place.line));
    match &node.value {
        Value::Null | Value::Unreadable | Value::Scalar { .. } => {}
        Value::List(items) => items.iter().for_each(|item| lines_of(item, lines)),
        Value::Map(entries) => {
            for entry in entries {
                lines.insert((entry.key_place.source, entry.key_place.line));
                lines_of(&entry.value, lines);
            }
        }
    }
}

/// Puts `new` at a dotted path, all of whose keys were written at `place`.
pub(super) fn put_at(root: &mut Node, path: &str, place: Place, new: Node, definitions: &Definitions) {
    let keys: Vec<(&str, Place)> = path.split('.').map(|key| (key, place)).collect();
    put(root, &keys, new, Some(definitions.root()), definitions);
}

/// Moves a place that was counted in `v: VALUE` to where VALUE stands in `path=VALUE`.
fn moved(place: &mut Place, value_column: usize, source: usize) {
    *place = Place { source, line: 1, column: place.column.saturating_sub(4) + value_column, length: place.length };
}

/// Moves the places of a value and of what is in it, as [`moved`] does.
fn shift(node: &mut Node, value_column: usize, source: usize) {
    moved(&mut node.place, value_column, source);
    match &mut node.value {
        Value::Null | Value::Unreadable | Value::Scalar { .. } => {}
        Value::List(items) => items.iter_mut().for_each(|item| shift(item, value_column, source)),
        Value::Map(entries) => {
            for entry in entries {
                moved(&mut entry.key_place, value_column, source);
                shift(&mut entry.value, value_column, source);
            }
        }
    }
}

/// Puts `new` at a path, making maps on the way. A one-of setting that is given another choice is replaced.
fn put(node: &mut Node, keys: &[(&str, Place)], new: Node, schema: Option<&Schema>, definitions: &Definitions) {
    let Some(((key, place), rest)) = keys.split_first() else {
        *node = new;
        return;
    };
    if node.value == Value::Unreadable {
        return;
    }
    if let Value::List(items) = &mut node.value
        && let Some(item) = key.parse::<usize>().ok().and_then(|i| items.get_mut(i))
    {
        put(item, rest, new, None, definitions);
        return;
    }
    let replaces_choice = schema.is_some_and(|schema| is_one_of(schema, definitions)) && node.entry(key).is_none();
    if replaces_choice || !matches!(node.value, Value::Map(_)) {
        *node = Node { value: Value::Map(Vec::new()), place: *place };
    }
    let Value::Map(entries) = &mut node.value else { return };
    let index = entries.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
        let value = Node { value: Value::Map(Vec::new()), place: *place };
        entries.push(Entry { key: (*key).to_string(), key_place: *place, value });
        entries.len() - 1
    });
    if rest.is_empty() {
        entries[index].key_place = *place;
    }
    let below = schema.and_then(|schema| definitions.below(schema, key));
    put(&mut entries[index].value, rest, new, below, definitions);
}

/// Lays `over` on `base`: maps are merged key by key, all else is replaced; null deletes.
pub(super) fn merge(base: &mut Node, over: Node, schema: &Schema, definitions: &Definitions) {
    let Node { value, place } = over;
    let over_entries = match value {
        Value::Map(entries) if !is_one_of(schema, definitions) => entries,
        value => {
            *base = Node { value, place };
            return;
        }
    };
    let Value::Map(base_entries) = &mut base.value else {
        if base.value != Value::Unreadable {
            *base = Node { value: Value::Map(over_entries), place };
        }
        return;
    };
    for over_entry in over_entries {
        let position = base_entries.iter().position(|entry| entry.key == over_entry.key);
        match (position, &over_entry.value.value) {
            (Some(index), Value::Null) => {
                base_entries.remove(index);
            }
            (Some(index), _) => {
                let below = definitions.below(schema, &over_entry.key).unwrap_or(&Schema::Null);
                base_entries[index].key_place = over_entry.key_place;
                merge(&mut base_entries[index].value, over_entry.value, below, definitions);
            }
            (None, _) => base_entries.push(over_entry),
        }
    }
}

fn take(node: &mut Node, key: &str) -> Option<Entry> {
    let Value::Map(entries) = &mut node.value else { return None };
    let index = entries.iter().position(|entry| entry.key == key)?;
    Some(entries.remove(index))
}

/// An input/output error in plain words.
pub(super) fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        std::io::ErrorKind::IsADirectory => "it is a directory".into(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        _ => error.to_string(),
    }
}
