//! Requests: redirects that keep the token at home, and second attempts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ureq::http::{HeaderMap, Method, Request, Uri};

use super::{HubSettings, Progress};

/// Redirects that are followed for one request.
const REDIRECTS_MAX: usize = 10;

/// Longest time that a hub may ask to wait before the next attempt.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Longest answer that is read into memory.
const ANSWER_MAX: u64 = 256 << 20;

/// An answer, its body not yet read.
pub(super) struct Reply {
    /// Below 400.
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: ureq::Body,
    /// As in [`Failure`].
    pub(super) elsewhere: Option<String>,
}

impl Reply {
    /// The value of a header, if it is there and is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The whole body.
    fn bytes(self) -> Result<Vec<u8>, Failure> {
        let body = self.body.into_with_config().limit(ANSWER_MAX);
        let failed = |error: ureq::Error| Cause::Passing(error.to_string(), None);
        body.read_to_vec().map_err(|error| Failure { cause: failed(error), elsewhere: self.elsewhere })
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Why there is no answer to work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What happened.
    pub(super) cause: Cause,
    /// Scheme and name of the host that was asked, where the hub had referred to one of its own choice.
    pub(super) elsewhere: Option<String>,
}

/// What happened instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// No host was found, or it takes no connections.
    Unreachable(String),
    /// It may go well next time; how long the host asks to wait.
    Passing(String, Option<Duration>),
    /// The host is at fault: 5xx, or 429 for too many requests; how long it asks to wait.
    Busy(u16, Option<Duration>),
    /// The host refuses, and says why (`X-Error-Code`).
    Refused(u16, Option<String>),
    /// The answer makes no sense.
    Nonsense(String),
}

impl Failure {
    /// One of the hub itself.
    pub(super) fn at_home(cause: Cause) -> Self {
        Self { cause, elsewhere: None }
    }

    /// It in words.
    pub(super) fn reason(&self) -> String {
        match (&self.elsewhere, &self.cause) {
            (None, cause) => cause.reason("the hub"),
            (Some(host), cause @ (Cause::Busy(..) | Cause::Refused(..))) => cause.reason(host),
            (Some(host), cause) => format!("{host}: {}", cause.reason(host)),
        }
    }
}

impl Cause {
    /// It in words, where `host` was asked.
    pub(super) fn reason(&self, host: &str) -> String {
        match self {
            Self::Unreachable(reason) | Self::Passing(reason, _) | Self::Nonsense(reason) => reason.clone(),
            Self::Busy(status, _) | Self::Refused(status, _) => format!("{host} answered {status}"),
        }
    }
}

/// Which redirects of an answer are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// All.
    All,
    /// Those of a repository that was renamed: within the same host, and only while the answer does not yet describe the
    /// file.
    Renamed,
}

/// Asks the hub.
pub(super) struct Http {
    agent: ureq::Agent,
    /// Scheme and host that may see the token.
    home: Option<(String, String)>,
    token: Option<String>,
    attempts: u32,
    backoff: Duration,
    has_answered: AtomicBool,
}

impl Http {
    pub(super) fn new(settings: &HubSettings) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // redirects are followed here, where it is known who may see the token
            .max_redirects(0)
            .timeout_resolve(Some(settings.patience))
            .timeout_connect(Some(settings.patience))
            .timeout_recv_response(Some(settings.patience))
            .timeout_per_read(Some(settings.patience))
            .user_agent(concat!("straggler/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.new_agent(),
            home: settings.endpoint.parse().ok().and_then(|uri| host_of(&uri)),
            token: settings.token.clone(),
            attempts: settings.attempts.max(1),
            backoff: settings.backoff,
            has_answered: AtomicBool::new(false),
        }
    }

    /// Attempts at one request.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The answer, asked for again while there is hope.
    pub(super) fn ask(
        &self,
        method: &Method,
        url: &str,
        follow: Follow,
        progress: &dyn Progress,
    ) -> Result<Reply, Failure> {
        self.patiently(progress, || self.attempt(method, url, None, follow))
    }

    /// The whole body of an answer, asked for again while there is hope, also where it breaks off.
    pub(super) fn body(&self, url: &str, progress: &dyn Progress) -> Result<Vec<u8>, Failure> {
        self.patiently(progress, || self.attempt(&Method::GET, url, None, Follow::All)?.bytes())
    }

    fn patiently<T>(&self, progress: &dyn Progress, attempt: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut n_failed = 0;
        loop {
            match attempt() {
                Err(failure) if self.is_worth_another(&failure) && n_failed + 1 < self.attempts => {
                    self.pause(n_failed, &failure, progress);
                    n_failed += 1;
                }
                done => return done,
            }
        }
    }

    /// True for what may go well next time.
    pub(super) fn is_worth_another(&self, failure: &Failure) -> bool {
        match &failure.cause {
            Cause::Passing(..) | Cause::Busy(..) => true,
            // a host that answered a moment ago will come back; one that never did is a matter of the network
            Cause::Unreachable(_) => self.has_answered.load(Ordering::Relaxed),
            Cause::Refused(..) | Cause::Nonsense(_) => false,
        }
    }

    /// Waits before the next attempt, longer after each failure.
    pub(super) fn pause(&self, n_failed: u32, failure: &Failure, progress: &dyn Progress) {
        let wanted = match &failure.cause {
            Cause::Passing(_, wanted) | Cause::Busy(_, wanted) => *wanted,
            Cause::Unreachable(_) | Cause::Nonsense(_) | Cause::Refused(..) => None,
        };
        let pause = wanted.unwrap_or(self.backoff * 2u32.saturating_pow(n_failed)).min(WAIT_MAX);
        progress.note(&format!("{}; trying again in {:.1} s", failure.reason(), pause.as_secs_f64()));
        std::thread::sleep(pause);
    }

