//! What the server has seen of its clients: the memory of the selection policies, which have none of their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::collections::Changes;

/// What the server has seen of one client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Tasks that it was asked for.
    pub asked: u32,
    /// Updates that arrived in full.
    pub answered: u32,
    /// The round in which it was asked last, from 1.
    pub last_round: u32,
    /// The round of the task whose update arrived last; 0 when none has.
    pub last_answered_round: u32,
    /// Seconds from asking to arrival, of the update that arrived last.
    pub last_seconds: Option<f64>,
    /// Mean training loss of the update collected last.
    pub last_loss: Option<f64>,
    /// How its last task that came to an end was cut off; none when its update arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_off: Option<CutOff>,
}

/// A task whose round no longer waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CutOff {
    /// The round it was asked in.
    pub round: u32,
    /// Seconds that the task takes by what the server knows.
    pub seconds: f64,
    /// What stands in for the utility of its update, see [`History::mean_utility`]; none where the round told no losses.
    pub utility: Option<f64>,
}

/// A training loss that the server was told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    /// The round that was under way then: the last in which anybody had been asked.
    pub round: u32,
    /// Whose loss it is.
    pub client_id: u32,
    /// Mean loss over the client's examples.
    pub loss: f64,
}

/// What the server has seen of its clients so far. Clients it never asked take no room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    clients: BTreeMap<u32, Observed>,
    /// For each round in which clients were asked, the first of them.
    first_asked: Vec<(u32, u32)>,
    last_asked: Option<u32>,
    learnt: Vec<Learnt>,
    /// Whom something new was seen of.
    #[serde(skip)]
    changes: Changes,
}

impl History {
    /// What was seen of a client; none if it was never asked.
    pub fn of(&self, client_id: u32) -> Option<&Observed> {
        self.clients.get(&client_id)
    }

    /// The clients that were asked at least once, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Observed)> {
        self.clients.iter().map(|(client_id, observed)| (*client_id, observed))
    }

    /// The client that was asked last of all.
    pub fn last_asked(&self) -> Option<u32> {
        self.last_asked
    }

    /// The rounds in which clients were asked, each with the client that was asked first, in order.
    pub fn first_asked(&self) -> &[(u32, u32)] {
        &self.first_asked
    }

    /// All losses that were told, in order. None in timing-only runs.
    pub fn learnings(&self) -> &[Learnt] {
        &self.learnt
    }

    /// Whom something new was seen of, in order.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// A client was asked in a round. Clients of one selection are told of in the order of their selection.
    pub fn asked(&mut self, client_id: u32, round: u32) {
        let observed = self.clients.entry(client_id).or_default();
        observed.asked += 1;
        observed.last_round = round;
        self.changes.add(client_id);
        self.last_asked = Some(client_id);
        if self.first_asked.last().is_none_or(|(last, _)| *last < round) {
            self.first_asked.push((round, client_id));
        }
    }

    /// The update of a task that a client was asked for in `round` has arrived, `seconds` after.
    pub fn answered(&mut self, client_id: u32, round: u32, seconds: f64) {
        let observed = self.clients.entry(client_id).or_default();
        observed.answered += 1;
        observed.last_answered_round = round;
        observed.last_seconds = Some(seconds);
        observed.cut_off = None;
        self.changes.add(client_id);
    }

    /// The round of a client's task no longer waits for it.
    pub fn cut_off(&mut self, client_id: u32, how: CutOff) {
        self.clients.entry(client_id).or_default().cut_off = Some(how);
        self.changes.add(client_id);
    }

    /// Mean of `examples x loss` over the losses that were told in `round`; none when none were. `round` is the last in which
    /// clients were asked, or an earlier one.
    pub fn mean_utility(&self, round: u32, num_examples: impl Fn(u32) -> u32) -> Option<f64> {
        let first = self.learnt.partition_point(|learnt| learnt.round < round);
        let of_round = self.learnt[first..].iter().take_while(|learnt| learnt.round == round);
        let utilities = of_round.map(|learnt| f64::from(num_examples(learnt.client_id)) * learnt.loss);
        let (sum, n) = utilities.fold((0.0, 0u32), |(sum, n), utility| (sum + utility, n + 1));
        (n > 0).then(|| sum / f64::from(n))
    }

    /// The update of a client was collected.
    pub fn learnt(&mut self, client_id: u32, train_loss: f64) {
        self.clients.entry(client_id).or_default().last_loss = Some(train_loss);
        let round = self.first_asked.last().map_or(0, |(round, _)| *round);
        self.changes.add(client_id);
        self.learnt.push(Learnt { round, client_id, loss: train_loss });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_remembered_by_client_and_by_round() {
        let mut history = History::default();
        for client_id in [7, 3] {
            history.asked(client_id, 1);
        }
        history.answered(7, 1, 2.5);
        history.learnt(7, 0.25);
        history.asked(3, 2);
        // An update of round 1 that arrives late is learnt in round 2.
        history.answered(3, 1, 9.0);
        history.learnt(3, 0.5);
        assert_eq!(
            history.of(3).copied(),
            Some(Observed {
                asked: 2,
                answered: 1,
                last_round: 2,
                last_answered_round: 1,
                last_seconds: Some(9.0),
                last_loss: Some(0.5),
                cut_off: None
            })
        );
        assert_eq!((history.last_asked(), history.first_asked()), (Some(3), &[(1, 7), (2, 3)][..]));
        let learnt: Vec<_> = history.learnings().iter().map(|learnt| (learnt.round, learnt.client_id)).collect();
        assert_eq!(learnt, [(1, 7), (2, 3)]);
        assert_eq!(history.of(4), None);
        assert_eq!(history.iter().map(|(client_id, _)| client_id).collect::<Vec<_>>(), [3, 7]);
    }

    #[test]
    fn a_task_that_is_cut_off_is_remembered_until_an_update_arrives() {
        let mut history = History::default();
        for (round, client_id, loss) in [(1, 7, 0.25), (2, 7, 0.5), (2, 3, 2.0)] {
            history.asked(client_id, round);
            history.answered(client_id, round, 1.0);
            history.learnt(client_id, loss);
        }
        // 40 and 80 examples in round 2: (40 x 0.5 + 80 x 2) / 2.
        let num_examples = |client_id| if client_id == 7 { 40 } else { 80 };
        let means = [0, 1, 2, 3].map(|round| history.mean_utility(round, num_examples));
        assert_eq!(means, [None, Some(10.0), Some(90.0), None]);
        history.asked(5, 2);
        let how = CutOff { round: 2, seconds: 30.0, utility: means[2] };
        history.cut_off(5, how);
        let kept = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<History>(&kept).unwrap(), history);
        assert_eq!(
            history.of(5).map(|seen| (seen.answered, seen.last_seconds, seen.cut_off)),
            Some((0, None, Some(how)))
        );
        // Asked again, it is what it was; once it has answered, that counts.
        history.asked(5, 3);
        assert_eq!(history.of(5).unwrap().cut_off, Some(how));
        history.answered(5, 3, 20.0);
        assert_eq!(history.of(5).unwrap().cut_off, None);
        // What was kept before there was anything to say of it can be read.
        let kept =
            r#"{"asked":1,"answered":0,"last_round":1,"last_answered_round":0,"last_seconds":null,"last_loss":null}"#;
        assert_eq!(serde_json::from_str::<Observed>(kept).unwrap().cut_off, None);
    }
}
