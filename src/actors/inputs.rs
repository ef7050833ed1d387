//! From names on the hub to folders: what a scenario needs from there, and where it lies once it is here.
//!
//! [`want`] asks which files are needed and how large those are that are not in the cache; [`Wanted::download`] brings them.

use super::setup::SetupError;
use crate::data::{self, CARD, DatasetSource, FetchedDataset, TokenCache};
use crate::hub::{Hub, HubError, HubSettings, Listing, Plan, Progress, Repo, RepoKind, Silent};
use crate::model::{self, ModelSource};
use crate::scenario::{Examples, Scenario};

/// Where model and data of a scenario lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// The model; never one on the hub.
    pub model: ModelSource,
    /// The commit of a model that came from the hub.
    pub model_commit: Option<String>,
    /// The data set, if it came from the hub.
    pub dataset: Option<FetchedDataset>,
    /// Its commit.
    pub dataset_commit: Option<String>,
    /// Where token ids are kept between runs. Off, unless the caller says otherwise.
    pub tokens: TokenCache,
}

/// What a scenario needs from the hub.
pub struct Wanted<'a> {
    scenario: &'a Scenario,
    hub: &'a Hub,
    source: ModelSource,
    model: Option<Plan>,
    dataset: Option<Plan>,
}

/// A hub with the settings of the caller, as the scenario needs it: `None` when it names nothing on the hub.
pub fn hub_for(scenario: &Scenario, settings: impl FnOnce() -> HubSettings) -> Option<Hub> {
    let needs_model = matches!(scenario.model_source(), ModelSource::Hub(_));
    let needs_dataset = dataset_repo(scenario).is_some();
    (needs_model || needs_dataset).then(|| Hub::new(settings()))
}

/// The inputs of a scenario that names nothing on the hub.
pub fn local(scenario: &Scenario) -> Inputs {
    of_model(scenario.model_source().clone())
}

fn of_model(model: ModelSource) -> Inputs {
    Inputs { model, model_commit: None, dataset: None, dataset_commit: None, tokens: TokenCache::off() }
}

/// Asks the hub, or offline its cache, for what the scenario needs. The small files that say which others are needed are
/// fetched at once. A scenario from a lock file takes the commits that are written there.
///
/// # Errors
/// When the hub or its cache has not got it, it is not a model or data set that can be used, or the scenario does not fit the
/// shape of the model.
pub fn want<'a>(scenario: &'a Scenario, hub: &'a Hub, progress: &dyn Progress) -> Result<Wanted<'a>, SetupError> {
    ask(scenario, hub, progress).map_err(|error| advised(scenario, hub, error))
}

/// The error, with the advice to do without the network where the cache has all that the scenario needs.
fn advised(scenario: &Scenario, hub: &Hub, mut error: SetupError) -> SetupError {
    if let SetupError::Hub {
        error: HubError::NoNetwork { cached: end, .. } | HubError::Elsewhere { advice: end, .. },
        ..
    } = &mut error
        && ask(scenario, &hub.without_network(), &Silent).is_ok()
    {
        end.push_str("; all that is needed is in the cache: add `--offline` to use it");
    }
    error
}

fn ask<'a>(scenario: &'a Scenario, hub: &'a Hub, progress: &dyn Progress) -> Result<Wanted<'a>, SetupError> {
    let lock = scenario.lock();
    let at = |repo: &Repo, commit: Option<&String>| {
        let revision = commit.unwrap_or(&repo.revision).clone();
        Repo { revision, ..repo.clone() }
    };
    let source = scenario.model_source().clone();
    let model = match &source {
        ModelSource::Hub(repo) => {
            let repo = at(repo, lock.and_then(|lock| lock.model_commit.as_ref()));
            let listing = hub.resolve(&repo, progress).map_err(of(RepoKind::Model))?;
            Some(want_model(scenario, &listing, hub, progress)?)
        }
        _ => None,
    };
    let dataset = match dataset_repo(scenario) {
        Some(repo) => {
            let repo = at(&repo, lock.and_then(|lock| lock.dataset_commit.as_ref()));
            let listing = hub.resolve(&repo, progress).map_err(of(RepoKind::Dataset))?;
            Some(want_dataset(scenario, &listing, hub, progress)?)
        }
        None => None,
    };
    Ok(Wanted { scenario, hub, source, model, dataset })
}

/// An error of the hub about a model or a data set.
fn of(kind: RepoKind) -> impl FnOnce(HubError) -> SetupError {
    move |error| SetupError::Hub { kind, error }
}

/// Without a data set only the shape of the model matters.
fn needs_weights(scenario: &Scenario) -> bool {
    matches!(scenario.examples(), Examples::Dataset(_))
}

fn dataset_repo(scenario: &Scenario) -> Option<Repo> {
    match scenario.dataset()?.source(scenario.base_dir()) {
        DatasetSource::Hub(repo) => Some(repo),
        _ => None,
    }
}

fn want_model(scenario: &Scenario, listing: &Listing, hub: &Hub, progress: &dyn Progress) -> Result<Plan, SetupError> {
    let (id, names) = (&listing.repo.id, listing.names());
    let mut files = model::description_files(id, &names)?;
    let folder = hub.get(listing, &files, progress).map_err(of(RepoKind::Model))?;
    // What does not fit the model is told before its weights are brought.
    let encoder = model::load_config(&ModelSource::Directory(folder.clone()), scenario.base_dir())?;
    scenario.check_shape(&encoder).map_err(|problems| SetupError::Shape(Box::new(problems)))?;
    if needs_weights(scenario) {
        files.extend(model::weight_files(id, &names, &folder)?);
    }
    hub.plan(listing, &files, progress).map_err(of(RepoKind::Model))
}

fn want_dataset(
    scenario: &Scenario,
    listing: &Listing,
    hub: &Hub,
    progress: &dyn Progress,
) -> Result<Plan, SetupError> {
    let mut files = Vec::new();
    let mut card = None;
    if listing.has(CARD) {
        files.push(CARD.to_string());
        card = data::read_card(&hub.get(listing, &files, progress).map_err(of(RepoKind::Dataset))?)?;
    }
    let config = scenario.dataset().expect("a data set on the hub is one that the scenario names");
    files.extend(data::data_files(config, &listing.names(), card.as_deref())?);
    hub.plan(listing, &files, progress).map_err(of(RepoKind::Dataset))
}

impl Wanted<'_> {
    /// What is to be done, by repository.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.model.iter().chain(&self.dataset)
    }

    /// Bytes that have to come.
    pub fn n_bytes(&self) -> u64 {
        self.plans().map(Plan::n_bytes).sum()
    }

    /// Brings what is not in the cache. What comes is kept also when the rest does not.
    ///
    /// # Errors
    /// When a download fails.
    pub fn download(&self, progress: &dyn Progress) -> Result<Inputs, SetupError> {
        let mut inputs = of_model(self.source.clone());
        for plan in self.plans() {
            let listing = plan.listing();
            let folder = self.hub.download(plan, progress).map_err(of(listing.repo.kind));
            let folder = folder.map_err(|error| advised(self.scenario, self.hub, error))?;
            let commit = Some(listing.commit.clone());
            match listing.repo.kind {
                RepoKind::Model => {
                    inputs.model = ModelSource::Directory(folder);
                    inputs.model_commit = commit;
                }
                RepoKind::Dataset => {
                    let names = listing.names().into_iter().map(String::from).collect();
                    inputs.dataset = Some(FetchedDataset { folder, names, is_whole: listing.is_whole });
                    inputs.dataset_commit = commit;
                }
            }
        }
        Ok(inputs)
    }
}
