//! Imported traces, from the file of another project to a scenario that runs on them.

use std::path::Path;

use super::{stderr, stdout, straggler};

fn pickle(name: &str) -> String {
    format!("tests/peers/pickles/{name}.pickle")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn fedscale_becomes_devices_bandwidth_and_availability() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let path = |name: &str| at(name).to_string_lossy().into_owned();
    let (devices, bandwidth) = (path("devices.csv"), path("bandwidth.csv"));
    let capacity = pickle("capacity_4");
    let args = ["import", "fedscale-capacity", &capacity, "-o", &devices, "--bandwidth", &bandwidth, "--renumber"];
    let output = straggler(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("{devices}: 2 rows, 2 clients\n{bandwidth}: 2 rows, 2 clients\n"));
    // Three times the latency of inference.
    assert_eq!(text(&at("devices.csv")), "client_id,time_per_sample_ms,memory_mib\n0,61.5,\n1,300,\n");
    let rates = "client_id,time_s,down_kbps,up_kbps\n0,0,4000,4000\n1,0,512.5,512.5\n";
    assert_eq!(text(&at("bandwidth.csv")), rates);

    // Nothing is replaced without being told so, and nothing is done by halves.
    let again = straggler(&args);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("devices.csv` exists already"), "{}", stderr(&again));
    std::fs::remove_file(&devices).unwrap();
    assert_eq!(straggler(&args).status.code(), Some(2));
    assert!(!at("devices.csv").exists());
    assert_eq!(straggler(&[&args[..], &["--force"]].concat()).status.code(), Some(0));

    let (windows, spans) = (path("availability.csv"), path("spans.csv"));
    let behaviour = pickle("behaviour_2");
    let args = ["import", "fedscale-availability", &behaviour, "-o", &windows, "--spans", &spans, "--renumber"];
    let output = straggler(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = "client_id,start_s,end_s\n0,0,50\n0,100,200\n0,300,400\n1,10,86400\n";
    assert_eq!(text(&at("availability.csv")), expected);
    assert_eq!(text(&at("spans.csv")), "client_id,trace_start_s,trace_end_s\n0,0,400\n1,0,86400\n");
    assert!(stderr(&output).contains("without a last `inactive`"), "{}", stderr(&output));

    // What was written is what a scenario reads.
    let trace = format!(
        "clients.availability={{trace: {{file: '{windows}', devices_file: '{spans}', end: loop, assign: random}}}}"
    );
    let table =
        format!("clients.devices={{phone: {{share: 1, compute: {{table: {{file: '{devices}', assign: random}}}}}}}}");
    let valid = straggler(&["validate", "quickstart", "--set", &trace, "--set", &table]);
    assert_eq!(valid.status.code(), Some(0), "{}", stderr(&valid));
    std::fs::write(&windows, "client_id,start_s,end_s\n0,7200,3600\n").unwrap();
    let wrong = straggler(&["validate", "quickstart", "--set", &trace]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("error[bad-trace]"), "{}", stderr(&wrong));
    assert!(stderr(&wrong).contains("availability.csv:2: end_s 3600 is before start_s 7200"), "{}", stderr(&wrong));
}

#[test]
fn no_file_is_written_twice_or_over_what_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let source = at("capacity");
    std::fs::copy(pickle("capacity_4"), &source).unwrap();
    let before = std::fs::read(&source).unwrap();
    let import = |output: &str, bandwidth: &str| {
        straggler(&["import", "fedscale-capacity", &source, "-o", output, "--bandwidth", bandwidth, "--force"])
    };
    let roundabout = format!("{}/./../{}/x.csv", dir.path().display(), dir.path().file_name().unwrap().display());
    for (output, bandwidth, expected) in [
        (at("x.csv"), at("x.csv"), "x.csv` would hold both files"),
        (at("x.csv"), roundabout, "x.csv` would hold both files"),
        (at("./capacity"), at("x.csv"), "capacity` is the file that is read"),
        (at("x.csv"), at("capacity"), "capacity` is the file that is read"),
    ] {
        let refused = import(&output, &bandwidth);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains(expected), "{}", stderr(&refused));
    }
    assert_eq!(std::fs::read(&source).unwrap(), before);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    // What cannot be put in its place leaves nothing behind.
    std::fs::create_dir(at("folder")).unwrap();
    assert_eq!(import(&at("folder"), &at("x.csv")).status.code(), Some(3));
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| *name == "folder" || *name == "capacity"), "{names:?}");
}

#[test]
fn flash_becomes_availability() {
    let dir = tempfile::tempdir().unwrap();
    let messages = "2020-01-02 00:00:10\tscreen_lock\n2020-01-02 00:00:20\tbattery_charged_on\n\
        2020-01-02 00:01:00\twifi\n2020-01-02 00:02:00\t4G\n";
    let traces = serde_json::json!({ "4": { "guid": "4", "model": "x", "messages": messages } });
    let (source, target) = (dir.path().join("state_traces.json"), dir.path().join("availability.csv"));
    std::fs::write(&source, traces.to_string()).unwrap();
    let output = straggler(&["import", "flash", &source.to_string_lossy(), "-o", &target.to_string_lossy(), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["clients"], &told["written"][0]["rows"]), (&1.into(), &1.into()));
    assert_eq!(text(&target), "client_id,start_s,end_s\n4,60,120\n");
}

#[test]
fn what_cannot_be_imported_is_exit_2_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("trace"), dir.path().join("out.csv"));
    let marker = dir.path().join("was-run");
    let malicious = format!("cposix\nsystem\n(Vtouch {}\ntR.", marker.display());
    let truncated = std::fs::read(pickle("capacity_4")).unwrap();
    for (bytes, expected) in [
        (malicious.as_bytes(), "the pickle holds the object `posix.system` (byte 0)"),
        (&truncated[..40], "it ends at byte 40, in the middle"),
        (b"", "it ends at byte 0"),
    ] {
        std::fs::write(&source, bytes).unwrap();
        let args = ["import", "fedscale-capacity", &source.to_string_lossy(), "-o", &target.to_string_lossy()];
        let output = straggler(&args);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert!(!target.exists() && !marker.exists());
    }
    let missing = straggler(&["import", "flash", "nowhere.json", "-o", &target.to_string_lossy()]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("cannot read `nowhere.json`: no such file"), "{}", stderr(&missing));
}
