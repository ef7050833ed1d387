//! What can go wrong with the hub.

use std::path::PathBuf;

/// Why something of the hub cannot be had. Each text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The hub does not say who may see it: private, gated, or a name that does not exist.
    #[error("{}", unauthorized(what, *status, *has_token, page))]
    Unauthorized {
        /// The repository.
        what: String,
        /// 401 or 403.
        status: u16,
        /// Whether a token was sent.
        has_token: bool,
        /// Where its conditions are accepted.
        page: String,
    },
    /// There is no such repository.
    #[error(
        "the hub at {endpoint} has no {what}; check the name (`org/name`, case matters), or the path if a folder was meant"
    )]
    NoRepo {
        /// The repository.
        what: String,
        /// The hub's address.
        endpoint: String,
    },
    /// There is no such revision.
    #[error("the {what} has no such revision; there are: {known}")]
    NoRevision {
        /// The repository.
        what: String,
        /// Branches and tags.
        known: String,
    },
    /// There is no such file.
    #[error("the {what} has no file `{file}`; there are: {known}")]
    NoFile {
        /// The repository.
        what: String,
        /// The file.
        file: String,
        /// Its files.
        known: String,
    },
    /// The hub cannot be reached.
    #[error("cannot reach the hub at {host}: {reason}; {cached}")]
    NoNetwork {
        /// The host that was asked.
        host: String,
        /// What the system said.
        reason: String,
        /// What is in the cache, and what to do where that is enough.
        cached: String,
    },
    /// The hub refers to another host for a file, and that one does not give it out.
    #[error("`{file}` cannot be had from {host}, to which the hub refers for it: {reason}; {advice}")]
    Elsewhere {
        /// The file, or the address where it is no file.
        file: String,
        /// The other host.
        host: String,
        /// What it answered, or what the system said.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// The cache alone is used and does not have it.
    #[error("offline, and the cache `{}` has {missing} of the {what}; run `straggler fetch` where there is a network", cache.display())]
    Offline {
        /// The repository.
        what: String,
        /// What is not there.
        missing: String,
        /// The folder of the cache.
        cache: PathBuf,
    },
    /// The hub answered with an error, also when asked again.
    #[error("the hub answered {status} to {url}, {attempts} times; try again later")]
    Status {
        /// What was asked for.
        url: String,
        /// The code.
        status: u16,
        /// How often it was asked.
        attempts: u32,
    },
    /// The hub answered with something that is not understood.
    #[error("the answer of {url} is not understood: {message}; check HF_ENDPOINT")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong.
        message: String,
    },
    /// A download broke off, also when taken up again.
    #[error(
        "the download of `{file}` broke off after {received} of {size} bytes: {reason}; run again to go on from there"
    )]
    Cut {
        /// The file.
        file: String,
        /// Bytes that are kept.
        received: u64,
        /// Bytes of the whole.
        size: u64,
        /// What the system said.
        reason: String,
    },
    /// A file that came is not the one that was promised.
    #[error(
        "`{file}` arrived damaged (checksum {found}, the hub promised {expected}); it was deleted, run again to download it anew"
    )]
    Checksum {
        /// The file.
        file: String,
        /// The hub's checksum.
        expected: String,
        /// That of what arrived.
        found: String,
    },
    /// No room.
    #[error("the disk of `{}` is full: {needed} more are needed; free some, or set HF_HUB_CACHE to a folder elsewhere", path.display())]
    DiskFull {
        /// The file that was written.
        path: PathBuf,
        /// What is still to come.
        needed: String,
    },
    /// The cache cannot be read or written.
    #[error("cannot use the hub's cache: `{}`: {source}; HF_HUB_CACHE says where it is", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl HubError {
    /// True when the machine is at fault rather than what it was asked for: no network, offline, no room.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::NoNetwork { .. }
            | Self::Elsewhere { .. }
            | Self::Offline { .. }
            | Self::Status { .. }
            | Self::Cut { .. }
            | Self::Checksum { .. }
            | Self::DiskFull { .. }
            | Self::Cache { .. } => true,
            Self::Unauthorized { .. }
            | Self::NoRepo { .. }
            | Self::NoRevision { .. }
            | Self::NoFile { .. }
            | Self::Answer { .. } => false,
        }
    }
}

fn unauthorized(what: &str, status: u16, has_token: bool, page: &str) -> String {
    let remedy = match (has_token, status) {
        (false, _) => format!(
            "it is private or gated, or does not exist: check the name (or the path, if a folder was meant), accept its conditions at {page}, and set HF_TOKEN"
        ),
        (true, 401) => "the token is not valid: set HF_TOKEN to a current one".to_string(),
        (true, _) => format!("the token may not read it: accept its conditions at {page} with the token's account"),
    };
    format!("the hub does not give out the {what} ({status}); {remedy}")
}

/// The first names of many, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        _ if names.is_empty() => "none".into(),
        0 => shown,
        more => format!("{shown}, and {more} more"),
    }
}
