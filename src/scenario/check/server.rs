//! The server: how many clients it asks, how long it waits, and what its strategy has no use for.

use super::super::checked::dispatches;
use super::super::diagnostic::Diagnostic;
use super::Checker;
use crate::strategy::Pace;
use crate::strategy::round::{BelowMinUpdatesConfig, LateUpdatesConfig};

impl Checker<'_> {
    pub(super) fn server(&mut self) {
        let server = &self.raw.server;
        self.require(server.rounds >= 1, "server.rounds", "at least one round is needed", "");
        self.require(
            server.min_updates >= 1,
            "server.min_updates",
            "must be at least 1",
            "a round without updates cannot count",
        );
        let over = server.over_selection;
        self.require(
            (1.0..=1e6).contains(&over),
            "server.over_selection",
            format!("{over} must be between 1 and 1000000"),
            "1 asks no more clients than it needs",
        );
        self.patience();
        let is_zero = server.deadline.is_some_and(|deadline| deadline.as_nanos() == 0);
        self.require(!is_zero, "server.deadline", "no update can arrive in no time", "leave it out for no deadline");
        if server.deadline.is_none() && server.below_min_updates.implementation().extension().is_some() {
            let path = format!("server.below_min_updates.{}", server.below_min_updates.key());
            let problem = self.at("conflict", &path, "puts off a deadline, and there is none");
            self.problems.push(problem.help("add `deadline: 10 min` to `server`, or leave `below_min_updates` out"));
        }
    }

    /// What makes a run that is given up in any case.
    fn patience(&mut self) {
        let server = &self.raw.server;
        let patience = server.give_up_after;
        let mut too_long = Vec::new();
        if let Pace::Period { period, .. } = server.strategy.implementation().pace() {
            let path = format!("server.strategy.{}.period", server.strategy.key());
            too_long.push((path, period, "no model is made before a period ends"));
        }
        for (index, restart) in server.restarts.iter().enumerate() {
            let path = format!("server.restarts.{index}.downtime");
            too_long.push((path, restart.downtime, "a server that is down makes no model"));
        }
        for (path, time, why) in too_long.into_iter().filter(|(_, time, _)| *time > patience) {
            let message = format!(
                "`{path}` is {time}, but a run that has made no model for {patience} is given up (`server.give_up_after`): {why}"
            );
            let problem = Diagnostic::new("conflict", message, Some(self.root.locate(&path)));
            let is_written = self.root.has("server.give_up_after");
            let problem = problem.other(is_written.then(|| self.root.locate("server.give_up_after")));
            self.problems.push(problem.help(format!("shorten it, or raise `server.give_up_after` to {time} or more")));
        }
    }

    /// How many clients a synchronous round asks, and how many it needs.
    fn rounds(&mut self) {
        let server = &self.raw.server;
        let Some(clients_per_round) = server.clients_per_round else {
            let problem = Diagnostic::new(
                "missing-key",
                "the scenario needs `server.clients_per_round`",
                Some(self.root.locate("server")),
            );
            return self.problems.push(problem.help("updates that a round aggregates, such as `10`"));
        };
        self.require(clients_per_round >= 1, "server.clients_per_round", "at least one client is needed", "");
        let over = server.over_selection;
        let total = self.raw.clients.total;
        let n = dispatches(clients_per_round, over);
        if n > total && total >= 1 {
            let message = format!(
                "{n} dispatches per round ({} x over_selection {over}) but `clients.total` is {total}",
                clients_per_round
            );
            let place = Some(self.root.locate("server.clients_per_round"));
            let problem = Diagnostic::new("too-few-clients", message, place);
            self.problems.push(
                problem
                    .other(Some(self.root.locate("clients.total")))
                    .help("raise clients.total or lower clients_per_round"),
            );
        }
        if server.min_updates > clients_per_round {
            let message = format!(
                "`server.min_updates` is {} but a round aggregates at most {} updates",
                server.min_updates, clients_per_round
            );
            let problem = Diagnostic::new("too-few-updates", message, Some(self.root.locate("server.min_updates")));
            self.problems.push(
                problem
                    .other(Some(self.root.locate("server.clients_per_round")))
                    .help("lower min_updates or raise clients_per_round"),
            );
        }
    }

    /// Settings of rounds that a strategy without rounds has no use for.
    pub(super) fn pace(&mut self) {
        let server = &self.raw.server;
        let zero = server.give_up_after.as_nanos() == 0;
        self.require(!zero, "server.give_up_after", "a run that is given up at once never begins", "write `30 d`");
        let key = server.strategy.key();
        let (concurrency, path) = match server.strategy.implementation().pace() {
            Pace::Rounds => return self.rounds(),
            Pace::Buffer { concurrency, .. } | Pace::Period { concurrency, .. } => {
                (concurrency, format!("server.strategy.{key}.concurrency"))
            }
        };
        let given = [
            ("server.over_selection", server.over_selection != 1.0),
            ("server.deadline", server.deadline.is_some()),
            ("server.min_updates", server.min_updates != 1),
            ("server.below_min_updates", server.below_min_updates != BelowMinUpdatesConfig::default()),
            ("server.late_updates", server.late_updates != LateUpdatesConfig::default()),
        ];
        for (path, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            let problem = self
                .at("conflict", path, format!("is a setting of synchronous rounds, which `{key}` does not have"))
                .other(Some(self.root.locate("server.strategy")));
            self.problems.push(problem.help("leave it out, or write `null` in a profile"));
        }
        if concurrency > self.raw.clients.total as usize {
            let message = format!("{concurrency} clients at work, but `clients.total` is {}", self.raw.clients.total);
            let problem = Diagnostic::new("too-few-clients", message, Some(self.root.locate(&path)));
            let problem = problem.other(Some(self.root.locate("clients.total")));
            self.problems.push(problem.help("raise clients.total or lower concurrency"));
        }
    }
}
