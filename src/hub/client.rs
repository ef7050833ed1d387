//! What is asked of the hub and of its cache.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use ureq::http::Method;

use super::cache::{self, RepoCache};
use super::download::{self, Interruption};
use super::error::listed;
use super::http::{Cause, Failure, Follow, Http, Reply, encoded};
use super::{HubError, HubSettings, Progress, Repo, checksum, is_commit};

/// The hub, reached through its cache.
pub struct Hub {
    settings: HubSettings,
    http: Http,
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoFile {
    /// Its path in the repository, with slashes.
    pub name: String,
    /// Its length in bytes, where the hub says so.
    pub size: Option<u64>,
    /// SHA-256 of a large file, or git's SHA-1 of another, in hexadecimal digits; where the hub tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// A repository at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The repository, as asked for.
    pub repo: Repo,
    /// What its revision stands for.
    pub commit: String,
    /// Its files, sorted by name.
    pub files: Vec<RepoFile>,
    /// Whether the hub told them. Else they are those in the cache, which may lack some.
    pub is_whole: bool,
}

impl Listing {
    /// The names of its files.
    pub fn names(&self) -> Vec<&str> {
        self.files.iter().map(|file| file.name.as_str()).collect()
    }

    /// True when there is such a file.
    pub fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.name == name)
    }
}

/// What has to be done to have some files of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    listing: Listing,
    wanted: Vec<String>,
    files: Vec<PlannedFile>,
}

impl Plan {
    /// What it is about.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// The files that are not in the cache.
    pub fn files(&self) -> &[PlannedFile] {
        &self.files
    }

    /// The names of all wanted files.
    pub fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// Bytes that have to come.
    pub fn n_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size.saturating_sub(file.received)).sum()
    }
}

/// A file that has to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Its path in the repository.
    pub name: String,
    /// The hub's name of its content, in most cases a checksum.
    pub etag: String,
    /// What its content must have: the etag where that is a checksum, else the one of the list of files; `None` where the
    /// hub tells none.
    pub checksum: Option<String>,
    /// Bytes of the whole.
    pub size: u64,
    /// Bytes that are already here, from a download that was cut or from another commit.
    pub received: u64,
}

impl Hub {
    /// A client with these settings. Nothing is asked yet.
    pub fn new(settings: HubSettings) -> Self {
        let http = Http::new(&settings);
        Self { settings, http }
    }

    /// Its settings.
    pub fn settings(&self) -> &HubSettings {
        &self.settings
    }

    /// The commit that the revision stands for, and its files. A commit whose files were listed before is not asked for
    /// again; offline, a branch is what it was when last fetched.
    ///
    /// # Errors
    /// When the hub does not have the repository or revision, does not give it out, or cannot be reached; offline, when
    /// the cache does not have it.
    pub fn resolve(&self, repo: &Repo, progress: &dyn Progress) -> Result<Listing, HubError> {
        let cache = self.cache(repo);
        let listing =
            |commit: &str, files| Listing { repo: repo.clone(), commit: commit.into(), files, is_whole: true };
        if is_commit(&repo.revision)
            && let Some(files) = cache.listing(&repo.revision)
        {
            return Ok(listing(&repo.revision, files));
        }
        if self.settings.is_offline {
            let commit = cache.commit(&repo.revision).ok_or_else(|| self.offline(repo, "nothing"))?;
            if let Some(files) = cache.listing(&commit).filter(|files| !files.is_empty()) {
                return Ok(listing(&commit, files));
            }
            let files = cache.files(&commit);
            if files.is_empty() {
                return Err(self.offline(repo, "nothing"));
            }
            return Ok(Listing { is_whole: false, ..listing(&commit, files) });
        }
        let (kind, revision) = (repo.kind.plural(), encoded(&repo.revision, false));
        let url = format!("{}/api/{kind}/{}/revision/{revision}?blobs=true", self.settings.endpoint, repo.id);
        let answer = self.json(&url, progress).map_err(|failure| self.refusal(repo, &url, None, failure, progress))?;
        let (commit, files) =
            commit_and_files(&answer).map_err(|message| HubError::Answer { url: url.clone(), message })?;
        cache.write_listing(&commit, &files)?;
        Ok(listing(&commit, files))
    }

