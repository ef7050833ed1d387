//! Data sets on the hub of which it is known how they are used: columns, labels, metric and splits.
//!
//! Each can be overridden by the scenario. An entry is a file and a line in [`ALL`].

mod cola;
mod mnli;
mod mrpc;
mod qnli;
mod qqp;
mod rte;
mod sst2;
mod stsb;
mod wnli;

use super::SplitsConfig;
use super::validation::HeldBack;

/// The entries.
const ALL: [&Known; 9] =
    [&cola::COLA, &sst2::SST2, &mrpc::MRPC, &qqp::QQP, &stsb::STSB, &mnli::MNLI, &qnli::QNLI, &rte::RTE, &wnli::WNLI];

/// The names of GLUE (Wang et al. 2019, arXiv 1804.07461) on the hub: today's and the former.
const GLUE: &[&str] = &["nyu-mll/glue", "glue"];

/// How one data set is used.
#[derive(Debug)]
pub(super) struct Known {
    /// Its names on the hub.
    pub(super) names: &'static [&'static str],
    /// Which part of it.
    pub(super) config: &'static str,
    /// The column of the (first) text.
    pub(super) text: &'static str,
    /// The column of the second text.
    pub(super) text_pair: Option<&'static str>,
    /// The labels by number, for files that do not tell them.
    pub(super) labels: &'static [&'static str],
    /// What results are reported in: a value of `evaluation.metric`.
    pub(super) metric: &'static str,
    /// The split that serves as test data. GLUE keeps the labels of its test splits to itself, so FedPETuning (Zhang et al.
    /// 2023, arXiv 2212.10025) tests on the development split.
    pub(super) test: &'static str,
    /// The part of the training split that FedPETuning carves out for validation, the same rows in every run
    /// (`tools/glue_scripts/glue.py`).
    pub(super) validation_fraction: f64,
    /// Why it cannot be used.
    pub(super) refused: Option<&'static str>,
}

impl Known {
    /// The rows that are held back for validation: those of FedPETuning. It also deals the others in the order of its draw;
    /// here rows keep their order, and the partition draws for itself.
    pub(super) fn held_back(&self) -> HeldBack {
        HeldBack::AsScikitLearn { test_size: self.validation_fraction, random_state: 42 }
    }

    /// The splits as settings: validation rows are carved out of the training rows.
    pub(super) fn splits(&self) -> SplitsConfig {
        SplitsConfig { train: "train".into(), validation: None, test: Some(self.test.into()) }
    }
}

/// The entry of a data set.
pub(super) fn find(name: &str, config: Option<&str>) -> Option<&'static Known> {
    ALL.into_iter().find(|known| known.names.contains(&name) && Some(known.config) == config)
}

/// The parts of a data set of several, by which one is chosen.
pub(super) fn configs(name: &str) -> Vec<&'static str> {
    ALL.into_iter().filter(|known| known.names.contains(&name)).map(|known| known.config).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glue_is_split_as_fedpetuning_splits_it() {
        let of = |config| find("nyu-mll/glue", Some(config)).unwrap();
        let tenths: Vec<&str> =
            ALL.into_iter().filter(|known| known.validation_fraction == 0.1).map(|known| known.config).collect();
        assert_eq!(tenths, ["cola", "mrpc", "rte", "wnli"]);
        assert!(ALL.into_iter().all(|known| [0.1, 0.01].contains(&known.validation_fraction)));
        assert_eq!((of("mnli").test, of("qnli").test), ("validation_matched", "validation"));
        assert_eq!(
            (of("cola").metric, of("mrpc").metric, of("qqp").metric, of("rte").metric),
            ("mcc", "f1", "accuracy", "accuracy")
        );
        assert!(of("stsb").refused.is_some());
        assert_eq!(find("nyu-mll/glue", None).map(|known| known.config), None);
        assert_eq!(configs("glue").len(), 9);
    }
}
