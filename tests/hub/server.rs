//! A hub on 127.0.0.1: repositories in memory, and faults on demand.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sha1::{Digest, Sha1};
use sha2::Sha256;

/// The commit of every repository here.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A file and what is wrong with the way it is served.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served {
    pub(crate) content: Vec<u8>,
    /// Large files are named by their SHA-256 and served from another address.
    pub(crate) is_large: bool,
    /// The next answers end after so many bytes of their content.
    pub(crate) cuts: Vec<usize>,
    /// The next answers are of this status.
    pub(crate) statuses: Vec<u16>,
    /// The content that really goes out.
    pub(crate) swapped: Option<Vec<u8>>,
    /// Ranges are ignored.
    pub(crate) ignores_ranges: bool,
    /// The etag is no checksum, as mirrors have it.
    pub(crate) has_plain_etag: bool,
}

impl Served {
    pub(crate) fn small(content: impl Into<Vec<u8>>) -> Self {
        Self { content: content.into(), ..Self::default() }
    }

    pub(crate) fn large(content: impl Into<Vec<u8>>) -> Self {
        Self { is_large: true, ..Self::small(content) }
    }

    pub(crate) fn etag(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if self.is_large {
            return hex(&Sha256::digest(&self.content));
        }
        let mut sha = Sha1::new();
        sha.update(format!("blob {}\0", self.content.len()));
        sha.update(&self.content);
        hex(&sha.finalize())
    }
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) token: Option<String>,
}

#[derive(Default)]
struct State {
    /// Files by repository (`models/org/name`) and name.
    repos: BTreeMap<String, BTreeMap<String, Served>>,
    /// The token that is asked for, and the answer to another one.
    token: Option<String>,
    refuses_with: Option<u16>,
    /// The list of files has their checksums.
    tells_checksums: bool,
    /// Where large files lie, when not on this server.
    large_files_at: Option<String>,
    /// The next descriptions of repositories end after so many bytes.
    description_cuts: Vec<usize>,
    asked: Vec<Asked>,
}

/// A hub that serves until the test ends.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// A hub that knows no repository yet.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                // a client that goes away is no concern of the server's
                std::thread::spawn(move || serve(stream, &state).ok());
            }
        });
        Self { endpoint, state }
    }

    /// A hub with one model, `org/name`.
    pub(crate) fn with_model(files: &[(&str, Served)]) -> Self {
        let server = Self::start();
        server.add("models/org/name", files);
        server
    }

    /// Adds files to a repository such as `datasets/org/name`.
    pub(crate) fn add(&self, repo: &str, files: &[(&str, Served)]) {
        let mut state = self.state.lock().unwrap();
        let entry = state.repos.entry(repo.into()).or_default();
        entry.extend(files.iter().map(|(name, file)| (name.to_string(), file.clone())));
    }

    pub(crate) fn ask_for_token(&self, token: &str) {
        self.state.lock().unwrap().token = Some(token.into());
    }

    /// Answers a wrong token with this status instead of 403.
    pub(crate) fn refuse_tokens_with(&self, status: u16) {
        self.state.lock().unwrap().refuses_with = Some(status);
    }

    /// Tells checksums in the list of files.
    pub(crate) fn tell_checksums(&self) {
        self.state.lock().unwrap().tells_checksums = true;
    }

    pub(crate) fn cut_descriptions(&self, cuts: &[usize]) {
        self.state.lock().unwrap().description_cuts = cuts.to_vec();
    }

    pub(crate) fn put_large_files_at(&self, endpoint: &str) {
        self.state.lock().unwrap().large_files_at = Some(endpoint.into());
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// How long the content at this address is, if it is no redirect.
    pub(crate) fn length_of(&self, path: &str) -> Option<usize> {
        let state = self.state.lock().unwrap();
        let mut files = state.repos.values().flatten();
        let is_at = |name: &str, file: &Served| match path.strip_prefix("/large/") {
            Some(etag) => file.is_large && file.etag() == etag,
            None => !file.is_large && path.ends_with(&format!("/resolve/{COMMIT}/{name}")),
        };
        files.find(|(name, file)| is_at(name, file)).map(|(_, file)| file.content.len())
    }

    /// The requests for contents.
    pub(crate) fn gets(&self) -> Vec<Asked> {
        let is_get = |asked: &Asked| asked.method == "GET" && !asked.path.starts_with("/api/");
        self.asked().into_iter().filter(is_get).collect()
    }
}

/// An address where nobody listens.
pub(crate) fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(String::from);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let mut asked = Asked { method, path, range: None, token: None };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => asked.range = Some(value.into()),
            "authorization" => asked.token = Some(value.into()),
            _ => {}
        }
    }
    let reply = {
        let mut state = state.lock().unwrap();
        state.asked.push(asked.clone());
        answer(&mut state, &asked)
    };
    reply.write(stream, asked.method == "HEAD")
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    cut: Option<usize>,
}

impl Reply {
    fn status(status: u16, code: &str) -> Self {
        Self { status, headers: vec![("X-Error-Code", code.into())], body: Vec::new(), cut: None }
    }

