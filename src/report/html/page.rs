//! The sections of the page, and the page.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{head, rounds, words};
use crate::report::Reason;
use crate::report::figures::{self, escaped};
use crate::report::story::{ClassNames, ClassSums, Story};
use crate::report::tasks::Stage;
use crate::units::SimDuration;

/// The whole page.
pub(super) fn page(story: &Story) -> String {
    let figures: BTreeMap<&str, String> = figures::draw(story).into_iter().collect();
    let sections = [
        ("learning", "Learning", "What was learnt", learning(&figures)),
        ("rounds", "Rounds", "Why the rounds took so long", durations(story, &figures)),
        ("clients", "Clients", "What the clients did", clients(story, &figures)),
        ("unused", "Not used", "What was not used, and why", unused(story, &figures)),
        ("traffic", "Traffic", "Traffic", traffic(&figures)),
        ("provenance", "Provenance", "Where it comes from", provenance(story)),
    ];
    let top = format!("{}{}{}", head::notices(story), head::cards(story), head::insights(story));
    assemble(&name(story), head::status(story), &top, sections.into())
}

/// A section: its id, its name in the navigation, its heading and its content.
type Section = (&'static str, &'static str, &'static str, String);

/// A page of what stands on top and of the sections that have content. The status says whether it is cause for concern.
pub(super) fn assemble(name: &str, (status, is_concern): (&str, bool), top: &str, sections: Vec<Section>) -> String {
    let name = escaped(name);
    let sections: Vec<_> = sections.into_iter().filter(|(_, _, _, content)| !content.is_empty()).collect();
    let badge = if is_concern { "badge warn" } else { "badge" };
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{name} · straggler</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; img-src data:\">\n<link rel=\"icon\" href=\"data:,\">\n<style>\n{}</style>\n</head>\n<body>\n\
         <header class=\"top\">\n<h1>{name}<span class=\"{badge}\">{status}</span></h1>\n{}</header>\n",
        include_str!("style.css"),
        top,
    );
    let links = sections.iter().map(|(id, short, ..)| format!("<li><a href=\"#{id}\">{short}</a></li>"));
    let _ = writeln!(html, "<nav aria-label=\"Sections\"><ul>{}</ul></nav>\n<main>", links.collect::<String>());
    for (id, _, title, content) in &sections {
        let _ = writeln!(html, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{content}</section>");
    }
    let _ = write!(
        html,
        "</main>\n<footer>Made by straggler from the files in its folder. All times are simulated.</footer>\n\
         <script>\n{}</script>\n</body>\n</html>\n",
        include_str!("script.js")
    );
    html
}

/// What the run is called: in its summary, or in its lock file.
fn name(story: &Story) -> String {
    let from_lock = || {
        let lock = story.lock.as_ref()?;
        lock.lines().find_map(|line| line.strip_prefix("name: ")).map(|name| name.trim_matches('"').to_owned())
    };
    let from_summary = story.summary.as_ref().map(|summary| summary.name.clone());
    from_summary.or_else(from_lock).unwrap_or_else(|| "a run".into())
}

fn figure(figures: &BTreeMap<&str, String>, name: &str, caption: &str) -> String {
    let caption = if caption.is_empty() { String::new() } else { format!("<figcaption>{caption}</figcaption>") };
    figures.get(name).map_or_else(String::new, |svg| format!("<figure>{svg}{caption}</figure>\n"))
}

/// Figures of which one is shown at a time, with the names of their tabs.
fn tabs(figures: &BTreeMap<&str, String>, panels: &[(&str, &str)]) -> String {
    let panel = |(name, tab): &(&str, &str)| {
        figures.contains_key(name).then(|| format!("<div data-panel=\"{tab}\">{}</div>\n", figure(figures, name, "")))
    };
    let panels: String = panels.iter().filter_map(panel).collect();
    if panels.is_empty() { panels } else { format!("<div data-tabs>\n{panels}</div>\n") }
}

fn learning(figures: &BTreeMap<&str, String>) -> String {
    let panels = [
        ("metric_over_time", "over simulated time"),
        ("metric_over_bytes", "over traffic"),
        ("metric_over_rounds", "over rounds"),
        ("loss_over_rounds", "loss"),
    ];
    let tabs = tabs(figures, &panels);
    if tabs.is_empty() {
        return "<p>Nothing was trained for real (<code>mode: timing_only</code>), or nothing was evaluated yet: there is no \
                metric to show.</p>\n"
            .into();
    }
    tabs
}

fn durations(story: &Story, figures: &BTreeMap<&str, String>) -> String {
    if story.chronicle.is_none() {
        return figure(figures, "rounds", "");
    }
    format!(
        "<p>A round lasts as long as the longest chain of waits in it, its <em>critical path</em>: from what ended the round \
         back through download, training and upload of the client that was waited for, and so on to its start.</p>\n\
         {}{}{}{}",
        figure(figures, "time_spent", "Including the time between rounds in which too few clients were available."),
        figure(figures, "critical_path", ""),
        rounds::section(story),
        figure(figures, "rounds", ""),
    )
}

fn clients(story: &Story, figures: &BTreeMap<&str, String>) -> String {
    let mut html = figure(figures, "clients", "Each lane is a client. The longest rounds are shown above.");
    if let Some(people) = &story.people {
        html.push_str(&figure(figures, "participation", ""));
        if !people.classes.is_empty() {
            html.push_str(&classes(&people.classes));
        }
    }
    html.push_str(&figure(
        figures,
        "staleness",
        "0: the update was made from the newest model. Larger numbers: other models came out while the client worked.",
    ));
    html
}

fn classes(classes: &BTreeMap<ClassNames, ClassSums>) -> String {
    const CLASSES_MAX: usize = 60;
    let has_regions = classes.keys().any(|class| class.region.is_some());
    let region = if has_regions { "<th scope=\"col\">region</th>" } else { "" };
    let mut html = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Classes of clients\"><table data-sort><caption>Clients \
         by class; times are means over tasks</caption>\n<thead><tr><th scope=\"col\">device</th><th scope=\"col\">network</th>\
         {region}<th scope=\"col\" class=\"n\">clients</th><th scope=\"col\" class=\"n\">tasks</th><th scope=\"col\" class=\"n\">arrived</th>\
         <th scope=\"col\" class=\"n\">dropped</th><th scope=\"col\" class=\"n\">late</th><th scope=\"col\" class=\"n\">download</th>\
         <th scope=\"col\" class=\"n\">training</th><th scope=\"col\" class=\"n\">upload</th>\
         <th scope=\"col\" class=\"n\">online</th></tr></thead>\n<tbody>\n",
    );
    for (class, sums) in classes.iter().take(CLASSES_MAX) {
        let of_tasks = |n: u64| {
            let text = words::percent(n as f64, sums.selected as f64);
            format!("<td class=\"n\" data-v=\"{:.6}\">{text}</td>", n as f64 / sums.selected.max(1) as f64)
        };
        let mean = |duration: SimDuration| {
            let seconds = duration.as_secs_f64() / sums.selected.max(1) as f64;
            format!("<td class=\"n\" data-v=\"{seconds:.6}\">{seconds:.2} s</td>")
        };
        let number = |n: u64| format!("<td class=\"n\" data-v=\"{n}\">{}</td>", words::count(n));
        let online = match sums.n_availabilities {
            0 => "<td class=\"n\" data-v=\"-1\">not known</td>".to_owned(),
            n => {
                let online = sums.availability / n as f64;
                format!("<td class=\"n\" data-v=\"{online:.6}\">{}</td>", words::percent(online, 1.0))
            }
        };
        let region = class.region.as_ref().map(|region| format!("<td>{}</td>", escaped(region))).unwrap_or_default();
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td>{region}{}{}{}{}{}{}{}{}{online}</tr>",
            escaped(&class.device),
            escaped(&class.network),
            number(sums.clients),
            number(sums.selected),
            of_tasks(sums.completed),
            of_tasks(sums.dropped),
            of_tasks(sums.late),
            mean(sums.download),
            mean(sums.train),
            mean(sums.upload),
        );
    }
    html.push_str("</tbody></table></div>\n");
    if classes.len() > CLASSES_MAX {
        let _ = writeln!(html, "<p class=\"soft\">{} more classes are not shown.</p>", classes.len() - CLASSES_MAX);
    }
    html
}

