//! The way from text to a checked scenario.

use std::path::{Path, PathBuf};

use super::check;
use super::checked::Scenario;
use super::diagnostic::{Diagnostic, Diagnostics, Source};
use super::layers::{self, Layers};
use super::node::{Entry, Node};
use super::origins::Origins;
use super::raw::Draft;
use super::schema::{self, Definitions};
use super::{Input, Overrides, sweep};

/// Reads a scenario, lays the overrides on it and checks it. Of its `sweep` only the form is checked.
///
/// # Errors
/// Every problem found, each with its place. Nothing is run and nothing is written.
pub fn load(input: &Input, overrides: &Overrides) -> Result<Scenario, Diagnostics> {
    load_with(input, overrides, false)
}

/// Like [`load`], and checks every cell of the scenario's `sweep`, if it has one.
///
/// # Errors
/// Those of [`load`], and those of the cells where the scenario itself is right.
pub fn load_with_cells(input: &Input, overrides: &Overrides) -> Result<Scenario, Diagnostics> {
    load_with(input, overrides, true)
}

fn load_with(input: &Input, overrides: &Overrides, checks_cells: bool) -> Result<Scenario, Diagnostics> {
    let definitions = Definitions::new();
    let mut layers = layers::read(input, overrides, &definitions);
    let mut problems = std::mem::take(&mut layers.problems);
    let Layers { base_dir, sources, .. } = &layers;
    let root = layers.root.as_ref();
    let scenario = root.and_then(|root| resolve(root, base_dir.clone(), sources, &definitions, &mut problems));
    let section = layers.sweep.take();
    let is_right = problems.is_empty();
    let n_cells = section.as_ref().and_then(|section| sweep::check_form(section, &definitions, &mut problems));
    if let (Some(section), true, true) = (&section, checks_cells && is_right, problems.is_empty()) {
        sweep::check_cells(section, (input, overrides), &layers, &definitions, &mut problems);
    }
    match (scenario, layers.root) {
        (Some(scenario), Some(root)) if problems.is_empty() => {
            let warnings = check::warnings(scenario.raw(), &root, &layers.profile_lines);
            let left_out = section.zip(n_cells).map(|(section, n_cells)| left_out(&section, n_cells, input));
            Ok(scenario.with_origins(Origins::new(root, layers.sources, warnings).leaving_out(left_out)))
        }
        _ => Err(Diagnostics::sorted(layers.sources, problems)),
    }
}

/// The warning of a run that the section `sweep` is no part of.
fn left_out(section: &Entry, n_cells: usize, input: &Input) -> Diagnostic {
    let file = match input {
        Input::File(path) => path.display().to_string(),
        Input::Embedded { name, .. } => name.clone(),
    };
    let cells = if n_cells == 1 { "its cell".into() } else { format!("its {n_cells} cells") };
    let message = "`sweep` is left aside: this simulates the scenario as it is without it";
    Diagnostic::warning("no-effect", message, section.key_place)
        .help(format!("run {cells} with `straggler sweep {file}`"))
}

/// The checked scenario of a tree.
pub(super) fn resolve(
    root: &Node,
    base_dir: PathBuf,
    sources: &[Source],
    definitions: &Definitions,
    problems: &mut Vec<Diagnostic>,
) -> Option<Scenario> {
    let json = schema::check(root, definitions, problems)?;
    let mut raw: Draft = match serde_json::from_value(json) {
        Ok(raw) => raw,
        // the schema let something pass that the types refuse: still a message, only without a place
        Err(error) => {
            problems.push(Diagnostic::new("invalid", error.to_string(), None));
            return None;
        }
    };
    anchor_paths(&mut raw, root, &base_dir, sources);
    check::check(&raw, root, &base_dir, problems);
    let raw = check::without_left_aside(raw, root);
    let examples = check::examples(&raw)?;
    let model_source = raw.model.source(&base_dir).ok()?;
    Some(Scenario::new(raw, base_dir, model_source, examples))
}

/// A path starts from where it was written: the folder of its own file, or for `--set` the working directory. One that
/// was not written in the scenario file itself becomes absolute.
fn anchor_paths(raw: &mut Draft, root: &Node, base_dir: &Path, sources: &[Source]) {
    for path in raw.paths_mut() {
        let folder = &sources[root.locate(&path.setting).source].folder;
        if root.has(&path.setting) && folder != base_dir {
            path.anchor(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scenario::LockHeader;

    const SCENARIO: &str = "\
version: 1
name: small
model: { name: builtin:tiny-roberta }
dataset: { name: builtin:intents, partition: { dirichlet: { alpha: 0.3 } } }
tuning: lora
clients:
  total: 8
  devices: { phone: { share: 1, compute: { time_per_sample: { lognormal: { median: 90 ms, sigma: 0.6 } } } } }
  networks: { lte: { share: 1, downlink: 5.4 Mbps, uplink: 1.1 Mbps, latency: 60 ms } }
server: { rounds: 2, clients_per_round: 4 }
assert: [final.accuracy >= 0.1]
";

    fn text(text: &str) -> Input {
        Input::Embedded { name: "small.yaml".into(), text: text.into() }
    }

    #[test]
    fn a_lock_reads_back_as_the_same_scenario() {
        let scenario = load(&text(SCENARIO), &Overrides::default()).expect("is valid");
        let lock = LockHeader {
            straggler: "0.1.0".into(),
            model_commit: None,
            model_hash: None,
            model_settings_hash: None,
            dataset_commit: None,
            dataset_hash: None,
            partition_hash: None,
            init_hash: None,
            kernel: None,
            recording_hashes: BTreeMap::from([("/data/links.csv".to_owned(), "ab12".to_owned())]),
            forked_from: None,
        };
        let written = scenario.to_lock_yaml(lock.clone());
        let again = load(&text(&written), &Overrides::default()).unwrap_or_else(|e| panic!("{written}\n{e}"));
        assert_eq!(again.to_lock_yaml(lock.clone()), written);
        assert_eq!(again.lock(), Some(&lock));
        assert_eq!(again.device_classes(), scenario.device_classes());
        assert_eq!(again.dataset(), scenario.dataset());
        assert_eq!(again.tuning(), scenario.tuning());
    }

    #[test]
    fn set_reaches_any_depth_and_switches_a_choice() {
        let set = ["clients.total=20", "dataset.partition.label_mix.alpha=1", "server.deadline=10 min"];
        let overrides = Overrides { profiles: Vec::new(), set: set.map(String::from).to_vec() };
        let scenario = load(&text(SCENARIO), &overrides).expect("is valid");
        assert_eq!(scenario.n_clients(), 20);
        assert_eq!(scenario.dataset().map(|d| d.partition.key()), Some("label_mix"));
        assert_eq!(scenario.deadline().map(|d| d.to_string()), Some("10 min".into()));
    }
}
