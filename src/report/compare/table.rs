//! A comparison as aligned text and as Markdown.

use super::comparison::{Comparison, Figure, Group};
use super::quantity::{Quantity, Unit};
use super::run::Run;
use super::scale::Scale;

/// A comparison for a terminal: an overview (mean ± SD), then a table with intervals for each of `details`, with the
/// differences where there is a baseline. One group alone is a table of its quantities.
pub fn text(comparison: &Comparison, details: &[Quantity]) -> String {
    render(comparison, details, false)
}

/// The same as [`text`] in Markdown.
pub fn markdown(comparison: &Comparison, details: &[Quantity]) -> String {
    render(comparison, details, true)
}

/// What a terminal shows of many groups, as far as it is known.
const OVERVIEW: [Quantity; 10] = [
    Quantity::BestValidation,
    Quantity::Test,
    Quantity::TimeToTarget,
    Quantity::BytesToTarget,
    Quantity::EnergyToTarget,
    Quantity::SimTime,
    Quantity::BytesUp,
    Quantity::BytesDown,
    Quantity::BytesWasted,
    Quantity::Dropped,
];

impl Comparison {
    /// The quantities worth a table of their own when none are asked for: the metric (on test rows where there are some)
    /// and the time to the target; without a metric the simulated time.
    pub fn headline(&self) -> Vec<Quantity> {
        let has = |quantity: &Quantity| self.quantities.contains(quantity);
        let metric = [Quantity::Test, Quantity::BestValidation].into_iter().find(has);
        let time = if metric.is_some() { Quantity::TimeToTarget } else { Quantity::SimTime };
        metric.into_iter().chain(Some(time).filter(has)).collect()
    }
}

fn render(comparison: &Comparison, details: &[Quantity], is_markdown: bool) -> String {
    let mut parts = Vec::new();
    let table = |rows: &[Vec<String>]| align(rows, is_markdown);
    if let [only] = &comparison.groups[..] {
        parts.push(format!("{}\n", heading(&counted(comparison, only), is_markdown)));
        parts.push(table(&alone(comparison, only)));
    } else {
        let (n_runs, n_cells) =
            (comparison.groups.iter().map(|group| group.runs.len()).sum::<usize>(), comparison.groups.len());
        let title = format!("{n_runs} runs in {n_cells} cells, mean ± SD over seeds");
        parts.push(format!("{}\n", heading(&title, is_markdown)));
        parts.push(table(&overview(comparison)));
        for &quantity in details.iter().filter(|quantity| comparison.quantities.contains(quantity)) {
            parts.push(format!("\n{}\n", heading(&title_of(comparison, quantity), is_markdown)));
            parts.push(table(&detail(comparison, quantity)));
        }
    }
    let remarks = remarks(comparison);
    if !remarks.is_empty() {
        let bullet = if is_markdown { "- " } else { "" };
        parts.push(format!("\n{}", remarks.iter().map(|line| format!("{bullet}{line}\n")).collect::<String>()));
    }
    parts.concat()
}

fn heading(title: &str, is_markdown: bool) -> String {
    if is_markdown { format!("**{title}**\n") } else { title.to_owned() }
}

fn counted(comparison: &Comparison, group: &Group) -> String {
    let seeds: Vec<String> = group.seeds().iter().map(u64::to_string).collect();
    let metric = comparison.metric.as_ref().map_or(String::new(), |metric| format!(", {metric}"));
    match &seeds[..] {
        [seed] => format!("{}: one run, seed {seed}{metric}", group.name),
        _ => format!("{}: {} runs, seeds {}{metric}", group.name, seeds.len(), seeds.join(" ")),
    }
}

fn title_of(comparison: &Comparison, quantity: Quantity) -> String {
    let metric = comparison.metric.as_deref().filter(|_| quantity.unit() == Unit::Metric);
    let metric = metric.map_or(String::new(), |metric| format!("{metric}, "));
    let scale = Scale::of(quantity, comparison.groups.iter().flat_map(|group| group.figure(quantity)));
    format!("{metric}{}{}", quantity.label(comparison.target), scale.bracket())
}

