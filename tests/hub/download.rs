//! Downloads that go well, in the end.

use std::os::unix::fs::symlink;

use straggler::hub::{Hub, HubSettings, Silent};

use super::server::COMMIT;
use super::{Served, Server, fetch, hub, model};

/// 300,000 bytes without a period that a mistake could hide in.
fn noise() -> Vec<u8> {
    (0..300_000u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn blobs(cache: &std::path::Path) -> std::path::PathBuf {
    cache.join("models--org--name/blobs")
}

#[test]
fn files_land_in_the_standard_layout_and_are_not_asked_for_again() {
    let files = [("config.json", Served::small("{}")), ("sub/dir/w.bin", Served::large(noise()))];
    let server = Server::with_model(&files);
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&server.endpoint, cache.path());
    let snapshot = fetch(&hub, &["config.json", "sub/dir/w.bin"]).unwrap();
    let repo = cache.path().join("models--org--name");
    assert_eq!(snapshot, repo.join("snapshots").join(COMMIT));
    assert_eq!(std::fs::read(snapshot.join("sub/dir/w.bin")).unwrap(), noise());
    assert_eq!(std::fs::read_to_string(repo.join("refs/main")).unwrap(), COMMIT);
    let link = std::fs::read_link(snapshot.join("sub/dir/w.bin")).unwrap();
    assert_eq!(link.to_str().unwrap(), format!("../../../../blobs/{}", files[1].1.etag()));
    assert_eq!(server.gets().len(), 3, "the large file is a redirect and its target: {:?}", server.gets());
    fetch(&hub, &["config.json", "sub/dir/w.bin"]).unwrap();
    assert_eq!(server.gets().len(), 3);
    // By commit, the hub need not even be there.
    let n_asked = server.asked().len();
    let listing = hub.resolve(&model(COMMIT), &Silent).unwrap();
    hub.get(&listing, &["config.json".into()], &Silent).unwrap();
    assert_eq!(server.asked().len(), n_asked);
}

#[test]
fn sizes_are_known_before_anything_comes() {
    let server = Server::with_model(&[("a", Served::small("12345")), ("b", Served::large(noise()))]);
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&server.endpoint, cache.path());
    let listing = hub.resolve(&model("main"), &Silent).unwrap();
    let plan = hub.plan(&listing, &["a".into(), "b".into()], &Silent).unwrap();
    assert_eq!((plan.n_bytes(), plan.files().len()), (300_005, 2));
    assert_eq!(server.gets().len(), 0);
}

#[test]
fn a_download_cut_in_the_middle_goes_on_from_there() {
    let file = Served { cuts: vec![100_000, 50_000], ..Served::large(noise()) };
    let server = Server::with_model(&[("w.bin", file)]);
    let cache = tempfile::tempdir().unwrap();
    let snapshot = fetch(&hub(&server.endpoint, cache.path()), &["w.bin"]).unwrap();
    assert_eq!(std::fs::read(snapshot.join("w.bin")).unwrap(), noise());
    let ranges: Vec<Option<String>> =
        server.gets().into_iter().filter(|asked| asked.path.starts_with("/large")).map(|asked| asked.range).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-".into()), Some("bytes=150000-".into())]);
}

#[test]
fn a_later_run_goes_on_too() {
    // three attempts without a byte of progress end the first run
    let file = Served { cuts: vec![70_000, 0, 0, 0], ..Served::large(noise()) };
    let etag = file.etag();
    let server = Server::with_model(&[("w.bin", file)]);
    let cache = tempfile::tempdir().unwrap();
    let first = hub(&server.endpoint, cache.path());
    let message = fetch(&first, &["w.bin"]).unwrap_err().to_string();
    assert!(message.contains("`w.bin` broke off after 70000 of 300000 bytes"), "{message}");
    assert!(message.contains("run again to go on"), "{message}");
    let kept = blobs(cache.path()).join(format!("{etag}.incomplete"));
    assert_eq!(std::fs::metadata(&kept).unwrap().len(), 70_000);
    let second = hub(&server.endpoint, cache.path());
    let listing = second.resolve(&model("main"), &Silent).unwrap();
    let plan = second.plan(&listing, &["w.bin".into()], &Silent).unwrap();
    assert_eq!(plan.n_bytes(), 230_000);
    let snapshot = second.download(&plan, &Silent).unwrap();
    assert_eq!(std::fs::read(snapshot.join("w.bin")).unwrap(), noise());
    assert_eq!(server.gets().last().unwrap().range.as_deref(), Some("bytes=70000-"));
    assert!(!kept.exists());
}

