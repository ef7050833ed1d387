//! Scenarios that a program puts together: the same settings as in a file, under the same checks.

use std::collections::BTreeMap;

use super::checked::Scenario;
use super::diagnostic::Diagnostics;
use super::load::load;
use super::raw::{
    ClientsConfig, Draft, ServerConfig, default_give_up_after, default_min_updates, default_over_selection,
    default_repeats, default_seed,
};
use super::settings::{CompressionConfig, EvaluationConfig, ExecutionConfig, OutputConfig};
use super::{Input, Overrides};
use crate::model::{ModelConfig, ModelDtype};
use crate::petuning::{InitialHead, TuningConfig};
use crate::sim::{AvailabilityConfig, DeviceClassConfig, DropoutConfig, NetworkClassConfig, UploadConfig};
use crate::strategy::round::{BelowMinUpdatesConfig, LateUpdatesConfig};
use crate::strategy::{SelectionConfig, StrategyConfig};
use crate::training::TrainConfig;

impl Draft {
    /// A scenario with this name and this model (as in `model: { name: ... }`), and defaults for whatever can have one.
    pub fn new(
        name: impl Into<String>,
        model: impl Into<String>,
        tuning: TuningConfig,
        clients: ClientsConfig,
        server: ServerConfig,
    ) -> Self {
        Self {
            version: 1,
            name: name.into(),
            seed: default_seed(),
            repeats: default_repeats(),
            lock: None,
            model: ModelConfig { name: model.into(), revision: None, dtype: ModelDtype::default() },
            dataset: None,
            tuning,
            init: None,
            init_head: InitialHead::default(),
            clients,
            server,
            compression: CompressionConfig::default(),
            evaluation: EvaluationConfig::default(),
            compute: ExecutionConfig::default(),
            output: OutputConfig::default(),
            assert: Vec::new(),
        }
    }

    /// The draft as a scenario file.
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(self).expect("a draft is made of what YAML can hold")
    }

    /// Checks everything that [`load`] checks in a file. Relative paths start from the working directory.
    ///
    /// # Errors
    /// Every problem found, each with its place in [`to_yaml`](Self::to_yaml).
    pub fn check(&self) -> Result<Scenario, Diagnostics> {
        let input = Input::Embedded { name: format!("{} (draft)", self.name), text: self.to_yaml() };
        load(&input, &Overrides::default())
    }
}

impl ClientsConfig {
    /// So many clients of these classes, always online, whose tasks never fail.
    pub fn new(
        total: u32,
        devices: impl IntoIterator<Item = (String, DeviceClassConfig)>,
        networks: impl IntoIterator<Item = (String, NetworkClassConfig)>,
    ) -> Self {
        Self {
            total,
            train: TrainConfig::default(),
            devices: devices.into_iter().collect(),
            networks: networks.into_iter().collect(),
            availability: AvailabilityConfig::default(),
            regions: BTreeMap::new(),
            dropout: DropoutConfig::default(),
            crashes: None,
            outages: Vec::new(),
            uploads: UploadConfig::default(),
            num_examples: None,
            sequence_length: None,
            num_labels: None,
        }
    }
}

impl ServerConfig {
    /// Synchronous rounds of federated averaging without a deadline.
    pub fn new(rounds: u32, clients_per_round: u32) -> Self {
        Self {
            rounds,
            clients_per_round: Some(clients_per_round),
            over_selection: default_over_selection(),
            deadline: None,
            min_updates: default_min_updates(),
            below_min_updates: BelowMinUpdatesConfig::default(),
            late_updates: LateUpdatesConfig::default(),
            give_up_after: default_give_up_after(),
            restarts: Vec::new(),
            strategy: StrategyConfig::default(),
            selection: SelectionConfig::default(),
            network: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        let rate = || "5 Mbps".parse().expect("is a rate");
        let time = |text: &str| text.parse().expect("is a duration");
        let device = DeviceClassConfig::with_time_per_sample(1.0, time("90 ms"));
        let network = NetworkClassConfig::constant(1.0, rate(), rate(), time("60 ms"));
        let clients = ClientsConfig::new(8, [("phone".into(), device)], [("lte".into(), network)]);
        Draft::new(
            "small",
            "builtin:tiny-roberta",
            TuningConfig::Lora(Default::default()),
            clients,
            ServerConfig::new(2, 4),
        )
    }

    #[test]
    fn a_draft_is_checked_like_a_file_and_shown_as_one() {
        let mut draft = draft();
        let missing = draft.check().expect_err("real training needs rows").to_string();
        assert!(missing.contains("the scenario needs `dataset`"), "{missing}");
        draft.compute.mode = crate::scenario::Mode::TimingOnly;
        draft.clients.num_examples = Some(crate::scenario::ShardSizeConfig::Fixed(100));
        draft.clients.sequence_length = Some(32);
        draft.clients.num_labels = Some(2);
        let scenario = draft.check().unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!((scenario.n_clients(), scenario.rounds(), scenario.clients_per_round()), (8, 2, 4));
        draft.server.clients_per_round = Some(40);
        let problem = draft.check().expect_err("asks more clients than there are").to_string();
        assert!(problem.contains("too-few-clients") && problem.contains("--> small (draft):"), "{problem}");
    }
}
