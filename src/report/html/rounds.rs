//! Why each round took so long: a table of critical paths, and the longest rounds in full.

use std::cmp::Reverse;
use std::fmt::Write;

use super::words;
use crate::report::critical_path::{Closing, Leg, RoundPath};
use crate::report::figures::{self, escaped, leg_colour};
use crate::report::story::Story;
use crate::units::SimDuration;

/// Rounds in the table.
const ROWS_MAX: usize = 200;

/// The table of the longest rounds, and what happened in the very longest.
pub(super) fn section(story: &Story) -> String {
    let Some(chronicle) = &story.chronicle else { return String::new() };
    if chronicle.paths.is_empty() {
        return "<p>No round has ended.</p>\n".into();
    }
    let mut paths: Vec<_> = chronicle.paths.iter().collect();
    paths.sort_by_key(|path| (Reverse(path.duration()), path.round));
    let drawn = figures::longest_rounds(story);
    let mut html = table(story, &paths[..paths.len().min(ROWS_MAX)], &drawn);
    for (round, figure) in &drawn {
        if let Some(path) = paths.iter().find(|path| path.round == *round) {
            html.push_str(&detail(story, path, figure));
        }
    }
    html
}

fn table(story: &Story, shown: &[&RoundPath], drawn: &[(u32, String)]) -> String {
    let n = story.chronicle.as_ref().map_or(0, |chronicle| chronicle.paths.len());
    let which = match n > shown.len() {
        true => format!("the {} longest of {n} rounds", shown.len()),
        false => format!("all {n} rounds"),
    };
    let mut html = format!(
        "<p class=\"tools\" hidden><label>Filter <input type=\"search\" data-filter=\"rounds-table\" \
         placeholder=\"such as deadline or client 7\"></label></p>\n<div class=\"scroll tall\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Critical paths\"><table id=\"rounds-table\" data-sort><caption>Critical paths, longest round first: \
         {which}. The seconds of a row add up to its duration.</caption>\n<thead><tr><th scope=\"col\" class=\"n\">round</th>\
         <th scope=\"col\" class=\"n\" aria-sort=\"descending\">duration</th><th scope=\"col\">ended by</th>\
         <th scope=\"col\">longest wait</th><th scope=\"col\" class=\"n\">download</th><th scope=\"col\" class=\"n\">training</th>\
         <th scope=\"col\" class=\"n\">upload</th><th scope=\"col\" class=\"n\">waiting</th></tr></thead>\n<tbody>\n"
    );
    for path in shown {
        let has_detail = drawn.iter().any(|(round, _)| *round == path.round);
        row(story, path, has_detail, &mut html);
    }
    html.push_str("</tbody></table></div>\n");
    html
}

fn row(story: &Story, path: &RoundPath, has_detail: bool, html: &mut String) {
    let number = match has_detail {
        true => format!("<a href=\"#detail-{0}\" data-round=\"{0}\">{0}</a>", path.round),
        false => path.round.to_string(),
    };
    let longest = path.longest().map_or_else(String::new, |leg| {
        let part = words::percent(leg.duration().as_secs_f64(), path.duration().as_secs_f64());
        format!("{}{}, {part}", leg.leg.name(), whose(story, leg.client_id))
    });
    let whole = path.duration().as_secs_f64();
    let bar: String = Leg::ALL
        .iter()
        .filter(|leg| path.spent_on(**leg) > SimDuration::ZERO)
        .map(|leg| {
            let part = 100.0 * path.spent_on(*leg).as_secs_f64() / whole;
            let tip = format!("{} {}", leg.name(), words::duration(path.spent_on(*leg)));
            format!("<i style=\"width:{part:.2}%;background:{}\" data-tip=\"{tip}\"></i>", leg_colour(*leg))
        })
        .collect();
    let waiting = [Leg::Pause, Leg::ForClients, Leg::ForDeadline, Leg::ForServer, Leg::ServerDown];
    let waited = waiting.iter().fold(SimDuration::ZERO, |sum, leg| sum + path.spent_on(*leg));
    let cell = |duration: SimDuration| {
        let seconds = duration.as_secs_f64();
        let text = if seconds > 0.0 { format!("{seconds:.2} s") } else { "–".into() };
        format!("<td class=\"n\" data-v=\"{seconds:.6}\">{text}</td>")
    };
    writeln!(
        html,
        "<tr><th scope=\"row\" class=\"n\" data-v=\"{}\">{number}</th>{}<td>{}</td><td class=\"wide\">{longest}\
         <span class=\"bar\" aria-hidden=\"true\">{bar}</span></td>{}{}{}{}</tr>",
        path.round,
        cell(path.duration()),
        ended_by(path),
        cell(path.spent_on(Leg::Download)),
        cell(path.spent_on(Leg::Train)),
        cell(path.spent_on(Leg::Upload)),
        cell(waited),
    )
    .expect("a string takes all");
}

