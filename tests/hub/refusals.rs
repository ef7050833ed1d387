//! What the hub or the machine refuses, and the words for it.

use std::os::unix::fs::symlink;
use std::path::Path;

use straggler::hub::{Hub, HubSettings, Progress, Repo, RepoKind, Silent};

use super::server::{COMMIT, closed_port};
use super::{Served, Server, fetch, hub, model};

fn refusal(hub: &Hub, names: &[&str]) -> String {
    fetch(hub, names).unwrap_err().to_string()
}

fn offline(cache: &Path) -> Hub {
    Hub::new(HubSettings { is_offline: true, ..HubSettings::new("http://127.0.0.1:9", cache) })
}

#[test]
fn a_wrong_checksum_deletes_what_came() {
    let file = Served { swapped: Some(b"evil!".to_vec()), ..Served::small("right") };
    let etag = file.etag();
    let server = Server::with_model(&[("a", file)]);
    let cache = tempfile::tempdir().unwrap();
    let message = refusal(&hub(&server.endpoint, cache.path()), &["a"]);
    assert!(message.starts_with("`a` arrived damaged (checksum ") && message.contains(&etag), "{message}");
    assert!(message.contains("deleted, run again"), "{message}");
    let blobs = cache.path().join("models--org--name/blobs");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0);
    assert!(!cache.path().join("models--org--name/refs/main").exists());
}

/// Keeps the notes.
#[derive(Default)]
struct Notes(std::sync::Mutex<Vec<String>>);

impl Progress for Notes {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

#[test]
fn where_an_etag_is_no_checksum_that_of_the_list_is_compared() {
    for file in [Served::small("right"), Served::large("right")] {
        let checksum = file.etag();
        let plain = Served { has_plain_etag: true, ..file };
        let bad = Served { swapped: Some(b"evil!".to_vec()), ..plain.clone() };
        for (served, tells) in [(plain.clone(), true), (bad.clone(), true), (bad, false)] {
            let is_right = served.swapped.is_none();
            let server = Server::with_model(&[("a", served)]);
            if tells {
                server.tell_checksums();
            }
            let cache = tempfile::tempdir().unwrap();
            let hub = hub(&server.endpoint, cache.path());
            let notes = Notes::default();
            let listing = hub.resolve(&model("main"), &notes).unwrap();
            let plan = hub.plan(&listing, &["a".into()], &notes).unwrap();
            let done = hub.download(&plan, &notes);
            let notes = notes.0.into_inner().unwrap();
            match tells {
                true if is_right => assert!(done.is_ok() && notes.is_empty(), "{notes:?}"),
                true => {
                    let message = done.unwrap_err().to_string();
                    assert!(message.contains(&format!("the hub promised {checksum}")), "{message}");
                }
                // Nothing to compare with: it is taken, and said.
                false => {
                    assert!(done.is_ok());
                    assert_eq!(notes, ["`a` came without a checksum: nothing but its length was compared"]);
                }
            }
        }
    }
}

#[test]
fn content_of_another_length_is_not_taken() {
    let file = Served { swapped: Some(b"longer than right".to_vec()), ..Served::small("right") };
    let server = Server::with_model(&[("a", file)]);
    let cache = tempfile::tempdir().unwrap();
    let message = refusal(&hub(&server.endpoint, cache.path()), &["a"]);
    assert!(message.contains("of 17 bytes in place of 5"), "{message}");
}

#[test]
fn what_is_private_asks_for_a_token() {
    let server = Server::with_model(&[("a", Served::small("a"))]);
    server.ask_for_token("secret");
    let cache = tempfile::tempdir().unwrap();
    let without = hub(&server.endpoint, cache.path());
    let message = refusal(&without, &["a"]);
    assert!(message.contains("model `org/name` (revision main) (401)"), "{message}");
    assert!(message.contains("or does not exist") && message.contains("set HF_TOKEN"), "{message}");
    let wrong = Hub::new(HubSettings { token: Some("other".into()), ..without.settings().clone() });
    let message = refusal(&wrong, &["a"]);
    assert!(message.contains("the token may not read it") && !message.contains("other"), "{message}");
    // As the hub itself answers a token that it does not know.
    server.refuse_tokens_with(401);
    let message = refusal(&wrong, &["a"]);
    assert!(message.contains("(401)") && message.contains("the token is not valid: set HF_TOKEN"), "{message}");
    assert!(!message.contains("other"), "{message}");
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let server = Server::with_model(&[("a", Served::small("a")), ("b", Served::small("b"))]);
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&server.endpoint, cache.path());
    assert!(refusal(&hub, &["c"]).contains("no file `c`; there are: a, b"));
    let message = hub.resolve(&model("v9"), &Silent).unwrap_err().to_string();
    assert!(message.contains("(revision v9) has no such revision; there are: main, v1.0"), "{message}");
    let absent = Repo::new(RepoKind::Dataset, "org/none", "main");
    let message = hub.resolve(&absent, &Silent).unwrap_err().to_string();
    assert!(message.contains("has no data set `org/none`; check the name (`org/name`"), "{message}");
}

