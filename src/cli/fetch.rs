//! `straggler fetch`: downloads what a scenario needs from the hub. `run` does the same before it begins.

use std::cell::{Cell, RefCell};

use clap::Args;
use serde_json::{Value, json};

use super::args::ScenarioArgs;
use super::prepare::placed;
use super::progress::{DownloadBar, size};
use super::{CliError, Console};
use crate::actors::inputs::{self, Inputs, Wanted};
use crate::data::TokenCache;
use crate::hub::{HubSettings, Listing, Plan, Progress};
use crate::scenario::{self, Scenario};

/// Arguments of `fetch`.
#[derive(Debug, Clone, Args)]
pub(super) struct FetchArgs {
    #[command(flatten)]
    pub(super) scenario: ScenarioArgs,
}

/// Fetches.
pub(super) fn execute(args: &FetchArgs, console: &Console) -> Result<(), CliError> {
    let scenario = scenario::load(&args.scenario.input(), &args.scenario.overrides())?;
    let Some(hub) = inputs::hub_for(&scenario, || args.scenario.hub()) else {
        return match console.is_json() {
            true => console.result(json!({ "repositories": [], "bytes": 0 })),
            false => console.result(format_args!("{} needs nothing from the hub", scenario.name())),
        };
    };
    let watcher = Watcher::new(console);
    let wanted = inputs::want(&scenario, &hub, &watcher).map_err(|error| placed(&scenario, error))?;
    let fetched = bring(&scenario, &wanted, &watcher)?;
    match console.is_json() {
        true => console.result(as_json(&wanted, &fetched, watcher.received.get())),
        false => console.result(as_text(&wanted, &fetched, watcher.received.get())),
    }
}

/// What a run needs: from the hub where the scenario names something there.
pub(super) fn gather(scenario: &Scenario, settings: HubSettings, console: &Console) -> Result<Inputs, CliError> {
    let found = match inputs::hub_for(scenario, || settings) {
        Some(hub) => {
            let watcher = Watcher::new(console);
            let wanted = inputs::want(scenario, &hub, &watcher).map_err(|error| placed(scenario, error))?;
            bring(scenario, &wanted, &watcher)?
        }
        None => inputs::local(scenario),
    };
    Ok(Inputs { tokens: TokenCache::from_env(), ..found })
}

/// What a check needs: nothing is downloaded for it.
pub(super) fn from_cache(scenario: &Scenario, console: &Console) -> Result<Inputs, CliError> {
    gather(scenario, HubSettings { is_offline: true, ..HubSettings::from_env() }, console)
}

fn bring(scenario: &Scenario, wanted: &Wanted<'_>, watcher: &Watcher<'_>) -> Result<Inputs, CliError> {
    let bytes = wanted.n_bytes();
    if bytes > 0 {
        let n_files: usize = wanted.plans().map(|plan| plan.files().len()).sum();
        let files = if n_files == 1 { "file" } else { "files" };
        watcher.console.note(format_args!("to download: {} in {n_files} {files}", size(bytes)));
        for plan in wanted.plans().filter(|plan| plan.n_bytes() > 0) {
            watcher.console.note(format_args!("  {}: {}", plan.listing().repo, size(plan.n_bytes())));
        }
    }
    watcher.start(bytes);
    wanted.download(watcher).map_err(|error| placed(scenario, error))
}

/// Shows downloads on stderr.
struct Watcher<'a> {
    console: &'a Console,
    bar: RefCell<Option<DownloadBar>>,
    received: Cell<u64>,
}

impl<'a> Watcher<'a> {
    fn new(console: &'a Console) -> Self {
        Self { console, bar: RefCell::new(None), received: Cell::new(0) }
    }

    /// From here on a bar shows how much of `total` has come.
    fn start(&self, total: u64) {
        if total > 0 {
            *self.bar.borrow_mut() = Some(DownloadBar::new(self.console, total));
        }
    }
}

impl Progress for Watcher<'_> {
    fn begin(&self, file: &str, done: u64) {
        match &*self.bar.borrow() {
            Some(bar) => bar.file(file, done),
            None if self.console.is_verbose() => self.console.note(format_args!("fetching {file}")),
            None => {}
        }
    }

    fn advance(&self, bytes: u64) {
        self.received.set(self.received.get() + bytes);
        if let Some(bar) = &*self.bar.borrow() {
            bar.advance(bytes);
        }
    }

    fn note(&self, text: &str) {
        match &*self.bar.borrow() {
            Some(bar) => bar.note(self.console, text),
            None => self.console.note(text),
        }
    }
}

/// The folder of a plan's files.
fn folder<'a>(plan: &Plan, fetched: &'a Inputs) -> &'a std::path::Path {
    use crate::hub::RepoKind;
    use crate::model::ModelSource;
    match (plan.listing().repo.kind, &fetched.model, &fetched.dataset) {
        (RepoKind::Model, ModelSource::Directory(folder), _) => folder,
        (RepoKind::Dataset, _, Some(dataset)) => &dataset.folder,
        _ => std::path::Path::new(""),
    }
}

fn as_json(wanted: &Wanted<'_>, fetched: &Inputs, received: u64) -> Value {
    let repositories: Vec<Value> = wanted
        .plans()
        .map(|plan| {
            let listing = plan.listing();
            json!({
                "kind": listing.repo.kind.to_string(),
                "id": listing.repo.id,
                "revision": listing.repo.revision,
                "commit": listing.commit,
                "folder": folder(plan, fetched).display().to_string(),
                "files": plan.wanted(),
            })
        })
        .collect();
    json!({ "repositories": repositories, "bytes": received })
}

fn as_text(wanted: &Wanted<'_>, fetched: &Inputs, received: u64) -> String {
    let mut lines: Vec<String> = wanted
        .plans()
        .map(|plan| {
            let Listing { repo, commit, .. } = plan.listing();
            format!("{repo} at {}\n  {}", &commit[..12], folder(plan, fetched).display())
        })
        .collect();
    lines.push(match received {
        0 => "everything was in the cache".to_string(),
        bytes => format!("{} downloaded", size(bytes)),
    });
    lines.join("\n")
}
