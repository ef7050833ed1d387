//! The hub's client against a small hub on this machine.

mod dataset;
mod download;
mod refusals;
mod run;
mod server;
mod table;

use std::time::Duration;

use straggler::hub::{Hub, HubSettings, Repo, RepoKind, Silent};

pub(crate) use server::{Served, Server};

/// A client of `endpoint` with a cache of its own, quick to give up.
fn hub(endpoint: &str, cache: &std::path::Path) -> Hub {
    let quick = HubSettings { attempts: 3, backoff: Duration::from_millis(1), ..HubSettings::new(endpoint, cache) };
    Hub::new(HubSettings { patience: Duration::from_secs(5), ..quick })
}

fn model(revision: &str) -> Repo {
    Repo::new(RepoKind::Model, "org/name", revision)
}

/// Fetches the named files of `org/name` and gives their folder.
fn fetch(hub: &Hub, names: &[&str]) -> Result<std::path::PathBuf, straggler::hub::HubError> {
    let listing = hub.resolve(&model("main"), &Silent)?;
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    hub.get(&listing, &names, &Silent)
}
