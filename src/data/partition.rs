//! How training rows are dealt to clients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::one_of;

/// Deals rows to clients.
pub trait Partition {}

one_of! {
    /// How training rows are dealt to the clients: `dataset.partition`.
    pub enum PartitionConfig: dyn Partition, setting "dataset.partition" {
        "iid" => Iid(IidConfig), "rows shuffled and dealt in equal numbers";
        "dirichlet" => Dirichlet(DirichletConfig), "each class is split over the clients by Dir(alpha): label and size skew";
        "label_mix" => LabelMix(LabelMixConfig), "equal-size clients whose label mix is drawn from Dir(alpha x prior)";
        "shards" => Shards(ShardsConfig), "rows sorted by label, cut into shards, a few shards per client";
    }
}

impl Default for PartitionConfig {
    fn default() -> Self {
        Self::Iid(IidConfig {})
    }
}

/// Equal shares of shuffled rows. Has no settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IidConfig {}

impl Partition for IidConfig {}

/// Per-class Dirichlet split (Hsu et al. 2019, arXiv 1909.06335; Yurochkin et al. 2019).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirichletConfig {
    /// Concentration, > 0: small is skewed, large is near iid.
    pub alpha: f64,
    /// Fewest rows that a client may hold; the split is drawn anew until it holds.
    #[serde(default = "default_min_samples")]
    pub min_samples: usize,
}

fn default_min_samples() -> usize {
    1
}

impl Partition for DirichletConfig {}

/// FedPETuning's split (arXiv 2212.10025): equal-size clients, label mix from Dir(alpha x prior), leftovers to the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelMixConfig {
    /// Concentration, > 0: small is skewed, large is near iid.
    pub alpha: f64,
}

impl Partition for LabelMixConfig {}

/// Shards of label-sorted rows (McMahan et al. 2017, arXiv 1602.05629).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShardsConfig {
    /// Shards that each client gets, >= 1; at most about this many labels per client.
    pub shards_per_client: usize,
}

impl Partition for ShardsConfig {}
