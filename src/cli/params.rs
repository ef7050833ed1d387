//! `straggler params`: what each tuning method trains, sends and costs on a scenario's model and data.

use clap::Args;
use serde_json::{Value, json};

use super::args::ScenarioArgs;
use super::prepare::prepare;
use super::{CliError, Console, Exit, fetch};
use crate::actors::setup::{Setup, SetupError, Workload};
use crate::model::ModelDtype;
use crate::petuning::{TuningConfig, trainable_tensors, trained_matrix};
use crate::scenario::{self, Scenario};
use crate::strategy::CodecConfig;
use crate::training::{MethodCost, method_cost};
use crate::units::Bytes;

/// Arguments of `params`.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ParamsArgs {
    #[command(flatten)]
    pub(super) scenario: ScenarioArgs,
}

/// One line of the table.
struct Row {
    method: String,
    is_chosen: bool,
    cost: MethodCost,
    bytes_down: Bytes,
    bytes_up: Bytes,
}

/// Prints the table: the scenario's own method first, then every other with its default settings.
pub(super) fn execute(args: &ParamsArgs, console: &Console) -> Result<(), CliError> {
    let scenario = scenario::load(&args.scenario.input(), &args.scenario.overrides())?;
    let inputs = fetch::gather(&scenario, args.scenario.hub(), console)?;
    let setup = prepare(&scenario, &inputs)?;
    let mut rows = vec![row(&scenario, &setup, scenario.tuning(), true)?];
    let mut left_out = Vec::new();
    for tuning in others(scenario.tuning()) {
        match obstacle(&scenario, &setup, &tuning) {
            None => rows.push(row(&scenario, &setup, &tuning, false)?),
            Some(reason) => left_out.push((tuning.title(), reason)),
        }
    }
    let full: TuningConfig = from_key("full")?;
    let full = row(&scenario, &setup, &full, false)?;
    if console.is_json() {
        return console.result(as_json(&scenario, &setup, &rows, &full, &left_out));
    }
    console.result(heading(&scenario, &setup))?;
    console.result(as_table(&rows, &full))?;
    for (method, reason) in left_out {
        console.result(format_args!("{method} is left out: {reason}"))?;
    }
    Ok(())
}

/// Every method that needs no settings, but the one that is chosen.
fn others(chosen: &TuningConfig) -> Vec<TuningConfig> {
    let keys = TuningConfig::ENTRIES.iter().map(|entry| entry.key).filter(|key| *key != chosen.key());
    keys.filter_map(|key| from_key(key).ok()).collect()
}

fn from_key(key: &str) -> Result<TuningConfig, CliError> {
    serde_json::from_value(Value::String(key.into())).map_err(|error| CliError::new(Exit::BadInput, "tuning", error))
}

/// Why a method cannot be had on this model with these examples, such as a prompt where the position table is full.
fn obstacle(scenario: &Scenario, setup: &Setup, tuning: &TuningConfig) -> Option<String> {
    let Workload { encoder, n_labels, .. } = &setup.workload;
    let trained = match trainable_tensors(tuning, encoder, *n_labels) {
        Ok(trained) => trained,
        Err(error) => return Some(error.to_string()),
    };
    if let Some(name) = trained_matrix(&trained).filter(|_| scenario.model().dtype == ModelDtype::Bf16) {
        return Some(format!("`model.dtype: bf16` is for a frozen encoder, and it trains `{name}`"));
    }
    setup.check_examples(tuning).err().map(|error| error.to_string())
}

fn row(scenario: &Scenario, setup: &Setup, tuning: &TuningConfig, is_chosen: bool) -> Result<Row, SetupError> {
    let workload = &setup.workload;
    let examples = (workload.lengths.as_slice(), setup.plan.population.largest_shard() as usize);
    let (train, dtype) = (scenario.train(), scenario.model().dtype);
    let cost = method_cost(&workload.encoder, tuning, workload.n_labels, examples, train, dtype)?;
    let payload = |codec: &CodecConfig| codec.implementation().encoded_len(&cost.travelling);
    let (bytes_down, bytes_up) = match is_chosen {
        // What its run charges.
        true => (setup.plan.population.downlink_payload, setup.plan.population.uplink_payload),
        false => (payload(&scenario.compression().downlink)?, payload(&scenario.compression().uplink)?),
    };
    Ok(Row { method: tuning.title(), is_chosen, cost, bytes_down, bytes_up })
}

