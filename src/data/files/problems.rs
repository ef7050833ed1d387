//! The list of what is wrong with the files.

use std::path::Path;

use crate::data::DataError;

/// Problems told in words; the others are counted.
const SHOWN: usize = 20;

/// What is wrong with the files, in the order found.
#[derive(Debug, Default)]
pub(in crate::data) struct Problems {
    shown: Vec<String>,
    n_total: usize,
}

impl Problems {
    /// Reports a row.
    pub(in crate::data) fn of_line(&mut self, path: &Path, line: u64, what: impl std::fmt::Display) {
        self.push(|| format!("{}:{line}: {what}", path.display()));
    }

    /// Reports a file as a whole.
    pub(in crate::data) fn of_file(&mut self, path: &Path, what: impl std::fmt::Display) {
        self.push(|| format!("{}: {what}", path.display()));
    }

    fn push(&mut self, text: impl FnOnce() -> String) {
        if self.shown.len() < SHOWN {
            self.shown.push(text());
        }
        self.n_total += 1;
    }

    /// How many problems there are.
    pub(in crate::data) fn len(&self) -> usize {
        self.n_total
    }

    /// The error of all problems, if there are any.
    pub(in crate::data) fn into_result(self) -> Result<(), DataError> {
        match self.n_total - self.shown.len() {
            _ if self.n_total == 0 => Ok(()),
            more => Err(DataError::BadContent { problems: self.shown, more }),
        }
    }
}
