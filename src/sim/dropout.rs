//! Whether a task fails, and where.

use rand::RngExt;
use rand_distr::Open01;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::registry::Problem;
use crate::seed::Stream;

/// Probability that a task fails in a phase: `clients.dropout`. Each is in [0, 1]; 0 is never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DropoutConfig {
    /// While the model travels to the client.
    pub during_download: f64,
    /// While the client trains, given that the download succeeded.
    pub during_train: f64,
    /// While the update travels to the server, given that training succeeded. Of each attempt, where `clients.uploads` tries
    /// again.
    pub during_upload: f64,
}

/// The parts of a client's task, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The model travels to the client.
    Download,
    /// The client trains.
    Train,
    /// The update travels to the server.
    Upload,
}

/// How a task is going to fail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The part in which it fails; those before it succeed.
    pub phase: Phase,
    /// How much of that part is done when it fails, in (0, 1).
    pub fraction: f64,
}

impl DropoutConfig {
    /// What is wrong with the settings.
    pub fn problems(&self) -> Vec<Problem> {
        self.by_phase()
            .into_iter()
            .filter(|(_, _, probability)| !(0.0..=1.0).contains(probability))
            .map(|(_, path, probability)| {
                Problem::new(path, format!("probability {probability} is not in [0, 1]"))
                    .help("it is a fraction of the tasks: write 0.1 for one in ten")
            })
            .collect()
    }

    /// Draws whether a task fails, from the stream of its client and round.
    ///
    /// The number of draws does not depend on the settings: with another probability for one phase, the same tasks
    /// still fail in the phases before it.
    pub fn draw(&self, stream: &mut Stream) -> Option<Failure> {
        let draws: [f64; 3] = stream.random();
        let fraction = stream.sample(Open01);
        let failed = self.by_phase().into_iter().zip(draws).find(|((_, _, probability), draw)| draw < probability);
        failed.map(|((phase, _, _), _)| Failure { phase, fraction })
    }

    /// Draws whether a further attempt at an upload fails, from a stream of its own.
    pub fn draw_upload(&self, stream: &mut Stream) -> Option<Failure> {
        let draw: f64 = stream.random();
        let fraction = stream.sample(Open01);
        (draw < self.during_upload).then_some(Failure { phase: Phase::Upload, fraction })
    }

    fn by_phase(&self) -> [(Phase, &'static str, f64); 3] {
        [
            (Phase::Download, "during_download", self.during_download),
            (Phase::Train, "during_train", self.during_train),
            (Phase::Upload, "during_upload", self.during_upload),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seeds};

    fn draws(config: DropoutConfig, n: u32) -> Vec<Option<Failure>> {
        (0..n).map(|client| config.draw(&mut Seeds::new(1).task(Purpose::Dropout, client, 1))).collect()
    }

    #[test]
    fn never_and_always() {
        assert!(draws(DropoutConfig::default(), 100).iter().all(Option::is_none));
        let always = DropoutConfig { during_train: 1.0, ..DropoutConfig::default() };
        assert!(draws(always, 100).iter().flatten().all(|failure| failure.phase == Phase::Train));
        assert_eq!(draws(always, 100).iter().flatten().count(), 100);
    }

    #[test]
    fn probabilities_are_conditional_on_reaching_the_phase() {
        let config = DropoutConfig { during_download: 0.1, during_train: 0.2, during_upload: 0.5 };
        let n = 40_000;
        let failures = draws(config, n);
        let share =
            |phase| failures.iter().flatten().filter(|failure| failure.phase == phase).count() as f64 / f64::from(n);
        // 0.1; (1 - 0.1) 0.2 = 0.18; (1 - 0.1)(1 - 0.2) 0.5 = 0.36. Five standard deviations are at most
        // 5 sqrt(0.36 x 0.64 / 40,000) = 0.012.
        for (phase, expected) in [(Phase::Download, 0.1), (Phase::Train, 0.18), (Phase::Upload, 0.36)] {
            assert!((share(phase) - expected).abs() < 0.012, "{phase:?}: {}", share(phase));
        }
        let fractions: Vec<f64> = failures.iter().flatten().map(|failure| failure.fraction).collect();
        assert!(fractions.iter().all(|fraction| *fraction > 0.0 && *fraction < 1.0));
        // Mean of a uniform variable: 0.5 with standard deviation sqrt(1 / 12 / 25,600) = 0.0018.
        let mean = fractions.iter().sum::<f64>() / fractions.len() as f64;
        assert!((mean - 0.5).abs() < 0.009, "{mean}");
    }

    #[test]
    fn a_later_phase_does_not_change_who_fails_before_it() {
        let base = DropoutConfig { during_download: 0.3, ..DropoutConfig::default() };
        let more = DropoutConfig { during_train: 0.9, ..base };
        for (one, two) in draws(base, 500).into_iter().zip(draws(more, 500)) {
            assert!(one.is_none() || one == two);
        }
    }

    #[test]
    fn what_is_no_probability_is_named() {
        let config = DropoutConfig { during_download: -0.1, during_train: 0.5, during_upload: f64::NAN };
        let paths: Vec<_> = config.problems().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["during_download", "during_upload"]);
    }
}