    /// What has to be done to have `names` of a listing: asks for the size and checksum of each that is not in the cache.
    ///
    /// # Errors
    /// When there is no such file, or as for [`Hub::resolve`].
    pub fn plan(&self, listing: &Listing, names: &[String], progress: &dyn Progress) -> Result<Plan, HubError> {
        let repo = &listing.repo;
        let cache = self.cache(repo);
        let mut missing = Vec::new();
        for name in names {
            if !listing.has(name) {
                return Err(self.no_file(listing, name));
            }
            if !cache.has(&listing.commit, name) {
                missing.push(name.clone());
            }
        }
        if self.settings.is_offline && !missing.is_empty() {
            return Err(self.offline(repo, &format!("no {}", listed(&missing))));
        }
        let mut files = Vec::with_capacity(missing.len());
        for name in missing {
            let url = self.address(repo, &listing.commit, &name);
            let reply = self
                .http
                .ask(&Method::HEAD, &url, Follow::Renamed, progress)
                .map_err(|failure| self.refusal(repo, &url, Some((listing, &name)), failure, progress))?;
            let (etag, size) = description(&reply)
                .or_else(|_| {
                    // some mirrors tell the length in the list only
                    let size = listing.files.iter().find(|file| file.name == name).and_then(|file| file.size);
                    size.zip(etag_of(&reply)).map(|(size, etag)| (etag, size)).ok_or("it tells no length".to_string())
                })
                .map_err(|message| HubError::Answer { url: url.clone(), message })?;
            let received = match cache.blob(&etag).is_file() {
                true => size,
                false => std::fs::metadata(cache.incomplete(&etag)).map_or(0, |meta| meta.len()).min(size),
            };
            let listed = || listing.files.iter().find(|file| file.name == name).and_then(|file| file.checksum.clone());
            let checksum = if checksum::is_one(&etag) { Some(etag.clone()) } else { listed() };
            files.push(PlannedFile { name, etag, checksum, size, received });
        }
        Ok(Plan { listing: listing.clone(), wanted: names.to_vec(), files })
    }

    /// Does what the plan says, and gives the folder in which the files lie under their names. The revision stands for this
    /// commit from now on, also offline.
    ///
    /// # Errors
    /// When a download breaks off or arrives damaged, there is no room, or as for [`Hub::resolve`]. What has come is kept:
    /// the next call goes on from there.
    pub fn download(&self, plan: &Plan, progress: &dyn Progress) -> Result<PathBuf, HubError> {
        let folder = self.bring(plan, progress)?;
        let Listing { repo, commit, .. } = &plan.listing;
        if !self.settings.is_offline {
            self.cache(repo).write_ref(&repo.revision, commit)?;
        }
        Ok(folder)
    }

    fn bring(&self, plan: &Plan, progress: &dyn Progress) -> Result<PathBuf, HubError> {
        let Plan { listing, files, .. } = plan;
        let Listing { repo, commit, .. } = listing;
        let cache = self.cache(repo);
        for file in files {
            let blob = cache.blob(&file.etag);
            let url = self.address(repo, commit, &file.name);
            let _lock = cache.lock(&file.etag, progress)?;
            if !blob.is_file() {
                cache::make_folder_of(&blob)?;
                let incomplete = cache.incomplete(&file.etag);
                download::fetch(&self.http, &url, file, &incomplete, &blob, progress).map_err(|why| match why {
                    Interruption::Final(error) => error,
                    Interruption::Passing(failure) => {
                        self.refusal(repo, &url, Some((listing, &file.name)), failure, progress)
                    }
                })?;
            }
            cache.link(commit, &file.name, &file.etag)?;
        }
        Ok(cache.snapshot(commit))
    }

    /// [`Hub::plan`] and [`Hub::download`] in one, for small files that say which others are wanted. Where the revision
    /// stands for an earlier commit, it does so until those have come too.
    ///
    /// # Errors
    /// As they have.
    pub fn get(&self, listing: &Listing, names: &[String], progress: &dyn Progress) -> Result<PathBuf, HubError> {
        let plan = self.plan(listing, names, progress)?;
        match self.cache(&listing.repo).commit(&listing.repo.revision) {
            Some(_) => self.bring(&plan, progress),
            None => self.download(&plan, progress),
        }
    }

    /// The same cache without the hub.
    pub fn without_network(&self) -> Self {
        Self::new(HubSettings { is_offline: true, ..self.settings.clone() })
    }

    fn cache(&self, repo: &Repo) -> RepoCache {
        RepoCache::new(&self.settings.cache, repo)
    }

    fn address(&self, repo: &Repo, commit: &str, file: &str) -> String {
        let prefix = repo.kind.address_prefix();
        format!("{}/{prefix}{}/resolve/{commit}/{}", self.settings.endpoint, repo.id, encoded(file, true))
    }

    fn json(&self, url: &str, progress: &dyn Progress) -> Result<Value, Failure> {
        let bytes = self.http.body(url, progress)?;
        let nonsense = |error| Failure::at_home(Cause::Nonsense(format!("no JSON: {error}")));
        serde_json::from_slice(&bytes).map_err(nonsense)
    }

    fn offline(&self, repo: &Repo, missing: &str) -> HubError {
        HubError::Offline { what: repo.to_string(), missing: missing.into(), cache: self.settings.cache.clone() }
    }

    fn no_file(&self, listing: &Listing, file: &str) -> HubError {
        let names: Vec<String> = listing.files.iter().map(|file| file.name.clone()).collect();
        HubError::NoFile { what: listing.repo.to_string(), file: file.into(), known: listed(&names) }
    }

