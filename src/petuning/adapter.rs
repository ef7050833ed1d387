//! Adapters: a bottleneck behind a sublayer, `h + U f(D h + d) + u`, on what the sublayer gives before it is added to its
//! input. U is zero at the start, so that an adapter is the identity; D is small and normal.
//!
//! Houlsby et al. 2019 (arXiv 1902.00751, figure 2) put one behind the attention and one behind the feed-forward part of
//! each layer; Pfeiffer et al. 2020 (arXiv 2005.00247) one behind the feed-forward part alone. AdapterHub's own `pfeiffer`
//! has as many numbers but also normalises before its adapter (`original_ln_before`): values cannot be exchanged with it.

use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InsertedMaps, Method, TrainableTensor, TrainableVars, TuningError};
use crate::model::{EncoderConfig, EncoderKind, Hooks, Init, Pass, Projection, Site, Sublayer, backbone_tensors, ops};
use crate::params::TensorSpec;
use crate::registry::Problem;

/// Settings of adapters, with the names of OpenDelta (`bottleneck_dim`, `non_linearity`) and AdapterHub
/// (`reduction_factor`). At most one of `bottleneck_dim` and `reduction_factor` may be given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdapterConfig {
    /// Where adapters stand.
    pub variant: AdapterVariant,
    /// Width of the bottleneck, >= 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bottleneck_dim: Option<usize>,
    /// The width is the encoder's hidden width divided by this, rounded down; >= 1. Default, where `bottleneck_dim` is
    /// not given either: 16, as AdapterHub has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduction_factor: Option<usize>,
    /// The function inside the bottleneck.
    pub non_linearity: NonLinearity,
    /// Train scale and shift of every layer normalisation of the encoder too, as Houlsby et al. do. For RoBERTa-base, width 16
    /// and two labels that makes 1,239,170 trained numbers of 1,200,770.
    pub train_layer_norms: bool,
}

/// Behind which sublayers adapters stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdapterVariant {
    /// Behind attention and feed-forward part.
    #[default]
    Houlsby,
    /// Behind the feed-forward part.
    Pfeiffer,
}

/// The function inside an adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NonLinearity {
    /// Exact Gaussian error linear unit.
    #[default]
    Gelu,
    /// Rectified linear unit.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// `x` times the logistic function of `x`.
    Swish,
}

/// Standard deviation of the initial down-projection, as in section 3.6 of Houlsby et al. and in OpenDelta.
const INITIAL_SD: f64 = 0.01;

/// What the hidden width is divided by when no width is given.
const REDUCTION_FACTOR: usize = 16;

impl AdapterConfig {
    fn width(&self, config: &EncoderConfig) -> std::result::Result<usize, TuningError> {
        let hidden = config.hidden_size;
        let width = match (self.bottleneck_dim, self.reduction_factor) {
            (Some(width), _) => width,
            (None, factor) => hidden.checked_div(factor.unwrap_or(REDUCTION_FACTOR)).unwrap_or(0),
        };
        if width == 0 {
            let problem = Problem::new("reduction_factor", format!("nothing is left of the width {hidden}"));
            return Err(problem.help(format!("divide by {hidden} or less")).into());
        }
        Ok(width)
    }

    fn sites(&self, config: &EncoderConfig) -> Vec<Site> {
        let is_chosen = |site: &Site| match site.projection {
            Projection::AttentionOutput => self.variant == AdapterVariant::Houlsby,
            Projection::Output => true,
            _ => false,
        };
        Site::all(config).filter(is_chosen).collect()
    }
}

impl Method for AdapterConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.bottleneck_dim.is_some() && self.reduction_factor.is_some() {
            let message = "`bottleneck_dim` and `reduction_factor` both give the width";
            problems.push(Problem::new("", message).help("keep one of them"));
        }
        for (path, value) in [("bottleneck_dim", self.bottleneck_dim), ("reduction_factor", self.reduction_factor)] {
            if value == Some(0) {
                problems.push(Problem::new(path, "0 leaves no bottleneck").help("use 1 or more"));
            }
        }
        problems
    }

    fn tensors(&self, config: &EncoderConfig) -> std::result::Result<Vec<TrainableTensor>, TuningError> {
        let (hidden, width) = (config.hidden_size, self.width(config)?);
        let mut tensors = Vec::new();
        for site in self.sites(config) {
            let mut add = |part: &str, shape: &[usize], init: Init| {
                let spec = TensorSpec::new(format!("{site}.{part}"), shape);
                tensors.push(TrainableTensor { spec, init: Some(init) });
            };
            add("adapter_down.weight", &[width, hidden], Init::Normal { sd: INITIAL_SD });
            add("adapter_down.bias", &[width], Init::Zeros);
            add("adapter_up.weight", &[hidden, width], Init::Zeros);
            add("adapter_up.bias", &[hidden], Init::Zeros);
        }
        if self.train_layer_norms {
            let norms = backbone_tensors(config).into_iter().filter(|spec| is_layer_norm(&spec.name));
            tensors.extend(norms.map(|spec| TrainableTensor { spec, init: None }));
        }
        Ok(tensors)
    }

    fn hooks(&self, values: TrainableVars) -> Box<dyn Hooks> {
        let has_adapters = |kind: &EncoderKind| {
            let first = Site { kind: *kind, layer: 0, projection: Projection::Output };
            values.get(&format!("{first}.adapter_down.weight")).is_some()
        };
        let kind = EncoderKind::ALL.into_iter().find(has_adapters);
        Box::new(AdapterHooks { values, kind, non_linearity: self.non_linearity })
    }

    fn meaning(&self, config: &EncoderConfig) -> Vec<(&'static str, String)> {
        vec![
            ("variant", word(self.variant)),
            ("bottleneck_dim", self.width(config).map_or_else(|_| "none".into(), |width| width.to_string())),
            ("non_linearity", word(self.non_linearity)),
            ("train_layer_norms", self.train_layer_norms.to_string()),
        ]
    }

    fn inserted(&self, config: &EncoderConfig) -> Vec<InsertedMaps> {
        let (hidden, width) = (config.hidden_size, self.width(config).unwrap_or_default());
        let sizes = || vec![(hidden, width), (width, hidden)];
        self.sites(config).into_iter().map(|site| InsertedMaps { site, sizes: sizes() }).collect()
    }
}