fn unused(story: &Story, figures: &BTreeMap<&str, String>) -> String {
    let Some(chronicle) = story.chronicle.as_ref().filter(|chronicle| chronicle.n_rows > 0) else {
        return String::new();
    };
    if chronicle.unused.is_empty() {
        return "<p>Every task that ended was used.</p>\n".into();
    }
    let mut html = figure(figures, "unused", "");
    html.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Unused tasks\"><table><caption>Tasks that were not used: \
         reason by what they were doing</caption>\n<thead><tr><th scope=\"col\">reason</th>",
    );
    for stage in Stage::ALL {
        let _ = write!(html, "<th scope=\"col\" class=\"n\">{}</th>", figures::in_stage(stage));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for reason in Reason::ALL {
        let counts = Stage::ALL.map(|stage| chronicle.unused.get(&(*reason, stage)).copied().unwrap_or(0));
        if counts.iter().sum::<u64>() > 0 {
            let cells = counts.map(|n| if n == 0 { "–".into() } else { words::count(n) });
            let cells: String = cells.iter().map(|cell| format!("<td class=\"n\">{cell}</td>")).collect();
            let _ = writeln!(html, "<tr><th scope=\"row\">{}</th>{cells}</tr>", reason.as_str().replace('_', " "));
        }
    }
    html.push_str("</tbody></table></div>\n");
    html
}