fn heading(scenario: &Scenario, setup: &Setup) -> String {
    let workload = &setup.workload;
    let n = workload.lengths.len().max(1) as f64;
    let mean = workload.lengths.iter().sum::<usize>() as f64 / n;
    let largest_batch =
        scenario.train().per_device_train_batch_size.min(setup.plan.population.largest_shard() as usize);
    format!(
        "{}, {} labels, {mean:.1} tokens a sample on average, batches of {largest_batch}\n",
        scenario.model().name,
        workload.n_labels,
    )
}

fn as_table(rows: &[Row], full: &Row) -> String {
    let titles = [
        "method",
        "trainable",
        "of it head",
        "travelling",
        "bytes down",
        "bytes up",
        "full / this",
        "forward GFLOP",
        "backward GFLOP",
        "memory MiB",
    ];
    let cells = |row: &Row| {
        let mark = if row.is_chosen { " *" } else { "" };
        [
            format!("{}{mark}", row.method),
            grouped(row.cost.n_trainable as u64),
            grouped(row.cost.n_head as u64),
            grouped(row.cost.travelling.n_elements() as u64),
            grouped(row.bytes_down.get()),
            grouped(row.bytes_up.get()),
            format!("{:.1}", ratio(full, row)),
            format!("{:.3}", row.cost.flops.forward.0 / 1e9),
            format!("{:.3}", row.cost.flops.backward.0 / 1e9),
            format!("{:.1}", row.cost.memory.get() as f64 / 1_048_576.0),
        ]
    };
    let mut table = vec![titles.map(String::from)];
    table.extend(rows.iter().map(cells));
    let widths: Vec<usize> = (0..titles.len())
        .map(|column| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; 10]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    let lines: Vec<String> = table.iter().map(line).collect();
    format!(
        "{}\n\n* the scenario's own. full / this: numbers that travel under full tuning, over those that travel here.\n\
         Operations are of one sample, bytes of one transfer, memory is an estimate for one batch on a device.",
        lines.join("\n")
    )
}

fn as_json(scenario: &Scenario, setup: &Setup, rows: &[Row], full: &Row, left_out: &[(String, String)]) -> Value {
    let reason = |(method, reason): &(String, String)| json!({ "method": method, "reason": reason });
    let row = |row: &Row| {
        json!({
            "method": row.method,
            "is_scenarios": row.is_chosen,
            "trainable": row.cost.n_trainable,
            "head": row.cost.n_head,
            "travelling": row.cost.travelling.n_elements(),
            "bytes_down": row.bytes_down.get(),
            "bytes_up": row.bytes_up.get(),
            "full_over_this": ratio(full, row),
            "forward_flops": row.cost.flops.forward.0,
            "backward_flops": row.cost.flops.backward.0,
            "memory_bytes": row.cost.memory.get(),
        })
    };
    json!({
        "model": scenario.model().name,
        "num_labels": setup.workload.n_labels,
        "methods": rows.iter().map(row).collect::<Vec<_>>(),
        "left_out": left_out.iter().map(reason).collect::<Vec<_>>(),
    })
}

fn ratio(full: &Row, row: &Row) -> f64 {
    full.cost.travelling.n_elements() as f64 / row.cost.travelling.n_elements() as f64
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups() {
        assert_eq!([0, 999, 1000, 124_647_170].map(grouped), ["0", "999", "1,000", "124,647,170"]);
    }

    #[test]
    fn every_method_but_the_chosen_one_is_shown_beside_it() {
        let lora = from_key("lora").unwrap();
        let keys: Vec<&str> = others(&lora).iter().map(TuningConfig::key).collect();
        assert!(keys.contains(&"full") && keys.contains(&"head") && !keys.contains(&"lora"), "{keys:?}");
    }
}