fn percent(comparison: &Comparison) -> String {
    format!("{} %", (comparison.confidence * 1e4).round() / 1e2)
}

/// A row for each quantity of one group.
fn alone(comparison: &Comparison, group: &Group) -> Vec<Vec<String>> {
    let interval = format!("{} interval", percent(comparison));
    let mut rows = vec![["", "n", "mean", "SD", &interval].map(String::from).to_vec()];
    for figure in &group.figures {
        let scale = Scale::of(figure.quantity, [figure]);
        let name = format!("{}{}", figure.quantity.label(comparison.target), scale.bracket());
        rows.push([vec![name], estimate(group, figure, &scale)].concat());
    }
    rows
}

/// A row for each group.
fn overview(comparison: &Comparison) -> Vec<Vec<String>> {
    let is_trained = comparison.metric.is_some();
    // Traffic in both directions is told where there is no metric to tell.
    let is_shown = |quantity: &Quantity| {
        comparison.quantities.contains(quantity)
            && !(is_trained && matches!(quantity, Quantity::BytesUp | Quantity::BytesDown))
    };
    let columns: Vec<(Quantity, Scale)> = OVERVIEW
        .into_iter()
        .filter(is_shown)
        .map(|quantity| {
            (quantity, Scale::of(quantity, comparison.groups.iter().flat_map(move |group| group.figure(quantity))))
        })
        .collect();
    let names = columns.iter().map(|(quantity, scale)| {
        let metric = comparison.metric.as_deref().filter(|_| *quantity == Quantity::BestValidation);
        let metric = metric.map_or(String::new(), |metric| format!("{metric}: "));
        format!("{metric}{}{}", quantity.label(comparison.target), scale.bracket())
    });
    let mut rows = vec![["cell".to_owned(), "seeds".to_owned()].into_iter().chain(names).collect::<Vec<_>>()];
    for (index, group) in comparison.groups.iter().enumerate() {
        let figures = columns.iter().map(|(quantity, scale)| {
            group.figure(*quantity).map_or(String::new(), |figure| mean_and_sd(group, figure, scale))
        });
        let first = [name(comparison, index), group.runs.len().to_string()];
        rows.push(first.into_iter().chain(figures).collect());
    }
    rows
}

fn name(comparison: &Comparison, index: usize) -> String {
    let mark = if comparison.baseline == Some(index) { " (baseline)" } else { "" };
    format!("{}{mark}", comparison.groups[index].name)
}

/// What stands for a mean that no run has a value of.
fn no_value(group: &Group, figure: &Figure) -> &'static str {
    let is_missed = figure.quantity.is_to_target() && group.runs.iter().any(Run::is_evaluated);
    if is_missed { "not reached" } else { "" }
}

fn mean_and_sd(group: &Group, figure: &Figure, scale: &Scale) -> String {
    let Some(estimate) = figure.estimate else {
        return no_value(group, figure).into();
    };
    let sd = estimate.sd.map_or(String::new(), |sd| format!(" ± {}", scale.number(sd)));
    let some = match figure.n_missing() {
        0 => String::new(),
        _ => format!(" ({} of {})", estimate.n, figure.values.len()),
    };
    format!("{}{sd}{some}", scale.number(estimate.mean))
}

/// A row for each group, of one quantity.
fn detail(comparison: &Comparison, quantity: Quantity) -> Vec<Vec<String>> {
    let scale = Scale::of(quantity, comparison.groups.iter().flat_map(|group| group.figure(quantity)));
    let interval = format!("{} interval", percent(comparison));
    let mut header = ["cell", "n", "mean", "SD", &interval].map(String::from).to_vec();
    if comparison.baseline.is_some() {
        header.extend(["difference", &interval, "pairs", "p (t)", "p (Wilcoxon)"].map(String::from));
    }
    let mut rows = vec![header];
    for (index, group) in comparison.groups.iter().enumerate() {
        let Some(figure) = group.figure(quantity) else { continue };
        let mut row = vec![name(comparison, index)];
        row.extend(estimate(group, figure, &scale));
        if comparison.baseline.is_some() {
            row.extend(difference(figure, &scale));
        }
        rows.push(row);
    }
    rows
}

