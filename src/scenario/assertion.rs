//! Conditions on the outcome: `final.accuracy >= 0.88`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::settings::Metric;

/// One line of `assert`: an outcome compared with a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assertion {
    /// Whose value is compared.
    pub outcome: Outcome,
    /// The metric that is compared.
    pub metric: Metric,
    /// How it is compared.
    pub comparison: Comparison,
    /// What it is compared with.
    pub bound: f64,
}

/// A point of the run at which a metric is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The last evaluation on validation rows.
    Final,
    /// The best evaluation on validation rows.
    Best,
    /// Test rows, for the best round.
    Test,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `>=`
    AtLeast,
    /// `>`
    Above,
    /// `<=`
    AtMost,
    /// `<`
    Below,
}

impl Comparison {
    /// True when `value` compares so with `bound`; never for NaN.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::AtLeast => value >= bound,
            Self::Above => value > bound,
            Self::AtMost => value <= bound,
            Self::Below => value < bound,
        }
    }
}

const OUTCOMES: [(&str, Outcome); 3] = [("final", Outcome::Final), ("best", Outcome::Best), ("test", Outcome::Test)];
const COMPARISONS: [(&str, Comparison); 4] =
    [(">=", Comparison::AtLeast), ("<=", Comparison::AtMost), (">", Comparison::Above), ("<", Comparison::Below)];

/// Why a condition could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionError {
    /// No comparison sign.
    #[error("`{0}` has no comparison; write `final.accuracy >= 0.88` with one of >= > <= <")]
    NoComparison(String),
    /// The left side names no outcome.
    #[error("`{0}` is not known; write final, best or test, a dot, and accuracy, f1, macro_f1 or mcc")]
    UnknownName(String),
    /// The right side is no number.
    #[error("`{0}` is not a number")]
    NotANumber(String),
}

impl FromStr for Assertion {
    type Err = AssertionError;

    fn from_str(text: &str) -> Result<Self, AssertionError> {
        let sign = COMPARISONS
            .iter()
            .filter_map(|&(sign, how)| Some((text.find(sign)?, sign, how)))
            .min_by_key(|&(at, sign, _)| (at, std::cmp::Reverse(sign.len())));
        let Some((at, sign, comparison)) = sign else {
            return Err(AssertionError::NoComparison(text.trim().into()));
        };
        let (name, number) = (text[..at].trim(), text[at + sign.len()..].trim());
        let unknown = || AssertionError::UnknownName(name.into());
        let (outcome, metric) = name.split_once('.').ok_or_else(unknown)?;
        let outcome = OUTCOMES.iter().find(|(key, _)| *key == outcome).ok_or_else(unknown)?.1;
        let metric = Metric::of_key(metric).ok_or_else(unknown)?;
        let bound: f64 = number.parse().map_err(|_| AssertionError::NotANumber(number.into()))?;
        if !bound.is_finite() {
            return Err(AssertionError::NotANumber(number.into()));
        }
        Ok(Self { outcome, metric, comparison, bound })
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = OUTCOMES.iter().find(|(_, o)| *o == self.outcome).expect("every outcome has a name").0;
        let sign = COMPARISONS.iter().find(|(_, c)| *c == self.comparison).expect("every comparison has a sign").0;
        write!(f, "{outcome}.{} {sign} {}", self.metric.key(), self.bound)
    }
}

impl Serialize for Assertion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Assertion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Assertion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Assertion".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "an outcome compared with a number, such as `final.accuracy >= 0.88`",
            "pattern": r"^\s*(final|best|test)\.(accuracy|f1|macro_f1|mcc)\s*(>=|<=|>|<)\s*[0-9.eE+-]+\s*$",
            "x-assertion": true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_read_and_written_the_same() {
        for text in ["final.accuracy >= 0.88", "best.macro_f1 > 0.5", "test.mcc < 1", "final.mcc <= -0.25"] {
            assert_eq!(text.parse::<Assertion>().map(|a| a.to_string()), Ok(text.to_string()));
        }
        assert_eq!(
            "final.accuracy>=0.5".parse::<Assertion>().map(|a| a.to_string()),
            Ok("final.accuracy >= 0.5".into())
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = |text: &str| text.parse::<Assertion>().expect_err("must be refused").to_string();
        assert!(error("final.accuracy").contains("no comparison"));
        assert!(error("final.acc >= 0.5").contains("`final.acc` is not known"));
        assert!(error("last.accuracy >= 0.5").contains("`last.accuracy` is not known"));
        assert!(error("final.accuracy >= high").contains("`high` is not a number"));
        assert!(error("final.accuracy >= NaN").contains("not a number"));
    }

    #[test]
    fn nan_meets_no_condition() {
        for (_, comparison) in COMPARISONS {
            assert!(!comparison.holds(f64::NAN, 0.0));
        }
    }
}
