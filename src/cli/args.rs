//! What can be written on the command line.

use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};

use super::compare::CompareArgs;
use super::completions::{CompletionsArgs, ManArgs};
use super::export::ExportArgs;
use super::init::InitArgs;
use super::report::ReportArgs;
use super::resume::ResumeArgs;
use super::schema::SchemaArgs;
use super::sweep::SweepArgs;
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
  straggler help run                          say more about one verb

Exit codes: 0 ok, 1 run failed, 2 bad usage or input (nothing ran), 3 environment, 4 an assert is unmet,
130 or 143 interrupted (the state is saved)"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
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

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Simulate a scenario, or repeat a run from its lock file
    #[command(after_help = "\
Examples:
  straggler run scenarios/quickstart.yaml
  straggler run sst2.yaml --set tuning.lora.r=16 --set server.deadline=null --seed 7 -j 4
  straggler run sst2.yaml --dry-run
  straggler run sst2.yaml --init results/sst2/latest/adapters/best
  straggler run results/quickstart/latest/scenario.lock.yaml")]
    Run(RunArgs),
    /// Go on with a run that was interrupted or killed, from its last checkpoint, or branch from one
    #[command(after_help = "\
Examples:
  straggler resume latest
  straggler resume results/sst2/20261121T184500Z-3fa2 -j 4
  straggler resume sst2 --fork --set 'server.network.downlink=10 Mbps'

A run that goes on gives the bytes of one that was never interrupted.")]
    Resume(ResumeArgs),
    /// Check a scenario without running it
    #[command(after_help = "\
Examples:
  straggler validate scenarios/quickstart.yaml
  straggler validate --explain sst2.yaml --profile async")]
    Validate(ValidateArgs),
    /// Write a commented scenario to start from, which runs as it is
    #[command(after_help = "\
Examples:
  straggler init
  straggler init study.yaml
  straggler init timing.yaml --preset timing

The JSON Schema of scenarios is written beside it: editors that know the YAML language server complete and check by it.")]
    Init(InitArgs),
    /// Print the JSON Schema of scenarios, for editors
    #[command(after_help = "\
Examples:
  straggler schema -o scenario.schema.json
  straggler schema | jq .properties.server

A scenario names it in its first line: # yaml-language-server: $schema=./scenario.schema.json")]
    Schema(SchemaArgs),
    /// Count what each tuning method trains, sends and costs on a scenario's model and data
    #[command(after_help = "\
Examples:
  straggler params quickstart
  straggler params sst2.yaml --set tuning.lora.r=16 --json")]
    Params(ParamsArgs),
    /// Run every cell of a scenario's `sweep`, each with several seeds, in parallel
    #[command(after_help = "\
Examples:
  straggler sweep scenarios/study-dropout.yaml --seeds 42..44
  straggler sweep quickstart --set 'sweep.matrix.tuning=[lora, bitfit]' --dry-run
  straggler sweep --resume results/study-dropout/latest

The same seed gives every cell the same world. A cell that fails does not stop the others.")]
    Sweep(SweepArgs),
    /// Compare runs over seeds: mean, SD, intervals, paired differences, what a target cost
    #[command(after_help = "\
Examples:
  straggler compare results/quickstart/latest results/sst2/latest
  straggler compare results/study-dropout/latest --baseline during_train=0
  straggler compare results/quickstart --target 0.8 --format markdown -o table.md

Runs that differ by seed only are one cell. Intervals are Student's t; differences are paired by seed.")]
    Compare(CompareArgs),
    /// Write one page about a run or a sweep: what came out, why each round took so long, what was wasted and why
    #[command(after_help = "\
Examples:
  straggler report quickstart                      the newest run of that scenario, into its folder
  straggler report results/sst2/20261120T190332Z-1a2b -o sst2.html
  straggler report results/study/latest            a sweep: its cells compared, with links to the pages of its runs

