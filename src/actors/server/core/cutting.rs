//! Tasks that a round no longer waits for.

use super::Core;
use crate::actors::messages::{TaskId, Unused};
use crate::actors::server::Turn;
use crate::strategy::CutOff;

impl Core {
    /// Stops tasks that the current round no longer waits for; their clients count as tried.
    pub(in crate::actors::server) fn cut_off(
        &mut self,
        tasks: impl IntoIterator<Item = TaskId>,
        why: Unused,
        turn: &mut Turn<'_>,
    ) {
        let mut tasks = tasks.into_iter().peekable();
        if tasks.peek().is_none() {
            return;
        }
        let population = &turn.view.population;
        let utility = self.history.mean_utility(self.round, |client_id| population.num_examples(client_id));
        for task in tasks {
            if let Some(asked) = self.tasks.get(task) {
                let (client_id, round) = (asked.client_id, asked.round);
                let waited = turn.now.since(asked.at).as_secs_f64();
                // Infinite where it cannot be computed.
                let stated = Some(population.stated_seconds(client_id)).filter(|stated| stated.is_finite());
                let seconds = stated.map_or(waited, |stated| stated.max(waited));
                self.history.cut_off(client_id, CutOff { round, seconds, utility });
            }
            self.refuse(task, why, turn);
        }
    }
}
