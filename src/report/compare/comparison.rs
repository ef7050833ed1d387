//! Groups of runs, their estimates, and their differences against a baseline.

use std::path::PathBuf;

use super::super::{Reason, Summary};
use super::baseline::{find_baseline, subtract};
use super::error::CompareError;
use super::folder::{Found, LeftOut};
use super::grouping::{group, names};
use super::quantity::Quantity;
use super::run::Run;
use super::settings::differing;
use super::statistics::{Difference, Estimate};

/// What a comparison is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Value of the validation metric for the figures to a target; `None` takes the runs' own where they agree.
    pub target: Option<f64>,
    /// Confidence of the intervals, in (0, 1). Default: 0.95.
    pub confidence: f64,
    /// The cell that the others are compared with: its name, `setting=value` of it alone, or the folder of one of its runs.
    pub baseline: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { target: None, confidence: 0.95, baseline: None }
    }
}

/// Runs compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Name of the metric; `None` where no model was trained.
    pub metric: Option<String>,
    /// The target of the figures to a target, if there is one.
    pub target: Option<f64>,
    /// Confidence of the intervals.
    pub confidence: f64,
    /// Dotted paths of the settings that the groups differ in.
    pub settings: Vec<String>,
    /// Runs that differ by seed only; at least one group.
    pub groups: Vec<Group>,
    /// Index of the group that the others are compared with.
    pub baseline: Option<usize>,
    /// The quantities that some run has a value of.
    pub quantities: Vec<Quantity>,
    /// Runs that were found and are not compared.
    pub left_out: Vec<LeftOut>,
    /// What else should be known: seeds that a group lacks, targets that differ.
    pub notes: Vec<String>,
}

/// Runs of one scenario with different seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Name of the cell, or what tells the group from the others.
    pub name: String,
    /// Its values of [`Comparison::settings`].
    pub settings: Vec<String>,
    /// The runs, in the order of their seeds.
    pub runs: Vec<Run>,
    /// One for each of [`Comparison::quantities`].
    pub figures: Vec<Figure>,
}

/// One quantity of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Which one.
    pub quantity: Quantity,
    /// The value of each run; `None` where it has none.
    pub values: Vec<Option<f64>>,
    /// Over the runs that have a value; `None` where none has.
    pub estimate: Option<Estimate>,
    /// Against the baseline, over the seeds of which both have a value; `None` for the baseline itself, without one, and
    /// where no seed has both.
    pub difference: Option<Difference>,
}

impl Figure {
    /// Runs without a value: for figures to a target, those that never reached it.
    pub fn n_missing(&self) -> usize {
        self.values.iter().filter(|value| value.is_none()).count()
    }
}

impl Group {
    /// The seeds, ascending.
    pub fn seeds(&self) -> Vec<u64> {
        self.runs.iter().map(Run::seed).collect()
    }

    /// The seeds whose runs have no value of a figure.
    pub fn missing(&self, figure: &Figure) -> Vec<u64> {
        self.runs.iter().zip(&figure.values).filter(|(_, value)| value.is_none()).map(|(run, _)| run.seed()).collect()
    }

    /// The seeds of the runs that were evaluated and never reached the target.
    pub fn not_reached(&self) -> Vec<u64> {
        let Some(figure) = self.figure(Quantity::TimeToTarget) else { return Vec::new() };
        let runs = self.runs.iter().zip(&figure.values);
        runs.filter(|(run, value)| run.is_evaluated() && value.is_none()).map(|(run, _)| run.seed()).collect()
    }

    /// The figure of a quantity.
    pub fn figure(&self, quantity: Quantity) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.quantity == quantity)
    }
}

