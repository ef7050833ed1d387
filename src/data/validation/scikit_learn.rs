//! Rows as scikit-learn draws them.

use rand_mt::Mt;

/// The rows that `train_test_split(rows, test_size, random_state)` gives as test rows, in the order of its draw: of `n` rows
/// `ceil(n * test_size)`, whatever their labels.
pub(super) fn test_rows(n: u32, test_size: f64, random_state: u32) -> Vec<u32> {
    let n_test = (f64::from(n) * test_size).ceil() as usize;
    let mut rows = permutation(n, random_state);
    rows.truncate(n_test);
    rows
}

/// `numpy.random.RandomState(seed).permutation(n)`. NumPy has promised to keep these draws as they are (NEP 19).
fn permutation(n: u32, seed: u32) -> Vec<u32> {
    let mut generator = Mt::new(seed);
    let mut rows: Vec<u32> = (0..n).collect();
    for i in (1..n).rev() {
        rows.swap(i as usize, up_to(i, &mut generator) as usize);
    }
    rows
}

/// A number from 0 to `max`: draws are cut to the bits of `max` until one is not above it.
fn up_to(max: u32, generator: &mut Mt) -> u32 {
    let mask = u32::MAX >> max.leading_zeros();
    loop {
        let value = generator.next_u32() & mask;
        if value <= max {
            return value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: tests/peers/make_splits.py with NumPy 2.4.6 and scikit-learn 1.9.1.
    #[test]
    fn the_rows_are_those_of_scikit_learn() {
        assert_eq!(permutation(8, 7), [2, 5, 0, 6, 3, 1, 4, 7]);
        assert_eq!(test_rows(10, 0.25, 42), [8, 1, 5]);
        let glue: [(u32, f64, usize, [u32; 4], u64, u64); 8] = [
            (67_349, 0.01, 674, [66730, 29890, 45801, 29352], 22130207, 7387201572), // SST-2
            (8_551, 0.1, 856, [2389, 5048, 3133, 5955], 3559758, 1525335518),        // CoLA
            (104_743, 0.01, 1048, [64724, 38119, 41924, 42888], 53520987, 28236783245), // QNLI
            (363_846, 0.01, 3639, [215130, 234600, 118406, 284746], 659428766, 1197081096906), // QQP
            (392_702, 0.01, 3928, [155219, 327538, 325456, 341461], 770777160, 1516092514488), // MNLI
            (3_668, 0.1, 367, [179, 2679, 3133, 1061], 646415, 122151563),           // MRPC
            (2_490, 0.1, 249, [1057, 478, 976, 422], 309756, 38281337),              // RTE
            (635, 0.1, 64, [523, 250, 428, 228], 20278, 666235),                     // WNLI
        ];
        for (n, test_size, n_test, first, sum, weighted) in glue {
            let rows = test_rows(n, test_size, 42);
            assert_eq!((rows.len(), &rows[..4]), (n_test, &first[..]), "{n}");
            assert_eq!(rows.iter().map(|row| u64::from(*row)).sum::<u64>(), sum, "{n}");
            assert_eq!((1..).zip(&rows).map(|(place, row)| place * u64::from(*row)).sum::<u64>(), weighted, "{n}");
        }
    }
}
