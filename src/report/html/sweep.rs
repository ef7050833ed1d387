//! `report.html` of a sweep: its cells compared over their seeds.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::links::link;
use super::words;
use crate::report::ReportError;
use crate::report::compare::{
    CellStatus, Comparison, Estimate, Group, INDEX_FILE, Options, Quantity, SWEEP_LOCK_FILE, SweepIndex, Unit, compare,
    run_folder, unfinished,
};
use crate::report::figures::{self, GROUPS_MAX, Learners, Line, Over, escaped, forest, short, size_unit, time_unit};
use crate::report::results::write_whole;
use crate::units::{Bytes, SimDuration};

/// Writes the page of the sweep in `directory` into `file`.
///
/// # Errors
/// When the sweep's files cannot be read, or the page cannot be written.
pub fn write_sweep(directory: &Path, file: &Path) -> Result<PathBuf, ReportError> {
    // Cut off before its first cell ended, it has no index yet.
    let is_begun = directory.join(INDEX_FILE).is_file();
    let index = if is_begun { SweepIndex::read(directory)? } else { SweepIndex::default() };
    // A sweep of which every cell failed has nothing to compare; the page then says so.
    let comparison = compare(&[directory.to_owned()], &Options::default()).map_err(|error| error.to_string());
    let path = directory.join(SWEEP_LOCK_FILE);
    let lock = std::fs::read_to_string(&path).map_err(ReportError::read(&path))?;
    let page = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(page).map_err(ReportError::write(page))?;
    write_whole(file, sweep(directory, page, &index, comparison.as_ref(), &lock).as_bytes())?;
    Ok(file.to_owned())
}

/// True when a folder is that of a sweep.
pub fn is_sweep(directory: &Path) -> bool {
    directory.join(SWEEP_LOCK_FILE).is_file()
}

/// A sweep is called as the folder in which its own lies.
fn name(directory: &Path) -> String {
    let parent = directory.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
    let name = parent.as_deref().and_then(Path::file_name);
    name.map_or_else(|| "a sweep".into(), |name| name.to_string_lossy().into_owned())
}