/// Reads folders of runs, of sweeps, or of several of both, and compares what it finds.
///
/// # Errors
/// When a folder holds none, nothing is left to compare, or the baseline is not known.
pub fn compare(folders: &[PathBuf], options: &Options) -> Result<Comparison, CompareError> {
    let mut found = Found::default();
    for folder in folders {
        found.add(folder)?;
    }
    let Found { runs, mut left_out, mut notes, .. } = found;
    let metric = runs.iter().find_map(|run| run.summary.metric.clone());
    let groups = group(runs, metric.as_deref(), &mut left_out);
    if groups.is_empty() {
        return Err(CompareError::NothingLeft(left_out));
    }
    let scenarios: Vec<_> = groups.iter().map(|runs| &runs[0].scenario).collect();
    let differing = differing(&scenarios);
    let names = names(&groups, &differing);
    let target = options.target.or_else(|| own_target(&groups, &mut notes));
    let quantities = quantities(&groups, target);
    let mut groups: Vec<Group> = (0..)
        .zip(groups)
        .zip(names)
        .map(|((i, runs), name)| {
            let settings = differing.iter().map(|one| one.values[i].clone()).collect();
            let figures =
                quantities.iter().map(|&quantity| figure(&runs, quantity, target, options.confidence)).collect();
            Group { name, settings, runs, figures }
        })
        .collect();
    let settings: Vec<String> = differing.into_iter().map(|one| one.path).collect();
    let baseline = options.baseline.as_deref().map(|given| find_baseline(given, &groups, &settings)).transpose()?;
    if let Some(baseline) = baseline {
        subtract(&mut groups, baseline, options.confidence, &mut notes);
    }
    Ok(Comparison {
        metric,
        target,
        confidence: options.confidence,
        settings,
        groups,
        baseline,
        quantities,
        left_out,
        notes,
    })
}

/// The runs' own target, where those that have one agree.
fn own_target(groups: &[Vec<Run>], notes: &mut Vec<String>) -> Option<f64> {
    let of = |summary: &Summary| summary.target.as_ref().map(|target| target.value);
    let mut targets: Vec<f64> = groups.iter().flatten().filter_map(|run| of(&run.summary)).collect();
    targets.sort_by(f64::total_cmp);
    targets.dedup();
    match targets[..] {
        [] => None,
        [only] => Some(only),
        [low, .., high] => {
            notes.push(format!("the runs' targets differ ({low} to {high}); give one with --target"));
            None
        }
    }
}

fn quantities(groups: &[Vec<Run>], target: Option<f64>) -> Vec<Quantity> {
    let runs = || groups.iter().flatten();
    let can_reach = target.is_some() && runs().any(Run::is_evaluated);
    let has_energy = runs().any(|run| run.summary.energy.is_some());
    let is_known = |quantity: &Quantity| match quantity {
        // A target that nobody reached is worth saying.
        Quantity::TimeToTarget | Quantity::BytesToTarget => can_reach,
        Quantity::EnergyToTarget => can_reach && has_energy,
        quantity => runs().any(|run| run.value(*quantity, target).is_some()),
    };
    let occurred = |reason: &Reason| runs().any(|run| run.summary.updates.dropped.get(reason).is_some_and(|n| *n > 0));
    let reasons = Reason::ALL.iter().copied().filter(occurred).map(Quantity::DroppedFor);
    Quantity::ALL.into_iter().filter(is_known).chain(reasons).collect()
}

