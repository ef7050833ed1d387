//! What is right and probably not meant.

use std::collections::BTreeSet;

use super::super::diagnostic::{Diagnostic, Place};
use super::super::node::Node;
use super::super::raw::Draft;
use crate::strategy::Pace;

/// Settings that have no effect beside others of the same layer. Across layers they are a study: a profile with another
/// strategy need not take back what the file says for rounds. `profile_lines` are the lines of `profiles`.
pub(in crate::scenario) fn warnings(
    raw: &Draft,
    root: &Node,
    profile_lines: &BTreeSet<(usize, usize)>,
) -> Vec<Diagnostic> {
    let strategy = &raw.server.strategy;
    if strategy.implementation().pace() == Pace::Rounds || raw.server.clients_per_round.is_none() || raw.lock.is_some()
    {
        return Vec::new();
    }
    let layer = |place: Place| (place.source, profile_lines.contains(&(place.source, place.line)));
    let (ignored, because) = (root.locate("server.clients_per_round"), root.locate("server.strategy"));
    if layer(ignored) != layer(because) {
        return Vec::new();
    }
    let message = format!(
        "`server.clients_per_round` is a setting of synchronous rounds, which `{}` does not have",
        strategy.key()
    );
    let warning = Diagnostic::warning("no-effect", message, ignored);
    vec![warning.other(Some(because)).help("leave it out; `concurrency` says how many clients are at work")]
}
