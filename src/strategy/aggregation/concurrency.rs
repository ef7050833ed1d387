//! What the asynchronous strategies have in common: how many clients are at work.

use crate::registry::Problem;

/// Nobody at work would mean that no update ever arrives.
pub(super) fn concurrency_problem(concurrency: u32) -> Option<Problem> {
    (concurrency == 0).then(|| {
        Problem::new("concurrency", "without a client at work no update ever arrives").help("write at least 1")
    })
}
