//! `straggler compare`: runs and sweeps side by side.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CliError, Console, Exit};
use crate::report::compare::{CompareError, Comparison, Options, Quantity, compare, markdown, text, to_csv, to_json};
use crate::report::write_whole;

/// Arguments of `compare`.
#[derive(Debug, Clone, Args)]
pub(super) struct CompareArgs {
    /// Folders of runs or sweeps, or folders that hold several, such as results/quickstart
    #[arg(value_name = "FOLDER", required = true)]
    folders: Vec<PathBuf>,
    /// The cell that the others are compared with: its name, `setting=value`, or a run's folder
    #[arg(long, value_name = "CELL")]
    baseline: Option<String>,
    /// Look for this value of the metric in the rounds [default: the scenario's `evaluation.target`]
    #[arg(long, value_name = "VALUE")]
    target: Option<f64>,
    /// Confidence of the intervals, between 0 and 1
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    confidence: f64,
    /// Give this quantity a table of its own, such as bytes_up; `all` for each
    #[arg(long, value_name = "NAME")]
    quantity: Vec<String>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write the result to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How a comparison is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Aligned, for a terminal
    Table,
    /// A row for each cell and quantity
    Csv,
    /// Tables for a README
    Markdown,
    /// One object with every value
    Json,
}

/// Compares.
pub(super) fn execute(args: &CompareArgs, console: &Console) -> Result<(), CliError> {
    if !(args.confidence > 0.0 && args.confidence < 1.0) {
        let error = CliError::new(
            Exit::BadInput,
            "out-of-range",
            format!("--confidence {} is not between 0 and 1", args.confidence),
        );
        return Err(error.help("95 % is written 0.95"));
    }
    if args.target.is_some_and(|target| !target.is_finite()) {
        return Err(CliError::new(Exit::BadInput, "out-of-range", "--target must be a number").help("such as 0.9"));
    }
    let asked = asked(&args.quantity)?;
    let options = Options { target: args.target, confidence: args.confidence, baseline: args.baseline.clone() };
    let comparison = compare(&args.folders, &options)?;
    let format = if console.is_json() { Format::Json } else { args.format };
    let written = write(&comparison, asked, format);
    if !matches!(format, Format::Table | Format::Markdown) {
        for out in &comparison.left_out {
            console.note(format_args!("not compared: `{}`: {}", out.folder.display(), out.reason));
        }
    }
    match &args.output {
        Some(path) => {
            write_whole(path, format!("{written}\n").as_bytes()).map_err(CliError::of_place)?;
            console.note(format_args!("written to {}", path.display()));
            Ok(())
        }
        None => console.result(written),
    }
}

/// The comparison in one form, without the last end of line.
fn write(comparison: &Comparison, asked: Asked, format: Format) -> String {
    let details = match asked {
        Asked::Headline => comparison.headline(),
        Asked::All => comparison.quantities.clone(),
        Asked::Named(quantities) => quantities,
    };
    let whole = match format {
        Format::Table => text(comparison, &details),
        Format::Markdown => markdown(comparison, &details),
        Format::Csv => to_csv(comparison),
        Format::Json => to_json(comparison).to_string(),
    };
    whole.trim_end().to_owned()
}

/// Which quantities get a table of their own.
enum Asked {
    Headline,
    All,
    Named(Vec<Quantity>),
}

fn asked(names: &[String]) -> Result<Asked, CliError> {
    if names.is_empty() {
        return Ok(Asked::Headline);
    }
    if names.iter().any(|name| name == "all") {
        return Ok(Asked::All);
    }
    let find = |name: &String| {
        Quantity::of_key(name).ok_or_else(|| {
            let known = Quantity::ALL.map(|quantity| quantity.key().into_owned()).join(", ");
            CliError::new(Exit::BadInput, "unknown-quantity", format!("no quantity is called `{name}`"))
                .help(format!("there is {known}, dropped_REASON such as dropped_offline, and all"))
        })
    };
    names.iter().map(find).collect::<Result<_, _>>().map(Asked::Named)
}

impl From<CompareError> for CliError {
    fn from(error: CompareError) -> Self {
        let help = match &error {
            CompareError::NoFolder(_) => "give the folders of runs, such as results/quickstart/latest",
            CompareError::NoRuns(_) => "give the folder of a run or of a sweep; runs land in results/NAME/TIME-HASH",
            CompareError::NothingLeft(_) => "give runs that came to their end",
            CompareError::UnknownBaseline { .. } | CompareError::AmbiguousBaseline { .. } => {
                "give a cell's name as the table has it"
            }
            CompareError::Index(_) => "run the sweep again with --resume; it writes its index anew",
        };
        CliError::new(Exit::BadInput, "compare", &error).help(help)
    }
}