    /// What to say of a request that led to nothing.
    fn refusal(
        &self,
        repo: &Repo,
        url: &str,
        file: Option<(&Listing, &str)>,
        failure: Failure,
        progress: &dyn Progress,
    ) -> HubError {
        let page = format!("{}/{}{}", self.settings.endpoint, repo.kind.address_prefix(), repo.id);
        if let Some(host) = &failure.elsewhere {
            let file = file.map_or_else(|| url.to_string(), |(_, name)| name.into());
            let advice = "see whether a firewall or proxy keeps that host away, or try again later".to_string();
            return HubError::Elsewhere { file, host: host.clone(), reason: failure.cause.reason("it"), advice };
        }
        match failure.cause {
            Cause::Refused(status @ (401 | 403), _) => {
                let has_token = self.settings.token.is_some();
                HubError::Unauthorized { what: repo.to_string(), status, has_token, page }
            }
            Cause::Refused(404, code) => match file {
                Some((listing, name)) => self.no_file(listing, name),
                None => match self.revisions(repo, code.as_deref(), progress) {
                    Some(known) => HubError::NoRevision { what: repo.to_string(), known },
                    None => HubError::NoRepo {
                        what: format!("{} `{}`", repo.kind, repo.id),
                        endpoint: self.settings.endpoint.clone(),
                    },
                },
            },
            Cause::Refused(status, _) => HubError::Status { url: url.into(), status, attempts: 1 },
            Cause::Busy(status, _) => HubError::Status { url: url.into(), status, attempts: self.http.attempts() },
            Cause::Nonsense(message) => HubError::Answer { url: url.into(), message },
            Cause::Unreachable(reason) | Cause::Passing(reason, _) => {
                HubError::NoNetwork { host: self.settings.endpoint.clone(), reason, cached: self.cached(repo) }
            }
        }
    }

    /// What the cache has of it.
    fn cached(&self, repo: &Repo) -> String {
        let cache = self.cache(repo);
        let files = cache.commit(&repo.revision).map_or(Vec::new(), |commit| cache.files(&commit));
        if files.is_empty() {
            return format!("the cache `{}` has nothing of the {repo}", self.settings.cache.display());
        }
        let names: Vec<String> = files.into_iter().map(|file| file.name).collect();
        format!("the cache has {} of the {repo}", listed(&names))
    }

    /// The branches and tags, if the repository itself is there.
    fn revisions(&self, repo: &Repo, code: Option<&str>, progress: &dyn Progress) -> Option<String> {
        if code == Some("RepoNotFound") {
            return None;
        }
        let url = format!("{}/api/{}/{}/refs", self.settings.endpoint, repo.kind.plural(), repo.id);
        let answer = self.json(&url, progress).ok()?;
        let names = ["branches", "tags"].into_iter().flat_map(|key| answer[key].as_array().into_iter().flatten());
        let names: Vec<String> = names.filter_map(|entry| Some(entry["name"].as_str()?.to_string())).collect();
        Some(listed(&names))
    }
}

/// The commit and the files in the hub's description of a revision.
fn commit_and_files(answer: &Value) -> Result<(String, Vec<RepoFile>), String> {
    let commit = answer["sha"].as_str().filter(|sha| is_commit(sha)).ok_or("it names no commit (`sha`)")?;
    let siblings = answer["siblings"].as_array().ok_or("it lists no files (`siblings`)")?;
    let mut files = Vec::with_capacity(siblings.len());
    for sibling in siblings {
        let name = sibling["rfilename"].as_str().ok_or("a file has no name (`rfilename`)")?;
        if !cache::is_safe_name(name) {
            return Err(format!("a file is called `{name}`, which leads out of its folder"));
        }
        let checksum = sibling["lfs"]["sha256"].as_str().or(sibling["blobId"].as_str());
        let checksum = checksum.filter(|checksum| checksum::is_one(checksum)).map(str::to_ascii_lowercase);
        files.push(RepoFile { name: name.into(), size: sibling["size"].as_u64(), checksum });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((commit.into(), files))
}

/// Etag and length that a reply tells of a file.
fn description(reply: &Reply) -> Result<(String, u64), String> {
    let etag = etag_of(reply).ok_or("it tells no etag that could name the content")?;
    let own = reply.header("content-length").filter(|_| reply.status < 300);
    let size = reply.header("x-linked-size").or(own).and_then(|size| size.parse().ok());
    Ok((etag, size.ok_or("it tells no length")?))
}

/// The etag as `huggingface_hub` names the content: without `W/` and quotes.
fn etag_of(reply: &Reply) -> Option<String> {
    let etag = reply.header("x-linked-etag").or_else(|| reply.header("etag"))?;
    let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = !etag.is_empty() && etag.len() <= 200 && etag.chars().all(is_plain) && !etag.starts_with('.');
    is_name.then(|| etag.to_string()).filter(|etag| Path::new(etag).components().count() == 1)
}