#[test]
fn a_server_that_ignores_ranges_is_asked_for_the_whole() {
    let file = Served { cuts: vec![100_000], ignores_ranges: true, ..Served::large(noise()) };
    let server = Server::with_model(&[("w.bin", file)]);
    let cache = tempfile::tempdir().unwrap();
    let snapshot = fetch(&hub(&server.endpoint, cache.path()), &["w.bin"]).unwrap();
    assert_eq!(std::fs::read(snapshot.join("w.bin")).unwrap(), noise());
}

#[test]
fn a_damaged_beginning_is_noticed_and_replaced() {
    let file = Served::large(noise());
    let cache = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(blobs(cache.path())).unwrap();
    std::fs::write(blobs(cache.path()).join(format!("{}.incomplete", file.etag())), vec![7; 1000]).unwrap();
    let server = Server::with_model(&[("w.bin", file)]);
    let snapshot = fetch(&hub(&server.endpoint, cache.path()), &["w.bin"]).unwrap();
    assert_eq!(std::fs::read(snapshot.join("w.bin")).unwrap(), noise());
    assert_eq!(server.gets().last().unwrap().range, None);
}

#[test]
fn a_description_that_breaks_off_is_asked_for_again() {
    let server = Server::with_model(&[("a", Served::small("whole"))]);
    server.cut_descriptions(&[10, 0]);
    let cache = tempfile::tempdir().unwrap();
    let snapshot = fetch(&hub(&server.endpoint, cache.path()), &["a"]).unwrap();
    assert_eq!(std::fs::read(snapshot.join("a")).unwrap(), b"whole");
    let n_descriptions = server.asked().iter().filter(|asked| asked.path.starts_with("/api/")).count();
    assert_eq!(n_descriptions, 3);
}

#[test]
fn a_busy_server_is_asked_again() {
    let file = Served { statuses: vec![503, 429], ..Served::small("late") };
    let server = Server::with_model(&[("a", file)]);
    let cache = tempfile::tempdir().unwrap();
    let snapshot = fetch(&hub(&server.endpoint, cache.path()), &["a"]).unwrap();
    assert_eq!(std::fs::read(snapshot.join("a")).unwrap(), b"late");
}

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let elsewhere = Server::with_model(&[("w.bin", Served::large(noise()))]);
    let server = Server::with_model(&[("w.bin", Served::large(noise())), ("a", Served::small("a"))]);
    server.ask_for_token("secret");
    server.put_large_files_at(&elsewhere.endpoint);
    let cache = tempfile::tempdir().unwrap();
    let settings =
        HubSettings { token: Some("secret".into()), ..hub(&server.endpoint, cache.path()).settings().clone() };
    let snapshot = fetch(&Hub::new(settings), &["a", "w.bin"]).unwrap();
    assert_eq!(std::fs::read(snapshot.join("w.bin")).unwrap(), noise());
    assert!(server.asked().iter().all(|asked| asked.token.as_deref() == Some("Bearer secret")));
    let there = elsewhere.asked();
    assert_eq!((there.len(), there[0].token.as_deref()), (1, None));
}

#[test]
fn two_at_a_time_bring_a_file_once() {
    let server = Server::with_model(&[("w.bin", Served::large(noise()))]);
    let cache = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let snapshot = fetch(&hub(&server.endpoint, cache.path()), &["w.bin"]).unwrap();
                assert_eq!(std::fs::read(snapshot.join("w.bin")).unwrap(), noise());
            });
        }
    });
    assert_eq!(server.gets().iter().filter(|asked| asked.path.starts_with("/large")).count(), 1);
}

#[test]
fn a_link_to_content_that_is_gone_is_made_anew() {
    let file = Served::small("content");
    let server = Server::with_model(&[("a", file)]);
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("models--org--name/snapshots").join(COMMIT);
    std::fs::create_dir_all(&folder).unwrap();
    symlink("../../blobs/gone", folder.join("a")).unwrap();
    let snapshot = fetch(&hub(&server.endpoint, cache.path()), &["a"]).unwrap();
    assert_eq!(std::fs::read(snapshot.join("a")).unwrap(), b"content");
}
