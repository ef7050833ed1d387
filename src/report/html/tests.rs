use super::*;
use crate::report::fixture::run;
use crate::report::{ResultsWriter, RoundRow};

/// The folder of the made-up run, without a summary.
fn folder(change: impl Fn(&RoundRow) -> RoundRow) -> (tempfile::TempDir, PathBuf) {
    let out = tempfile::tempdir().unwrap();
    let mut writer = ResultsWriter::create(out.path(), "demo", "abcd", "accuracy").unwrap();
    let run = run();
    run.timeline.iter().for_each(|row| writer.record(&row.record).unwrap());
    run.rounds.iter().for_each(|row| writer.round(&change(row)).unwrap());
    run.clients.iter().for_each(|row| writer.client(row).unwrap());
    writer.flush().unwrap();
    let directory = writer.directory().to_owned();
    (out, directory)
}

fn page(directory: &Path) -> String {
    std::fs::read_to_string(write(directory).unwrap()).unwrap()
}

/// Elements that are opened are closed, in order; void elements and what scripts and styles hold aside.
fn check_nesting(html: &str) {
    let body = html.split("</style>").nth(1).unwrap().split("<script>").next().unwrap();
    let mut open: Vec<&str> = Vec::new();
    for tag in body.split('<').skip(1) {
        let inner = tag.split('>').next().unwrap();
        let name = inner.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap();
        if inner.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
        } else if !inner.ends_with('/') && !["input", "meta", "link"].contains(&name) {
            open.push(name);
        }
    }
    // The head is cut in two by the styles.
    assert!(open.iter().all(|name| ["html", "body"].contains(name)), "{open:?}");
}

#[test]
fn the_page_is_self_contained_and_the_same_each_time() {
    let (_out, directory) = folder(RoundRow::clone);
    let summary = run().summary;
    std::fs::write(directory.join("summary.json"), summary.to_json()).unwrap();
    let lock = "name: made-up\nlock:\n  straggler: \"0.1.0\"\n  model_hash: abc\nmodel:\n  name: <x>\ncompute:\n  workers: 7\n  device: cpu\n";
    std::fs::write(directory.join("scenario.lock.yaml"), lock).unwrap();
    let html = page(&directory);
    assert_eq!(html, page(&directory));
    check_nesting(&html.replace("</head>", "").replace("<head>", ""));
    // The only addresses are the names of namespaces.
    assert_eq!(
        html.matches("http").count(),
        html.matches("http://www.w3.org/2000/svg").count() + html.matches("http-equiv").count()
    );
    for wanted in [
        "<html lang=\"en\">",
        "prefers-color-scheme:dark",
        "@media print",
        "made-up<span class=\"badge\">completed</span>",
        "accuracy, test",
        "not reached",
        "Where the time went",
        "Critical paths, longest round first: all 8 rounds",
        "What the clients did in round",
        "model hash",
        "name: &lt;x&gt;",
        "phone, high",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    assert!(!html.contains("NaN") && !html.contains("class=\"notice\""));
    assert!(html.contains("device: cpu") && !html.contains("workers: 7"));
    // Ids are unique, and each reference has its target.
    let ids: Vec<_> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
    for reference in html.split("url(#").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(unique.contains(&reference), "{reference}");
    }
}

#[test]
fn a_run_that_was_killed_gets_a_page_that_says_so() {
    let (_out, directory) = folder(RoundRow::clone);
    for name in ["timeline.csv", "rounds.csv"] {
        let path = directory.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 9]).unwrap();
    }
    std::fs::write(directory.join("clients.csv"), "").unwrap();
    let html = page(&directory);
    check_nesting(&html.replace("</head>", "").replace("<head>", ""));
    assert!(html.contains("did not finish") && html.contains("the 7 rounds that had been written"));
    assert!(html.contains("<code>scenario.lock.yaml</code>, <code>clients.csv</code>"), "{html}");

    // Killed before the first rows reached the disk.
    for name in ["timeline.csv", "rounds.csv"] {
        std::fs::write(directory.join(name), "").unwrap();
    }
    assert!(page(&directory).contains("the 0 rounds that had been written"));
}

