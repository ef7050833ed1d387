//! Where training rows come from: what a partition may go by beside their labels.

use std::collections::BTreeMap;

/// The origin of every training row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowOrigins {
    numbers: Vec<u32>,
    n_read: usize,
    groups: Option<RowGroups>,
}

/// The natural client of every training row: what a column of its file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowGroups {
    /// The group of each row, numbered from 0 in order of appearance.
    of_row: Vec<u32>,
    n_groups: usize,
}

impl RowOrigins {
    /// The origins of `n_rows` rows of which none is held back or belongs to anyone.
    pub fn of_all(n_rows: usize) -> Self {
        Self { numbers: (0..n_rows as u32).collect(), n_read: n_rows, groups: None }
    }

    /// The origins of the rows of these numbers, out of `n_read` that were read; `names` are the values of the column that
    /// groups those that were read.
    pub(super) fn new(numbers: Vec<u32>, n_read: usize, names: Option<&[String]>) -> Self {
        let groups = names.map(|names| RowGroups::of(numbers.iter().map(|&number| names[number as usize].as_str())));
        Self { numbers, n_read, groups }
    }

    /// The number of each row among all that were read for training, ascending from 0. Some are missing where rows are
    /// held back for validation.
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// How many rows were read for training, those included that are held back.
    pub fn n_read(&self) -> usize {
        self.n_read
    }

    /// The groups, where the partition goes by a column.
    pub fn groups(&self) -> Option<&RowGroups> {
        self.groups.as_ref()
    }
}

impl RowGroups {
    /// Groups of equal names.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
        let mut of_row = Vec::new();
        for name in names {
            let next = numbers.len() as u32;
            of_row.push(*numbers.entry(name).or_insert(next));
        }
        Self { of_row, n_groups: numbers.len() }
    }

    /// The group of each row, below [`n_groups`](Self::n_groups).
    pub fn of_row(&self) -> &[u32] {
        &self.of_row
    }

    /// How many there are; none is without rows.
    pub fn n_groups(&self) -> usize {
        self.n_groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_held_back_keep_their_numbers_and_lose_their_groups() {
        let names = ["ann", "bob", "ann", "cyd", "bob"].map(String::from);
        let origins = RowOrigins::new(vec![1, 2, 4], 5, Some(&names));
        assert_eq!((origins.numbers(), origins.n_read()), (&[1, 2, 4][..], 5));
        // Rows 1, 2 and 4 are of bob, ann and bob; cyd's only row is held back.
        let groups = origins.groups().expect("named");
        assert_eq!((groups.of_row(), groups.n_groups()), (&[0, 1, 0][..], 2));
        assert_eq!(RowOrigins::of_all(3), RowOrigins::new(vec![0, 1, 2], 3, None));
    }
}
