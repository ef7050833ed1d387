//! What TSV and CSV share: a header that says which column holds what.

use super::RawRow;
use crate::data::ColumnsConfig;

/// Which column holds what.
#[derive(Debug, Clone)]
pub(super) struct Header {
    names: Vec<String>,
    text: usize,
    text_pair: Option<usize>,
    label: usize,
}

impl Header {
    /// Finds the columns, or says which are missing.
    pub(super) fn new(names: Vec<String>, columns: &ColumnsConfig) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut find = |setting: &str, name: &str| {
            let mut found = names.iter().enumerate().filter(|(_, other)| *other == name).map(|(i, _)| i);
            let first = found.next();
            let listed = names.join(", ");
            match (first, found.next()) {
                (None, _) => {
                    problems.push(format!("no column `{name}` (there are: {listed}); set dataset.columns.{setting}"));
                }
                (Some(_), Some(_)) => problems.push(format!("two columns are called `{name}` ({listed})")),
                (Some(_), None) => {}
            }
            first.unwrap_or(0)
        };
        let text = find("text", &columns.text);
        let text_pair = columns.text_pair.as_ref().map(|name| find("text_pair", name));
        let label = find("label", &columns.label);
        if problems.is_empty() { Ok(Self { names, text, text_pair, label }) } else { Err(problems) }
    }

    /// The row of these fields, or what is wrong with it.
    pub(super) fn row(&self, line: u64, mut fields: Vec<String>) -> Result<RawRow, String> {
        let expected = self.names.len();
        if fields.len() != expected {
            let names = self.names.join(", ");
            return Err(format!("{} columns, expected {expected} ({names})", fields.len()));
        }
        let mut take = |column: usize| std::mem::take(&mut fields[column]);
        RawRow::new(line, take(self.text), self.text_pair.map(&mut take), take(self.label))
    }
}
