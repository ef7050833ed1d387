//! What is right and probably not meant.

use std::collections::BTreeSet;

use super::super::checked::dispatches;
use super::super::diagnostic::{Diagnostic, Place};
use super::super::node::{Node, Value};
use super::super::raw::Draft;
use super::super::settings::Mode;
use crate::registry::Problem;
use crate::sim::{AvailabilityConfig, WhenInterrupted};
use crate::strategy::Pace;
use crate::units::SimDuration;

/// What has no effect: settings beside others of the same layer, above all, and what contradicts itself. Across layers they are a study: a profile with
/// another strategy need not take back what the file says for rounds. `profile_lines` are the lines of `profiles`.
pub(in crate::scenario) fn warnings(
    raw: &Draft,
    root: &Node,
    profile_lines: &BTreeSet<(usize, usize)>,
) -> Vec<Diagnostic> {
    let asserts = asserts_without(raw, root);
    // A lock holds every setting, of use or not.
    if raw.lock.is_some() {
        return asserts.into_iter().collect();
    }
    let of_same_layer = |ignored: &str, because: &str| {
        let layer = |place: Place| (place.source, profile_lines.contains(&(place.source, place.line)));
        let (ignored, because) = (root.locate(ignored), root.locate(because));
        (layer(ignored) == layer(because)).then_some((ignored, because))
    };
    let no_effect =
        [asserts, clients_of_rounds(raw, &of_same_layer), late_updates(raw, root), retries(raw, root, &of_same_layer)];
    no_effect.into_iter().flatten().chain(selection(raw, root)).chain(clocks(raw, root)).collect()
}

/// Settings of the selection that do nothing in this run.
fn selection(raw: &Draft, root: &Node) -> Vec<Diagnostic> {
    let server = &raw.server;
    let n_asked = match server.strategy.implementation().pace() {
        Pace::Rounds => server.clients_per_round.map(|n| dispatches(n, server.over_selection) as usize),
        Pace::Buffer { .. } | Pace::Period { .. } => None,
    };
    let learns = raw.compute.mode == Mode::Real;
    let warning = |problem: Problem| {
        let path = format!("server.selection.{}", server.selection.key());
        let path = if problem.path.is_empty() { path } else { format!("{path}.{}", problem.path) };
        let place = if root.has(&path) { root.locate(&path) } else { root.locate("server.selection") };
        let warning = Diagnostic::warning("no-effect", format!("`{path}`: {}", problem.message), place);
        problem.help.into_iter().fold(warning, Diagnostic::help)
    };
    let found = server.selection.implementation().without_effect(n_asked, learns);
    found.into_iter().map(warning).collect()
}

/// Devices that are charged by another clock on the wall than the one that their owners go by.
fn clocks(raw: &Draft, root: &Node) -> Vec<Diagnostic> {
    let AvailabilityConfig::Diurnal(diurnal) = &raw.clients.availability else { return Vec::new() };
    let mut found = Vec::new();
    for (name, class) in &raw.clients.devices {
        let Some(charging) = class.battery.as_ref().and_then(|battery| battery.charging.as_ref()) else { continue };
        let clocks = [
            ("starts_at", charging.starts_at, diurnal.starts_at),
            ("time_zones", charging.time_zones, diurnal.time_zones),
        ];
        for (setting, of_charging, of_owners) in clocks.into_iter().filter(|(_, charging, owners)| charging != owners) {
            let shown = |time: SimDuration| if time == SimDuration::ZERO { "0 h".into() } else { time.to_string() };
            let (of_charging, of_owners) = (shown(of_charging), shown(of_owners));
            let (of, other) = (format!("clients.devices.{name}.battery.charging"), "clients.availability.diurnal");
            let message = format!(
                "`{of}.{setting}` is {of_charging}, but `{other}.{setting}` is {of_owners}: clients have two times of day"
            );
            // One that is left out has its default, and the place of what it is left out of.
            let place = |path: &str| match format!("{path}.{setting}") {
                written if root.has(&written) => root.locate(&written),
                _ => root.locate(path),
            };
            let warning = Diagnostic::warning("two-clocks", message, place(&of));
            let help = format!("write `{setting}: {of_owners}` in both, unless it is meant");
            found.push(warning.other(Some(place(other))).help(help));
        }
    }
    found
}

/// What is asserted of the metric where none is computed, because another layer says so.
fn asserts_without(raw: &Draft, root: &Node) -> Option<Diagnostic> {
    if raw.compute.mode != Mode::TimingOnly || !matches!(root.get("assert")?.value, Value::List(_)) {
        return None;
    }
    let message = "`assert` is left aside: `compute.mode: timing_only` computes no metric";
    let because = root.locate("compute.mode");
    Some(Diagnostic::warning("no-effect", message, root.locate("assert")).other(Some(because)))
}

/// The places of two settings, the first without effect because of the second, when one layer writes both.
type SameLayer<'a> = dyn Fn(&str, &str) -> Option<(Place, Place)> + 'a;

fn clients_of_rounds(raw: &Draft, of_same_layer: &SameLayer<'_>) -> Option<Diagnostic> {
    let strategy = &raw.server.strategy;
    if strategy.implementation().pace() == Pace::Rounds || raw.server.clients_per_round.is_none() {
        return None;
    }
    let (ignored, because) = of_same_layer("server.clients_per_round", "server.strategy")?;
    let message = format!(
        "`server.clients_per_round` is a setting of synchronous rounds, which `{}` does not have",
        strategy.key()
    );
    let warning = Diagnostic::warning("no-effect", message, ignored);
    Some(warning.other(Some(because)).help("leave it out; `concurrency` says how many clients are at work"))
}

/// Rounds that wait for all whom they ask leave nobody late.
fn late_updates(raw: &Draft, root: &Node) -> Option<Diagnostic> {
    let server = &raw.server;
    let waits_for_all = server.deadline.is_none() && server.over_selection == 1.0;
    if !waits_for_all
        || root.has("server.over_selection")
        || server.strategy.implementation().pace() != Pace::Rounds
        || !server.late_updates.implementation().lets_clients_go_on()
    {
        return None;
    }
    let message = "`server.late_updates`: no update is late, since each round waits for all the clients that it asks";
    let warning = Diagnostic::warning("no-effect", message, root.locate("server.late_updates"));
    Some(warning.help("add `deadline: 10 min` or `over_selection: 1.3` to `server`, or leave it out"))
}

fn retries(raw: &Draft, root: &Node, of_same_layer: &SameLayer<'_>) -> Option<Diagnostic> {
    let path = "clients.uploads.retries";
    if raw.clients.uploads.when_interrupted != WhenInterrupted::Fail || !root.has(path) {
        return None;
    }
    let (ignored, _) = of_same_layer(path, "clients.uploads.when_interrupted")?;
    let message = "`clients.uploads.retries`: an upload that breaks off fails, and is not tried again";
    let warning = Diagnostic::warning("no-effect", message, ignored);
    Some(warning.help("write `when_interrupted: restart` or `resume` beside it, or leave it out"))
}
