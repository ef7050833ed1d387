//! Recorded links and absences, from the files to the timeline.

use std::path::Path;

use straggler::report::{EventKind, Reason, read_timeline};

use super::run;

/// One client, nothing shared, no latency: 100 kB/s, but for the seconds from 1 to 3, in which nothing moves.
const SCENARIO: &str = "\
version: 1
name: traced
model: { name: builtin:tiny-roberta }
tuning: { lora: { r: 8, target_modules: [query, value] } }
clients:
  total: 1
  num_examples: 10
  sequence_length: 32
  num_labels: 20
  devices:
    one: { share: 1, compute: { table: { file: devices.csv, assign: by_id } } }
  networks:
    road: { share: 1, trace: { file: bandwidth.csv, end: hold, assign: by_id }, latency: 0 s }
server: { rounds: 1, clients_per_round: 1 }
compute: { mode: timing_only }
";

fn write(folder: &Path, availability: &str) -> String {
    let files = [
        ("bandwidth.csv", "client_id,time_s,down_kbps,up_kbps\n0,0,800,800\n0,1,0,0\n0,3,800,800\n"),
        ("devices.csv", "client_id,time_per_sample_ms,memory_mib\n0,250,4096\n"),
        ("availability.csv", "client_id,start_s,end_s\n0,0,2\n0,5,100\n"),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let text = SCENARIO.replace("  total: 1\n", &format!("  total: 1\n{availability}"));
    let path = folder.join("traced.yaml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_transfer_follows_its_recorded_link_and_a_device_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = write(folder.path(), "");
    let timeline = read_timeline(&run(&scenario, &folder.path().join("out"), &[]).join("timeline.csv")).unwrap();
    let of = |event| timeline.iter().find(|row| row.record.event == event).unwrap().record;
    let bytes = of(EventKind::DownloadStart).bytes.unwrap().get() as f64;
    assert!((100_000.0..300_000.0).contains(&bytes), "{bytes}");
    // 100 kB in the first second, nothing for two, the rest from 3 s on.
    let expected = 3.0 + (bytes - 100_000.0) / 100_000.0;
    let end = of(EventKind::DownloadEnd).time.as_secs_f64();
    assert!((end - expected).abs() < 2e-6, "{end}, not {expected}");
    // Ten samples of 250 ms.
    let trained = of(EventKind::TrainEnd).duration.unwrap().as_secs_f64();
    assert!((trained - 2.5).abs() < 2e-6, "{trained}");
    let uploaded = of(EventKind::UploadEnd).duration.unwrap().as_secs_f64();
    assert!((uploaded - bytes / 100_000.0).abs() < 2e-6, "{uploaded}");
}

#[test]
fn a_client_leaves_and_comes_back_as_it_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let trace = "  availability: { trace: { file: availability.csv, end: hold } }\n";
    let scenario = write(folder.path(), trace);
    let settings = ["--set", "server.rounds=2"];
    let timeline = read_timeline(&run(&scenario, &folder.path().join("out"), &settings).join("timeline.csv")).unwrap();
    let times = |event| {
        let rows = timeline.iter().filter(move |row| row.record.event == event);
        rows.map(|row| row.record.time.as_secs_f64()).collect::<Vec<_>>()
    };
    assert_eq!(times(EventKind::Dropout), [2.0]);
    assert!(timeline.iter().any(|row| row.record.reason == Some(Reason::Offline)));
    // The second round waits for it.
    assert_eq!(times(EventKind::Selected), [0.0, 5.0]);
}

#[test]
fn a_recording_that_is_too_short_ends_the_run_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = write(folder.path(), "  availability: { trace: { file: availability.csv, end: error } }\n");
    let out = folder.path().join("out");
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_straggler"))
        .args(["run", &scenario, "--out", out.to_str().unwrap(), "--set", "server.rounds=200"])
        .env("STRAGGLER_CACHE", "off")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("clients.availability") && said.contains("end: loop"), "{said}");
}
