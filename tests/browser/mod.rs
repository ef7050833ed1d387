//! The page of a run, and its trace, in a real browser.

use std::path::Path;
use std::process::Command;

/// Opens the page of the committed quickstart, uses it as a reader would, and takes pictures of it: no message of an error,
/// no request, all that can be clicked does what it should. See `report.mjs`.
#[test]
#[ignore = "needs Chromium and node with playwright-core: STRAGGLER_PLAYWRIGHT names the folder of that module"]
fn the_report_works_in_a_browser() {
    let playwright = std::env::var("STRAGGLER_PLAYWRIGHT").expect("STRAGGLER_PLAYWRIGHT is set");
    let folder = tempfile::tempdir().unwrap();
    let pictures = std::env::var("STRAGGLER_PICTURES").map_or_else(|_| folder.path().into(), std::path::PathBuf::from);
    for run in ["results/quickstart", "results/study-async/fedbuff"] {
        let page = folder.path().join("report.html");
        let report =
            Command::new(env!("CARGO_BIN_EXE_straggler")).args(["report", run, "-o"]).arg(&page).output().unwrap();
        assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
        let mut browser = Command::new("node");
        browser.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/report.mjs"));
        browser.arg(&page).arg(pictures.join(run)).env("STRAGGLER_PLAYWRIGHT", &playwright);
        let used = browser.output().unwrap();
        assert!(used.status.success(), "{run}: {}", String::from_utf8_lossy(&used.stderr));
        assert!(pictures.join(run).join("dark.png").exists());
    }
}

/// Opens the traces of a synchronous and of an asynchronous run in Perfetto: its trace processor finds the slices, arrows,
/// counters and times that the timeline has. See `perfetto.mjs`, which says where Perfetto comes from.
#[test]
#[ignore = "needs Chromium, node with playwright-core (STRAGGLER_PLAYWRIGHT) and Perfetto's pages (STRAGGLER_PERFETTO)"]
fn perfetto_reads_a_trace_as_the_timeline_has_it_in_a_browser() {
    let of_env = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is set"));
    let (playwright, perfetto) = (of_env("STRAGGLER_PLAYWRIGHT"), of_env("STRAGGLER_PERFETTO"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    for more in [&[][..], &["--profile", "async"]] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_straggler"));
        let done =
            run.args(["run", "quickstart", "--timing-only", "--quiet", "--out", out]).args(more).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut browser = Command::new("node");
        browser.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/perfetto.mjs"));
        browser.arg(&perfetto).arg(folder.path().join("quickstart/latest")).env("STRAGGLER_PLAYWRIGHT", &playwright);
        let read = browser.output().unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
        assert!(read.status.success(), "{more:?}: {told}");
    }
}
