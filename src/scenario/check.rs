//! What the types cannot say: ranges, settings that must go together, files that must be there.

mod examples;
mod rooms;
mod server;
mod shape;
mod warnings;

use std::path::{Path, PathBuf};

use self::examples::{PathKind, paths_of};
pub(super) use self::warnings::warnings;
use super::Outcome;
use super::checked::{Examples, SyntheticExamples};
use super::diagnostic::{Diagnostic, LACKS_MEMORY, MISSING_FEATURE};
use super::node::Node;
use super::raw::Draft;
use super::schema::join;
use super::settings::{Mode, ShardSizeConfig, Workers};
use crate::data::DatasetSource;
use crate::model::{EncoderConfig, EncoderKind, ModelSource, find_weights, load_config, vocabulary_files};
use crate::report::{available_memory, human_bytes, name_problem};
use crate::units::Bytes;

/// Collects every problem of a well-formed scenario.
pub(super) fn check(raw: &Draft, root: &Node, base_dir: &Path, problems: &mut Vec<Diagnostic>) {
    let mut checker = Checker { raw, root, base_dir, problems };
    checker.header();
    checker.model();
    checker.shape_only();
    checker.widths();
    checker.dataset();
    checker.init();
    checker.synthetic_examples();
    checker.shape();
    checker.clients();
    checker.server();
    checker.pace();
    checker.evaluation();
    checker.rooms();
}

/// Collects what goes against the shape of a model that [`check`] could not look at: one on the hub.
pub(super) fn check_shape(
    raw: &Draft,
    root: &Node,
    base_dir: &Path,
    encoder: &EncoderConfig,
    problems: &mut Vec<Diagnostic>,
) {
    Checker { raw, root, base_dir, problems }.fits(encoder);
}

/// Where the examples come from, once [`check`] found nothing.
pub(super) fn examples(raw: &Draft) -> Option<Examples> {
    let clients = &raw.clients;
    match (&raw.dataset, clients.num_examples, clients.sequence_length, clients.num_labels) {
        (Some(dataset), ..) => Some(Examples::Dataset(Box::new(dataset.clone()))),
        (None, Some(num_examples), Some(sequence_length), Some(num_labels)) => {
            Some(Examples::Synthetic(SyntheticExamples { num_examples, sequence_length, num_labels }))
        }
        (None, ..) => None,
    }
}

/// What each client takes at the least, for the books that are kept of it.
const CLIENT_BYTES: u128 = 64;

/// True where the setting at `path` is of another layer than a `compute.mode` that has no use for it, such as
/// `--timing-only` for a scenario that trains: it is then left aside. Both in one layer contradict each other.
fn is_left_aside(root: &Node, path: &str) -> bool {
    root.locate(path).source != root.locate("compute.mode").source
}

/// Takes out what a simulation without training leaves aside.
pub(super) fn without_left_aside(mut raw: Draft, root: &Node) -> Draft {
    if raw.compute.mode == Mode::TimingOnly && is_left_aside(root, "assert") {
        raw.assert.clear();
    }
    raw
}