/// A client with its classes, as an addition to what it does.
fn whose(story: &Story, client_id: Option<u32>) -> String {
    let Some(client_id) = client_id else { return String::new() };
    match story.class_of(client_id) {
        Some(class) => {
            let region = class.region.as_ref().map(|region| format!(", {}", escaped(region))).unwrap_or_default();
            format!(" of client {client_id} ({}, {}{region})", escaped(&class.device), escaped(&class.network))
        }
        None => format!(" of client {client_id}"),
    }
}

fn ended_by(path: &RoundPath) -> String {
    match path.closing {
        Closing::Arrival(client_id) => format!("update of client {client_id}"),
        Closing::Failure(client_id, reason) => {
            format!("failure of client {client_id} ({})", reason.as_str().replace('_', " "))
        }
        Closing::Deadline => match path.at_work.total() {
            0 => "deadline".into(),
            n => format!("deadline, {n} still at work"),
        },
        Closing::Restart => "restart of the server".into(),
        Closing::Period => "end of the period".into(),
    }
}

fn detail(story: &Story, path: &RoundPath, figure: &str) -> String {
    let round = path.round;
    let mut html = format!(
        "<details id=\"detail-{round}\" data-detail><summary>Round {round}: {}, ended by the {}</summary>\n",
        words::duration(path.duration()),
        ended_by(path)
    );
    if path.gap > SimDuration::ZERO {
        let gap = words::duration(path.gap);
        let _ = writeln!(html, "<p>Before it began, the server waited {gap} for enough clients to be available.</p>");
    }
    if path.gap_down > SimDuration::ZERO {
        let down = words::duration(path.gap_down);
        let _ = writeln!(html, "<p>Before it began, the server was down for {down}.</p>");
    }
    let at_work = path.at_work;
    if at_work.total() > 0 {
        let _ = writeln!(
            html,
            "<p>When the deadline passed, {} clients were still downloading, {} training, {} uploading.</p>",
            at_work.download, at_work.train, at_work.upload
        );
    }
    if path.carried > SimDuration::ZERO {
        let carried = words::duration(path.carried);
        let _ =
            writeln!(html, "<p>The first client of the path had been at work for {carried} when the round began.</p>");
    }
    html.push_str("<ol class=\"path\">\n");
    for leg in &path.legs {
        let (from, part) = (leg.from.since(path.start), leg.duration().as_secs_f64() / path.duration().as_secs_f64());
        let _ = writeln!(
            html,
            "<li>{} after the start: {}{}, {} ({:.1} %)</li>",
            words::duration(from),
            leg.leg.name(),
            whose(story, leg.client_id),
            words::duration(leg.duration()),
            100.0 * part
        );
    }
    let _ = write!(
        html,
        "</ol>\n<figure>{figure}<figcaption>The clients of the critical path are marked, their part of it is framed; each lane \
         is a client.</figcaption></figure>\n</details>\n"
    );
    html
}
