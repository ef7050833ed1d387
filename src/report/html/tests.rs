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
    let lock = "name: made-up\nlock:\n  straggler: \"0.1.0\"\n  model_hash: abc\nmodel:\n  name: <x>\n";
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