/// The page in the folder `page` of the sweep in `directory`.
fn sweep(
    directory: &Path,
    page: &Path,
    index: &SweepIndex,
    comparison: Result<&Comparison, &String>,
    lock: &str,
) -> String {
    let n_failed = index.rows.iter().filter(|row| row.status == CellStatus::Failed).count();
    let failed = (n_failed > 0).then(|| "some runs failed".to_owned());
    let concerns: Vec<String> = unfinished(directory, index.rows.len()).into_iter().chain(failed).collect();
    let status = if concerns.is_empty() { "completed".into() } else { concerns.join(", ") };
    let groups = comparison.map_or(&[][..], |comparison| &comparison.groups[..]);
    let notice = |problem: &str| format!("<p class=\"notice\" role=\"note\">{}</p>\n", escaped(problem));
    let left_out = comparison.map_or(&[][..], |comparison| &comparison.left_out[..]);
    let left_out = left_out.iter().map(|out| {
        notice(&format!(
            "Not compared: {}: {}.",
            out.folder.strip_prefix(directory).unwrap_or(&out.folder).display(),
            out.reason
        ))
    });
    let notices = comparison.err().map(|problem| notice(problem)).into_iter().chain(left_out).collect::<String>();
    let mut seeds: Vec<u64> = index.rows.iter().map(|row| row.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let cards =
        [("runs", index.rows.len()), ("cells compared", groups.len()), ("seeds", seeds.len()), ("failed", n_failed)];
    let card = |(name, n): (&str, usize)| format!("<div class=\"card\"><dt>{name}</dt><dd>{n}</dd></div>\n");
    let top = format!("{notices}<dl class=\"cards\">\n{}</dl>\n", cards.map(card).concat());
    let sections = [
        ("cells", "Cells", "What the cells came to", comparison.map_or_else(|_| String::new(), cells)),
        ("learning", "Learning", "How the cells learnt", comparison.map_or_else(|_| String::new(), learning)),
        ("figures", "Figures", "Means over seeds", comparison.map_or_else(|_| String::new(), means)),
        ("runs", "Runs", "All runs", runs(index, directory, page)),
        ("provenance", "Provenance", "Where it comes from", provenance(lock)),
    ];
    super::page::assemble(&name(directory), (&status, !concerns.is_empty()), &top, sections.into())
}

/// A row for each cell, a column for each quantity.
fn cells(comparison: &Comparison) -> String {
    let shown = &comparison.quantities;
    let mut html = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Cells\"><table class=\"many\" data-sort><caption>Mean ± SD over seeds{}; \
         in brackets how many runs have a value</caption>\n<thead><tr><th scope=\"col\">cell</th>",
        comparison.metric.as_ref().map_or_else(String::new, |metric| format!(", metric: {}", escaped(metric)))
    );
    for quantity in shown {
        let _ = write!(html, "<th scope=\"col\" class=\"n\">{}</th>", escaped(&quantity.label(comparison.target)));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for group in &comparison.groups {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escaped(&group.name));
        for quantity in shown {
            html.push_str(&cell(group, *quantity));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    for note in &comparison.notes {
        let _ = writeln!(html, "<p class=\"notice\" role=\"note\">{}</p>", escaped(note));
    }
    html.push_str(
        "<p>Differences against a cell, paired by seed, with their tests: <code>straggler compare FOLDER --baseline CELL</code>.</p>\n",
    );
    html
}

fn cell(group: &Group, quantity: Quantity) -> String {
    let figure = group.figure(quantity);
    let Some((figure, Estimate { n, mean, sd, .. })) = figure.and_then(|figure| Some((figure, figure.estimate?)))
    else {
        return "<td class=\"n\" data-v=\"-1\">–</td>".into();
    };
    let sd = sd.map_or_else(String::new, |sd| format!(" ± {}", told(quantity, sd)));
    let some = if figure.n_missing() > 0 { format!(" ({n} of {})", figure.values.len()) } else { String::new() };
    format!("<td class=\"n\" data-v=\"{mean}\">{}{sd}{some}</td>", told(quantity, mean))
}

/// A value in the unit of its quantity.
fn told(quantity: Quantity, value: f64) -> String {
    match quantity.unit() {
        Unit::Metric => words::metric(value),
        Unit::Seconds => words::duration(SimDuration::from_secs_f64(value).unwrap_or_default()),
        Unit::Bytes => words::bytes(Bytes::new(value.max(0.0) as u64)),
        Unit::Joules => format!("{} J", short(value)),
        Unit::Tasks => short(value),
    }
}

/// The metric of each cell over simulated time, traffic and rounds.
fn learning(comparison: &Comparison) -> String {
    const CELLS_MAX: usize = 4 * GROUPS_MAX;
    let Some(metric) = &comparison.metric else { return String::new() };
    let drawn = comparison.groups.iter().take(CELLS_MAX);
    let groups: Vec<Learners<'_>> = drawn
        .map(|group| Learners { name: &group.name, runs: group.runs.iter().map(|run| &run.rounds[..]).collect() })
        .collect();
    let panel = |over: Over| {
        let charts = figures::learning(over, &metric.replace('_', " "), &groups);
        let charts: String = charts.iter().map(|svg| format!("<figure>{svg}</figure>\n")).collect();
        (!charts.is_empty()).then(|| format!("<div data-panel=\"over {}\">\n{charts}</div>\n", over.name()))
    };
    let panels: String = Over::ALL.into_iter().filter_map(panel).collect();
    if panels.is_empty() {
        return panels;
    }
    let mut html = format!("<div data-tabs>\n{panels}</div>\n");
    html.push_str(
        "<p class=\"soft\">Lines are means over the seeds at the end of each round, areas reach from the lowest run to the highest \
         one.</p>\n",
    );
    if comparison.groups.len() > CELLS_MAX {
        let _ = writeln!(html, "<p class=\"soft\">The first {CELLS_MAX} cells are drawn.</p>");
    }
    html
}

/// A figure for each of the quantities that tell most.
fn means(comparison: &Comparison) -> String {
    const CELLS_MAX: usize = 60;
    let wanted = [
        Quantity::Test,
        Quantity::BestValidation,
        Quantity::TimeToTarget,
        Quantity::BytesToTarget,
        Quantity::SimTime,
        Quantity::BytesWasted,
    ];
    let mut html = String::new();
    for quantity in wanted.into_iter().filter(|quantity| comparison.quantities.contains(quantity)) {
        let values =
            || comparison.groups.iter().filter_map(|group| group.figure(quantity)).flat_map(|figure| &figure.values);
        let most = values().flatten().copied().fold(0.0, f64::max);
        let (unit, size) = match quantity.unit() {
            Unit::Seconds => {
                let (unit, nanos) = time_unit(SimDuration::from_secs_f64(most).unwrap_or_default());
                (format!(" [{unit}]"), nanos / 1e9)
            }
            Unit::Bytes => {
                let (unit, size) = size_unit(Bytes::new(most as u64));
                (format!(" [{unit}]"), size)
            }
            Unit::Joules => (" [J]".into(), 1.0),
            Unit::Metric | Unit::Tasks => (String::new(), 1.0),
        };
        let line = |group: &Group| {
            let figure = group.figure(quantity)?;
            let estimate = figure.estimate?;
            let values = figure.values.iter().flatten().map(|value| value / size).collect();
            let interval = estimate.interval.map(|(low, high)| (low / size, high / size));
            Some(Line { name: group.name.clone(), values, mean: estimate.mean / size, interval })
        };
        let lines: Vec<Line> = comparison.groups.iter().take(CELLS_MAX).filter_map(line).collect();
        let label = quantity.label(comparison.target);
        let id = format!("forest-{}", quantity.key());
        if let Some(svg) = forest(&id, &label, &format!("{label}{unit}"), &lines) {
            let _ = writeln!(html, "<figure>{svg}</figure>");
        }
    }
    if !html.is_empty() {
        let percent = short(100.0 * comparison.confidence);
        let _ = writeln!(
            html,
            "<p class=\"soft\">Light dots are runs, the diamond is their mean, the bar its {percent} % interval (Student's t); one seed \
             has none.</p>"
        );
    }
    if comparison.groups.len() > CELLS_MAX {
        let _ = writeln!(html, "<p class=\"soft\">The first {CELLS_MAX} cells are drawn.</p>");
    }
    html
}

/// Every run with how it ended, and a link to its own page if it has one.
fn runs(index: &SweepIndex, directory: &Path, page: &Path) -> String {
    let mut html = String::from(
        "<p class=\"tools\" hidden><label>Filter <input type=\"search\" data-filter=\"runs-table\" placeholder=\"such as \
         failed\"></label></p>\n<div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-label=\"Runs\"><table id=\"runs-table\" \
         data-sort><caption>The runs of the sweep; their pages lie in its folder</caption>\n<thead><tr><th scope=\"col\">cell</th>\
         <th scope=\"col\" class=\"n\">seed</th>",
    );
    for setting in &index.settings {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escaped(setting));
    }
    html.push_str("<th scope=\"col\">status</th><th scope=\"col\">message</th></tr></thead>\n<tbody>\n");
    for row in &index.rows {
        let own_page = directory.join(run_folder(&row.cell, row.seed)).join("report.html");
        let name = match own_page.is_file() {
            true => format!("<a href=\"{}\">{}</a>", escaped(&link(page, &own_page)), escaped(&row.cell)),
            false => escaped(&row.cell),
        };
        let settings: String =
            row.settings.iter().map(|value| format!("<td><code>{}</code></td>", escaped(value))).collect();
        let _ = writeln!(
            html,
            "<tr><td>{name}</td><td class=\"n\" data-v=\"{}\">{}</td>{settings}<td>{}</td><td>{}</td></tr>",
            row.seed,
            row.seed,
            row.status.as_str().replace('_', " "),
            escaped(&row.message),
        );
    }
    html.push_str("</tbody></table></div>\n");
    html
}

fn provenance(lock: &str) -> String {
    format!("<details><summary>{SWEEP_LOCK_FILE}</summary><pre tabindex=\"0\">{}</pre></details>\n", escaped(lock))
}
