//! `straggler check-grads`: the gradient of every trained tensor of a scenario against finite differences.

use clap::Args;
use serde_json::json;

use super::args::ScenarioArgs;
use super::prepare::prepare;
use super::{CliError, Console, Exit, fetch};
use crate::model::ModelSource;
use crate::petuning::{GradientCheck, GradientState};
use crate::scenario::{self, Scenario};

/// Arguments of `check-grads`.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckGradsArgs {
    #[command(flatten)]
    pub(super) scenario: ScenarioArgs,
    /// Elements compared in each tensor
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(super) elements: usize,
}

/// Lists the tensors; fails when one is cut or wrong.
pub(super) fn execute(args: &CheckGradsArgs, console: &Console) -> Result<(), CliError> {
    let scenario = scenario::load(&args.scenario.input(), &args.scenario.overrides())?;
    let inputs = fetch::gather(&scenario, args.scenario.hub(), console)?;
    let setup = prepare(&scenario, &inputs)?;
    let Some(learner) = &setup.learner else { return Err(nothing_to_train(&scenario)) };
    let learning = setup.plan.learning.as_ref().map(|learning| &learning.initial);
    let start = learning.or(learner.initial()).expect("the values are the plan's or still the learner's");
    let checks = learner.check_gradients(start, args.elements);
    let checks = checks.map_err(|error| CliError::new(Exit::RunFailed, "gradients", error))?;
    match console.is_json() {
        true => console.result(as_json(&checks))?,
        false => console.result(as_table(&checks))?,
    }
    verdict(&checks)
}

/// What a scenario of timing alone lacks.
fn nothing_to_train(scenario: &Scenario) -> CliError {
    let instead = "in place of `clients.num_examples`, `clients.sequence_length` and `clients.num_labels`";
    match scenario.model().source(scenario.base_dir()) {
        Ok(ModelSource::ShapeOnly(_)) => {
            let message = format!("gradients need weights, but `{}` is a shape without any", scenario.model().name);
            let help = format!("give a model with weights, such as `builtin:tiny-roberta`, and a `dataset` {instead}");
            CliError::new(Exit::BadInput, "no-weights", message).help(help).at(scenario, "no-weights", "model.name")
        }
        _ => {
            let message = "gradients need examples, but there is no data set";
            let help = format!("write `dataset: {{ name: builtin:intents }}` {instead}");
            CliError::new(Exit::BadInput, "no-dataset", message).help(help)
        }
    }
}

fn word(state: GradientState) -> &'static str {
    match state {
        GradientState::Sound => "ok",
        GradientState::Cut => "CUT",
        GradientState::Wrong => "WRONG",
    }
}

fn as_table(checks: &[GradientCheck]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let row = |check: &GradientCheck| {
        let GradientCheck { name, largest, error, n_compared, state, .. } = check;
        let shape = format!("{:?}", check.shape);
        let state = word(*state);
        format!("{name:width$}  {shape:>14}  {largest:>10.3e}  {n_compared:>8}  {error:>8.1e}  {state}")
    };
    let (tensor, shape, largest) = ("tensor", "shape", "largest");
    let head = format!("{tensor:width$}  {shape:>14}  {largest:>10}  compared     error");
    let rows: Vec<String> = std::iter::once(head).chain(checks.iter().map(row)).collect();
    rows.join("\n")
}

fn as_json(checks: &[GradientCheck]) -> serde_json::Value {
    let tensor = |check: &GradientCheck| {
        json!({
            "name": check.name,
            "shape": check.shape,
            "largest": check.largest,
            "compared": check.n_compared,
            "error": check.error,
            "state": word(check.state).to_lowercase(),
        })
    };
    json!({ "tensors": checks.iter().map(tensor).collect::<Vec<_>>() })
}

fn verdict(checks: &[GradientCheck]) -> Result<(), CliError> {
    let bad: Vec<String> = checks
        .iter()
        .filter(|check| check.state != GradientState::Sound)
        .map(|check| format!("`{}` is {}", check.name, word(check.state).to_lowercase()))
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    let message = format!("{} of {} tensors do not get their gradient: {}", bad.len(), checks.len(), bad.join(", "));
    Err(CliError::new(Exit::RunFailed, "gradients", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, state: GradientState) -> GradientCheck {
        GradientCheck { name: name.into(), shape: vec![2, 3], n_compared: 3, largest: 0.5, error: 1e-7, state }
    }

    #[test]
    fn one_bad_tensor_among_good_ones_is_a_failure_that_names_it() {
        let sound = check("a", GradientState::Sound);
        assert_eq!(verdict(std::slice::from_ref(&sound)), Ok(()));
        let checks = [sound, check("b", GradientState::Cut), check("c", GradientState::Wrong)];
        let error = verdict(&checks).unwrap_err();
        assert_eq!(error.exit(), Exit::RunFailed);
        assert!(error.to_string().ends_with("2 of 3 tensors do not get their gradient: `b` is cut, `c` is wrong"));
        assert!(
            as_table(&checks).contains("b          [2, 3]    5.000e-1         3    1.0e-7  CUT"),
            "{}",
            as_table(&checks)
        );
    }
}
