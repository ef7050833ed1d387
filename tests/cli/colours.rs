//! Colours: on a terminal, and where somebody asks for them.

use std::process::Command;

const WRONG: [&str; 3] = ["validate", "quickstart", "--set"];

/// stderr of a wrong scenario, off a terminal, with these variables and switches.
fn stderr_of(variables: &[(&str, &str)], switches: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
    command.args(WRONG).arg("server.ruonds=3").args(switches);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_full_output_with_and_without_colours() {
    let plain = "\
error[unknown-key]: unknown field `ruonds` in `server`
  --> --set server.ruonds=3
   | server.ruonds=3
   |        ^^^^^^ did you mean `rounds`?
";
    let coloured = "\
\u{1b}[1m\u{1b}[31merror[unknown-key]\u{1b}[0m\u{1b}[1m: unknown field `ruonds` in `server`\u{1b}[0m
  \u{1b}[34m-->\u{1b}[0m --set server.ruonds=3
   \u{1b}[34m|\u{1b}[0m server.ruonds=3
   \u{1b}[34m|\u{1b}[0m        \u{1b}[1m\u{1b}[31m^^^^^^\u{1b}[0m did you mean `rounds`?
";
    assert_eq!(stderr_of(&[], &[]), plain);
    assert_eq!(stderr_of(&[("NO_COLOR", "1")], &[]), plain);
    assert_eq!(stderr_of(&[("CLICOLOR_FORCE", "1")], &["--color", "never"]), plain);
    assert_eq!(stderr_of(&[], &["--color", "always"]), coloured);
    assert_eq!(stderr_of(&[("NO_COLOR", "1")], &["--color", "always"]), coloured);
    assert_eq!(stderr_of(&[("CLICOLOR_FORCE", "1")], &[]), coloured);
}