/// A choice as it is written in a scenario.
fn word(choice: impl Serialize) -> String {
    let value = serde_json::to_value(choice).ok();
    value.and_then(|value| value.as_str().map(String::from)).unwrap_or_default()
}

struct AdapterHooks {
    values: TrainableVars,
    /// The family whose names the values have; none when there are no adapters among them.
    kind: Option<EncoderKind>,
    non_linearity: NonLinearity,
}

impl Hooks for AdapterHooks {
    fn parameter(&self, name: &str) -> Option<Tensor> {
        self.values.get(name).cloned()
    }

    fn sublayer(&self, layer: usize, sublayer: Sublayer, output: Tensor, _: &mut Pass) -> Result<Tensor> {
        let projection = match sublayer {
            Sublayer::Attention => Projection::AttentionOutput,
            Sublayer::FeedForward => Projection::Output,
        };
        let Some(kind) = self.kind else { return Ok(output) };
        let site = Site { kind, layer, projection };
        let get = |part: &str| self.values.get(&format!("{site}.{part}"));
        let (Some(down), Some(shift_down), Some(up), Some(shift_up)) =
            (get("adapter_down.weight"), get("adapter_down.bias"), get("adapter_up.weight"), get("adapter_up.bias"))
        else {
            return Ok(output);
        };
        let low = ops::linear(&output, down, Some(shift_down))?;
        let low = match self.non_linearity {
            NonLinearity::Gelu => ops::gelu(&low)?,
            NonLinearity::Relu => ops::relu(&low)?,
            NonLinearity::Tanh => low.tanh()?,
            NonLinearity::Swish => low.silu()?,
        };
        ops::add_linear(&output, &low, up, 1.0)?.broadcast_add(shift_up)
    }
}

/// Whether a tensor of a backbone belongs to a layer normalisation: `LayerNorm`, `layer_norm` or `layernorm` by family.
fn is_layer_norm(name: &str) -> bool {
    name.to_lowercase().replace('_', "").contains("layernorm")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;
    use crate::petuning::gradients::same_scores_as_the_head_alone;
    use crate::petuning::{TuningConfig, trainable_tensors};

    fn width_16() -> AdapterConfig {
        AdapterConfig { bottleneck_dim: Some(16), ..AdapterConfig::default() }
    }

    fn n_trained(adapter: AdapterConfig) -> usize {
        let tensors = trainable_tensors(&TuningConfig::Adapter(adapter), &fixture::roberta_base(), 2).unwrap();
        tensors.iter().map(|tensor| tensor.spec.n_elements()).sum()
    }

    #[test]
    fn counts_for_roberta_base_with_a_binary_head() {
        // An adapter of width 16: down 768 x 16 + 16, up 16 x 768 + 768. Two in each of 12 layers; the head 592,130.
        let one = 768 * 16 + 16 + 16 * 768 + 768;
        assert_eq!(n_trained(width_16()), 592_130 + 24 * one);
        assert_eq!(n_trained(width_16()), 1_200_770);
        // With all 25 layer normalisations (two a layer, one after the embeddings) of 768 scales and 768 shifts.
        let with_norms = AdapterConfig { train_layer_norms: true, ..width_16() };
        assert_eq!(n_trained(with_norms), 1_200_770 + 25 * 2 * 768);
        let pfeiffer = AdapterConfig { variant: AdapterVariant::Pfeiffer, ..width_16() };
        assert_eq!(n_trained(pfeiffer), 592_130 + 12 * one);
        // 768 / 48 = 16.
        let by_factor = AdapterConfig { reduction_factor: Some(48), ..AdapterConfig::default() };
        assert_eq!(n_trained(by_factor), 1_200_770);
    }

    #[test]
    fn a_new_adapter_is_the_identity() {
        for variant in [AdapterVariant::Houlsby, AdapterVariant::Pfeiffer] {
            let adapter = AdapterConfig { bottleneck_dim: Some(3), variant, ..AdapterConfig::default() };
            same_scores_as_the_head_alone(&TuningConfig::Adapter(adapter));
        }
    }

    #[test]
    fn the_width_is_given_at_most_once_and_is_not_zero() {
        let paths = |bottleneck_dim, reduction_factor| -> Vec<String> {
            let adapter = AdapterConfig { bottleneck_dim, reduction_factor, ..AdapterConfig::default() };
            adapter.problems().into_iter().map(|problem| problem.path).collect()
        };
        assert_eq!(paths(Some(16), None), Vec::<String>::new());
        assert_eq!(paths(None, None), Vec::<String>::new());
        assert_eq!(AdapterConfig::default().width(&fixture::roberta_base()).unwrap(), 48, "768 / 16");
        assert_eq!(paths(Some(16), Some(16)), [""]);
        assert_eq!(paths(Some(0), None), ["bottleneck_dim"]);
        let large = AdapterConfig { reduction_factor: Some(1000), ..AdapterConfig::default() };
        let message = large.tensors(&fixture::roberta_base()).unwrap_err().to_string();
        assert!(message.contains("divide by 768 or less"), "{message}");
    }
}
