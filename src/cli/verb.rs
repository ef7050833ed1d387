//! The verbs, with their examples and exit codes.

use clap::{Command, Subcommand};

use super::check_grads::CheckGradsArgs;
use super::compare::CompareArgs;
use super::completions::{CompletionsArgs, ManArgs};
use super::export::ExportArgs;
use super::fetch::FetchArgs;
use super::import::ImportArgs;
use super::init::InitArgs;
use super::list::ListArgs;
use super::params::ParamsArgs;
use super::pretrain::PretrainArgs;
use super::report::ReportArgs;
use super::resume::ResumeArgs;
use super::run::RunArgs;
use super::schema::SchemaArgs;
use super::sweep::SweepArgs;
use super::validate::ValidateArgs;

/// What verbs that simulate end with.
const EXIT_CODES_OF_RUNS: &str = "\
Exit codes: 0 ok, 1 run failed, 2 bad usage or input (nothing ran), 3 environment, 4 an assert is unmet, \
130 or 143 interrupted (the state of a run under way is saved, unless a second signal stops it at once)";

/// What verbs that compute something end with.
const EXIT_CODES_OF_COMPUTING: &str = "Exit codes: 0 ok, 1 failed, 2 bad usage or input (nothing ran), 3 environment";

/// What the others end with.
const EXIT_CODES: &str = "Exit codes: 0 ok, 2 bad usage or input, 3 environment";

/// Adds its exit codes to the help of the program and of every verb.
pub(super) fn with_exit_codes(program: Command) -> Command {
    let add = |command: Command, codes: &str| match command.get_after_help().map(ToString::to_string) {
        Some(help) => command.after_help(format!("{help}\n\n{codes}")),
        None => command.after_help(codes.to_owned()),
    };
    add(program, EXIT_CODES_OF_RUNS).mut_subcommands(|verb| {
        let codes = match verb.get_name() {
            "run" | "resume" | "sweep" => EXIT_CODES_OF_RUNS,
            "check-grads" | "pretrain" => EXIT_CODES_OF_COMPUTING,
            _ => EXIT_CODES,
        };
        add(verb, codes)
    })
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