/// n, mean, SD, interval.
fn estimate(group: &Group, figure: &Figure, scale: &Scale) -> Vec<String> {
    let Some(estimate) = figure.estimate else {
        let n = format!("0 of {}", figure.values.len());
        return vec![n, no_value(group, figure).into(), String::new(), String::new()];
    };
    let n = match figure.n_missing() {
        0 => estimate.n.to_string(),
        _ => format!("{} of {}", estimate.n, figure.values.len()),
    };
    let sd = estimate.sd.map_or(String::new(), |sd| scale.number(sd));
    let interval = estimate
        .interval
        .map_or(String::new(), |(low, high)| format!("{} to {}", scale.number(low), scale.number(high)));
    vec![n, scale.number(estimate.mean), sd, interval]
}

/// Difference, interval, pairs, both p.
fn difference(figure: &Figure, scale: &Scale) -> Vec<String> {
    let Some(difference) = figure.difference else { return vec![String::new(); 5] };
    let estimate = difference.estimate;
    let interval = estimate
        .interval
        .map_or(String::new(), |(low, high)| format!("{} to {}", scale.signed(low), scale.signed(high)));
    let p = |p: Option<f64>| p.map_or(String::new(), probability);
    vec![scale.signed(estimate.mean), interval, estimate.n.to_string(), p(difference.p_t), p(difference.p_wilcoxon)]
}

fn probability(p: f64) -> String {
    if p < 0.0005 { "< 0.001".into() } else { format!("{p:.3}") }
}

/// What the tables do not say by themselves.
fn remarks(comparison: &Comparison) -> Vec<String> {
    let mut lines = Vec::new();
    if comparison.groups.iter().all(|group| group.runs.len() == 1) {
        lines.push("one seed each: no SD and no interval; run more seeds for them".into());
    }
    for group in &comparison.groups {
        let missing = group.not_reached();
        let Some(target) = comparison.target.filter(|_| !missing.is_empty()) else { continue };
        let seeds = missing.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let (n, all) = (missing.len(), group.runs.len());
        lines.push(format!(
            "{}: {n} of {all} never reached {target} and count in no mean to it (seed {seeds})",
            group.name
        ));
    }
    lines.extend(comparison.notes.iter().cloned());
    if !comparison.left_out.is_empty() {
        lines.push(format!("not compared: {}", comparison.left_out.len()));
        let told = comparison.left_out.iter().map(|out| format!("  {}: {}", out.folder.display(), out.reason));
        lines.extend(told);
    }
    lines
}

