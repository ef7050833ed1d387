//! From a scenario and its `sweep` to checked cells.

use super::cells::{self, Point};
use super::reader::read;
use super::section::Section;
use super::{Cell, Sweep};
use crate::scenario::checked::Scenario;
use crate::scenario::diagnostic::{Diagnostic, Diagnostics};
use crate::scenario::layers::{self, Layers};
use crate::scenario::load::resolve;
use crate::scenario::node::{Entry, Node};
use crate::scenario::origins::Origins;
use crate::scenario::schema::Definitions;
use crate::scenario::{Input, Overrides, check};

/// Which part of a scenario's `sweep` is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepPart {
    /// The matrix and the seeds.
    Whole,
    /// One cell, the scenario as it is, with the seeds of `repeats`.
    Repeats,
}

/// Reads a scenario and its `sweep`, lays the overrides on it and checks every cell. `seeds` take the place of the
/// scenario's own.
///
/// # Errors
/// Every problem found, each with its place. Nothing is run and nothing is written.
pub fn load_sweep(
    input: &Input,
    overrides: &Overrides,
    part: SweepPart,
    seeds: Option<&[u64]>,
) -> Result<Sweep, Diagnostics> {
    let definitions = Definitions::new();
    let mut layers = layers::read(input, overrides, &definitions);
    let mut problems = std::mem::take(&mut layers.problems);
    let entry = layers.sweep.take().filter(|_| part == SweepPart::Whole);
    let section = entry.map(|entry| read(&entry, &definitions, &mut problems)).unwrap_or_default();
    let says_seeds = seeds.is_some() || layers.root.as_ref().is_some_and(|root| root.has("repeats"));
    if section.is_empty() && !says_seeds && problems.is_empty() {
        let problem = Diagnostic::new("no-sweep", "the scenario has no `sweep`, and nothing gives seeds", None);
        problems.push(problem.help("add `sweep: { matrix: { server.rounds: [10, 20] } }`, or `--seeds 42..44`"));
    }
    let written = Written { input, overrides, layers: &layers, definitions: &definitions };
    match written.sweep(&section, seeds, &mut problems) {
        Some(sweep) if problems.is_empty() => Ok(sweep),
        _ => Err(Diagnostics::sorted(layers.sources, problems)),
    }
}

/// Checks the form of the section, for verbs that do not sweep. The number of its cells, if it says anything.
pub(in crate::scenario) fn check_form(
    entry: &Entry,
    definitions: &Definitions,
    problems: &mut Vec<Diagnostic>,
) -> Option<usize> {
    let section = read(entry, definitions, problems);
    let n_cells = section.points(problems).len();
    (!section.is_empty()).then_some(n_cells)
}

/// Checks every cell of the section `entry` of a scenario that was read as `layers`.
pub(in crate::scenario) fn check_cells(
    entry: &Entry,
    (input, overrides): (&Input, &Overrides),
    layers: &Layers,
    definitions: &Definitions,
    problems: &mut Vec<Diagnostic>,
) {
    let section = read(entry, definitions, problems);
    Written { input, overrides, layers, definitions }.sweep(&section, None, problems);
}

/// A scenario as it was written.
struct Written<'a> {
    input: &'a Input,
    overrides: &'a Overrides,
    layers: &'a Layers,
    definitions: &'a Definitions,
}

impl Written<'_> {
    /// The sweep of a section, with every cell checked; none when one of them has a problem.
    fn sweep(&self, section: &Section, seeds: Option<&[u64]>, problems: &mut Vec<Diagnostic>) -> Option<Sweep> {
        let root = self.layers.root.as_ref()?;
        section.refuse_set(&self.overrides.set, problems);
        let points = section.points(problems);
        // A matrix that is wrong would give problems of cells that nobody wrote.
        if !problems.is_empty() {
            return None;
        }
        let laid = cells::lay(self.input, self.overrides, root, &points, self.definitions);
        let scenarios = self.check(&points, laid, problems);
        let first = scenarios.first()?;
        let seeds = section.seeds(seeds, (first.seed(), first.repeats()), root, problems);
        let name = first.name().to_owned();
        let named = points.into_iter().zip(scenarios);
        let cells = named.map(|(point, scenario)| Cell { name: point.name, values: point.values, scenario });
        Some(Sweep { name, settings: section.settings(), cells: cells.collect(), seeds })
    }

    /// The scenarios of all cells; none when one of them has a problem.
    fn check(
        &self,
        points: &[Point],
        laid: Vec<(Option<Node>, Vec<Diagnostic>)>,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<Scenario> {
        let Layers { base_dir, sources, profile_lines, .. } = self.layers;
        let n_cells = laid.len();
        let (mut of_cells, mut scenarios) = (Vec::new(), Vec::new());
        for (point, (root, mut own)) in points.iter().zip(laid) {
            let scenario = root.and_then(|root| {
                let scenario = resolve(&root, base_dir.clone(), sources, self.definitions, &mut own)?;
                let warnings = check::warnings(scenario.raw(), &root, profile_lines);
                Some(scenario.with_origins(Origins::new(root, sources.clone(), warnings)))
            });
            of_cells.push((point.name.clone(), own));
            scenarios.extend(scenario);
        }
        let found = cells::join_problems(of_cells, n_cells);
        if !found.is_empty() {
            scenarios.clear();
        }
        problems.extend(found);
        scenarios
    }
}