#[test]
fn without_a_network_the_cache_is_pointed_out() {
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&closed_port(), cache.path());
    let error = fetch(&hub, &["a"]).unwrap_err();
    assert!(error.is_environment());
    let message = error.to_string();
    assert!(message.starts_with("cannot reach the hub at http://127.0.0.1:"), "{message}");
    assert!(message.contains("has nothing of the model `org/name`"), "{message}");

    let server = Server::with_model(&[("a", Served::small("a"))]);
    fetch(&super::hub(&server.endpoint, cache.path()), &["a"]).unwrap();
    assert!(refusal(&hub, &["a"]).contains("the cache has a of the model"), "{}", refusal(&hub, &["a"]));
}

/// What the hub refers to another host for is that host's to refuse.
#[test]
fn a_host_that_the_hub_refers_to_is_named() {
    let server = Server::with_model(&[("w.bin", Served::large("weights"))]);
    let refusing = Server::with_model(&[("w.bin", Served { statuses: vec![403], ..Served::large("weights") })]);
    let busy = Server::with_model(&[("w.bin", Served { statuses: vec![503; 3], ..Served::large("weights") })]);
    let cache = tempfile::tempdir().unwrap();
    for (host, reason) in [
        (refusing.endpoint.clone(), "it answered 403"),
        (busy.endpoint.clone(), "it answered 503"),
        (closed_port(), "refused"),
    ] {
        server.put_large_files_at(&host);
        for token in [None, Some("secret".to_string())] {
            let settings = HubSettings { token, ..hub(&server.endpoint, cache.path()).settings().clone() };
            if host == refusing.endpoint {
                refusing
                    .add("models/org/name", &[("w.bin", Served { statuses: vec![403], ..Served::large("weights") })]);
            }
            if host == busy.endpoint {
                busy.add(
                    "models/org/name",
                    &[("w.bin", Served { statuses: vec![503; 3], ..Served::large("weights") })],
                );
            }
            let error = fetch(&Hub::new(settings), &["w.bin"]).unwrap_err();
            assert!(error.is_environment(), "{error}");
            let message = error.to_string();
            assert!(
                message.starts_with(&format!("`w.bin` cannot be had from {host}, to which the hub refers")),
                "{message}"
            );
            assert!(message.contains(reason) && !message.contains("HF_TOKEN"), "{message}");
        }
    }
    // A download that breaks off there names it too.
    let cut = Server::with_model(&[("w.bin", Served { cuts: vec![3, 0, 0, 0], ..Served::large("weights") })]);
    server.put_large_files_at(&cut.endpoint);
    let message = refusal(&hub(&server.endpoint, cache.path()), &["w.bin"]);
    assert!(message.contains("after 3 of 7 bytes") && message.contains(&cut.endpoint), "{message}");
}

