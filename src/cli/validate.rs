//! `straggler validate`: checks a scenario, and on request explains what it comes to.

use clap::Args;
use serde_json::{Value, json};

use super::args::ScenarioArgs;
use super::prepare::prepare;
use super::{CliError, Console, explain, fetch};
use crate::scenario::{self, Diagnostics, ResolvedValue, Scenario};

/// Arguments of `validate`.
#[derive(Debug, Clone, Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    pub(super) scenario: ScenarioArgs,
    /// Show every value with its origin, what the clients get, and what a task costs
    #[arg(long)]
    pub(super) explain: bool,
}

/// Checks; explains when asked to.
pub(super) fn execute(args: &ValidateArgs, console: &Console) -> Result<(), CliError> {
    check(&args.scenario, args.explain, console)
}

fn check(args: &ScenarioArgs, is_explained: bool, console: &Console) -> Result<(), CliError> {
    let scenario = match scenario::load_with_cells(&args.input(), &args.overrides()) {
        Ok(found) => found,
        Err(diagnostics) => {
            if console.is_json() {
                console.result(refused(&diagnostics))?;
            }
            return Err(diagnostics.into());
        }
    };
    console.warnings(&scenario);
    if args.offline {
        fetch::from_cache(&scenario, console)?;
    }
    if console.is_json() {
        return console.result(accepted(&scenario));
    }
    if is_explained {
        let inputs = fetch::from_cache(&scenario, console)?;
        console.result(format_args!("{}\n", table(&scenario::explain(&scenario))))?;
        let setup = prepare(&scenario, &inputs)?;
        console.warn(&scenario.warnings_of(&setup.doubts));
        console.result(explain::text(&setup))?;
    }
    console.result(format_args!("{} is valid", scenario.name()))
}

fn table(values: &[ResolvedValue]) -> String {
    let width = |of: fn(&ResolvedValue) -> &str| values.iter().map(|v| of(v).chars().count()).max().unwrap_or(0);
    let (path_width, value_width) = (width(|v| &v.path), width(|v| &v.value).min(40));
    let rows: Vec<String> =
        values.iter().map(|v| format!("{:path_width$}  {:value_width$}  {}", v.path, v.value, v.origin)).collect();
    rows.join("\n")
}

fn accepted(scenario: &Scenario) -> Value {
    let values: Vec<Value> = scenario::explain(scenario)
        .iter()
        .map(|v| json!({ "path": v.path, "value": v.value, "origin": v.origin }))
        .collect();
    let warnings = scenario.warnings();
    json!({ "valid": true, "name": scenario.name(), "warnings": problems(&warnings), "values": values })
}

fn refused(diagnostics: &Diagnostics) -> Value {
    json!({ "valid": false, "problems": problems(diagnostics) })
}

fn problems(diagnostics: &Diagnostics) -> Vec<Value> {
    diagnostics
        .list()
        .iter()
        .map(|problem| {
            json!({
                "code": problem.code(),
                "message": problem.message(),
                "at": diagnostics.position_of(problem),
                "help": problem.remedy(),
            })
        })
        .collect()
}
