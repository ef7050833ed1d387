//! What TSV and CSV share: a header that says which column holds what.

use super::{Columns, GROUP_SETTING, RawRow};

/// Which column holds what.
#[derive(Debug, Clone)]
pub(super) struct Header<'a> {
    columns: &'a Columns<'a>,
    names: Vec<String>,
    text: usize,
    text_pair: Option<usize>,
    label: usize,
    group: Option<usize>,
}

impl<'a> Header<'a> {
    /// Finds the columns, or says which are missing.
    pub(super) fn new(names: Vec<String>, columns: &'a Columns<'a>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut find = |setting: &str, name: &str| {
            let mut found = names.iter().enumerate().filter(|(_, other)| *other == name).map(|(i, _)| i);
            let first = found.next();
            let listed = names.join(", ");
            match (first, found.next()) {
                (None, _) => {
                    problems.push(format!("no column `{name}` (there are: {listed}); set dataset.{setting}"));
                }
                (Some(_), Some(_)) => problems.push(format!("two columns are called `{name}` ({listed})")),
                (Some(_), None) => {}
            }
            first.unwrap_or(0)
        };
        let text = find("columns.text", &columns.names.text);
        let text_pair = columns.names.text_pair.as_ref().map(|name| find("columns.text_pair", name));
        let label = find("columns.label", &columns.names.label);
        let group = columns.group.map(|name| find(GROUP_SETTING, name));
        match problems.is_empty() {
            true => Ok(Self { columns, names, text, text_pair, label, group }),
            false => Err(problems),
        }
    }

    /// The row of these fields, or what is wrong with it.
    pub(super) fn row(&self, line: u64, mut fields: Vec<String>) -> Result<RawRow, String> {
        let expected = self.names.len();
        if fields.len() != expected {
            let names = self.names.join(", ");
            return Err(format!("{} columns, expected {expected} ({names})", fields.len()));
        }
        // It may be one of the others, such as the label.
        let group = self.group.map(|column| fields[column].clone());
        let mut take = |column: usize| std::mem::take(&mut fields[column]);
        let row = RawRow::new(line, take(self.text), self.text_pair.map(&mut take), take(self.label))?;
        row.in_group(self.columns, group)
    }
}