    /// One attempt, from byte `from` on when given.
    pub(super) fn attempt(
        &self,
        method: &Method,
        url: &str,
        from: Option<u64>,
        follow: Follow,
    ) -> Result<Reply, Failure> {
        let mut url = url.to_string();
        for _ in 0..=REDIRECTS_MAX {
            let elsewhere = self.elsewhere(&url);
            let failed = |cause| Failure { cause, elsewhere: elsewhere.clone() };
            let reply = self.once(method, &url, from).map_err(failed)?;
            let location = reply.header("location").filter(|_| (300..400).contains(&reply.status));
            let Some(location) = location else { return Ok(Reply { elsewhere, ..reply }) };
            let here = parsed(&url).map_err(failed)?;
            let next = resolved(&here, location);
            let target = parsed(&next).map_err(failed)?;
            if follow == Follow::Renamed
                && (reply.header("x-linked-etag").is_some() || host_of(&here) != host_of(&target))
            {
                return Ok(Reply { elsewhere, ..reply });
            }
            if here.scheme_str() == Some("https") && target.scheme_str() != Some("https") {
                return Err(failed(Cause::Nonsense(format!("it leads to the unprotected address {next}"))));
            }
            url = next;
        }
        Err(Failure::at_home(Cause::Nonsense(format!("more than {REDIRECTS_MAX} redirects"))))
    }

    /// The host of an address that is not the hub's.
    fn elsewhere(&self, url: &str) -> Option<String> {
        let host = host_of(&url.parse().ok()?)?;
        let is_home = self.home.is_none() || self.home.as_ref() == Some(&host);
        (!is_home).then(|| format!("{}://{}", host.0, host.1))
    }

    fn once(&self, method: &Method, url: &str, from: Option<u64>) -> Result<Reply, Cause> {
        let mut request = Request::builder().method(method.clone()).uri(url).header("accept-encoding", "identity");
        if let Some(from) = from {
            request = request.header("range", format!("bytes={from}-"));
        }
        let host = host_of(&parsed(url)?);
        if let (Some(token), true) = (&self.token, host.is_some() && host == self.home) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(()).map_err(|error| Cause::Nonsense(error.to_string()))?;
        let response = self.agent.run(request).map_err(cause)?;
        self.has_answered.store(true, Ordering::Relaxed);
        let (parts, body) = response.into_parts();
        let text = |name: &str| header(&parts.headers, name);
        let wait = text("retry-after").and_then(|value| value.parse().ok()).map(Duration::from_secs);
        match parts.status.as_u16() {
            status @ (408 | 429 | 500..) => Err(Cause::Busy(status, wait)),
            status @ 400.. => Err(Cause::Refused(status, text("x-error-code").map(String::from))),
            status => Ok(Reply { status, headers: parts.headers, body, elsewhere: None }),
        }
    }
}

fn cause(error: ureq::Error) -> Cause {
    use std::io::ErrorKind;
    let is_no_connection = match &error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => true,
        ureq::Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::NetworkUnreachable
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkDown
                | ErrorKind::AddrNotAvailable
        ),
        _ => false,
    };
    match error {
        error if is_no_connection => Cause::Unreachable(error.to_string()),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl => {
            Cause::Nonsense(error.to_string())
        }
        error => Cause::Passing(error.to_string(), None),
    }
}

fn parsed(url: &str) -> Result<Uri, Cause> {
    url.parse().map_err(|error| Cause::Nonsense(format!("`{url}` is no address: {error}")))
}

/// Scheme and host with port.
fn host_of(uri: &Uri) -> Option<(String, String)> {
    Some((uri.scheme_str()?.to_ascii_lowercase(), uri.authority()?.as_str().to_ascii_lowercase()))
}

/// Where a `Location` leads from `here`.
fn resolved(here: &Uri, location: &str) -> String {
    let is_absolute = location.split_once(':').is_some_and(|(scheme, _)| !scheme.contains('/'));
    let scheme = here.scheme_str().unwrap_or("https");
    let host = here.authority().map_or("", |authority| authority.as_str());
    if is_absolute {
        location.into()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{host}{location}")
    } else {
        let folder = here.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{host}{folder}/{location}")
    }
}

/// A text as one part of an address; with `keep_slashes`, as several.
pub(super) fn encoded(text: &str, keep_slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (keep_slashes && byte == b'/');
        if is_plain { out.push(byte as char) } else { out.push_str(&format!("%{byte:02X}")) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved_against_the_address_that_gave_them() {
        let here: Uri = "https://hub/org/name/resolve/main/a.txt".parse().unwrap();
        for (location, expected) in [
            ("https://cdn/x?y=1", "https://cdn/x?y=1"),
            ("//cdn/x", "https://cdn/x"),
            ("/other/name", "https://hub/other/name"),
            ("b.txt", "https://hub/org/name/resolve/main/b.txt"),
            ("b/c:d", "https://hub/org/name/resolve/main/b/c:d"),
        ] {
            assert_eq!(resolved(&here, location), expected);
        }
    }

    #[test]
    fn parts_of_addresses_are_encoded() {
        assert_eq!(encoded("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(encoded("data/a b+ü.csv", true), "data/a%20b%2B%C3%BC.csv");
    }
}
