//! Power-of-choice (Cho, Wang and Joshi 2020, arXiv 2010.01243), in its variant `rpow-d`: of `d` clients drawn by data
//! size, those with the largest last reported loss.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draws::proposed_by_weight;
use super::{Candidates, Selection};
use crate::registry::Problem;
use crate::seed::Stream;

/// Power-of-choice, variant `rpow-d`.
///
/// The paper's `pow-d` sends the model to the `d` candidates and asks for their loss. Its `rpow-d`, which costs no
/// traffic and is what is built here, takes the loss that each reported with its last update, the mean over its local
/// training; a client that has not reported yet counts as infinitely bad, so it goes first. Where no losses are told, as
/// in timing-only runs, all candidates are alike, and the selection is by samples.
///
/// The paper draws candidates with chances by data size and then takes the plain mean of the updates of those who are
/// chosen: write `strategy: { fedavg: { weighting: uniform } }` for that. With FedAvg's default, `weighting: num_samples`,
/// a client's data size counts twice: in its chance to be a candidate, and in the weight of its update.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerOfChoiceConfig {
    /// Candidates, drawn without replacement with chances by data size, >= 1. If it is not more than the clients wanted,
    /// there is no choice, and the selection is by samples. The paper finds 2 to 3 times the wanted clients good.
    pub d: u32,
}

impl Selection for PowerOfChoiceConfig {
    fn problems(&self) -> Vec<Problem> {
        let problem = || {
            Problem::new("d", "there is nobody to choose from")
                .help("write more than the clients of a round, such as 20")
        };
        (self.d == 0).then(problem).into_iter().collect()
    }

    fn without_effect(&self, n_asked: Option<usize>, learns: bool) -> Vec<Problem> {
        let mut found = Vec::new();
        if let Some(n) = n_asked.filter(|n| self.d as usize <= *n) {
            let message = format!("{n} clients are asked at a time, which leaves no choice of {} candidates", self.d);
            let help = format!("write 2 to 3 times as many, such as {}, or `selection: weighted`", 2 * n);
            found.push(Problem::new("d", message).help(help));
        }
        if !learns {
            let message = "no losses are told in a timing-only run, so clients are drawn by their samples alone";
            found.push(Problem::new("", message).help("`selection: weighted` is the same here"));
        }
        found
    }

    fn select(&self, n: usize, candidates: &Candidates<'_>, stream: &mut Stream) -> Vec<u32> {
        let weight = |client_id| candidates.examples(client_id);
        let n_drawn = n.max(self.d as usize);
        let drawn = proposed_by_weight(n_drawn, candidates.by_examples(), weight, candidates.is_available, stream);
        let loss_of = |client_id| {
            candidates.history.of(client_id).and_then(|observed| observed.last_loss).unwrap_or(f64::INFINITY)
        };
        let mut by_loss: Vec<(f64, u32)> = drawn.into_iter().map(|client_id| (loss_of(client_id), client_id)).collect();
        // A stable sort: those of equal loss stay in the order in which they were drawn.
        by_loss.sort_by(|a, b| b.0.total_cmp(&a.0));
        by_loss.into_iter().take(n).map(|(_, client_id)| client_id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Clients;
    use super::*;

    #[test]
    fn the_worst_of_the_candidates_are_asked_and_the_unknown_first() {
        let mut clients = Clients::of(5);
        for (client_id, loss) in [(0, 0.5), (1, 2.0), (2, 0.1), (3, 1.0)] {
            clients.history.asked(client_id, 1);
            clients.history.learnt(client_id, loss);
        }
        // All five are candidates; client 4 has reported nothing.
        assert_eq!(clients.select(&PowerOfChoiceConfig { d: 5 }, 3, 2), [4, 1, 3]);
    }

    #[test]
    fn candidates_are_drawn_by_data_size() {
        // The largest loss wins whenever it is drawn: client 0 with 10 of 40 examples, d = 2 of 4 clients. It is left out
        // with probability 3/4 x 2/3 = 1/2 (equal sizes), so it is asked in 2,000 of 4,000 rounds; the standard deviation
        // is sqrt(4000) / 2 = 31.6; five of them are 158.
        let mut clients = Clients { num_examples: vec![10; 4], ..Clients::of(4) };
        (0..4).for_each(|client_id| clients.history.learnt(client_id, if client_id == 0 { 9.0 } else { 1.0 }));
        let of_first = |clients: &Clients| {
            (0..4000).filter(|&round| clients.select(&PowerOfChoiceConfig { d: 2 }, 1, round) == [0]).count()
        };
        assert!(of_first(&clients).abs_diff(2000) < 158);
        // With 90 examples beside three times 10 it is left out with probability 3 x 1/12 x 2/11 = 1/22: asked in
        // 3,818 of 4,000, with a standard deviation of 13.2; five of them are 66.
        clients.num_examples[0] = 90;
        assert!(of_first(&clients).abs_diff(3818) < 66);
    }

    #[test]
    fn without_losses_it_selects_by_samples() {
        let clients = Clients { num_examples: vec![10, 30, 20, 5], ..Clients::of(4) };
        for round in 0..50 {
            let chosen = clients.select(&PowerOfChoiceConfig { d: 3 }, 2, round);
            assert_eq!(chosen, clients.select(&super::super::WeightedConfig {}, 2, round));
        }
    }

    #[test]
    fn no_candidates_are_a_problem() {
        assert_eq!(PowerOfChoiceConfig { d: 0 }.problems()[0].path, "d");
    }
}
