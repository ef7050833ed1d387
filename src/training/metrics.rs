//! Measures of a classifier, from its confusion matrix.

/// How often each class was taken for each class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    n_classes: usize,
    /// Row: the true class; column: the predicted one.
    counts: Vec<u64>,
}

impl Confusion {
    /// Nothing counted yet.
    pub fn new(n_classes: usize) -> Self {
        Self { n_classes, counts: vec![0; n_classes * n_classes] }
    }

    /// Counts one example.
    pub fn add(&mut self, truth: u32, predicted: u32) {
        self.counts[truth as usize * self.n_classes + predicted as usize] += 1;
    }

    /// Fraction of examples whose class was found, in [0, 1].
    pub fn accuracy(&self) -> f64 {
        ratio(self.n_correct(), self.total())
    }

    /// F1 = 2 TP / (2 TP + FP + FN) of class 1, in [0, 1]; 0 when it neither occurs nor is predicted, as in scikit-learn.
    pub fn f1(&self) -> f64 {
        if self.n_classes < 2 {
            return 0.0;
        }
        ratio(2 * self.at(1, 1), self.true_count(1) + self.predicted_count(1))
    }

    /// Unweighted mean over the classes of F1 = 2 TP / (2 TP + FP + FN), in [0, 1]. As in scikit-learn, classes that
    /// neither occur nor are predicted are left out.
    pub fn macro_f1(&self) -> f64 {
        let (mut sum, mut n) = (0.0, 0u64);
        for class in 0..self.n_classes {
            // TP + FN examples are of the class, TP + FP were taken for it.
            let involved = self.true_count(class) + self.predicted_count(class);
            if involved > 0 {
                sum += 2.0 * self.at(class, class) as f64 / involved as f64;
                n += 1;
            }
        }
        if n == 0 { 0.0 } else { sum / n as f64 }
    }

    /// Matthews correlation coefficient for any number of classes (Gorodkin 2004), in [-1, 1]; 0 when only one class
    /// occurs or is predicted.
    pub fn mcc(&self) -> f64 {
        let total = self.total() as f64;
        let (mut both, mut truth, mut predicted) = (0.0, 0.0, 0.0);
        for class in 0..self.n_classes {
            let (t, p) = (self.true_count(class) as f64, self.predicted_count(class) as f64);
            both += t * p;
            truth += t * t;
            predicted += p * p;
        }
        let spread = (total * total - predicted) * (total * total - truth);
        if spread > 0.0 { (self.n_correct() as f64 * total - both) / spread.sqrt() } else { 0.0 }
    }

    fn at(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.n_classes + predicted]
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn n_correct(&self) -> u64 {
        (0..self.n_classes).map(|class| self.at(class, class)).sum()
    }

    fn true_count(&self, class: usize) -> u64 {
        (0..self.n_classes).map(|other| self.at(class, other)).sum()
    }

    fn predicted_count(&self, class: usize) -> u64 {
        (0..self.n_classes).map(|other| self.at(other, class)).sum()
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confusion(n_classes: usize, pairs: &[(u32, u32)]) -> Confusion {
        let mut confusion = Confusion::new(n_classes);
        pairs.iter().for_each(|(truth, predicted)| confusion.add(*truth, *predicted));
        confusion
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn two_classes_by_hand() {
        // TN 2, FP 1, FN 1, TP 4: accuracy 6 / 8.
        let pairs = [(0, 0), (0, 0), (0, 1), (1, 0), (1, 1), (1, 1), (1, 1), (1, 1)];
        let confusion = confusion(2, &pairs);
        assert!(close(confusion.accuracy(), 0.75));
        assert!(close(confusion.f1(), 0.8));
        // F1 of class 1: 2 x 4 / (8 + 1 + 1) = 0.8; of class 0: 2 x 2 / (4 + 1 + 1) = 2 / 3.
        assert!(close(confusion.macro_f1(), (0.8 + 2.0 / 3.0) / 2.0));
        // MCC = (TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)) = (8 - 1) / sqrt(5 x 5 x 3 x 3) = 7 / 15.
        assert!(close(confusion.mcc(), 7.0 / 15.0));
    }

    #[test]
    fn three_classes_by_hand() {
        // Truth 0 0 1 1 2 2, predicted 0 1 1 1 2 0: s = 6, c = 4, t = (2, 2, 2), p = (2, 3, 1).
        let confusion = confusion(3, &[(0, 0), (0, 1), (1, 1), (1, 1), (2, 2), (2, 0)]);
        // F1: 2 / (2 + 2), 4 / (2 + 3), 2 / (2 + 1).
        assert!(close(confusion.macro_f1(), (0.5 + 0.8 + 2.0 / 3.0) / 3.0));
        // MCC = (c s - sum t p) / sqrt((s^2 - sum p^2)(s^2 - sum t^2)) = (24 - 12) / sqrt((36 - 14)(36 - 12)).
        assert!(close(confusion.mcc(), 12.0 / (22.0f64 * 24.0).sqrt()));
    }

    #[test]
    fn classes_that_play_no_part_are_left_out() {
        let confusion = confusion(5, &[(0, 0), (1, 1)]);
        assert!(close(confusion.macro_f1(), 1.0) && close(confusion.mcc(), 1.0));
        let one_class = self::confusion(2, &[(0, 0), (0, 0)]);
        assert_eq!((one_class.mcc(), one_class.f1()), (0.0, 0.0));
    }
}