    fn write(self, mut stream: TcpStream, is_head: bool) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Said\r\nConnection: close\r\n", self.status);
        if !self.headers.iter().any(|(name, _)| *name == "Content-Length") {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        for (name, value) in self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if !is_head {
            stream.write_all(&self.body[..self.cut.unwrap_or(self.body.len()).min(self.body.len())])?;
        }
        stream.flush()?;
        stream.shutdown(std::net::Shutdown::Write)?;
        // what the client still sends is taken, so that the end reaches it as an end and not as a reset
        stream.read_to_end(&mut Vec::new()).map(|_| ())
    }
}

fn answer(state: &mut State, asked: &Asked) -> Reply {
    let path = asked.path.split('?').next().unwrap_or_default().to_string();
    if let Some(etag) = path.strip_prefix("/large/") {
        let file = state.repos.values_mut().flat_map(|files| files.values_mut()).find(|file| file.etag() == etag);
        return file.map_or(Reply::status(404, "EntryNotFound"), |file| content(file, asked));
    }
    let wanted = state.token.as_ref().map(|token| format!("Bearer {token}"));
    if wanted.is_some() && asked.token != wanted {
        let of_wrong = state.refuses_with.unwrap_or(403);
        return Reply::status(if asked.token.is_some() { of_wrong } else { 401 }, "GatedRepo");
    }
    if let Some(rest) = path.strip_prefix("/api/") {
        let (repo, tail) = rest.split_once("/revision/").or(rest.split_once("/refs")).unwrap_or((rest, ""));
        let Some(files) = state.repos.get(repo) else { return Reply::status(404, "RepoNotFound") };
        let body = match (rest.ends_with("/refs"), tail) {
            (true, _) => serde_json::json!({ "branches": [{ "name": "main" }], "tags": [{ "name": "v1.0" }] }),
            (false, "main" | COMMIT) => {
                let tells = state.tells_checksums;
                let sibling = |(name, file): (&String, &Served)| {
                    let mut told = serde_json::json!({ "rfilename": name, "size": file.content.len() });
                    if tells {
                        told["blobId"] = Served { is_large: false, ..file.clone() }.etag().into();
                    }
                    if tells && file.is_large {
                        told["lfs"] = serde_json::json!({ "sha256": file.etag(), "size": file.content.len() });
                    }
                    told
                };
                serde_json::json!({ "sha": COMMIT, "siblings": files.iter().map(sibling).collect::<Vec<_>>() })
            }
            (false, _) => return Reply::status(404, "RevisionNotFound"),
        };
        let cut = (!state.description_cuts.is_empty()).then(|| state.description_cuts.remove(0));
        return Reply { status: 200, headers: Vec::new(), body: body.to_string().into_bytes(), cut };
    }
    let Some((repo, tail)) = path[1..].split_once("/resolve/") else { return Reply::status(404, "RepoNotFound") };
    let repo = if repo.starts_with("datasets/") { repo.to_string() } else { format!("models/{repo}") };
    let name = tail.strip_prefix(COMMIT).map(|name| name.trim_start_matches('/').to_string());
    let large_files_at = state.large_files_at.clone().unwrap_or_default();
    let file = name.as_ref().and_then(|name| state.repos.get_mut(&repo)?.get_mut(name));
    let Some(file) = file else { return Reply::status(404, "EntryNotFound") };
    if file.is_large {
        let headers = vec![
            ("X-Repo-Commit", COMMIT.to_string()),
            (
                "X-Linked-Etag",
                if file.has_plain_etag { "\"version-2\"".into() } else { format!("\"{}\"", file.etag()) },
            ),
            ("X-Linked-Size", file.content.len().to_string()),
            ("Location", format!("{large_files_at}/large/{}", file.etag())),
        ];
        return Reply { status: 302, headers, body: Vec::new(), cut: None };
    }
    content(file, asked)
}

fn content(file: &mut Served, asked: &Asked) -> Reply {
    let etag = if file.has_plain_etag { "\"version-1\"".into() } else { format!("\"{}\"", file.etag()) };
    let mut headers = vec![("X-Repo-Commit", COMMIT.to_string()), ("ETag", etag)];
    if asked.method == "HEAD" {
        headers.push(("Content-Length", file.content.len().to_string()));
        return Reply { status: 200, headers, body: Vec::new(), cut: None };
    }
    if !file.statuses.is_empty() {
        return Reply::status(file.statuses.remove(0), "");
    }
    let cut = (!file.cuts.is_empty()).then(|| file.cuts.remove(0));
    let whole = file.swapped.as_ref().unwrap_or(&file.content);
    let from = asked.range.as_ref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match from {
        Some(from) if !file.ignores_ranges => {
            if from >= whole.len() {
                return Reply::status(416, "");
            }
            headers.push(("Content-Range", format!("bytes {from}-{}/{}", whole.len() - 1, whole.len())));
            Reply { status: 206, headers, body: whole[from..].to_vec(), cut }
        }
        _ => Reply { status: 200, headers, body: whole.clone(), cut },
    }
}
