//! Scalars, each brought to the type that is wanted.

use serde_json::{Number, Value as Schema};

use super::Walker;
use crate::scenario::diagnostic::Diagnostic;
use crate::scenario::node::{Node, Value};
use crate::units::{Bandwidth, Bytes, Energy, FlopRate, Flops, Power, SimDuration, UnitError};

impl Walker<'_> {
    pub(super) fn quantity(&mut self, node: &Node, kind: &str, path: &str) -> Option<Schema> {
        let Value::Scalar { text, .. } = &node.value else {
            return self.wrong_type(node, path, &format!("a {kind}"));
        };
        let problem = match kind {
            "duration" => text.parse::<SimDuration>().err(),
            "size" => text.parse::<Bytes>().err(),
            "rate" => text.parse::<Bandwidth>().err(),
            "speed" => text.parse::<FlopRate>().err(),
            "number of operations" => text.parse::<Flops>().err(),
            "power" => text.parse::<Power>().err(),
            "energy" => text.parse::<Energy>().err(),
            other => unreachable!("no quantity is a {other}"),
        };
        let Some(error) = problem else { return Some(Schema::String(text.clone())) };
        let code = match &error {
            UnitError::NotANumber { .. } => "wrong-type",
            UnitError::MissingUnit { .. } => "missing-unit",
            UnitError::WrongUnit { .. } => "wrong-unit",
            UnitError::OutOfRange { .. } => "out-of-range",
        };
        self.report(Diagnostic::new(code, format!("`{path}`: {error}"), Some(node.place)));
        None
    }

    pub(super) fn assertion(&mut self, node: &Node, path: &str) -> Option<Schema> {
        let Value::Scalar { text, .. } = &node.value else {
            return self.wrong_type(node, path, "a condition such as `final.accuracy >= 0.88`");
        };
        match text.parse::<crate::scenario::Assertion>() {
            Ok(_) => Some(Schema::String(text.clone())),
            Err(error) => {
                self.report(Diagnostic::new("bad-assert", format!("`{path}`: {error}"), Some(node.place)));
                None
            }
        }
    }

    /// Any scalar can stand for a text: `labels: [0, 1]` names two labels.
    pub(super) fn text(&mut self, node: &Node, path: &str) -> Option<Schema> {
        match &node.value {
            Value::Scalar { text, .. } => Some(Schema::String(text.clone())),
            _ => self.wrong_type(node, path, "a text"),
        }
    }

    pub(super) fn boolean(&mut self, node: &Node, path: &str) -> Option<Schema> {
        match &node.value {
            Value::Scalar { text, quoted: false } if text == "true" || text == "false" => {
                Some(Schema::Bool(text == "true"))
            }
            _ => self.wrong_type(node, path, "true or false"),
        }
    }

    pub(super) fn integer(&mut self, node: &Node, schema: &Schema, path: &str) -> Option<Schema> {
        let largest = match schema.get("format").and_then(Schema::as_str) {
            Some("uint32") => u64::from(u32::MAX),
            _ => u64::MAX,
        };
        let parsed = match &node.value {
            Value::Scalar { text, quoted: false } => text.replace('_', "").parse::<u64>().ok(),
            _ => None,
        };
        match parsed {
            Some(n) if n <= largest => Some(Schema::Number(n.into())),
            Some(_) => {
                let message = format!("`{path}` must be at most {largest}");
                self.report(Diagnostic::new("out-of-range", message, Some(node.place)));
                None
            }
            None => self.wrong_type(node, path, "a whole number, 0 or more"),
        }
    }

    pub(super) fn number(&mut self, node: &Node, path: &str) -> Option<Schema> {
        let parsed = match &node.value {
            Value::Scalar { text, quoted: false } => text.replace('_', "").parse::<f64>().ok(),
            _ => None,
        };
        match parsed.and_then(Number::from_f64) {
            Some(number) => Some(Schema::Number(number)),
            None => self.wrong_type(node, path, "a number"),
        }
    }
}
