//! Completions, manual pages, help: made from the description of the command line.

use super::{stdout, straggler};

/// Every verb that `--help` lists.
fn verbs() -> Vec<String> {
    let help = stdout(&straggler(&["--help"]));
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap().to_string();
    let names = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_string()).filter(|name| name != "help").collect()
}

#[test]
fn every_verb_has_help_with_an_example_and_a_manual_page() {
    let verbs = verbs();
    assert!(verbs.len() >= 11, "{verbs:?}");
    let folder = tempfile::tempdir().unwrap();
    let output = straggler(&["man", &folder.path().join("man1").display().to_string()]);
    assert_eq!(output.status.code(), Some(0));
    for verb in &verbs {
        let long = stdout(&straggler(&["help", verb]));
        assert_eq!(long, stdout(&straggler(&[verb, "--help"])), "{verb}");
        assert!(long.contains(&format!("straggler {verb}")) && long.contains("Example"), "{verb}:\n{long}");
        let page = std::fs::read_to_string(folder.path().join(format!("man1/straggler-{verb}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains(verb.as_str()), "{verb}:\n{page}");
    }
    let whole = stdout(&straggler(&["man"]));
    assert!(verbs.iter().all(|verb| whole.contains(&verb.replace('-', "\\-"))), "{whole}");
}

#[test]
fn completions_know_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = straggler(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = stdout(&output);
        assert!(verbs().iter().all(|verb| script.contains(verb.as_str())), "{shell}");
    }
    assert_eq!(straggler(&["completions", "tcsh"]).status.code(), Some(2));
}