fn figure(runs: &[Run], quantity: Quantity, target: Option<f64>, confidence: f64) -> Figure {
    let values: Vec<Option<f64>> = runs.iter().map(|run| run.value(quantity, target)).collect();
    let there: Vec<f64> = values.iter().flatten().copied().collect();
    Figure { quantity, estimate: Estimate::of(&there, confidence), values, difference: None }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::super::fixture;
    use super::super::{CellStatus, IndexRow, SWEEP_LOCK_FILE, SweepIndex};
    use super::*;
    use crate::report::{RoundRow, Status, Target, Test, Validation};
    use crate::units::{Bytes, SimTime};

    /// Writes a run of three rounds of 10 s and 1 MB each, in which the metric rises to `best` by thirds.
    fn write_run(folder: &Path, (name, seed, rate): (&str, u64, f64), best: f64, change: impl Fn(&mut Summary)) {
        std::fs::create_dir_all(folder).unwrap();
        // The hash of what is built in and the number of threads are no difference.
        let lock = format!(
            "version: 1\nname: {name}\nseed: {seed}\nlock:\n  dataset_hash: {seed}a\ndataset:\n  name: builtin:intents\n\
             clients:\n  rate: {rate}\ncompute:\n  workers: {seed}\n"
        );
        std::fs::write(folder.join("scenario.lock.yaml"), lock).unwrap();
        let row = fixture::run().rounds[0].clone();
        let rows = (1..=3).map(|round| RoundRow {
            round,
            sim_start: SimTime::from_nanos(u64::from(round - 1) * 10_000_000_000),
            sim_end: SimTime::from_nanos(u64::from(round) * 10_000_000_000),
            cum_bytes: Bytes::new(u64::from(round) * 1_000_000),
            energy_j: Some(2.5),
            eval_metric: Some(best * f64::from(round) / 3.0),
            ..row.clone()
        });
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_path(folder.join("rounds.csv")).unwrap();
        let columns = super::super::super::rows::ROUND_COLUMNS;
        writer.write_record(columns.iter().copied().chain(["eval_accuracy"])).unwrap();
        rows.for_each(|row| writer.serialize(row).unwrap());
        writer.flush().unwrap();
        let mut summary = Summary {
            name: name.into(),
            seed,
            rounds: 3,
            sim_time: SimTime::from_nanos(30_000_000_000),
            validation: Some(Validation { best_round: 3, best, last: best }),
            test: Some(Test { round: 3, value: best - 0.1 }),
            target: Some(Target { value: 0.6, reached_round: None, sim_time: None, bytes: None }),
            ..fixture::run().summary
        };
        change(&mut summary);
        std::fs::write(folder.join("summary.json"), summary.to_json()).unwrap();
    }

    fn folders(root: &Path, names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| root.join(name)).collect()
    }

    #[test]
    fn runs_that_differ_by_seed_form_a_group_and_the_target_is_found_in_the_rounds() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        write_run(&at("b"), ("demo", 2, 0.1), 0.9, |_| {});
        write_run(&at("a"), ("demo", 1, 0.1), 0.7, |_| {});
        write_run(&at("c"), ("demo", 3, 0.1), 0.5, |_| {});
        let found = compare(&folders(root.path(), &["b", "a", "c"]), &Options::default()).unwrap();
        assert_eq!((found.groups.len(), found.target, found.settings.len()), (1, Some(0.6), 0));
        let group = &found.groups[0];
        assert_eq!((group.name.as_str(), group.seeds()), ("demo", vec![1, 2, 3]));
        // 0.9 x 2/3 = 0.6 is reached after round 2, 0.7 only in round 3, 0.5 never.
        let time = group.figure(Quantity::TimeToTarget).unwrap();
        assert_eq!(time.values, [Some(30.0), Some(20.0), None]);
        assert_eq!((time.estimate.unwrap().mean, time.n_missing(), group.missing(time)), (25.0, 1, vec![3]));
        let bytes = group.figure(Quantity::BytesToTarget).unwrap();
        assert_eq!(bytes.values, [Some(3e6), Some(2e6), None]);
        // Another target is looked for in the same rows: 0.45 is in reach of all.
        let options = Options { target: Some(0.45), ..Options::default() };
        let lower = compare(&folders(root.path(), &["a", "b", "c"]), &options).unwrap();
        assert_eq!(
            lower.groups[0].figure(Quantity::TimeToTarget).unwrap().values,
            [Some(20.0), Some(20.0), Some(30.0)]
        );
        // The energy of the fixture's summary is absent, so nothing is said of energy.
        assert!(lower.groups[0].figure(Quantity::EnergyToTarget).is_none());
    }

    #[test]
    fn energy_is_summed_up_to_the_round_that_reached_the_target() {
        let root = tempfile::tempdir().unwrap();
        let spent = crate::report::EnergySpent { total: 7.5, wasted: 1.0 };
        write_run(&root.path().join("a"), ("demo", 1, 0.1), 0.9, |summary| summary.energy = Some(spent));
        let found = compare(&folders(root.path(), &["a"]), &Options::default()).unwrap();
        // Two rounds of 2.5 J.
        assert_eq!(found.groups[0].figure(Quantity::EnergyToTarget).unwrap().values, [Some(5.0)]);
        assert_eq!(found.groups[0].figure(Quantity::Energy).unwrap().estimate.unwrap().interval, None);
    }

    #[test]
    fn differences_are_paired_by_seed() {
        let root = tempfile::tempdir().unwrap();
        for (seed, base, other) in [(1, 0.7, 0.72), (2, 0.8, 0.84), (3, 0.9, 0.96)] {
            write_run(&root.path().join(format!("base-{seed}")), ("demo", seed, 0.1), base, |_| {});
            write_run(&root.path().join(format!("other-{seed}")), ("demo", seed, 0.3), other, |_| {});
        }
        // A seed that the baseline lacks is in the mean of its own group and in no difference.
        write_run(&root.path().join("other-4"), ("demo", 4, 0.3), 0.2, |_| {});
        for baseline in ["rate=0.1", "clients.rate=0.1", root.path().join("base-2").to_str().unwrap()] {
            let options = Options { baseline: Some(baseline.into()), ..Options::default() };
            let found = compare(&[root.path().to_owned()], &options).unwrap();
            assert_eq!((found.baseline, found.settings.as_slice()), (Some(0), &["clients.rate".to_owned()][..]));
            assert!(found.groups[0].figure(Quantity::Test).unwrap().difference.is_none());
            let figure = found.groups[1].figure(Quantity::BestValidation).unwrap();
            let difference = figure.difference.unwrap();
            // 0.02, 0.04, 0.06.
            assert!((difference.estimate.mean - 0.04).abs() < 1e-12 && difference.estimate.n == 3);
            assert!((difference.estimate.sd.unwrap() - 0.02).abs() < 1e-12);
            assert_eq!((difference.p_wilcoxon, figure.estimate.unwrap().n), (Some(0.25), 4));
            assert_eq!(found.notes, ["rate=0.3: 3 of its 4 seeds are also the baseline's; only these are paired"]);
        }
        let options = |baseline: &str| Options { baseline: Some(baseline.into()), ..Options::default() };
        let error = compare(&[root.path().to_owned()], &options("rate=7")).unwrap_err().to_string();
        assert_eq!(error, "no cell is called `rate=7`; there is rate=0.1 · rate=0.3");
    }

    #[test]
    fn what_cannot_be_compared_is_left_out_by_name() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        write_run(&at("a"), ("demo", 1, 0.1), 0.9, |_| {});
        write_run(&at("again"), ("demo", 1, 0.1), 0.9, |_| {});
        write_run(&at("f1"), ("demo", 2, 0.1), 0.9, |summary| summary.metric = Some("f1".into()));
        write_run(&at("future"), ("demo", 3, 0.1), 0.9, |summary| summary.schema_version = 9);
        write_run(&at("killed"), ("demo", 4, 0.1), 0.9, |_| {});
        std::fs::remove_file(at("killed/summary.json")).unwrap();
        write_run(&at("stopped"), ("demo", 5, 0.1), 0.9, |summary| summary.status = Status::Interrupted);
        std::fs::create_dir(at("other")).unwrap();
        let found = compare(&[root.path().to_owned()], &Options::default()).unwrap();
        assert_eq!(found.groups[0].seeds(), [1]);
        let told: Vec<String> = found
            .left_out
            .iter()
            .map(|out| format!("{} {}", out.folder.file_name().unwrap().to_str().unwrap(), out.reason))
            .collect();
        assert_eq!(told[0], "future its summary.json has version 9; this program compares 1");
        assert_eq!(told[1], "killed it has no summary.json: it was cut off, or is still running");
        assert_eq!(told[2], "stopped it was interrupted after round 3");
        assert!(told[3].starts_with("again it repeats `") && told[3].ends_with("/a`: the same scenario and seed"));
        assert_eq!(told[4], "f1 its metric is f1, that of the others accuracy");
        let nothing = compare(&[at("killed")], &Options::default()).unwrap_err().to_string();
        assert!(
            nothing.starts_with("no run can be compared\n  `") && nothing.contains("killed`: it has no"),
            "{nothing}"
        );
        assert!(matches!(compare(&[at("other")], &Options::default()), Err(CompareError::NoRuns(_))));
        assert!(matches!(compare(&[at("none")], &Options::default()), Err(CompareError::NoFolder(_))));
    }

    #[test]
    fn a_sweep_is_read_through_its_index() {
        let root = tempfile::tempdir().unwrap();
        let ok = (CellStatus::Ok, 0, "");
        let mut index = SweepIndex { settings: vec!["clients.rate".into()], rows: Vec::new() };
        for (cell, rate) in [("rate=0.1", 0.1), ("rate=0.3", 0.3)] {
            for seed in [1, 2] {
                let row = IndexRow::new((cell, seed), vec![rate.to_string()], ok, None);
                write_run(&root.path().join(row.folder()), ("demo", seed, rate), 0.9, |_| {});
                index.rows.push(row);
            }
        }
        index.rows[3].status = CellStatus::Failed;
        index.rows[3].message = "no round ended".into();
        index.write(root.path()).unwrap();
        std::fs::write(root.path().join(SWEEP_LOCK_FILE), "").unwrap();
        std::fs::create_dir_all(root.path().join("cells/rate=0.1/seed-9")).unwrap();
        // Given twice it counts once.
        let folders = [root.path().to_owned(), root.path().join("cells/rate=0.1/seed-1")];
        let found = compare(&folders, &Options::default()).unwrap();
        let names: Vec<&str> = found.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["rate=0.1", "rate=0.3"]);
        assert_eq!((found.groups[0].seeds(), found.groups[1].seeds()), (vec![1, 2], vec![1]));
        let reasons: Vec<&str> = found.left_out.iter().map(|out| out.reason.as_str()).collect();
        assert_eq!(
            reasons,
            ["it failed: no round ended", "it is not in index.csv: it was cut off, or is still running"]
        );
    }
}