/// A revision goes on standing for the snapshot that is whole until a newer one is.
#[test]
fn a_failed_update_leaves_the_older_snapshot() {
    const OLDER: &str = "fedcba9876543210fedcba9876543210fedcba98";
    let cache = tempfile::tempdir().unwrap();
    let repo = cache.path().join("models--org--name");
    let snapshot = repo.join("snapshots").join(OLDER);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(repo.join("refs")).unwrap();
    std::fs::write(repo.join("refs/main"), OLDER).unwrap();
    for name in ["a", "b"] {
        std::fs::write(snapshot.join(name), "older").unwrap();
    }
    let broken = Served { statuses: vec![404], ..Served::small("newer too") };
    let server = Server::with_model(&[("a", Served::small("newer")), ("b", broken)]);
    let hub = hub(&server.endpoint, cache.path());
    let listing = hub.resolve(&model("main"), &Silent).unwrap();
    hub.get(&listing, &["a".into()], &Silent).unwrap();
    let plan = hub.plan(&listing, &["a".into(), "b".into()], &Silent).unwrap();
    hub.download(&plan, &Silent).unwrap_err();
    let found = fetch(&offline(cache.path()), &["a", "b"]).unwrap();
    assert_eq!(std::fs::read(found.join("a")).unwrap(), b"older");
    hub.download(&plan, &Silent).unwrap();
    let found = fetch(&offline(cache.path()), &["a", "b"]).unwrap();
    assert_eq!(std::fs::read(found.join("a")).unwrap(), b"newer");
}

#[test]
fn offline_the_cache_serves_what_it_has() {
    let server = Server::with_model(&[("a", Served::small("a")), ("b", Served::small("b"))]);
    let cache = tempfile::tempdir().unwrap();
    let message = refusal(&offline(cache.path()), &["a"]);
    assert!(message.starts_with("offline, and the cache") && message.contains("straggler fetch"), "{message}");
    fetch(&hub(&server.endpoint, cache.path()), &["a"]).unwrap();
    let snapshot = fetch(&offline(cache.path()), &["a"]).unwrap();
    assert_eq!(std::fs::read(snapshot.join("a")).unwrap(), b"a");
    let message = refusal(&offline(cache.path()), &["a", "b"]);
    assert!(message.contains("has no b of the model"), "{message}");
}

#[test]
fn offline_a_cache_that_another_program_filled_serves_too() {
    let cache = tempfile::tempdir().unwrap();
    let repo = cache.path().join("models--org--name");
    let snapshot = repo.join("snapshots").join(COMMIT);
    for folder in [snapshot.clone(), repo.join("refs"), repo.join("blobs")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(repo.join("refs/main"), COMMIT).unwrap();
    std::fs::write(repo.join("blobs/e1"), "content").unwrap();
    symlink("../../blobs/e1", snapshot.join("a")).unwrap();
    let found = fetch(&offline(cache.path()), &["a"]).unwrap();
    assert_eq!(std::fs::read(found.join("a")).unwrap(), b"content");
}

#[test]
fn a_full_disk_is_named() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: this system has no /dev/full");
        return;
    }
    let file = Served::small("does not fit");
    let cache = tempfile::tempdir().unwrap();
    let blobs = cache.path().join("models--org--name/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    symlink("/dev/full", blobs.join(format!("{}.incomplete", file.etag()))).unwrap();
    let server = Server::with_model(&[("a", file)]);
    let message = refusal(&hub(&server.endpoint, cache.path()), &["a"]);
    assert!(message.contains("is full: 12 B more are needed") && message.contains("HF_HUB_CACHE"), "{message}");
}

#[test]
fn names_that_lead_out_of_the_cache_are_refused() {
    let server = Server::with_model(&[("../evil", Served::small("a"))]);
    let cache = tempfile::tempdir().unwrap();
    let message = refusal(&hub(&server.endpoint, cache.path()), &["../evil"]);
    assert!(message.contains("leads out of its folder"), "{message}");
}

#[test]
fn an_endpoint_that_is_no_hub_is_told() {
    let cache = tempfile::tempdir().unwrap();
    let message = refusal(&hub("not an address", cache.path()), &["a"]);
    assert!(message.contains("check HF_ENDPOINT"), "{message}");
}
