//! What came out: headline figures, and what stands out in them.

use std::collections::BTreeMap;

use super::words;
use crate::report::critical_path::{Closing, Leg};
use crate::report::figures::{escaped, in_stage};
use crate::report::story::{ClassNames, Story};
use crate::report::{Reason, Status, Summary};
use crate::units::{Bytes, SimDuration, SimTime};

/// How the run ended: a word and whether it is cause for concern.
pub(super) fn status(story: &Story) -> (&'static str, bool) {
    match story.summary.as_ref().map(|summary| summary.status) {
        Some(Status::Completed) => ("completed", false),
        Some(Status::Interrupted) => ("interrupted", true),
        Some(Status::Failed) => ("failed", true),
        None => ("did not finish", true),
    }
}

/// What is not there, if anything.
pub(super) fn notices(story: &Story) -> String {
    let mut notices = Vec::new();
    if story.summary.is_none() {
        let n = story.rounds.rows.len();
        notices.push(format!(
            "This run has no <code>summary.json</code>: it was stopped or failed before its end. The page shows the {n} \
             rounds that had been written by then."
        ));
    }
    let missing: Vec<_> = story.missing.iter().filter(|name| **name != "summary.json").collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|name| format!("<code>{name}</code>")).collect();
        notices.push(format!("Not in the folder: {}. What would be made of it is left out.", names.join(", ")));
    }
    notices.iter().map(|notice| format!("<p class=\"notice\" role=\"note\">{notice}</p>\n")).collect()
}

/// The headline figures.
pub(super) fn cards(story: &Story) -> String {
    let mut cards = Vec::new();
    let rows = &story.rounds.rows;
    if let Some(summary) = &story.summary {
        learning_cards(summary, &mut cards);
    } else if let Some((round, value)) = rows.iter().rev().find_map(|row| Some((row.round, row.eval_metric?))) {
        cards.push((story.rounds.metric.replace('_', " "), words::metric(value), format!("after round {round}")));
    }
    let end = story.summary.as_ref().map(|summary| summary.sim_time);
    let end = end.or(rows.last().map(|row| row.sim_end)).unwrap_or(SimTime::ZERO);
    let n_rounds = rows.len() as u64;
    let per_round = match rows.last() {
        Some(last) => {
            let mean = SimDuration::from_nanos(last.sim_end.as_nanos() / n_rounds);
            format!("{} a round", words::duration(mean))
        }
        None => String::new(),
    };
    cards.push(("simulated time".into(), words::duration(end.since(SimTime::ZERO)), per_round));
    let sum = |value: fn(&crate::report::RoundRow) -> u32| rows.iter().map(|row| u64::from(value(row))).sum::<u64>();
    let (selected, aggregated) = (sum(|row| row.selected), sum(|row| row.aggregated));
    cards.push(("rounds".into(), words::count(n_rounds), format!("{} tasks", words::count(selected))));
    let used = words::percent(aggregated as f64, selected as f64);
    cards.push(("tasks used".into(), used, format!("{} updates aggregated", words::count(aggregated))));
    let moved = rows.last().map(|row| row.cum_bytes).unwrap_or_default();
    let wasted: Bytes = rows.iter().map(|row| row.bytes_wasted).sum();
    let wasted_part = words::percent(wasted.get() as f64, moved.get() as f64);
    cards.push(("traffic".into(), words::bytes(moved), format!("{wasted_part} wasted")));
    if let Some(energy) = story.summary.as_ref().and_then(|summary| summary.energy) {
        let wasted = words::percent(energy.wasted, energy.total);
        cards.push(("energy".into(), format!("{:.1} kJ", energy.total / 1000.0), format!("{wasted} wasted")));
    }
    let card = |(name, value, sub): &(String, String, String)| {
        format!("<div class=\"card\"><dt>{}</dt><dd>{value}</dd><dd class=\"sub\">{sub}</dd></div>\n", escaped(name))
    };
    format!("<dl class=\"cards\">\n{}</dl>\n", cards.iter().map(card).collect::<String>())
}

