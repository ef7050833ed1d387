//! What a verb can end with.

use std::fmt;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use crate::actors::house::HouseError;
use crate::actors::setup::SetupError;
use crate::actors::world::WorldError;
use crate::hub::HubError;
use crate::model::ModelError;
use crate::petuning::TuningError;
use crate::report::ReportError;
use crate::scenario::{Diagnostics, Scenario};
use crate::sim::SimError;
use crate::training::TrainingError;

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
    /// Ctrl-C. The state of the run is saved; with a second one, what was saved before is there.
    Interrupted = 130,
    /// SIGTERM. The state of the run is saved; with a second one, what was saved before is there.
    Terminated = 143,
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

    /// The same message with file and line of the setting at `path`. The exit code stays.
    pub(super) fn at(self, scenario: &Scenario, code: &'static str, path: &str) -> Self {
        match self.report {
            Report::Message { message, help, .. } => {
                let report = Report::Diagnostics(Box::new(scenario.problem(code, path, message, help)));
                Self { exit: self.exit, report }
            }
            Report::Diagnostics(_) => self,
        }
    }

    /// Why nothing could be written where the user asked for it: a path that leads nowhere is bad input, a full disk or a lack of
    /// permission is the machine's.
    pub(super) fn of_place(error: ReportError) -> Self {
        use std::io::ErrorKind;
        match &error {
            ReportError::Write { source, .. } => {
                let is_wrong_path = matches!(
                    source.kind(),
                    ErrorKind::NotFound
                        | ErrorKind::NotADirectory
                        | ErrorKind::IsADirectory
                        | ErrorKind::AlreadyExists
                        | ErrorKind::InvalidInput
                        | ErrorKind::InvalidFilename
                );
                let exit = if is_wrong_path { Exit::BadInput } else { Exit::Environment };
                CliError::new(exit, "results", &error)
            }
            _ => error.into(),
        }
    }

    /// Why a run could not go on, with file and line of the setting that decides about it, where one does.
    pub(super) fn of_run(error: WorldError, scenario: &Scenario) -> Self {
        let setting = match &error {
            WorldError::House(HouseError::Server(error)) => error.setting(),
            WorldError::EndOfTrace { .. } => Some("clients.availability"),
            WorldError::StandStill { n_tasks, .. } if *n_tasks > 0 => Some("clients.networks"),
            WorldError::Sim(SimError::NoDuration { .. }) => Some("clients.devices"),
            _ => None,
        };
        let setting = setting.map(str::to_owned);
        let remedy = match &error {
            WorldError::Sim(SimError::NoDuration { .. }) => {
                Some("give its class of `clients.devices` another speed, or its client other work in `clients.train`")
            }
            _ => None,
        };
        let error = Self::from(error);
        let error = match remedy {
            Some(remedy) => error.help(remedy),
            None => error,
        };
        match setting {
            Some(path) => error.at(scenario, "run", &path),
            None => error,
        }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What is wrong, without code and remedy; of several problems the first.
    pub(super) fn message(&self) -> String {
        match &self.report {
            Report::Diagnostics(diagnostics) => {
                diagnostics.list().first().map_or_else(String::new, |first| first.message().to_owned())
            }
            Report::Message { message, .. } => message.clone(),
        }
    }

    /// True when a signal stopped the run, which can be gone on with.
    pub(super) fn is_interruption(&self) -> bool {
        self.exit as u8 >= 128
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

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> Self {
        match &error {
            SetupError::Memory { .. } => CliError::new(Exit::Environment, "memory", &error)
                .help("lower compute.workers or clients.train.per_device_train_batch_size"),
            SetupError::Lock { .. } => CliError::new(Exit::BadInput, "lock", &error)
                .help("remove that line of its `lock` section to run it all the same, with other results"),
            SetupError::Model(ModelError::Tensor { .. } | ModelError::Device { .. }) => {
                CliError::new(Exit::Environment, "model", &error)
            }
            SetupError::Model(_) => CliError::new(Exit::BadInput, "model", &error),
            SetupError::Data(_) | SetupError::ImagesForTexts { .. } | SetupError::TextsForImages { .. } => {
                CliError::new(Exit::BadInput, "dataset", &error)
            }
            SetupError::Hub { error, .. } => hub_error(error),
            SetupError::Recording { .. } => CliError::new(Exit::Environment, "recording", &error),
            SetupError::Sim(_) => CliError::new(Exit::BadInput, "bad-trace", &error),
            SetupError::Rate { .. } => CliError::new(Exit::BadInput, "out-of-range", &error)
                .help("write what the link carries, such as `20 Mbps`"),
            SetupError::Metric { .. } => CliError::new(Exit::BadInput, "metric", &error),
            SetupError::Partition(_) => CliError::new(Exit::BadInput, "partition", &error),
            SetupError::Shape(problems) => CliError::from((**problems).clone()),
            SetupError::Tuning(tuning) | SetupError::Training(TrainingError::Tuning(tuning)) => tuning_error(tuning),
            SetupError::Init(tuning) => CliError::new(exit_of(tuning), "init", &error),
            SetupError::Training(_) => CliError::new(Exit::BadInput, "training", &error),
            SetupError::Codec(_) => CliError::new(Exit::RunFailed, "codec", &error),
        }
    }
}

fn tuning_error(error: &TuningError) -> CliError {
    match error {
        TuningError::Unfit(problem) => {
            let found = CliError::new(Exit::BadInput, "tuning", format!("`{}`: {}", problem.path, problem.message));
            problem.help.iter().fold(found, |found, help| found.help(help))
        }
        _ => CliError::new(exit_of(error), "tuning", error),
    }
}

/// Whether the scenario or the machine is at fault.
fn exit_of(error: &TuningError) -> Exit {
    match error {
        TuningError::Tensor(_) | TuningError::Model(ModelError::Tensor { .. } | ModelError::Device { .. }) => {
            Exit::Environment
        }
        _ => Exit::BadInput,
    }
}

fn hub_error(error: &HubError) -> CliError {
    let exit = if error.is_environment() { Exit::Environment } else { Exit::BadInput };
    CliError::new(exit, "hub", error)
}

/// What to do about a checkpoint that cannot be gone on from.
pub(super) const OTHER_CHECKPOINT: &str = "go on from an earlier state with --checkpoint NAME, if `checkpoints` holds one, or run it again from its lock file";

impl From<ReportError> for CliError {
    fn from(error: ReportError) -> Self {
        match &error {
            ReportError::UnderWay { .. } => CliError::new(Exit::BadInput, "under-way", &error)
                .help("wait for it, or stop it first with Ctrl-C where it runs"),
            ReportError::Altered { .. } | ReportError::Checkpoint { .. } => {
                CliError::new(Exit::BadInput, "checkpoint", &error).help(OTHER_CHECKPOINT)
            }
            ReportError::Name { .. } => CliError::new(Exit::BadInput, "results", &error),
            ReportError::Write { .. } | ReportError::Read { .. } | ReportError::Malformed { .. } => {
                CliError::new(Exit::Environment, "results", &error)
            }
        }
    }
}

impl From<WorldError> for CliError {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::Observer(error) => error.into(),
            error @ WorldError::Snapshot { .. } => CliError::new(Exit::BadInput, "checkpoint", error),
            other => CliError::new(Exit::RunFailed, "run", other),
        }
    }
}