The page needs no network and no other file. A run that was killed gets one too, which says so.")]
    Report(ReportArgs),
    /// Write a run in the formats of other tools: Perfetto, Parquet, TensorBoard, PEFT
    #[command(after_help = "\
Examples:
  straggler export quickstart --perfetto               trace.json in the run's folder, for https://ui.perfetto.dev
  straggler export quickstart --parquet -o tables      pandas.read_parquet('tables/timeline.parquet')
  straggler export quickstart --tensorboard -o logs/a  tensorboard --logdir logs; wall time is simulated time
  straggler export sst2 --peft -o adapter              PeftModel.from_pretrained(model, 'adapter')")]
    Export(ExportArgs),
    /// Download what a scenario needs from the Hugging Face hub, for machines without a network
    #[command(after_help = "\
Examples:
  straggler fetch sst2.yaml
  straggler run sst2.yaml --offline

Variables: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, as huggingface_hub has them")]
    Fetch(FetchArgs),
    /// Show what is built in: methods, partitions, models, data sets, metrics
    #[command(after_help = "\
Examples:
  straggler list
  straggler list tuning
  straggler list --json")]
    List(ListArgs),
    /// Print a script that completes this command line in a shell
    #[command(after_help = "\
Examples:
  straggler completions bash > ~/.local/share/bash-completion/completions/straggler
  straggler completions zsh > ~/.zfunc/_straggler
  straggler completions fish > ~/.config/fish/completions/straggler.fish")]
    Completions(CompletionsArgs),
    /// Write manual pages, one for each verb
    #[command(after_help = "\
Examples:
  straggler man ~/.local/share/man/man1
  straggler man | man -l -")]
    Man(ManArgs),
    /// Compare the gradient of every trained tensor with finite differences
    #[command(
        hide = true,
        after_help = "\
Example:
  straggler check-grads quickstart --set tuning=bitfit"
    )]
    CheckGrads(CheckGradsArgs),
    /// Pretrain a built-in encoder anew, on texts or pictures that the program makes
    #[command(after_help = "\
Examples:
  straggler pretrain --out tiny-roberta --seed 1
  straggler pretrain --model tiny-vit --out tiny-vit --seed 1")]
    Pretrain(PretrainArgs),
    /// Turn device and availability traces of other projects into CSV files for scenarios
    #[command(after_help = "\
Examples:
  straggler import fedscale-capacity client_device_capacity -o devices.csv --bandwidth bandwidth.csv
  straggler import fedscale-availability client_behave_trace -o availability.csv --spans spans.csv
  straggler import flash state_traces.json -o availability.csv --spans spans.csv

Pickles are read as data: a file that holds any object is refused, and nothing of it is run.")]
    Import(ImportArgs),
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

/// Arguments of `params`.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ParamsArgs {
    #[command(flatten)]
    pub(super) scenario: ScenarioArgs,
}

/// Arguments of `run`.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) scenario: ScenarioArgs,
    /// Folder for the results, in place of the scenario's `output.dir`
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Say what the run would take in simulated time, trainings, traffic, host time and memory; run nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Arguments of `check-grads`.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckGradsArgs {
    #[command(flatten)]
    pub(super) scenario: ScenarioArgs,
    /// Elements compared in each tensor
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(super) elements: usize,
}

impl RunArgs {
    /// What a bare `straggler` does.
    pub(super) fn quickstart() -> Self {
        let scenario = ScenarioArgs { file: "quickstart".into(), ..ScenarioArgs::default() };
        Self { scenario, ..Self::default() }
    }
}

/// Arguments of `validate`.
#[derive(Debug, Clone, Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    pub(super) scenario: ScenarioArgs,
    /// Show every value with its origin, what the clients get, and what a task costs
    #[arg(long)]
    pub(super) explain: bool,
}

/// Arguments of `fetch`.
#[derive(Debug, Clone, Args)]
pub(super) struct FetchArgs {
    #[command(flatten)]
    pub(super) scenario: ScenarioArgs,
}

