//! Names and numbers of labels.

use std::collections::BTreeSet;
use std::path::Path;

use super::DatasetConfig;
use super::files::{Problems, read_lines};

/// Names shown when a label is not among them.
const SHOWN_NAMES: usize = 10;

/// The labels of a data set: their names, and how a row's label is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Labels {
    names: Vec<String>,
    /// A label may also be a 0-based number: where names are given, and none of them is itself a number.
    by_number: bool,
    /// A number is a number also where a name looks like it: the file stores numbers, and tells their names elsewhere.
    numbers_first: bool,
}

impl Labels {
    /// The names listed in `labels` or `labels_file`, if either is given.
    pub(super) fn given(config: &DatasetConfig, base_dir: &Path, problems: &mut Problems) -> Option<Self> {
        let names = match (&config.labels, &config.labels_file) {
            (Some(names), _) => names.clone(),
            (None, Some(file)) => names_of_file(&base_dir.join(file), problems),
            (None, None) => return None,
        };
        let by_number = names.iter().all(|name| name.parse::<i64>().is_err());
        Some(Self { names, by_number, numbers_first: false })
    }

    /// The labels as the scenario gives them; else as the files tell them, which then store numbers; else the different
    /// ones that are `written` in the training rows.
    pub(super) fn resolved<'a>(
        given: Option<Self>,
        told: Option<Vec<String>>,
        written: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        given.or_else(|| told.map(Self::of_classes)).unwrap_or_else(|| Self::collect(written))
    }

    /// The names of labels that a file stores by number.
    fn of_classes(names: Vec<String>) -> Self {
        Self { names, by_number: true, numbers_first: true }
    }

    /// The different labels of the training rows: in the order of numbers if all are numbers, else in alphabetical
    /// order.
    fn collect<'a>(written: impl IntoIterator<Item = &'a str>) -> Self {
        let names: BTreeSet<&str> = written.into_iter().collect();
        let mut names: Vec<String> = names.into_iter().map(String::from).collect();
        let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
        if numbers.is_some() {
            names.sort_by_key(|name| name.parse::<i64>().ok());
        }
        Self { names, by_number: false, numbers_first: false }
    }

    /// Names by number.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of the only label, where there are not two of them.
    pub(super) fn only(&self) -> Option<&str> {
        (self.names.len() < 2).then(|| self.names.first().map_or("", String::as_str))
    }

    /// The number of a label as written, or what is wrong with it.
    pub(super) fn number(&self, label: &str) -> Result<u32, String> {
        let is_number = self.numbers_first && label.parse::<i64>().is_ok();
        if let Some(number) = self.names.iter().position(|name| name == label).filter(|_| !is_number) {
            return Ok(number as u32);
        }
        match label.parse::<i64>() {
            Ok(number) if self.by_number => match usize::try_from(number) {
                Ok(index) if index < self.names.len() => Ok(index as u32),
                Err(_) if number == -1 => {
                    Err("the row has no label (-1): choose splits with labels by dataset.splits".into())
                }
                _ => Err(format!("label {number} is out of range: labels are numbered 0 to {}", self.names.len() - 1)),
            },
            _ => Err(format!("label `{label}` is not among the labels ({})", self.shown())),
        }
    }

    fn shown(&self) -> String {
        let shown = self.names.iter().take(SHOWN_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
        match self.names.len().saturating_sub(SHOWN_NAMES) {
            0 => shown,
            more => format!("{shown}, +{more} more"),
        }
    }
}

fn names_of_file(path: &Path, problems: &mut Problems) -> Vec<String> {
    let n_problems = problems.len();
    let mut names: Vec<String> = Vec::new();
    for (line, name) in read_lines(path, problems) {
        let name = name.trim();
        if name.is_empty() {
            problems.of_line(path, line, "the label is blank");
        } else if names.iter().any(|other| other == name) {
            problems.of_line(path, line, format!("label `{name}` is listed twice"));
        } else {
            names.push(name.into());
        }
    }
    if names.len() == 1 && problems.len() == n_problems {
        problems.of_file(path, "lists 1 label, at least 2 are needed");
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collected_names_are_sorted_and_are_not_numbers_of_themselves() {
        let labels = Labels::collect(["b", "a", "c", "a"]);
        assert_eq!(labels.names(), ["a", "b", "c"]);
        assert!(labels.number("0").is_err());
        // 10 comes after 9, and the label 9 is number 1: not row number 9.
        let labels = Labels::collect(["10", "9", "2"]);
        assert_eq!(labels.names(), ["2", "9", "10"]);
        assert_eq!(labels.number("9"), Ok(1));
        assert!(labels.number("1").is_err());
    }

    #[test]
    fn given_names_can_be_numbered_unless_they_are_numbers() {
        let given = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let by_number = names.iter().all(|name| name.parse::<i64>().is_err());
            Labels { names, by_number, numbers_first: false }
        };
        let labels = given(&["no", "yes"]);
        assert_eq!((labels.number("yes"), labels.number("0")), (Ok(1), Ok(0)));
        assert_eq!(labels.number("2").expect_err("two labels"), "label 2 is out of range: labels are numbered 0 to 1");
        assert_eq!(labels.number("maybe").expect_err("unknown"), "label `maybe` is not among the labels (no, yes)");
        let stars = given(&["1", "2", "3"]);
        assert_eq!(stars.number("1"), Ok(0));
        assert!(stars.number("0").is_err());
    }

    #[test]
    fn classes_stored_by_number_are_numbers_also_where_a_name_looks_like_one() {
        let stars = Labels::of_classes(["1", "2", "3"].map(String::from).to_vec());
        assert_eq!((stars.number("0"), stars.number("1"), stars.number("2")), (Ok(0), Ok(1), Ok(2)));
        let error = stars.number("-1").expect_err("unlabelled");
        assert!(error.contains("dataset.splits"), "{error}");
        assert_eq!(Labels::of_classes(vec!["no".into(), "yes".into()]).number("yes"), Ok(1));
    }
}
