//! The cells of a sweep: their names, their trees, their problems.

use super::section::{Assigned, PROFILE, is_same};
use crate::report::compare::short_paths;
use crate::scenario::diagnostic::Diagnostic;
use crate::scenario::layers::{self, put_at};
use crate::scenario::node::{Node, Value};
use crate::scenario::schema::Definitions;
use crate::scenario::{Input, Overrides};

/// One cell before it is checked.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) name: String,
    /// As `index.csv` has them, one for each setting of the sweep.
    pub(super) values: Vec<String>,
    assigned: Vec<Assigned>,
}

/// Longest name of a cell, which is a folder's.
const NAME_MAX: usize = 120;
/// Longest part of a name for one setting.
const PART_MAX: usize = 48;

/// Names points after what tells them apart.
pub(super) fn name_points(settings: &[String], combinations: Vec<Vec<Assigned>>) -> Vec<Point> {
    let short = short_paths(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    let mut points: Vec<Point> = Vec::new();
    let all: Vec<Assigned> = combinations.iter().flatten().cloned().collect();
    for (number, assigned) in (1..).zip(combinations) {
        let of = |path: &String| assigned.iter().find(|one| one.path == *path);
        let values = settings.iter().map(|path| of(path).map_or(String::new(), |one| text_of(&one.value))).collect();
        let parts = settings.iter().zip(&short).filter_map(|(path, short)| {
            let text = plain(&format!("{short}={}", word_of(path, &of(path)?.value, &all)));
            Some(if text.len() > PART_MAX { format!("{short}=value-{number}") } else { text })
        });
        let mut name = parts.collect::<Vec<_>>().join(",");
        if name.is_empty() {
            name = "base".into();
        }
        if name.len() > NAME_MAX || points.iter().any(|point| point.name == name) {
            name = format!("cell-{number}");
        }
        points.push(Point { name, values, assigned });
    }
    points
}

/// A value in a cell's name: of a choice only its key, where that alone says which it is.
fn word_of(path: &str, value: &Node, all: &[Assigned]) -> String {
    fn key(node: &Node) -> &str {
        match &node.value {
            Value::Map(entries) if entries.len() == 1 => &entries[0].key,
            Value::Scalar { text, .. } => text,
            Value::Null | Value::Unreadable | Value::List(_) | Value::Map(_) => "",
        }
    }
    let rivals = all.iter().filter(|one| one.path == path && !is_same(&one.value, value));
    let is_alone = !key(value).is_empty() && rivals.into_iter().all(|one| key(&one.value) != key(value));
    if is_alone { key(value).to_owned() } else { text_of(value) }
}

/// A value on one line, as YAML would have it.
pub(super) fn text_of(node: &Node) -> String {
    match &node.value {
        Value::Null | Value::Unreadable => "null".into(),
        Value::Scalar { text, .. } => text.clone(),
        Value::List(items) => format!("[{}]", items.iter().map(text_of).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| format!("{}: {}", entry.key, text_of(&entry.value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text of which a folder's name can be a part.
fn plain(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().filter(|c| *c != ' ') {
        let c = if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '=' | '+') { c } else { '-' };
        if c != '-' || !name.ends_with('-') {
            name.push(c);
        }
    }
    name.trim_end_matches('-').replace("=-", "=")
}

/// The tree of each point, with what went wrong on the way.
pub(super) fn lay(
    input: &Input,
    overrides: &Overrides,
    root: &Node,
    points: &[Point],
    definitions: &Definitions,
) -> Vec<(Option<Node>, Vec<Diagnostic>)> {
    let lay_one = |point: &Point| {
        let (mut tree, mut problems) = (Some(root.clone()), Vec::new());
        if let Some(profile) = point.assigned.iter().find(|one| one.path == PROFILE) {
            // Profiles come before `--set`, so the layers are laid anew; their sources keep their order.
            let mut overrides = overrides.clone();
            overrides.profiles.extend(profile_names(&profile.value));
            let read = layers::read(input, &overrides, definitions);
            (tree, problems) = (read.root, read.problems);
            for problem in &mut problems {
                if problem.code == "unknown-profile" {
                    problem.other = problem.place;
                    problem.place = Some(profile.value.place);
                }
            }
        }
        if let Some(tree) = &mut tree {
            for one in point.assigned.iter().filter(|one| one.path != PROFILE) {
                put_at(tree, &one.path, one.place, one.value.clone(), definitions);
            }
        }
        (tree, problems)
    };
    points.iter().map(lay_one).collect()
}

fn profile_names(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Scalar { text, .. } => vec![text.clone()],
        Value::List(items) => items.iter().flat_map(profile_names).collect(),
        Value::Null | Value::Unreadable | Value::Map(_) => Vec::new(),
    }
}

/// The problems of all cells, each once. One that only some cells have says which.
pub(super) fn join_problems(of_cells: Vec<(String, Vec<Diagnostic>)>, n_cells: usize) -> Vec<Diagnostic> {
    let mut found: Vec<(Diagnostic, Vec<String>)> = Vec::new();
    for (cell, problems) in of_cells {
        for problem in problems {
            match found.iter_mut().find(|(known, _)| *known == problem) {
                Some((_, cells)) if cells.last() == Some(&cell) => {}
                Some((_, cells)) => cells.push(cell.clone()),
                None => found.push((problem, vec![cell.clone()])),
            }
        }
    }
    let say = |(mut problem, cells): (Diagnostic, Vec<String>)| {
        match cells.len() {
            n if n == n_cells => {}
            1 => problem.message = format!("{} (cell {})", problem.message, cells[0]),
            n => problem.message = format!("{} (cell {} and {} more)", problem.message, cells[0], n - 1),
        }
        problem
    };
    found.into_iter().map(say).collect()
}