#[test]
fn a_run_that_trained_nothing_says_so() {
    let bare = |row: &RoundRow| RoundRow { train_loss: None, eval_loss: None, eval_metric: None, ..row.clone() };
    let (_out, directory) = folder(bare);
    assert!(page(&directory).contains("there is no metric to show"));
}

#[test]
fn what_is_no_folder_of_a_run_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let message = write(directory.path()).unwrap_err().to_string();
    assert!(message.contains("rounds.csv`: no such file"), "{message}");
    std::fs::write(directory.path().join("rounds.csv"), "round,eval_accuracy\n1,0.5\n").unwrap();
    let message = write(directory.path()).unwrap_err().to_string();
    assert!(message.contains("rounds.csv:1: the columns are `round`, not `round,model_version"), "{message}");
}

#[test]
fn a_sweep_gets_a_page_that_compares_its_cells() {
    use crate::report::compare::{CellStatus, IndexRow, SweepIndex, run_folder};
    let out = tempfile::tempdir().unwrap();
    let directory = out.path().join("study").join("20260101T000000Z-abcd");
    let summary = run().summary;
    let (_out, run_directory) = folder(RoundRow::clone);
    let rounds = run_directory.join("rounds.csv");
    let mut rows = Vec::new();
    for (cell, r, seed) in [("r=2", "2", 1), ("r=2", "2", 2), ("r=8", "8", 1), ("r=8", "8", 2)] {
        let place = directory.join(run_folder(cell, seed));
        std::fs::create_dir_all(&place).unwrap();
        let summary = crate::report::Summary { seed, ..summary.clone() };
        std::fs::write(place.join("summary.json"), summary.to_json()).unwrap();
        let lock = format!("name: study\nseed: {seed}\ntuning:\n  lora:\n    r: {r}\n");
        std::fs::write(place.join("scenario.lock.yaml"), lock).unwrap();
        std::fs::copy(&rounds, place.join("rounds.csv")).unwrap();
        std::fs::write(place.join("report.html"), "").unwrap();
        let ended = (CellStatus::Ok, 0, "");
        rows.push(IndexRow::new((cell, seed), vec![r.into()], ended, Some(&summary)));
    }
    let failed = (CellStatus::Failed, 3, "memory: too little, <1 GiB");
    rows.push(IndexRow::new(("r=64", 1), vec!["64".into()], failed, None));
    SweepIndex { settings: vec!["tuning.lora.r".into()], rows }.write(&directory).unwrap();
    std::fs::write(directory.join("sweep.lock.yaml"), "version: 1\n").unwrap();
    let file = directory.join("report.html");
    assert!(is_sweep(&directory));
    write_sweep(&directory, &file).unwrap();
    let html = std::fs::read_to_string(&file).unwrap();
    check_nesting(&html.replace("</head>", "").replace("<head>", ""));
    for wanted in [
        "study<span class=\"badge warn\">some runs failed</span>",
        "Mean ± SD over seeds, metric: accuracy",
        "<a href=\"cells/r=2/seed-1/report.html\">r=2</a>",
        "memory: too little, &lt;1 GiB",
        "0.8000 ± 0.0000",
        "<tr><td>r=64</td>",
        "aria-label=\"Accuracy over simulated time\"",
        "aria-label=\"Accuracy over traffic\"",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    // Three cells with two seeds are six runs, of which five have ended.
    std::fs::write(
        directory.join("sweep.lock.yaml"),
        "# a\nsha256: 0\nseeds: [1, 2]\ncells: [{name: a}, {name: b}, {name: c}]\n",
    )
    .unwrap();
    write_sweep(&directory, &file).unwrap();
    let unfinished = std::fs::read_to_string(&file).unwrap();
    assert!(unfinished.contains("<span class=\"badge warn\">unfinished: 5 of 6 runs, some runs failed</span>"));
    assert!(unfinished.contains("is unfinished: 5 of 6 runs</p>"), "the comparison says so too");
    // A curve for each of two cells, within a band over its two seeds.
    let curves = html.split("aria-label=\"Accuracy over rounds\"").nth(1).unwrap().split("</svg>").next().unwrap();
    assert_eq!((curves.matches("<polygon").count(), curves.matches("data-series").count()), (2, 2));
    // From elsewhere its links lead back.
    let elsewhere = write_sweep(&directory, &out.path().join("pages/new/study.html")).unwrap();
    let html = std::fs::read_to_string(elsewhere).unwrap();
    let link = "<a href=\"../../study/20260101T000000Z-abcd/cells/r=2/seed-1/report.html\">r=2</a>";
    assert!(html.contains(link), "{html}");
    // The test value of two cells, with two runs each.
    let forest = html.split("aria-label=\"test\"").nth(1).unwrap().split("</svg>").next().unwrap();
    assert_eq!(forest.matches("<path d=").count(), 6);
}

/// Run it with `cargo test --release -- --ignored million`: the bounds are those of a release build.
#[test]
#[ignore = "takes seconds: a timeline of a million rows"]
fn a_million_rows_become_a_page_in_seconds() {
    use crate::report::{EventKind, Record, Stopwatch};
    use crate::units::{Bytes, SimDuration, SimTime};
    let out = tempfile::tempdir().unwrap();
    let mut writer = ResultsWriter::create(out.path(), "demo", "abcd", "accuracy").unwrap();
    let (n_rounds, per_round) = (1000u32, 125u32);
    let template = run().rounds.remove(0);
    let (mut start, mut task, mut n_rows) = (SimTime::ZERO, 0u64, 0);
    for round in 1..=n_rounds {
        // Eight rows a task; the first of the round's tasks takes longest, so that all others end before.
        let mut records = vec![Record::new(start, EventKind::RoundStart).round(round)];
        for slot in 0..per_round {
            task += 1;
            let at = |millis: u32| start + SimDuration::from_nanos(u64::from(millis) * 1_000_000);
            let row =
                |millis, event| Record::new(at(millis), event).client(slot * 7 + round % 7).round(round).task(task);
            let [down, train, up] = [50 + slot, 2000 - slot, 3000 - 10 * slot];
            let bytes = Bytes::new(1000);
            records.extend([
                row(0, EventKind::Selected),
                row(0, EventKind::DownloadStart).bytes(bytes),
                row(down, EventKind::DownloadEnd).bytes(bytes),
                row(down, EventKind::TrainStart),
                row(train, EventKind::TrainEnd),
                row(train, EventKind::UploadStart).bytes(bytes),
                row(up, EventKind::UploadEnd).bytes(bytes),
                row(up, EventKind::Accepted).staleness(0),
            ]);
        }
        records.sort_by_key(|record| record.time);
        let end = records.last().unwrap().time;
        records.push(Record::new(end, EventKind::RoundEnd).round(round));
        n_rows += records.len();
        records.iter().for_each(|record| writer.record(record).unwrap());
        writer.round(&RoundRow { round, sim_start: start, sim_end: end, ..template.clone() }).unwrap();
        start = end;
    }
    writer.flush().unwrap();
    assert!(n_rows > 1_000_000);
    let watch = Stopwatch::start();
    let page = write(writer.directory()).unwrap();
    let seconds = watch.seconds();
    let length = page.metadata().unwrap().len();
    println!("{n_rows} rows: {seconds:.2} s, {length} bytes");
    assert!(seconds < 5.0, "{seconds} s");
    assert!(length < 3_000_000, "{length} bytes");
}