/// Arguments of `list`.
#[derive(Debug, Clone, Args)]
pub(super) struct ListArgs {
    /// Only this setting, such as `tuning`
    #[arg(value_name = "SETTING")]
    pub(super) setting: Option<String>,
}

/// Arguments of `import`.
#[derive(Debug, Clone, Args)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    pub(super) source: ImportSource,
}

/// What is imported.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum ImportSource {
    /// FedScale's pickle `client_device_capacity`: latency and bandwidth of each client
    FedscaleCapacity(CapacityImport),
    /// FedScale's pickle `client_behave_trace`: when each client is active
    FedscaleAvailability(AvailabilityImport),
    /// FLASH's `state_traces.json`: phones that are locked, charging and on Wi-Fi
    Flash(AvailabilityImport),
}

/// From where, to where.
#[derive(Debug, Clone, Args)]
pub(super) struct ImportTarget {
    /// The file to read
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The CSV file to write
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// Number the clients from 0 in the order of their ids, for `assign: by_id`
    #[arg(long)]
    pub(super) renumber: bool,
    /// Replace files that exist
    #[arg(long)]
    pub(super) force: bool,
}

/// Arguments of `import fedscale-capacity`.
#[derive(Debug, Clone, Args)]
pub(super) struct CapacityImport {
    #[command(flatten)]
    pub(super) target: ImportTarget,
    /// Also write the clients' bandwidth here
    #[arg(long, value_name = "FILE")]
    pub(super) bandwidth: Option<PathBuf>,
    /// Training takes this many times the latency in the file, which is of inference; FedScale takes 3
    #[arg(long, value_name = "FACTOR", default_value_t = 3.0)]
    pub(super) training_factor: f64,
}

/// Arguments of `import fedscale-availability` and `import flash`.
#[derive(Debug, Clone, Args)]
pub(super) struct AvailabilityImport {
    #[command(flatten)]
    pub(super) target: ImportTarget,
    /// Also write what was recorded of each client here, for the trace's `devices_file`
    #[arg(long, value_name = "FILE")]
    pub(super) spans: Option<PathBuf>,
}

/// Arguments of `pretrain`.
#[derive(Debug, Clone, Args)]
pub(super) struct PretrainArgs {
    /// Which encoder
    #[arg(long, value_enum, default_value = "tiny-roberta")]
    pub(super) model: PretrainModel,
    /// Folder for the files of a Hugging Face model; must not exist
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Root of every random stream
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Sentences of the corpus [tiny-roberta]
    #[arg(long, default_value_t = 40_000)]
    pub(super) sentences: usize,
    /// Passes over the corpus [tiny-roberta]
    #[arg(long, default_value_t = 13)]
    pub(super) epochs: usize,
    /// Pictures, each seen once [tiny-vit]
    #[arg(long, default_value_t = 400_000)]
    pub(super) pictures: usize,
}

/// Encoders that can be pretrained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PretrainModel {
    /// RoBERTa that names masked tokens
    TinyRoberta,
    /// ViT that names attributes of drawn figures
    TinyVit,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed_and_every_verb_has_an_example() {
        Arguments::command().debug_assert();
        for verb in Arguments::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("straggler {}", verb.get_name())), "{}", verb.get_name());
        }
    }

    #[test]
    fn switches_become_settings() {
        let arguments = Arguments::try_parse_from([
            "straggler",
            "run",
            "a.yaml",
            "--seed",
            "7",
            "-j",
            "2",
            "--timing-only",
            "--set",
            "a.b=c",
        ]);
        let Ok(Arguments { verb: Some(Verb::Run(run)), .. }) = arguments else { panic!("is a valid line") };
        let set = run.scenario.overrides().set;
        assert_eq!(set, ["a.b=c", "seed=7", "compute.workers=2", "compute.mode=timing_only"]);
    }
}
