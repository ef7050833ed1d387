//! What a lock file says about the program and inputs that produced it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checked::Scenario;
use super::raw::Draft;

/// The `lock` section of `scenario.lock.yaml`. A run of a lock file verifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockHeader {
    /// Version of the program.
    pub straggler: String,
    /// The commit of a model on the hub; a run of the lock file takes it from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_commit: Option<String>,
    /// SHA-256 of the backbone's tensors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_hash: Option<String>,
    /// SHA-256 of the encoder's configuration with its tokenizer or image processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_settings_hash: Option<String>,
    /// The commit of a data set on the hub; a run of the lock file takes it from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_commit: Option<String>,
    /// SHA-256 of the data set's rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_hash: Option<String>,
    /// SHA-256 of which rows each client holds, where a file or a column decides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_hash: Option<String>,
    /// SHA-256 of the values that the run started from, when they came from `init`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_hash: Option<String>,
    /// SHA-256 of each recording that the simulated world follows, by its path: traces of links and of availability,
    /// lists of devices, tables of latencies.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub recording_hashes: BTreeMap<String, String>,
    /// Arithmetic kernel, such as `avx512`: bits differ between kernels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The run and the checkpoint that this run branched from: its first rounds are those of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<String>,
}

impl Scenario {
    /// The scenario with every default written out, as YAML that [`load`](super::load) reads back with the same meaning.
    /// Paths become absolute, so that the file can lie anywhere.
    pub fn to_lock_yaml(&self, lock: LockHeader) -> String {
        let mut raw = self.anchored();
        raw.lock = Some(lock);
        raw.server.network = Some(self.server_network().clone());
        let body = serde_saphyr::to_string(&raw).expect("a scenario is made of what YAML can hold");
        format!("# The resolved scenario of one run. `straggler run` on this file repeats it.\n{body}")
    }

    /// Every recording that the simulated world follows: its setting and its absolute path.
    pub fn recordings(&self) -> Vec<(String, PathBuf)> {
        let mut raw = self.anchored();
        let written = raw.paths_mut().into_iter().filter(|written| written.setting.starts_with("clients."));
        written.map(|written| (written.setting, PathBuf::from(&*written.path))).collect()
    }

    /// The scenario with absolute paths.
    fn anchored(&self) -> Draft {
        let mut raw: Draft = self.raw().clone();
        for path in raw.paths_mut() {
            path.anchor(self.base_dir());
        }
        raw
    }
}
