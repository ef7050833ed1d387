//! The `sweep` section as it was written, with the place of every value, and the points that it comes to.

use super::cells::{Point, name_points};
use crate::scenario::diagnostic::{Diagnostic, Place};
use crate::scenario::node::{Node, Value};

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
    pub(super) axes: Vec<Axis>,
    pub(super) exclude: Vec<(Place, Vec<Assigned>)>,
    pub(super) include: Vec<(Place, Vec<Assigned>)>,
    pub(super) seeds: Option<(Place, Vec<u64>)>,
    pub(super) repeats: Option<(Place, u64)>,
}

/// The pseudo setting whose values are profiles.
pub(super) const PROFILE: &str = "profile";

/// Most runs of one sweep: more than anyone waits for.
pub(super) const CELLS_MAX: usize = 10_000;

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
            let is_in = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
            // A value of the matrix takes the place of all that is below its setting.
            let touches = |axis: &&Axis| axis.path == path || is_in(&axis.path, path) || is_in(path, &axis.path);
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