/// Rows as a table: the first column to the left, numbers to the right.
fn align(rows: &[Vec<String>], is_markdown: bool) -> String {
    let n_columns = rows.first().map_or(0, Vec::len);
    // The rule below a header has three signs at least.
    let narrowest = if is_markdown { 3 } else { 0 };
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(narrowest);
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            // A bar would end a cell of a Markdown table.
            0 if is_markdown => format!("{:width$}", cell.replace('|', "\\|")),
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        match is_markdown {
            true => format!("| {} |\n", cells.collect::<Vec<_>>().join(" | ")),
            false => format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end()),
        }
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if is_markdown {
        let rules = widths.iter().enumerate().map(|(column, &width)| match column {
            0 => "-".repeat(width),
            _ => format!("{}:", "-".repeat(width - 1)),
        });
        lines.insert(1, format!("| {} |\n", rules.collect::<Vec<_>>().join(" | ")));
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::compare::{Difference, Estimate};

    fn figure(quantity: Quantity, values: &[Option<f64>], base: Option<&[f64]>) -> Figure {
        let there: Vec<f64> = values.iter().flatten().copied().collect();
        let difference = base.and_then(|base| {
            let pairs: Vec<f64> = values.iter().flatten().zip(base).map(|(value, base)| value - base).collect();
            Difference::of(&pairs, 0.95)
        });
        Figure { quantity, values: values.to_vec(), estimate: Estimate::of(&there, 0.95), difference }
    }

    fn comparison(groups: Vec<(&str, Vec<Figure>)>) -> Comparison {
        let quantities = groups[0].1.iter().map(|figure| figure.quantity).collect();
        let run = |seed: u64| {
            let summary = crate::report::Summary { seed, ..crate::report::fixture::run().summary };
            let scenario = serde_json::Value::Null;
            super::super::Run { folder: "r".into(), cell: None, summary, rounds: Vec::new(), scenario }
        };
        let groups = groups.into_iter().map(|(name, figures)| Group {
            name: name.into(),
            settings: Vec::new(),
            runs: (1..=figures[0].values.len() as u64).map(run).collect(),
            figures,
        });
        Comparison {
            metric: Some("accuracy".into()),
            target: Some(0.9),
            confidence: 0.95,
            settings: Vec::new(),
            groups: groups.collect(),
            baseline: None,
            quantities,
            left_out: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn many_cells_have_an_overview_and_details() {
        let base = [0.9, 0.92, 0.94];
        let some = |values: [f64; 3]| values.map(Some);
        let mut found = comparison(vec![
            (
                "rate=0",
                vec![
                    figure(Quantity::Test, &some(base), None),
                    figure(Quantity::TimeToTarget, &some([600.0, 660.0, 720.0]), None),
                ],
            ),
            (
                "rate=0.3",
                vec![
                    figure(Quantity::Test, &some([0.89, 0.9, 0.91]), Some(&base)),
                    figure(Quantity::TimeToTarget, &[Some(900.0), None, None], Some(&[600.0])),
                ],
            ),
        ]);
        found.baseline = Some(0);
        let shown = text(&found, &found.headline());
        // SD of 0.9, 0.92, 0.94: 0.02, half width 4.302653 x 0.02/√3 = 0.0497. The differences −0.01, −0.02, −0.03 have
        // t = −2√3 and p = 1 − √(12/14) = 0.074.
        assert_eq!(
            shown,
            "\
6 runs in 2 cells, mean ± SD over seeds
  cell               seeds             test  time to 0.9 [min]
  rate=0 (baseline)      3  0.9200 ± 0.0200       11.00 ± 1.00
  rate=0.3               3  0.9000 ± 0.0100     15.00 (1 of 3)

accuracy, test
  cell               n    mean      SD     95 % interval  difference       95 % interval  pairs  p (t)  p (Wilcoxon)
  rate=0 (baseline)  3  0.9200  0.0200  0.8703 to 0.9697
  rate=0.3           3  0.9000  0.0100  0.8752 to 0.9248     -0.0200  -0.0448 to +0.0048      3  0.074         0.250

time to 0.9 [min]
  cell                    n   mean    SD  95 % interval  difference  95 % interval  pairs  p (t)  p (Wilcoxon)
  rate=0 (baseline)       3  11.00  1.00  8.52 to 13.48
  rate=0.3           1 of 3  15.00                            +5.00                     1                1.000

rate=0.3: 2 of 3 never reached 0.9 and count in no mean to it (seed 2, 3)
"
        );
    }

    #[test]
    fn one_group_is_a_table_of_its_quantities() {
        let found = comparison(vec![(
            "demo",
            vec![
                figure(Quantity::BestValidation, &[Some(0.5)], None),
                figure(Quantity::TimeToTarget, &[None], None),
                figure(Quantity::BytesUp, &[Some(1_234_567.0)], None),
            ],
        )]);
        assert_eq!(
            markdown(&found, &[]),
            "\
**demo: one run, seed 1, accuracy**

|                  |      n |        mean |  SD | 95 % interval |
| ---------------- | -----: | ----------: | --: | ------------: |
| validation, best |      1 |      0.5000 |     |               |
| time to 0.9 [s]  | 0 of 1 | not reached |     |               |
| up [kB]          |      1 |      1234.6 |     |               |

- one seed each: no SD and no interval; run more seeds for them
- demo: 1 of 1 never reached 0.9 and count in no mean to it (seed 1)
"
        );
    }
}
