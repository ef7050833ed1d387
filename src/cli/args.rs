//! What can be written on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser};

use super::verb::{Verb, with_exit_codes};
use crate::hub::HubSettings;
use crate::scenario::{Input, Overrides};

/// Simulate federated learning with real parameter-efficient tuning on a simulated clock.
///
/// Without a verb, runs the built-in quickstart.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 110,
    after_help = "\
Examples:
  straggler                                   run the built-in quickstart
  straggler run scenarios/sentiment.yaml      run a scenario
  straggler validate --explain FILE           show what a scenario comes to
  straggler init study.yaml                   write a scenario to start from
  straggler list                              show what is built in
  straggler help run                          say more about one verb"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
}

impl Arguments {
    /// The description of the command line, from which help, completions and manual pages are made.
    pub(super) fn description() -> clap::Command {
        with_exit_codes(Self::command())
    }

    /// Reads a command line, the program's name first.
    pub(super) fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut description = Self::description();
        let mut matches = description.try_get_matches_from_mut(line)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut description))
    }
}

/// Switches that every verb has.
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// No progress on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// More detail on stderr
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
    /// Colours: `auto` means on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: ColorChoice,
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// A scenario and what the command line changes in it.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ScenarioArgs {
    /// A scenario file, a lock file, or `quickstart`
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Change one setting, such as `server.rounds=20`; null removes it
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    pub(super) set: Vec<String>,
    /// Apply a profile of the file
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Vec<String>,
    /// Root of every random stream
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Training threads [default: one per core]
    #[arg(short = 'j', long, value_name = "N")]
    pub(super) workers: Option<usize>,
    /// What trains: cpu or cuda [default: the scenario's `compute.device`]
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<String>,
    /// Simulate time and traffic only; train nothing
    #[arg(long)]
    pub(super) timing_only: bool,
    /// Use models and data sets of the hub from its cache alone, as HF_HUB_OFFLINE=1 does
    #[arg(long)]
    pub(super) offline: bool,
    /// Start from the adapter in this folder: one of a run's `adapters`, or one of PEFT
    #[arg(long, value_name = "DIR")]
    pub(super) init: Option<PathBuf>,
}

impl ScenarioArgs {
    /// Where the scenario is read from. `quickstart` is built in, unless a file of that name is there.
    pub(super) fn input(&self) -> Input {
        if self.file.as_os_str() == "quickstart" && !self.file.exists() {
            return Input::Embedded { name: "quickstart".into(), text: super::QUICKSTART.into() };
        }
        Input::File(self.file.clone())
    }

    /// How the hub is used: as the environment says, but for `--offline`.
    pub(super) fn hub(&self) -> HubSettings {
        let settings = HubSettings::from_env();
        HubSettings { is_offline: settings.is_offline || self.offline, ..settings }
    }

    /// The changes, those with a switch of their own last.
    pub(super) fn overrides(&self) -> Overrides {
        let mut set = self.set.clone();
        set.extend(self.seed.map(|seed| format!("seed={seed}")));
        set.extend(self.workers.map(|n| format!("compute.workers={n}")));
        set.extend(self.device.iter().map(|device| format!("compute.device={device}")));
        // a quoted text, whatever the path is made of
        set.extend(self.init.iter().map(|dir| format!("init={}", serde_json::json!(dir.to_string_lossy()))));
        set.extend(self.timing_only.then(|| "compute.mode=timing_only".to_string()));
        Overrides { profiles: self.profile.clone(), set }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_every_verb_has_an_example_and_exit_codes() {
        Arguments::description().debug_assert();
        for verb in Arguments::description().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("straggler {}", verb.get_name())), "{}", verb.get_name());
            let codes = help.lines().filter(|line| line.starts_with("Exit codes: 0 ok, ")).count();
            assert_eq!(codes, 1, "{}", verb.get_name());
            let saves = ["run", "resume", "sweep"].contains(&verb.get_name());
            assert_eq!(help.contains("130 or 143 interrupted (the state"), saves, "{}", verb.get_name());
        }
    }

    /// What stands between a command and what is said of it, or where its output goes.
    const ENDS: [&str; 4] = ["  ", " > ", " | ", " #"];

    /// The words of a line of the shell; quotes keep words together.
    fn words(line: &str) -> Vec<OsString> {
        let line = ENDS.iter().fold(line.trim(), |line, end| line.split(end).next().unwrap_or_default());
        let (mut words, mut quote) = (vec![String::new()], None);
        for letter in line.chars() {
            match (quote, letter) {
                (Some(open), letter) if letter == open => quote = None,
                (None, '\'' | '"') => quote = Some(letter),
                (None, ' ') => words.push(String::new()),
                (_, letter) => words.last_mut().expect("there is always one").push(letter),
            }
        }
        words.into_iter().map(OsString::from).collect()
    }

    /// Whether a line is a command that this program takes; the error is what it would say.
    fn check(line: &str) -> Result<(), String> {
        match Arguments::read(words(line)) {
            Err(error) if error.use_stderr() => Err(format!("{line}\n{error}")),
            _ => Ok(()),
        }
    }

    #[test]
    fn the_commands_of_the_readme_and_of_the_help_are_ones_that_the_program_takes() {
        let readme = include_str!("../../README.md");
        let blocks = readme.split("```sh\n").skip(1).flat_map(|rest| rest.split("```").next());
        let is_command = |line: &&str| line.starts_with("straggler ") || line.starts_with("target/release/straggler ");
        let mut commands: Vec<String> = blocks.flat_map(str::lines).filter(is_command).map(ToOwned::to_owned).collect();
        assert!(commands.len() >= 6, "{commands:?}");
        let mut described = vec![Arguments::description()];
        while let Some(command) = described.pop() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            commands.extend(help.lines().map(str::trim).filter(is_command).map(ToOwned::to_owned));
            described.extend(command.get_subcommands().cloned());
        }
        assert!(commands.len() >= 40, "{commands:?}");
        let wrong: Vec<String> = commands.iter().filter_map(|line| check(line).err()).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(check("straggler rnu quickstart").is_err() && check("straggler run quickstart --sed 3").is_err());
        // In a sentence placeholders stand for arguments: the verb at least is one.
        let verbs: Vec<String> =
            Arguments::description().get_subcommands().map(|verb| verb.get_name().into()).collect();
        for told in readme.split("`straggler ").skip(1) {
            let verb = told.split([' ', '`']).next().unwrap_or_default();
            assert!(verb == "help" || verbs.iter().any(|known| known == verb), "`straggler {verb}` of the README");
        }
    }

    #[test]
    fn switches_become_settings() {
        let line = "straggler run a.yaml --seed 7 -j 2 --timing-only --set a.b=c";
        let arguments = Arguments::read(line.split(' ').map(OsString::from));
        let Ok(Arguments { verb: Some(Verb::Run(run)), .. }) = arguments else { panic!("is a valid line") };
        let set = run.scenario.overrides().set;
        assert_eq!(set, ["a.b=c", "seed=7", "compute.workers=2", "compute.mode=timing_only"]);
    }
}
