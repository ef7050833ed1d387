//! A comparison as CSV and as JSON: every figure with all that is known of it.

use serde_json::{Map, Value, json};

use super::comparison::{Comparison, Figure, Group};
use super::statistics::Estimate;

/// A row for each cell and quantity, in plain units (s, bytes, J); empty where something is not known.
pub fn to_csv(comparison: &Comparison) -> String {
    const FIGURES: [&str; 14] = [
        "quantity",
        "n",
        "missing",
        "mean",
        "sd",
        "low",
        "high",
        "difference_n",
        "difference_mean",
        "difference_sd",
        "difference_low",
        "difference_high",
        "p_t",
        "p_wilcoxon",
    ];
    let mut writer = csv::Writer::from_writer(Vec::new());
    let settings = comparison.settings.iter().map(String::as_str);
    let header: Vec<&str> = ["cell"].into_iter().chain(settings).chain(FIGURES).collect();
    writer.write_record(header).expect("a vector takes all");
    for group in &comparison.groups {
        for figure in &group.figures {
            let first = [group.name.clone()].into_iter().chain(group.settings.clone());
            let row: Vec<String> = first.chain(fields(figure)).collect();
            writer.write_record(row).expect("all rows have the header's columns");
        }
    }
    String::from_utf8(writer.into_inner().expect("a vector takes all")).expect("texts were written")
}

fn fields(figure: &Figure) -> Vec<String> {
    let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let parts = |estimate: Option<Estimate>| {
        let interval = estimate.and_then(|estimate| estimate.interval);
        [
            text(estimate.map(|estimate| estimate.mean)),
            text(estimate.and_then(|estimate| estimate.sd)),
            text(interval.map(|(low, _)| low)),
            text(interval.map(|(_, high)| high)),
        ]
    };
    let n = figure.estimate.map_or(0, |estimate| estimate.n);
    let mut row = vec![figure.quantity.to_string(), n.to_string(), figure.n_missing().to_string()];
    row.extend(parts(figure.estimate));
    let difference = figure.difference;
    row.push(difference.map_or_else(String::new, |found| found.estimate.n.to_string()));
    row.extend(parts(difference.map(|found| found.estimate)));
    row.push(text(difference.and_then(|found| found.p_t)));
    row.push(text(difference.and_then(|found| found.p_wilcoxon)));
    row
}

/// One object: what was compared, each cell with its runs and figures, what was left out.
pub fn to_json(comparison: &Comparison) -> Value {
    let left_out = comparison.left_out.iter().map(|out| json!({ "folder": out.folder, "reason": out.reason }));
    json!({
        "metric": comparison.metric,
        "target": comparison.target,
        "confidence": comparison.confidence,
        "baseline": comparison.baseline.map(|index| &comparison.groups[index].name),
        "cells": comparison.groups.iter().map(|group| cell(comparison, group)).collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
        "notes": comparison.notes,
    })
}

fn cell(comparison: &Comparison, group: &Group) -> Value {
    let settings: Map<String, Value> =
        comparison.settings.iter().cloned().zip(group.settings.iter().cloned().map(Value::from)).collect();
    let figures: Map<String, Value> =
        group.figures.iter().map(|figure| (figure.quantity.to_string(), of_figure(group, figure))).collect();
    let runs = group.runs.iter().map(|run| json!({ "seed": run.seed(), "folder": run.folder }));
    json!({ "cell": group.name, "settings": settings, "runs": runs.collect::<Vec<_>>(), "figures": figures })
}

fn of_figure(group: &Group, figure: &Figure) -> Value {
    let mut object = figure.estimate.map_or_else(|| json!({ "n": 0 }), of_estimate);
    object["values"] = json!(figure.values);
    object["missing_seeds"] = json!(group.missing(figure));
    if let Some(difference) = figure.difference {
        let mut found = of_estimate(difference.estimate);
        found["t"] = json!(difference.t);
        found["p_t"] = json!(difference.p_t);
        found["p_wilcoxon"] = json!(difference.p_wilcoxon);
        object["difference"] = found;
    }
    object
}

fn of_estimate(estimate: Estimate) -> Value {
    let Estimate { n, mean, sd, interval } = estimate;
    json!({ "n": n, "mean": mean, "sd": sd, "interval": interval.map(|(low, high)| [low, high]) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::compare::{Difference, Quantity, Run};

    fn comparison() -> Comparison {
        let run = |seed| {
            let summary = crate::report::Summary { seed, ..crate::report::fixture::run().summary };
            Run { folder: "r".into(), cell: None, summary, rounds: Vec::new(), scenario: Value::Null }
        };
        let figure = Figure {
            quantity: Quantity::SimTime,
            values: vec![Some(1.0), None, Some(3.0)],
            estimate: Estimate::of(&[1.0, 3.0], 0.95),
            difference: Difference::of(&[0.5], 0.95),
        };
        let group = Group {
            name: "rate=0.1".into(),
            settings: vec!["0.1".into()],
            runs: vec![run(1), run(2), run(3)],
            figures: vec![figure],
        };
        Comparison {
            metric: None,
            target: None,
            confidence: 0.95,
            settings: vec!["clients.rate".into()],
            groups: vec![group],
            baseline: None,
            quantities: vec![Quantity::SimTime],
            left_out: Vec::new(),
            notes: vec!["a note".into()],
        }
    }

    #[test]
    fn csv_has_a_row_for_each_cell_and_quantity() {
        let text = to_csv(&comparison());
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[0].starts_with("cell,clients.rate,quantity,n,missing,mean,sd,low,high,difference_n,"), "{text}");
        assert!(rows[1].starts_with("rate=0.1,0.1,sim_time_s,2,1,2,1.414213562373095"), "{text}");
        assert!(rows[1].ends_with(",1,0.5,,,,,1"), "{text}");
    }

    #[test]
    fn json_names_the_seeds_without_a_value() {
        let value = to_json(&comparison());
        let figure = &value["cells"][0]["figures"]["sim_time_s"];
        assert_eq!(figure["missing_seeds"], json!([2]));
        assert_eq!(figure["difference"]["interval"], Value::Null);
        assert_eq!(value["cells"][0]["settings"]["clients.rate"], "0.1");
        assert_eq!(value["cells"][0]["runs"][1], json!({ "seed": 2, "folder": "r" }));
    }
}
