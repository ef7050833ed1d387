//! Recorded links and absences, from the files to the timeline.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use straggler::report::{EventKind, Reason, read_clients, read_timeline};

use super::{run, straggler, text};

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

/// Both recordings count their seconds from the same instant; the run starts 100 s after it.
#[test]
fn links_and_availability_are_lined_up_by_their_starts() {
    let folder = tempfile::tempdir().unwrap();
    let shifted = folder.path().join("shifted");
    std::fs::create_dir(&shifted).unwrap();
    let trace = "  availability: { trace: { file: availability.csv, end: hold } }\n";
    let plain = write(folder.path(), trace);
    let scenario = write(&shifted, &trace.replace("end: hold", "end: hold, start: 100 s"));
    let text = std::fs::read_to_string(&scenario).unwrap();
    std::fs::write(&scenario, text.replace("assign: by_id }, latency", "assign: by_id, start: 100 s }, latency"))
        .unwrap();
    // The link was recorded from 97 s on.
    let links = "client_id,time_s,down_kbps,up_kbps\n0,97,5,5\n0,100,800,800\n0,101,0,0\n0,103,800,800\n";
    std::fs::write(shifted.join("bandwidth.csv"), links).unwrap();
    std::fs::write(shifted.join("availability.csv"), "client_id,start_s,end_s\n0,100,102\n0,105,200\n").unwrap();
    let timeline = |scenario: &str, out: &str| {
        std::fs::read_to_string(
            run(scenario, &folder.path().join(out), &["--set", "server.rounds=2"]).join("timeline.csv"),
        )
    };
    let expected = timeline(&plain, "plain").unwrap();
    assert!(expected.contains("dropout"));
    assert_eq!(timeline(&scenario, "out").unwrap(), expected);
}

#[test]
fn recordings_that_were_altered_since_are_refused_by_the_lock_and_by_resume() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = write(folder.path(), "  availability: { trace: { file: availability.csv, end: hold } }\n");
    let out = folder.path().join("out");
    let done = run(&scenario, &out, &["--set", "output.checkpoint_every=1", "--set", "server.rounds=2"]);
    let lock = done.join("scenario.lock.yaml");
    let lock = lock.to_str().unwrap();
    let replay = |more: &[&str]| {
        straggler(&[&["run", lock, "--quiet", "--out", folder.path().join("again").to_str().unwrap()], more].concat())
    };
    assert!(replay(&[]).status.success());
    for name in ["bandwidth.csv", "devices.csv", "availability.csv"] {
        let path = folder.path().join(name);
        let before = std::fs::read_to_string(&path).unwrap();
        // A rate, a time, an end: each with one more digit.
        std::fs::write(
            &path,
            before.replace(",800\n", ",8001\n").replace(",250,", ",2501,").replace(",100\n", ",1001\n"),
        )
        .unwrap();
        let resumed = ["resume", done.to_str().unwrap(), "--fork", "--quiet", "--out", out.to_str().unwrap()];
        for refused in [replay(&[]), straggler(&resumed)] {
            let told = text(&refused.stderr);
            assert_eq!(refused.status.code(), Some(2), "{name}: {told}");
            assert!(told.contains("was written for another recording (`clients."), "{told}");
            assert!(told.contains(&format!("/{name}`)")), "{told}");
        }
        std::fs::write(&path, before).unwrap();
    }
    // Another file is another setting, which is not locked.
    let other = folder.path().join("other.csv");
    std::fs::write(&other, "client_id,time_s,down_kbps,up_kbps\n0,0,900,900\n").unwrap();
    let set = format!("clients.networks.road.trace.file={}", other.display());
    let freed = replay(&["--set", &set]);
    assert!(freed.status.success(), "{}", text(&freed.stderr));
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
    assert!(said.contains("availability.csv:3: ") && said.contains("end: loop"), "{said}");
    // And the line of the setting.
    assert!(said.contains("traced.yaml:7:3"), "{said}");
}