fn traffic(figures: &BTreeMap<&str, String>) -> String {
    format!("{}{}", figure(figures, "traffic", ""), figure(figures, "bytes_over_rounds", ""))
}

fn provenance(story: &Story) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    if let Some(summary) = &story.summary {
        rows.push(("scenario".into(), summary.name.clone()));
        rows.push(("seed".into(), summary.seed.to_string()));
    }
    let lock = story.lock.as_deref().unwrap_or_default();
    if story.summary.is_none() {
        rows.extend(lock.lines().find_map(|line| line.strip_prefix("seed: ")).map(|seed| ("seed".into(), seed.into())));
    }
    let header = lock.lines().skip_while(|line| *line != "lock:").skip(1).take_while(|line| line.starts_with("  "));
    for (key, value) in header.filter_map(|line| line.trim().split_once(": ")) {
        let key = if key == "straggler" { "version of straggler".into() } else { key.replace('_', " ") };
        rows.push((key, value.trim_matches('"').to_owned()));
    }
    if let Some(chronicle) = &story.chronicle {
        rows.push(("rows of the timeline".into(), words::count(chronicle.n_rows)));
    }
    let mut html = String::from("<div class=\"scroll\"><table><tbody>\n");
    for (key, value) in rows {
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>",
            escaped(&key),
            escaped(&value)
        );
    }
    html.push_str("</tbody></table></div>\n");
    if story.lock.is_some() {
        let again = match lock.lines().any(|line| line.starts_with("  forked_from:")) {
            true => "It branched from the run and the checkpoint that are named above.",
            false => "The same bytes come out again with <code>straggler run scenario.lock.yaml</code>.",
        };
        let _ = write!(
            html,
            "<p>{again}</p>\n<details><summary>scenario.lock.yaml, but for the number of threads, which decides nothing\
             </summary><pre tabindex=\"0\">{}</pre></details>\n",
            escaped(&without_workers(lock))
        );
    }
    html
}

/// A lock file without `compute.workers`: the page of a run is the same whatever carried the run out.
fn without_workers(lock: &str) -> String {
    let mut section = "";
    let mut is_kept = |line: &&str| {
        if !line.starts_with(' ') {
            section = if line.starts_with("compute:") { "compute" } else { "" };
        }
        section.is_empty() || !line.starts_with("  workers:")
    };
    lock.lines().filter(|line| is_kept(line)).map(|line| format!("{line}\n")).collect()
}
