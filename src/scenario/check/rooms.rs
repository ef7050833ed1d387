//! What each room finds wrong with its own settings, turned into problems with places.

use super::Checker;
use crate::petuning::{Method, TuningConfig};
use crate::registry::Problem;
use crate::scenario::raw::Draft;
use crate::scenario::schema::join;
use crate::seed::Seeds;
use crate::sim::{BuildContext, CrashConfig, GroupNames, RestartConfig, ServerNetworkConfig, classes};

impl Checker<'_> {
    /// Takes over what a room found wrong with its settings, which lie at `path`.
    pub(super) fn room(&mut self, code: &'static str, path: &str, found: Vec<Problem>) {
        for Problem { path: below, message, help } in found {
            let full = if below.is_empty() { path.to_string() } else { join(path, &below) };
            let mut problem = self.at(code, &full, message);
            if let Some((first, second)) = self.pair_at(&full) {
                problem.code = "conflict";
                problem.place = Some(self.root.locate(&second));
                problem = problem.other(Some(self.root.locate(&first)));
            }
            self.problems.push(match help {
                Some(help) => problem.help(help),
                None => problem,
            });
        }
    }

    /// The two settings that exclude each other, when a problem at `path` is that both are written.
    fn pair_at(&self, path: &str) -> Option<(String, String)> {
        let (inside, first, second) = match path {
            "dataset" => (path, "name", "files"),
            "dataset.labels_file" => ("dataset", "labels", "labels_file"),
            _ if path.ends_with(".adapter") => (path, "bottleneck_dim", "reduction_factor"),
            _ if path.starts_with("clients.networks.") => {
                (path, "trace", if self.root.has(&join(path, "downlink")) { "downlink" } else { "uplink" })
            }
            _ if path.ends_with(".compute") => (path, "flops", "time_per_sample"),
            _ => return None,
        };
        let (first, second) = (join(inside, first), join(inside, second));
        (self.root.has(&first) && self.root.has(&second)).then_some((first, second))
    }

    /// What the rooms know about their own settings: one line each.
    pub(super) fn rooms(&mut self) {
        let Draft { model, dataset, tuning, clients, server, compression, .. } = self.raw;
        self.room("bad-model", "model", model.problems());
        match tuning {
            TuningConfig::Combined(list) => self.room("out-of-range", "tuning", list.problems()),
            one => self.choice("tuning", one.key(), one.implementation().problems()),
        }
        self.room("out-of-range", "clients.train", clients.train.problems());
        let devices = clients.devices.iter().map(|(name, class)| (name.as_str(), class.share));
        self.room("shares", "clients.devices", classes::problems(devices));
        let networks = clients.networks.iter().map(|(name, class)| (name.as_str(), class.share));
        self.room("shares", "clients.networks", classes::problems(networks));
        if !clients.regions.is_empty() {
            let regions = clients.regions.iter().map(|(name, region)| (name.as_str(), region.share));
            self.room("shares", "clients.regions", classes::problems(regions));
        }
        for (name, region) in &clients.regions {
            self.room("bad-network", &join("clients.regions", name), region.problems());
        }
        let crashes = clients.crashes.iter().flat_map(CrashConfig::problems).collect();
        self.room("out-of-range", "clients.crashes", crashes);
        let names = GroupNames {
            devices: clients.devices.keys().cloned().collect(),
            networks: clients.networks.keys().cloned().collect(),
            regions: clients.regions.keys().cloned().collect(),
        };
        for (index, outage) in clients.outages.iter().enumerate() {
            self.room("bad-outage", &format!("clients.outages.{index}"), outage.problems(&names));
        }
        self.room("out-of-range", "clients.uploads", clients.uploads.problems());
        self.room("out-of-range", "server.restarts", RestartConfig::problems(&server.restarts));
        self.choice(
            "server.below_min_updates",
            server.below_min_updates.key(),
            server.below_min_updates.implementation().problems(),
        );
        self.choice("server.late_updates", server.late_updates.key(), server.late_updates.implementation().problems());
        for (name, class) in &clients.devices {
            self.room("bad-device", &join("clients.devices", name), class.problems());
        }
        for (name, class) in &clients.networks {
            self.room("bad-network", &join("clients.networks", name), class.problems());
        }
        if let Some(dataset) = dataset {
            self.room("bad-dataset", "dataset", dataset.problems());
        }
        let network = server.network.iter().flat_map(ServerNetworkConfig::problems).collect();
        self.room("bad-network", "server.network", network);
        self.room("out-of-range", "clients.dropout", clients.dropout.problems());
        self.choice(
            "clients.availability",
            clients.availability.key(),
            clients.availability.implementation().problems(),
        );
        let context = self.build_context();
        let availability = clients.availability.implementation();
        for (name, class) in &clients.devices {
            self.room("bad-trace", &join("clients.devices", name), class.file_problems(&context));
        }
        for (name, class) in &clients.networks {
            self.room("bad-trace", &join("clients.networks", name), class.file_problems(&context));
        }
        let found = availability.file_problems(&context);
        self.room("bad-trace", &join("clients.availability", clients.availability.key()), found);
        self.choice("server.strategy", server.strategy.key(), server.strategy.implementation().problems());
        self.choice("server.selection", server.selection.key(), server.selection.implementation().problems());
        self.choice("compression.uplink", compression.uplink.key(), compression.uplink.implementation().problems());
        self.choice(
            "compression.downlink",
            compression.downlink.key(),
            compression.downlink.implementation().problems(),
        );
    }

    fn build_context(&self) -> BuildContext {
        BuildContext {
            seeds: Seeds::new(self.raw.seed),
            n_clients: self.raw.clients.total,
            base_dir: self.base_dir.to_owned(),
        }
    }

    /// Problems of the chosen variant of a one-of setting.
    fn choice(&mut self, setting: &str, key: &str, found: Vec<Problem>) {
        self.room("out-of-range", &join(setting, key), found);
    }
}
