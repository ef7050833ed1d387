//! What a verb can end with.

use std::fmt;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use crate::scenario::Diagnostics;

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The run began and could not be finished.
    RunFailed = 1,
    /// Bad usage or input: nothing ran.
    BadInput = 2,
    /// The machine or the build lacks something: disk, memory, permission, a feature.
    Environment = 3,
    /// The run finished, and an `assert` of the scenario does not hold.
    AssertUnmet = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a verb did not do what it was asked, and the exit code that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    exit: Exit,
    report: Report,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Report {
    Diagnostics(Box<Diagnostics>),
    Message { code: String, message: String, help: Option<String> },
}

impl CliError {
    /// An error shown as `error[code]: message`.
    pub fn new(exit: Exit, code: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { exit, report: Report::Message { code: code.into(), message: message.to_string(), help: None } }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        if let Report::Message { help, .. } = &mut self.report {
            *help = Some(text.into());
        }
        self
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// As shown on a terminal.
    pub(super) fn coloured(&self) -> String {
        match &self.report {
            Report::Diagnostics(diagnostics) => diagnostics.coloured(),
            Report::Message { code, message, help } => {
                let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
                let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
                let bold = Style::new().bold();
                let help = help.as_ref().map_or(String::new(), |text| format!("\n  {cyan}help:{cyan:#} {text}"));
                format!("{red}error[{code}]{red:#}{bold}: {message}{bold:#}{help}")
            }
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.report {
            Report::Diagnostics(diagnostics) => diagnostics.fmt(f),
            Report::Message { code, message, help } => {
                write!(f, "error[{code}]: {message}")?;
                help.as_ref().map_or(Ok(()), |text| write!(f, "\n  help: {text}"))
            }
        }
    }
}

impl std::error::Error for CliError {}

impl From<Diagnostics> for CliError {
    fn from(diagnostics: Diagnostics) -> Self {
        let exit = if diagnostics.lacks_only_features() { Exit::Environment } else { Exit::BadInput };
        Self { exit, report: Report::Diagnostics(Box::new(diagnostics)) }
    }
}
