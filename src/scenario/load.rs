//! The way from text to a checked scenario.

use std::path::{Path, PathBuf};

use super::check;
use super::checked::Scenario;
use super::diagnostic::{Diagnostic, Diagnostics, Source};
use super::layers::{self, Layers};
use super::node::Node;
use super::origins::Origins;
use super::raw::Draft;
use super::schema::{self, Definitions};
use super::sweep::check_section;
use super::{Input, Overrides};

/// Reads a scenario, lays the overrides on it and checks it.
///
/// # Errors
/// Every problem found, each with its place. Nothing is run and nothing is written.
pub fn load(input: &Input, overrides: &Overrides) -> Result<Scenario, Diagnostics> {
    let definitions = Definitions::new();
    let Layers { sources, root, base_dir, profile_lines, sweep, mut problems } =
        layers::read(input, overrides, &definitions);
    let scenario = root.as_ref().and_then(|root| resolve(root, base_dir, &sources, &definitions, &mut problems));
    if let Some(section) = &sweep {
        check_section(section, &definitions, &mut problems);
    }
    match (scenario, root) {
        (Some(scenario), Some(root)) if problems.is_empty() => {
            let warnings = check::warnings(scenario.raw(), &root, &profile_lines);
            Ok(scenario.with_origins(Origins::new(root, sources, warnings)))
        }
        _ => {
            problems.sort_by_key(|problem| problem.place);
            problems.dedup();
            Err(Diagnostics { sources, list: problems })
        }
    }
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
            dataset_commit: None,
            dataset_hash: None,
            init_hash: None,
            kernel: None,
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
