//! Carving validation rows out of the training rows.

mod scikit_learn;

use rand::seq::SliceRandom;

use super::DataError;
use crate::seed::{Purpose, Seeds};

/// Which of the training rows are held back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum HeldBack {
    /// About `fraction` of the rows, chosen by the seed within each label in proportion to its rows: at least one row in all,
    /// and never a label's last one.
    ByLabel {
        /// In (0, 1).
        fraction: f64,
    },
    /// Those of scikit-learn's `train_test_split(rows, test_size, random_state)`: whatever the seed, and not stratified.
    AsScikitLearn {
        /// In (0, 1); the number of rows is rounded up.
        test_size: f64,
        /// The seed of the draw.
        random_state: u32,
    },
}

/// Moves the rows that are `held_back` to a validation split. Rows keep their order, also where the rule draws them in
/// another.
///
/// # Errors
/// There is no row to spare.
pub(super) fn carve<Row>(
    train: Vec<Row>,
    label_of: impl Fn(&Row) -> u32,
    n_labels: usize,
    held_back: HeldBack,
    seeds: &Seeds,
) -> Result<(Vec<Row>, Vec<Row>), DataError> {
    let is_held_back = match held_back {
        HeldBack::ByLabel { fraction } => by_label(&train, label_of, n_labels, fraction, seeds),
        HeldBack::AsScikitLearn { test_size, random_state } => {
            let n = u32::try_from(train.len()).expect("rows are numbered in 32 bits");
            let mut is_held_back = vec![false; train.len()];
            let rows = scikit_learn::test_rows(n, test_size, random_state);
            rows.into_iter().for_each(|row| is_held_back[row as usize] = true);
            is_held_back
        }
    };
    let n_held_back = is_held_back.iter().filter(|held_back| **held_back).count();
    if n_held_back == 0 || n_held_back == train.len() {
        return Err(DataError::BadSettings(
            "there are too few training rows to hold some back for validation; give the data set validation rows of its own"
                .into(),
        ));
    }
    let (mut kept, mut held_back) = (Vec::new(), Vec::new());
    for (row, is_held_back) in train.into_iter().zip(is_held_back) {
        if is_held_back { held_back.push(row) } else { kept.push(row) }
    }
    Ok((kept, held_back))
}

fn by_label<Row>(
    train: &[Row],
    label_of: impl Fn(&Row) -> u32,
    n_labels: usize,
    fraction: f64,
    seeds: &Seeds,
) -> Vec<bool> {
    let mut rows_by_label: Vec<Vec<usize>> = vec![Vec::new(); n_labels];
    for (i, row) in train.iter().enumerate() {
        rows_by_label[label_of(row) as usize].push(i);
    }
    let counts: Vec<usize> = rows_by_label.iter().map(Vec::len).collect();
    let mut rng = seeds.global(Purpose::ValidationSplit);
    let mut is_held_back = vec![false; train.len()];
    for (rows, quota) in rows_by_label.iter_mut().zip(quotas(&counts, fraction)) {
        rows.shuffle(&mut rng);
        rows[..quota].iter().for_each(|&i| is_held_back[i] = true);
    }
    is_held_back
}

/// How many rows each label gives: its exact share rounded down, then the largest remainders up to the rounded total,
/// but never all its rows.
fn quotas(counts: &[usize], fraction: f64) -> Vec<usize> {
    let n_rows: usize = counts.iter().sum();
    let n_wanted = ((n_rows as f64 * fraction).round() as usize).max(1);
    let share = |count: usize| count as f64 * fraction;
    let mut quotas: Vec<usize> =
        counts.iter().map(|&count| (share(count).floor() as usize).min(count.saturating_sub(1))).collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by(|&a, &b| share(counts[b]).fract().total_cmp(&share(counts[a]).fract()));
    let mut missing = n_wanted.saturating_sub(quotas.iter().sum());
    for label in order {
        if missing > 0 && quotas[label] + 1 < counts[label] {
            quotas[label] += 1;
            missing -= 1;
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TextExample;

    fn rows(counts: &[usize]) -> Vec<TextExample> {
        let label = |(label, &n): (usize, &usize)| vec![label as u32; n];
        let labels = counts.iter().enumerate().flat_map(label);
        labels.enumerate().map(|(i, label)| TextExample { text: i.to_string(), text_pair: None, label }).collect()
    }

    #[test]
    fn the_split_is_stratified_seeded_and_complete() {
        let tenth = HeldBack::ByLabel { fraction: 0.1 };
        let split =
            |seed| carve(rows(&[60, 30, 1]), |row| row.label, 3, tenth, &Seeds::new(seed)).expect("enough rows");
        let (train, validation) = split(1);
        // 91 x 0.1 rounds to 9: shares 6.0, 3.0 and 0.1 floor to 6, 3 and 0.
        let n = |label| validation.iter().filter(|row| row.label == label).count();
        assert_eq!([n(0), n(1), n(2)], [6, 3, 0]);
        let mut all: Vec<usize> = train.iter().chain(&validation).map(|row| row.text.parse().expect("n")).collect();
        all.sort_unstable();
        assert_eq!(all, (0..91).collect::<Vec<_>>());
        assert_eq!((train.clone(), validation.clone()), split(1));
        assert_ne!(validation, split(2).1);
    }

    #[test]
    fn a_label_keeps_its_last_row() {
        // Half of two rows is one, half of one row rounds down.
        assert_eq!(quotas(&[2, 1, 1], 0.5), [1, 0, 0]);
        assert_eq!(quotas(&[3, 3], 0.99), [2, 2]);
        // Rounding to none still gives one.
        assert_eq!(quotas(&[4, 3], 0.01), [1, 0]);
        let half = HeldBack::ByLabel { fraction: 0.5 };
        assert!(carve(rows(&[1, 1]), |row| row.label, 2, half, &Seeds::new(1)).is_err());
    }

    #[test]
    fn the_rule_of_scikit_learn_knows_neither_seed_nor_label() {
        let rule = HeldBack::AsScikitLearn { test_size: 0.25, random_state: 42 };
        let split = |counts: &[usize], seed| {
            let (train, held_back) =
                carve(rows(counts), |row| row.label, 2, rule, &Seeds::new(seed)).expect("enough rows");
            let numbers = |rows: Vec<TextExample>| rows.into_iter().map(|row| row.text).collect::<Vec<_>>().join(" ");
            (numbers(train), numbers(held_back))
        };
        // Drawn as 8, 1, 5 (scikit_learn.rs); rows keep their order.
        let expected = ("0 2 3 4 6 7 9".to_string(), "1 5 8".to_string());
        assert_eq!(split(&[9, 1], 1), expected);
        assert_eq!(split(&[2, 8], 2), expected);
        assert!(carve(rows(&[1]), |row| row.label, 1, rule, &Seeds::new(1)).is_err(), "the only row");
    }
}
