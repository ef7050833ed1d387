//! BitFit: only biases are trained (Ben Zaken et al. 2021, arXiv 2106.10199, section 3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::method::ReplacedTensors;
use super::{Method, TrainableTensor, TrainableVars, TuningError};
use crate::model::{EncoderConfig, Hooks, Projection, Site, backbone_tensors};
use crate::registry::Problem;

/// Settings of BitFit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BitfitConfig {
    /// Which biases.
    pub biases: TrainedBiases,
}

/// The biases that BitFit trains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrainedBiases {
    /// Those of all linear maps and of layer normalisation.
    #[default]
    All,
    /// Those of the queries and of the first feed-forward map: half the numbers for nearly the same accuracy (section 4.1
    /// of the paper).
    QueryAndIntermediate,
}

impl Method for BitfitConfig {
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    fn tensors(&self, config: &EncoderConfig) -> Result<Vec<TrainableTensor>, TuningError> {
        let chosen: Vec<String> = Site::all(config)
            .filter(|site| matches!(site.projection, Projection::Query | Projection::Intermediate))
            .map(|site| format!("{site}.bias"))
            .collect();
        let is_trained = |name: &String| match self.biases {
            TrainedBiases::All => name.ends_with(".bias"),
            TrainedBiases::QueryAndIntermediate => chosen.contains(name),
        };
        let trained = backbone_tensors(config).into_iter().filter(|spec| is_trained(&spec.name));
        Ok(trained.map(|spec| TrainableTensor { spec, init: None }).collect())
    }

    fn meaning(&self, _: &EncoderConfig) -> Vec<(&'static str, String)> {
        let biases = match self.biases {
            TrainedBiases::All => "all",
            TrainedBiases::QueryAndIntermediate => "query_and_intermediate",
        };
        vec![("biases", biases.into())]
    }

    fn hooks(&self, values: TrainableVars) -> Box<dyn Hooks> {
        Box::new(ReplacedTensors(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EncoderKind, fixture};

    fn n_numbers(biases: TrainedBiases) -> usize {
        let tensors = BitfitConfig { biases }.tensors(&fixture::roberta_base()).unwrap();
        tensors.iter().map(|tensor| tensor.spec.n_elements()).sum()
    }

    #[test]
    fn counts_for_roberta_base() {
        // A layer: query, key, value, attention output and output 768 each, intermediate 3072, two normalisations 768
        // each; one normalisation after the embeddings.
        assert_eq!(n_numbers(TrainedBiases::All), 12 * (5 * 768 + 3072 + 2 * 768) + 768);
        assert_eq!(n_numbers(TrainedBiases::QueryAndIntermediate), 12 * (768 + 3072));
    }

    #[test]
    fn every_family_has_both_choices() {
        for kind in EncoderKind::ALL {
            let config = fixture::backbone(kind).config().clone();
            let count = |biases| BitfitConfig { biases }.tensors(&config).unwrap().len();
            assert_eq!(count(TrainedBiases::QueryAndIntermediate), 2 * config.layers);
            assert!(count(TrainedBiases::All) >= 8 * config.layers, "{kind:?}");
        }
    }
}
