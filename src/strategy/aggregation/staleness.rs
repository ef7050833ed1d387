//! What an update counts for when newer models than the one it started from have come out.
//!
//! Staleness `tau` is the number of models that have come out since: 0 for an update of the current model, whose weight
//! is always 1. The functions are those of FedAsync (Xie et al. 2019, arXiv 1903.03934); FedBuff (Nguyen et
//! al. 2022, arXiv 2106.06639) uses the polynomial with `a = 0.5`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::one_of;
use crate::registry::Problem;

/// A function from staleness to weight.
pub trait Staleness: Send + Sync {
    /// Settings out of range.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// `s(tau)` in `[0, 1]`; 1 at staleness 0, and never rising.
    fn weight(&self, staleness: u32) -> f32;
}

one_of! {
    /// What an update of an older model counts for. Default: `polynomial: { a: 0.5 }`.
    pub enum StalenessConfig: dyn Staleness, setting "staleness" {
        "constant" => Constant(ConstantStaleness), "as much as a fresh one";
        "polynomial" => Polynomial(PolynomialStaleness), "(1 + staleness)^-a";
        "hinge" => Hinge(HingeStaleness), "as much as a fresh one up to staleness b, 1 / (a (staleness - b) + 1) beyond";
    }
}

impl Default for StalenessConfig {
    fn default() -> Self {
        Self::Polynomial(PolynomialStaleness::default())
    }
}

impl StalenessConfig {
    /// Settings out of range, with their paths below the setting called `name`.
    pub fn problems_at(&self, name: &str) -> Vec<Problem> {
        let below = |problem: Problem| Problem { path: format!("{name}.{}.{}", self.key(), problem.path), ..problem };
        self.implementation().problems().into_iter().map(below).collect()
    }

    /// `s(tau)`, at least the smallest normal number: were it 0, updates that are all stale would have no mean.
    pub fn weight(&self, staleness: u32) -> f32 {
        self.implementation().weight(staleness).max(f32::MIN_POSITIVE)
    }
}

/// `s = 1`. Has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantStaleness {}

impl Staleness for ConstantStaleness {
    fn weight(&self, _: u32) -> f32 {
        1.0
    }
}

/// `s = (1 + tau)^-a`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolynomialStaleness {
    /// The exponent, >= 0. 0 is `constant`. Default: 0.5.
    pub a: f64,
}

impl Default for PolynomialStaleness {
    fn default() -> Self {
        Self { a: 0.5 }
    }
}

impl Staleness for PolynomialStaleness {
    fn problems(&self) -> Vec<Problem> {
        at_least_zero("a", self.a, "0 weighs stale updates like fresh ones").into_iter().collect()
    }

    fn weight(&self, staleness: u32) -> f32 {
        (1.0 + f64::from(staleness)).powf(-self.a) as f32
    }
}

/// `s = 1` up to `tau = b`, `1 / (a (tau - b) + 1)` beyond.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HingeStaleness {
    /// How steeply the weight falls, >= 0. 0 is `constant`. Default: 10.
    pub a: f64,
    /// The largest staleness that costs nothing, >= 0. Default: 4.
    pub b: f64,
}

impl Default for HingeStaleness {
    fn default() -> Self {
        Self { a: 10.0, b: 4.0 }
    }
}

impl Staleness for HingeStaleness {
    fn problems(&self) -> Vec<Problem> {
        let a = at_least_zero("a", self.a, "0 weighs stale updates like fresh ones");
        let b = at_least_zero("b", self.b, "0 lets the weight fall from the first model on");
        a.into_iter().chain(b).collect()
    }

    fn weight(&self, staleness: u32) -> f32 {
        let beyond = (f64::from(staleness) - self.b).max(0.0);
        (1.0 / (self.a * beyond + 1.0)) as f32
    }
}

fn at_least_zero(path: &str, value: f64, help: &str) -> Option<Problem> {
    let is_fine = value.is_finite() && value >= 0.0;
    (!is_fine).then(|| Problem::new(path, format!("{value} must be a number of at least 0")).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: serde_json::Value) -> StalenessConfig {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_functions_have_the_values_of_the_paper() {
        let constant = parse("constant".into());
        assert_eq!([0, 1, 1000].map(|tau| constant.weight(tau)), [1.0; 3]);
        // 1, 1/sqrt(2), 1/sqrt(4), 1/sqrt(16)
        let polynomial = parse("polynomial".into());
        assert_eq!([0, 1, 3, 15].map(|tau| polynomial.weight(tau)), [1.0, 0.5f64.sqrt() as f32, 0.5, 0.25]);
        // 1/(1 + 3)
        assert_eq!(parse(serde_json::json!({ "polynomial": { "a": 1.0 } })).weight(3), 0.25);
        // 1 up to 4; 1/(10 x 1 + 1), 1/(10 x 6 + 1)
        let hinge = parse("hinge".into());
        let expected = [1.0, 1.0, (1.0f64 / 11.0) as f32, (1.0f64 / 61.0) as f32];
        assert_eq!([0, 4, 5, 10].map(|tau| hinge.weight(tau)), expected);
        // b need not be whole: 1/(2 (2 - 0.5) + 1)
        assert_eq!(parse(serde_json::json!({ "hinge": { "a": 2.0, "b": 0.5 } })).weight(2), 0.25);
    }

    #[test]
    fn an_exponent_of_zero_is_constant() {
        let flat = parse(serde_json::json!({ "polynomial": { "a": 0.0 } }));
        assert!([0, 1, 7, u32::MAX].iter().all(|&tau| flat.weight(tau) == 1.0));
    }

    #[test]
    fn no_update_weighs_nothing() {
        // 2^-200, and 1 / (1e300 x 3 + 1), are below all numbers of f32.
        for steep in
            [serde_json::json!({ "polynomial": { "a": 200.0 } }), serde_json::json!({ "hinge": { "a": 1e300 } })]
        {
            let steep = parse(steep);
            assert_eq!((steep.weight(0), steep.weight(7)), (1.0, f32::MIN_POSITIVE));
        }
    }

    #[test]
    fn negative_settings_are_problems_of_their_own_key() {
        let hinge = parse(serde_json::json!({ "hinge": { "a": -1.0, "b": -2.0 } }));
        let paths: Vec<_> = hinge.problems_at("staleness").into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["staleness.hinge.a", "staleness.hinge.b"]);
        assert!(StalenessConfig::default().problems_at("staleness").is_empty());
    }
}