fn learning_cards(summary: &Summary, cards: &mut Vec<(String, String, String)>) {
    let name = summary.metric.as_deref().unwrap_or("metric").replace('_', " ");
    if let Some(test) = &summary.test {
        let of = format!("model of round {}, chosen on validation", test.round);
        cards.push((format!("{name}, test"), words::metric(test.value), of));
    }
    if let Some(validation) = &summary.validation {
        let sub = format!("best in round {}, {} at the end", validation.best_round, words::metric(validation.last));
        cards.push((format!("{name}, validation"), words::metric(validation.best), sub));
    }
    if let Some(target) = &summary.target {
        let name = format!("time to {name} {}", target.value);
        cards.push(match (target.sim_time, target.reached_round, target.bytes) {
            (Some(time), Some(round), Some(bytes)) => {
                let sub = format!("round {round}, {}", words::bytes(bytes));
                (name, words::duration(time.since(SimTime::ZERO)), sub)
            }
            _ => (name, "not reached".into(), String::new()),
        });
    }
}

/// What stands out, in sentences.
pub(super) fn insights(story: &Story) -> String {
    let mut sentences = Vec::new();
    let Some(chronicle) = &story.chronicle else { return String::new() };
    let paths = &chronicle.paths;
    let nanos =
        |leg: Leg| paths.iter().map(|path| (path.spent_on(leg) + path.waited_before(leg)).as_nanos()).sum::<u64>();
    let total = Leg::ALL.map(nanos).iter().sum::<u64>();
    if total > 0 {
        let mut parts: Vec<(u64, Leg)> =
            Leg::ALL.iter().map(|leg| (nanos(*leg), *leg)).filter(|part| part.0 > 0).collect();
        parts.sort_by_key(|(nanos, leg)| (std::cmp::Reverse(*nanos), *leg));
        let told: Vec<_> = parts
            .iter()
            .take(3)
            .map(|(nanos, leg)| format!("<b>{} {}</b>", words::percent(*nanos as f64, total as f64), leg.name()))
            .collect();
        sentences.push(format!("Of the time that the rounds took, their critical paths are {}.", told.join(", ")));
    }
    sentences.extend(who_held_up(story));
    let n_deadline = paths.iter().filter(|path| path.closing == Closing::Deadline).count();
    if n_deadline > 0 {
        let at_work: u32 = paths.iter().map(|path| path.at_work.total()).sum();
        sentences.push(format!(
            "{n_deadline} of {} rounds ended with their <b>deadline</b>, on average with {:.1} clients still at work.",
            paths.len(),
            f64::from(at_work) / n_deadline as f64
        ));
    }
    // What is under way when the run ends says nothing about the run, unless there is nothing else.
    let is_told =
        |reason: Reason| reason != Reason::RunEnd || chronicle.unused.keys().all(|(other, _)| *other == reason);
    let causes = chronicle.unused.iter().filter(|((reason, _), _)| is_told(*reason));
    if let Some(((reason, stage), n)) = causes.max_by_key(|(cause, n)| (**n, std::cmp::Reverse(**cause))) {
        let all: u64 = chronicle.unused.values().sum();
        let wasted = chronicle.down.wasted + chronicle.up.wasted - chronicle.discarded;
        sentences.push(format!(
            "{} tasks were not used, which wasted {}; the most frequent cause is <b>{}</b> {} ({} tasks).",
            words::count(all),
            words::bytes(wasted),
            reason.as_str().replace('_', " "),
            in_stage(*stage),
            words::count(*n)
        ));
    }
    let items: String = sentences.iter().map(|sentence| format!("<li>{sentence}</li>\n")).collect();
    if items.is_empty() { items } else { format!("<ul class=\"insights\">\n{items}</ul>\n") }
}

/// Which class of clients the rounds waited for longest.
fn who_held_up(story: &Story) -> Option<String> {
    let (chronicle, people) = (story.chronicle.as_ref()?, story.people.as_ref()?);
    let mut rounds: BTreeMap<&ClassNames, u64> = BTreeMap::new();
    for path in &chronicle.paths {
        let longest = path.longest().and_then(|leg| leg.client_id).and_then(|client_id| story.class_of(client_id));
        if let Some(class) = longest {
            *rounds.entry(class).or_default() += 1;
        }
    }
    let (class, n) = rounds.into_iter().max_by_key(|(_, n)| *n)?;
    if people.classes.len() < 2 {
        return None;
    }
    let share = people.classes.get(class).map_or(0, |sums| sums.clients);
    let region = class.region.as_ref().map(|region| format!(" in {}", escaped(region))).unwrap_or_default();
    Some(format!(
        "The longest wait was for a client of <b>{} on {}{region}</b> in {n} of {} rounds; they are {} of the clients.",
        escaped(&class.device),
        escaped(&class.network),
        chronicle.paths.len(),
        words::percent(share as f64, people.clients as f64)
    ))
}