/// The data folder, for tests that are asked for by name.
fn data() -> PathBuf {
    std::env::var_os("STRAGGLER_DATA_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from)
}

/// The rows of a plain CSV file or one that is compressed, behind the header.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let bytes = std::fs::read(path).expect("the file is in the data folder");
    let mut text = String::new();
    match path.extension().is_some_and(|extension| extension == "gz") {
        true => flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).map(|_| ()).unwrap(),
        false => text = String::from_utf8(bytes).unwrap(),
    }
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// 481 recorded phones, each followed by the client of its number: whoever is asked is in one of its windows then, whoever
/// leaves at work leaves at the end of one, and phones that were never ready, or not recorded, are never asked.
#[test]
#[ignore = "needs traces that are not in the repository; set STRAGGLER_DATA_DIR or put them into ../shared/data"]
fn clients_follow_the_recorded_phones_of_their_numbers() {
    let traces = data().join("traces");
    let (windows, devices) = (traces.join("availability_windows.csv.gz"), traces.join("availability_devices.csv"));
    let number = |field: &String| field.parse::<f64>().unwrap();
    let mut spans: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    let listed = rows(&devices);
    for row in listed.iter().filter(|row| !row[2].is_empty()) {
        spans.insert(row[0].parse().unwrap(), (number(&row[2]), number(&row[3])));
    }
    // As the traces' own README has it.
    assert_eq!((listed.len(), spans.len()), (481, 340));
    let mut online: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows(&windows) {
        online.entry(row[0].parse().unwrap()).or_default().push((number(&row[1]), number(&row[2])));
    }
    let folder = tempfile::tempdir().unwrap();
    let (windows, devices) = (windows.canonicalize().unwrap(), devices.canonicalize().unwrap());
    let trace = format!(
        "clients.availability={{trace: {{file: {}, devices_file: {}, assign: by_id, end: loop}}}}",
        windows.display(),
        devices.display()
    );
    let settings = ["--set", &trace, "--set", "server.rounds=60", "--timing-only"];
    let results = run("scenarios/study-phones.yaml", folder.path(), &settings);
    // Where in its span a phone is at a time of the run; the span repeats.
    let within = |client: u32, time: f64| {
        let (start, end) = spans[&client];
        start + (time - start).rem_euclid(end - start)
    };
    let (mut n_asked, mut n_left) = (0, 0);
    for row in read_timeline(&results.join("timeline.csv")).unwrap() {
        let (record, time) = (row.record, row.record.time.as_secs_f64());
        match (record.client_id, record.event, record.reason) {
            (Some(client), EventKind::Selected, _) => {
                let at = within(client, time);
                let is_online = online[&client].iter().any(|(from, to)| *from - 1e-5 <= at && at < *to + 1e-5);
                assert!(is_online, "client {client} was asked at {time} s, {at} s of its recording");
                n_asked += 1;
            }
            (Some(client), EventKind::Dropout, Some(Reason::Offline)) => {
                let at = within(client, time);
                let is_end = online[&client].iter().any(|(_, to)| (at - to).abs() < 1e-5);
                assert!(is_end, "client {client} left at {time} s, {at} s of its recording");
                n_left += 1;
            }
            _ => {}
        }
    }
    assert!(n_asked > 1000 && n_left > 5, "{n_asked} asked, {n_left} left at work");
    // Nobody is online without a window; of those with one, many are within these hours.
    let mut n_online = 0;
    for client in read_clients(&results.join("clients.csv")).unwrap() {
        let share = client.availability.expect("recordings are quickly summed up");
        assert!(share == 0.0 || online.contains_key(&client.client_id), "client {}", client.client_id);
        n_online += usize::from(share > 0.0);
    }
    assert!((50..=340).contains(&n_online), "{n_online} were online");
}

/// Cellular links: nothing moves faster than was ever recorded, and downloads take as long as the recorded rates say on
/// average: some drives have four times the rate of others.
#[test]
#[ignore = "needs traces that are not in the repository; set STRAGGLER_DATA_DIR or put them into ../shared/data"]
fn transfers_follow_recorded_cellular_links() {
    let file = data().join("traces/cellular_series.csv.gz").canonicalize().unwrap();
    // Of each series: rows, the sums of the rates, the highest rates; kbps.
    let mut series: BTreeMap<String, (f64, [f64; 2], [f64; 2])> = BTreeMap::new();
    for row in rows(&file) {
        let (n, sums, highest) = series.entry(row[0].clone()).or_default();
        *n += 1.0;
        for direction in [0, 1] {
            let rate: f64 = row[2 + direction].parse().unwrap();
            sums[direction] += rate;
            highest[direction] = rate.max(highest[direction]);
        }
    }
    let highest = [0, 1].map(|direction| series.values().map(|of| of.2[direction]).fold(0.0, f64::max));
    let mean_down = series.values().map(|(n, sums, _)| sums[0] / n).sum::<f64>() / series.len() as f64;
    let folder = tempfile::tempdir().unwrap();
    let links = format!(
        "clients.networks={{road: {{share: 1, trace: {{file: {}, assign: random, end: loop}}, latency: 0 s}}}}",
        file.display()
    );
    let settings = [
        "--set",
        &links,
        "--set",
        "clients.availability=always",
        "--set",
        "clients.crashes=null",
        "--set",
        "server={rounds: 20, clients_per_round: 50}",
    ];
    let results = run("scenarios/study-phones.yaml", folder.path(), &settings);
    let mut rates: [Vec<f64>; 2] = Default::default();
    for row in read_timeline(&results.join("timeline.csv")).unwrap() {
        let direction = match row.record.event {
            EventKind::DownloadEnd => 0,
            EventKind::UploadEnd => 1,
            _ => continue,
        };
        let (bytes, seconds) = (row.record.bytes.unwrap().get() as f64, row.record.duration.unwrap().as_secs_f64());
        rates[direction].push(bytes * 8.0 / seconds / 1e3);
    }
    for direction in [0, 1] {
        let fastest = rates[direction].iter().copied().fold(0.0, f64::max);
        let slowest = rates[direction].iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(rates[direction].len(), 1000);
        assert!(fastest <= highest[direction] * (1.0 + 1e-5), "{fastest} of {highest:?}");
        assert!(slowest < fastest / 3.0, "{slowest} to {fastest}");
    }
    let mean = rates[0].iter().sum::<f64>() / rates[0].len() as f64;
    assert!((0.7..1.3).contains(&(mean / mean_down)), "{mean} against {mean_down}");
}
