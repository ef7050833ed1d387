//! What the user asked to see, and where it goes.

use std::fmt::Display;
use std::io::Write;

use super::args::Global;
use super::error::{CliError, Exit};
use crate::scenario::{Diagnostics, Scenario};

/// How much is shown, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Console {
    quiet: bool,
    verbose: bool,
    json: bool,
}

impl Console {
    /// Takes the switches over; `--color` holds for the whole process.
    pub(super) fn new(global: &Global) -> Self {
        let choice = match global.color {
            clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
            clap::ColorChoice::Always => anstream::ColorChoice::Always,
            clap::ColorChoice::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        Self { quiet: global.quiet, verbose: global.verbose, json: global.json }
    }

    /// The same, without progress and notes.
    #[must_use]
    pub fn silent(self) -> Self {
        Self { quiet: true, verbose: false, ..self }
    }

    /// True when progress and notes are not wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// True when more detail is wanted.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// True when the result is to be one JSON object.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written to. A reader that has gone away, such as `head`, is no error.
    pub fn result(&self, text: impl Display) -> Result<(), CliError> {
        let mut out = anstream::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(CliError::new(Exit::Environment, "stdout", format!("cannot write the result: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Prints a note to stderr, unless told to be quiet.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            // nobody can be told that stderr is closed
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// Prints what is right in a scenario and probably not meant to stderr, unless told to be quiet.
    pub(super) fn warnings(&self, scenario: &Scenario) {
        self.warn(&scenario.warnings());
    }

    /// Prints to stderr that the scenario's `sweep`, if it has one, is left aside, unless told to be quiet.
    pub(super) fn left_out_sweep(&self, scenario: &Scenario) {
        self.warn(&scenario.left_out_sweep());
    }

    /// Prints what is right and probably not meant to stderr, unless told to be quiet.
    pub(super) fn warn(&self, warnings: &Diagnostics) {
        if !warnings.list().is_empty() {
            self.note(warnings.coloured());
        }
    }

    /// Prints an error to stderr.
    pub(super) fn error(&self, error: &CliError) {
        let _ = writeln!(anstream::stderr(), "{}", error.coloured());
    }
}
