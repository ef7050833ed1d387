//! What a sweep says: its cells before, its comparison after.

use serde_json::{Value, json};

use super::folder::Folder;
use crate::cli::shell::{quoted, word};
use crate::cli::{CliError, Console, Exit};
use crate::report::compare::{CellStatus, CompareError, Comparison, Options, compare, text, to_json};
use crate::scenario::sweep::Sweep;

/// Lists the cells, for `--dry-run`.
pub(super) fn list(sweep: &Sweep, folder: Option<&Folder>, console: &Console) -> Result<(), CliError> {
    let n_runs = sweep.cells().len() * sweep.seeds().len();
    let n_done = folder.map_or(0, |folder| folder.tasks.iter().filter(|(_, row)| row.is_some()).count());
    if console.is_json() {
        let cells: Vec<Value> = sweep
            .cells()
            .iter()
            .map(|cell| {
                let values = sweep.settings().iter().cloned().zip(cell.values().iter().map(|value| json!(value)));
                json!({ "cell": cell.name(), "settings": values.collect::<serde_json::Map<_, _>>() })
            })
            .collect();
        let found =
            json!({ "name": sweep.name(), "seeds": sweep.seeds(), "cells": cells, "runs": n_runs, "done": n_done });
        return console.result(found);
    }
    let seeds: Vec<String> = sweep.seeds().iter().map(u64::to_string).collect();
    let mut lines = vec![format!("{}: {}", sweep.name(), counted(sweep)), format!("  seeds  {}", seeds.join(" "))];
    lines.extend((1..).zip(sweep.cells()).map(|(number, cell)| format!("  {number:>5}  {}", cell.name())));
    if n_done > 0 {
        lines.push(format!("{n_done} of {n_runs} runs are done"));
    }
    console.result(lines.join("\n"))
}

/// Such as `4 cells x 3 seeds`.
fn counted(sweep: &Sweep) -> String {
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!("{} x {}", plural(sweep.cells().len(), "cell"), plural(sweep.seeds().len(), "seed"))
}

/// Tells what came out, and ends as the worst of the cells did.
pub(super) fn tell(
    sweep: &Sweep,
    folder: &Folder,
    stopped: Option<CliError>,
    console: &Console,
) -> Result<(), CliError> {
    let resume = format!("straggler sweep --resume {}", quoted(&folder.path));
    if let Some(error) = stopped {
        let n_done = folder.tasks.iter().filter(|(_, row)| row.is_some()).count();
        let state = format!("the sweep is not finished: {n_done} of {} runs are done", folder.tasks.len());
        if error.is_interruption() {
            let error = CliError::new(error.exit(), "interrupted", state);
            return Err(error.help(format!("what was under way is saved; go on with: {resume}")));
        }
        console.note(format_args!("{state}; go on with: {resume}"));
        return Err(error);
    }
    let comparison = match compare(std::slice::from_ref(&folder.path), &Options::default()) {
        Ok(comparison) => Some(comparison),
        // All failed: that is told below.
        Err(CompareError::NothingLeft(_)) => None,
        Err(error) => return Err(error.into()),
    };
    match console.is_json() {
        true => console.result(as_json(sweep, folder, comparison.as_ref()))?,
        false => console.result(as_text(sweep, folder, comparison.as_ref()))?,
    }
    verdict(folder, &resume)
}

fn as_json(sweep: &Sweep, folder: &Folder, comparison: Option<&Comparison>) -> Value {
    json!({
        "name": sweep.name(),
        "folder": folder.path,
        "cells": sweep.cells().len(),
        "seeds": sweep.seeds(),
        "runs": {
            "ok": folder.count(CellStatus::Ok),
            "assert_unmet": folder.count(CellStatus::AssertUnmet),
            "failed": folder.count(CellStatus::Failed),
        },
        "comparison": comparison.map(to_json),
    })
}

fn as_text(sweep: &Sweep, folder: &Folder, comparison: Option<&Comparison>) -> String {
    let failed = match folder.count(CellStatus::Failed) {
        0 => String::new(),
        n => format!(", {n} failed"),
    };
    let mut parts = vec![format!("{}: {}{failed}\n", sweep.name(), counted(sweep))];
    parts.extend(comparison.map(|comparison| text(comparison, &comparison.headline())));
    let path = quoted(&folder.path);
    let mut next = vec![format!("straggler compare {path} --format markdown"), format!("straggler report {path}")];
    if let [first, _, ..] = sweep.cells() {
        next.insert(0, format!("straggler compare {path} --baseline {}", word(first.name())));
    }
    parts.push(format!("  results   {}\n", folder.path.display()));
    parts.push(format!("Try next:\n  {}", next.join("\n  ")));
    parts.join("\n")
}

/// Most runs that the error names.
const NAMED_MAX: usize = 5;

fn verdict(folder: &Folder, resume: &str) -> Result<(), CliError> {
    let of = |status: CellStatus| folder.tasks.iter().flat_map(|(_, row)| row).filter(move |row| row.status == status);
    for (status, exit, what) in [
        (CellStatus::Failed, Exit::RunFailed, "failed"),
        (CellStatus::AssertUnmet, Exit::AssertUnmet, "do not hold an assert"),
    ] {
        let n = folder.count(status);
        if n == 0 {
            continue;
        }
        let named =
            of(status).take(NAMED_MAX).map(|row| format!("\n  {} seed {}: {}", row.cell, row.seed, row.message));
        let more = if n > NAMED_MAX { format!("\n  and {} more, see index.csv", n - NAMED_MAX) } else { String::new() };
        let message = format!("{n} of {} runs {what}:{}{more}", folder.tasks.len(), named.collect::<String>());
        let error = CliError::new(exit, if exit == Exit::RunFailed { "sweep" } else { "assert" }, message);
        return Err(if exit == Exit::RunFailed { error.help(format!("`{resume}` tries them again")) } else { error });
    }
    Ok(())
}