struct Checker<'a> {
    raw: &'a Draft,
    root: &'a Node,
    base_dir: &'a Path,
    problems: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    /// A problem of the setting at `path`.
    fn at(&self, code: &'static str, path: &str, message: impl std::fmt::Display) -> Diagnostic {
        Diagnostic::new(code, format!("`{path}`: {message}"), Some(self.root.locate(path)))
    }

    fn require(&mut self, holds: bool, path: &str, message: impl std::fmt::Display, help: &str) {
        if !holds {
            let problem = self.at("out-of-range", path, message);
            self.problems.push(if help.is_empty() { problem } else { problem.help(help) });
        }
    }

    fn is_left_aside(&self, path: &str) -> bool {
        is_left_aside(self.root, path)
    }

    /// Refuses a setting that takes more memory than the machine has.
    fn require_memory(&mut self, path: &str, bytes: u128, help: &str) {
        let Some(available) = available_memory() else { return };
        if bytes <= u128::from(available.get()) {
            return;
        }
        let need = Bytes::new(u64::try_from(bytes).unwrap_or(u64::MAX));
        let message = format!("takes {} of memory or more, and {} are free", human_bytes(need), human_bytes(available));
        let problem = self.at(LACKS_MEMORY, path, message);
        self.problems.push(problem.help(format!("{help}, or use a machine with more memory")));
    }

    fn header(&mut self) {
        let raw = self.raw;
        self.require(
            raw.version == 1,
            "version",
            format!("{} is not known", raw.version),
            "this program reads version 1",
        );
        self.room("bad-name", "name", name_problem(&raw.name).into_iter().collect());
        self.require(
            (1..=10_000).contains(&raw.repeats),
            "repeats",
            format!("{} must be between 1 and 10000", raw.repeats),
            "3 runs the scenario with three seeds",
        );
        let last = raw.seed.checked_add(u64::from(raw.repeats.saturating_sub(1)));
        self.require(last.is_some(), "seed", "the last of the `repeats` seeds is too large", "start lower");
        let zero_workers = raw.compute.workers == Workers::Count(0);
        self.require(
            !zero_workers,
            "compute.workers",
            "at least one thread is needed",
            "write `auto` for one per core",
        );
        if raw.compute.mode == Mode::Real && !raw.compute.device.is_built_in() {
            let problem =
                self.at(MISSING_FEATURE, "compute.device", "this program was built without support for NVIDIA GPUs");
            self.problems.push(problem.help("write `cpu`, or build it with `cargo build --release --features cuda`"));
        }
        self.require(!raw.output.dir.trim().is_empty(), "output.dir", "names no folder", "write `results`");
        self.require(
            raw.output.checkpoint_every != Some(0),
            "output.checkpoint_every",
            "must be at least 1",
            "1 saves the state after each round; leave it out for none",
        );
    }

    fn model(&mut self) {
        let model = &self.raw.model;
        let Ok(source) = model.source(self.base_dir) else { return };
        if model.revision.is_some() && !matches!(source, ModelSource::Hub(_)) {
            let problem = self.at("conflict", "model.revision", format!("`{}` is not on the hub", model.name));
            self.problems.push(problem.help("remove it"));
        }
        let ModelSource::Directory(_) = source else { return };
        let name = &model.name;
        let dir = self.base_dir.join(name);
        if !dir.is_dir() {
            let message = format!("`{name}` is not a directory{}", looked_in(self.base_dir, name));
            let problem = self.at("missing-model", "model.name", message);
            self.problems.push(problem.help(
                "give a Hugging Face directory (config.json, tokenizer.json, model.safetensors), a name on the hub (`org/name`) or `builtin:tiny-roberta`",
            ));
            return;
        }
        let has = |file: &str| dir.join(file).is_file();
        let mut missing = Vec::new();
        if !has("config.json") {
            missing.push("config.json");
        }
        if self.raw.compute.mode == Mode::Real {
            let kind = load_config(&source, self.base_dir).map_or(EncoderKind::Bert, |config| config.kind);
            let vocabulary = vocabulary_files(kind);
            if !has("tokenizer.json") && !vocabulary.iter().all(|file| has(file)) {
                missing.push("tokenizer.json");
            }
            match find_weights(&dir) {
                Ok(true) => {}
                Ok(false) => missing.push("model.safetensors (or pytorch_model.bin, or an index of their shards)"),
                Err(error) => {
                    let problem = self.at("missing-model", "model.name", error);
                    self.problems.push(problem);
                }
            }
        }
        if !missing.is_empty() {
            let message = format!("the directory `{name}` has no {}", missing.join(", no "));
            let problem = self.at("missing-model", "model.name", message);
            self.problems.push(problem.help("give the directory that a Hugging Face model was saved to"));
        }
    }

    fn dataset(&mut self) {
        let raw = self.raw;
        let Some(dataset) = &raw.dataset else {
            if raw.compute.mode == Mode::Real {
                let place = self.root.locate("");
                let problem = Diagnostic::new("missing-key", "the scenario needs `dataset`", Some(place));
                self.problems.push(problem.help(
                    "write `dataset: { name: builtin:intents }`; only `compute.mode: timing_only` runs without one",
                ));
            }
            return;
        };
        if let DatasetSource::Directory(folder) = dataset.source(self.base_dir) {
            let name = folder.display().to_string();
            if !self.base_dir.join(&folder).is_dir() {
                let message = format!("`{name}` is not a directory{}", looked_in(self.base_dir, &name));
                let problem = self.at("missing-file", "dataset.name", message);
                self.problems.push(problem.help(
                    "give a folder of data files, a name on the hub (`org/name`) or a built-in data set (`builtin:intents`)",
                ));
            } else if dataset.revision.is_some() {
                let problem = self.at("conflict", "dataset.revision", format!("`{name}` is not on the hub"));
                self.problems.push(problem.help("remove it"));
            }
        }
        for (path, file, kind) in paths_of(dataset) {
            let full = self.base_dir.join(file);
            let (is_there, what) = match kind {
                PathKind::File => (full.is_file(), "file"),
                PathKind::Folder => (full.is_dir(), "folder"),
            };
            if !is_there {
                let message = format!("there is no {what} `{file}`{}", looked_in(self.base_dir, file));
                let problem = self.at("missing-file", &path, message);
                self.problems.push(problem.help("paths start from the folder of the scenario file"));
            }
        }
    }

    /// The adapter to start from.
    fn init(&mut self) {
        let raw = self.raw;
        let Some(dir) = &raw.init else {
            if !raw.init_head.is_default() {
                let problem = self.at("conflict", "init_head", "without an adapter to start from every head is new");
                self.problems.push(problem.help("remove it, or add `init: DIR`"));
            }
            return;
        };
        if !self.base_dir.join(dir).is_dir() {
            let message = format!("`{dir}` is not a directory{}", looked_in(self.base_dir, dir));
            let problem = self.at("missing-file", "init", message);
            self.problems.push(problem.help("give a folder such as results/NAME/latest/adapters/best"));
        }
        if raw.dataset.is_none() {
            let problem = self.at("conflict", "init", "without a `dataset` nothing starts from it");
            self.problems.push(problem.help("remove it, or add `dataset`"));
        }
    }

    /// Numbers that stand in for a data set where none is loaded.
    fn synthetic_examples(&mut self) {
        let clients = &self.raw.clients;
        let has_dataset = self.raw.dataset.is_some();
        let given = [
            ("clients.num_examples", clients.num_examples.is_some(), "such as `100`"),
            ("clients.sequence_length", clients.sequence_length.is_some(), "tokens of an example, such as `64`"),
            ("clients.num_labels", clients.num_labels.is_some(), "such as `2`; it decides the size of the head"),
        ];
        for (path, is_given, example) in given {
            if is_given && has_dataset {
                let problem = self
                    .at("conflict", path, "applies only when no `dataset` is given")
                    .other(self.root.has("dataset").then(|| self.root.locate("dataset")));
                self.problems.push(problem.help("remove one of them"));
            } else if is_given && self.raw.compute.mode == Mode::Real {
                let problem = self.at("conflict", path, "applies only to `compute.mode: timing_only`");
                self.problems.push(problem.help("real training takes its examples from `dataset`"));
            } else if !is_given && !has_dataset && self.raw.compute.mode == Mode::TimingOnly {
                let message = format!("without a `dataset` the scenario needs `{path}`");
                let problem = Diagnostic::new("missing-key", message, Some(self.root.locate("clients")));
                self.problems.push(problem.help(example));
            }
        }
        match clients.num_examples {
            Some(ShardSizeConfig::Fixed(n)) => self.require(n >= 1, "clients.num_examples", "must be at least 1", ""),
            Some(ShardSizeConfig::Drawn(drawn)) => {
                let path = "clients.num_examples.lognormal";
                let (median, sigma) = (drawn.lognormal.median, drawn.lognormal.sigma);
                self.require(
                    (1.0..=1e9).contains(&median),
                    &format!("{path}.median"),
                    format!("{median} must be between 1 and 1000000000"),
                    "it is the number of examples that half of the clients have fewer than, such as `100`",
                );
                self.require(
                    (0.0..=5.0).contains(&sigma),
                    &format!("{path}.sigma"),
                    format!("{sigma} must be between 0 and 5"),
                    "",
                );
            }
            None => {}
        }
        let length = clients.sequence_length;
        self.require(length.is_none_or(|n| n >= 1), "clients.sequence_length", "must be at least 1", "");
        let labels = clients.num_labels;
        self.require(labels.is_none_or(|n| n >= 2), "clients.num_labels", "must be at least 2", "");
        let message = format!("must be at most {}", shape::WIDTH_MAX);
        self.require(labels.is_none_or(|n| n as u64 <= shape::WIDTH_MAX), "clients.num_labels", message, "");
    }

    fn clients(&mut self) {
        let clients = &self.raw.clients;
        self.require(clients.total >= 1, "clients.total", "at least one client is needed", "");
        self.require_memory("clients.total", u128::from(clients.total) * CLIENT_BYTES, "lower it");
        let devices = clients.devices.keys().map(|name| ("clients.devices", name));
        let networks = clients.networks.keys().map(|name| ("clients.networks", name));
        let regions = clients.regions.keys().map(|name| ("clients.regions", name));
        for (path, name) in devices.chain(networks).chain(regions) {
            if let Some(message) = class_name_problem(name) {
                let problem = self.at("bad-name", &join(path, name), message);
                self.problems.push(problem.help("use letters, digits, `-` and `_`"));
            }
        }
    }

    fn evaluation(&mut self) {
        let evaluation = &self.raw.evaluation;
        self.require(evaluation.every >= 1, "evaluation.every", "must be at least 1", "1 evaluates after each round");
        let metric = self.raw.metric();
        if let Some(target) = evaluation.target {
            let (low, high) = metric.range();
            let message = format!("{target} is outside the range of {}, {low} to {high}", metric.key());
            self.require(
                (low..=high).contains(&target),
                "evaluation.target",
                message,
                "percent are written as fractions: 0.9, not 90",
            );
        }
        let is_timing_only = self.raw.compute.mode == Mode::TimingOnly;
        let has_no_test = self.raw.dataset.as_ref().is_some_and(|dataset| !dataset.has_test());
        for (i, assertion) in self.raw.assert.iter().enumerate() {
            let path = format!("assert.{i}");
            let (low, high) = assertion.metric.range();
            if is_timing_only && self.is_left_aside("assert") {
                // Told as a warning.
            } else if is_timing_only {
                let problem = self.at("conflict", &path, "`compute.mode: timing_only` computes no metric");
                self.problems.push(problem.help("remove it"));
            } else if !(low..=high).contains(&assertion.bound) {
                let key = assertion.metric.key();
                let message = format!("{} is outside the range of {key}, {low} to {high}", assertion.bound);
                let problem = self.at("out-of-range", &path, message);
                self.problems.push(problem.help("percent are written as fractions: 0.9, not 90"));
            } else if assertion.outcome == Outcome::Test && has_no_test {
                let problem = self.at("conflict", &path, "the data set has no test rows");
                self.problems
                    .push(problem.help("add `test` below `dataset.files`, `dataset.images` or `dataset.splits`"));
            }
        }
    }
}

/// ` in DIR`, when the path is relative.
fn looked_in(base_dir: &Path, name: &str) -> String {
    if PathBuf::from(name).is_absolute() { String::new() } else { format!(" in `{}`", base_dir.display()) }
}

/// Names of classes are parts of dotted paths and values in `clients.csv`.
fn class_name_problem(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 100 {
        return Some("a class name has 1 to 100 characters".into());
    }
    name.chars().find(|c| !is_plain(*c)).map(|c| format!("a class name cannot hold {c:?}"))
}
