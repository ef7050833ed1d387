//! How groups of runs learnt: the metric's mean over seeds, within the lowest and the highest run.

use super::axis::{Axis, size_unit, time_unit};
use super::chart::{Curve, STYLES, curves};
use crate::report::RoundRow;
use crate::units::{Bytes, SimTime};

/// What the metric is drawn over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Over {
    /// Simulated time.
    Time,
    /// Rounds.
    Rounds,
    /// Bytes moved, both ways.
    Bytes,
}

impl Over {
    pub(in crate::report) const ALL: [Self; 3] = [Self::Time, Self::Rounds, Self::Bytes];

    /// In a few words.
    pub(in crate::report) const fn name(self) -> &'static str {
        match self {
            Self::Time => "simulated time",
            Self::Rounds => "rounds",
            Self::Bytes => "traffic",
        }
    }

    fn of(self, row: &RoundRow) -> f64 {
        match self {
            Self::Time => row.sim_end.as_nanos() as f64,
            Self::Rounds => row.round.into(),
            Self::Bytes => row.cum_bytes.get() as f64,
        }
    }

    /// The axis up to `end`, and how much of what [`of`](Self::of) gives is one on it.
    fn axis(self, end: f64) -> (Axis, f64) {
        let up_to = |label: String, unit: f64| (Axis::new(label, 0.0, end / unit).cut(0.0, end / unit), unit);
        match self {
            Self::Time => {
                let (unit, nanos) = time_unit(SimTime::from_nanos(end as u64).since(SimTime::ZERO));
                up_to(format!("simulated time [{unit}]"), nanos)
            }
            Self::Rounds => (Axis::whole("round", 0.0, end).cut(0.0, end), 1.0),
            Self::Bytes => {
                let (unit, bytes) = size_unit(Bytes::new(end as u64));
                up_to(format!("bytes moved, both ways [{unit}]"), bytes)
            }
        }
    }
}

/// Runs that differ by seed only.
pub(in crate::report) struct Learners<'a> {
    pub(in crate::report) name: &'a str,
    /// The rounds of each run.
    pub(in crate::report) runs: Vec<&'a [RoundRow]>,
}

/// A round that every run of a group has evaluated.
#[derive(Debug, PartialEq)]
struct Step {
    /// Mean over the runs of what the metric is drawn over.
    x: f64,
    mean: f64,
    low: f64,
    high: f64,
}

impl Learners<'_> {
    fn steps(&self, over: Over) -> Vec<Step> {
        let Some((first, others)) = self.runs.split_first() else { return Vec::new() };
        let step = |row: &RoundRow| {
            let of_round = |rows: &&'_ [RoundRow]| rows.binary_search_by_key(&row.round, |other| other.round).ok();
            let same = others.iter().map(|rows| of_round(rows).map(|at| &rows[at]));
            let rows: Vec<&RoundRow> = std::iter::once(Some(row)).chain(same).collect::<Option<_>>()?;
            let value = |row: &&RoundRow| row.eval_metric.filter(|value| value.is_finite());
            let values: Vec<f64> = rows.iter().map(value).collect::<Option<_>>()?;
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            Some(Step {
                x: mean(&rows.iter().map(|row| over.of(row)).collect::<Vec<_>>()),
                mean: mean(&values),
                low: values.iter().copied().fold(f64::INFINITY, f64::min),
                high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            })
        };
        first.iter().filter_map(step).collect()
    }
}

/// Groups in one chart.
pub(in crate::report) const GROUPS_MAX: usize = STYLES.len();

/// Charts of all groups on the same axes, [`GROUPS_MAX`] in each; none if nothing was evaluated.
pub(in crate::report) fn learning<'a>(over: Over, metric: &str, groups: &[Learners<'a>]) -> Vec<String> {
    let steps: Vec<Vec<Step>> = groups.iter().map(|group| group.steps(over)).collect();
    let all = || steps.iter().flatten();
    let ends = all().map(|step| step.low).reduce(f64::min).zip(all().map(|step| step.high).reduce(f64::max));
    let (Some((low, high)), Some(end)) = (ends, all().map(|step| step.x).reduce(f64::max)) else { return Vec::new() };
    let (x, unit) = over.axis(end);
    let y = Axis::new(metric, low, high);
    let curve = |(group, steps): (&Learners<'a>, &Vec<Step>)| {
        let points = steps.iter().map(|step| (step.x / unit, step.mean)).collect();
        let is_alone = group.runs.len() < 2;
        let band = steps.iter().filter(|_| !is_alone).map(|step| (step.low, step.high)).collect();
        Curve::new(group.name, points).within(band)
    };
    let drawn: Vec<Curve<'a>> = groups.iter().zip(&steps).filter(|(_, steps)| !steps.is_empty()).map(curve).collect();
    let n_charts = drawn.len().div_ceil(GROUPS_MAX);
    (1..)
        .zip(drawn.chunks(GROUPS_MAX))
        .map(|(number, chunk)| {
            let id = format!("learning-{}-{number}", over.name().replace(' ', "-"));
            let part = if n_charts > 1 { format!(", {number} of {n_charts}") } else { String::new() };
            let heading = format!("{} over {}{part}", capital(metric), over.name());
            curves(&id, &heading, x.clone(), y.clone(), chunk)
        })
        .collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn rows(values: &[Option<f64>], seconds: u64) -> Vec<RoundRow> {
        let row = fixture::run().rounds.remove(0);
        let of = |(round, value): (u32, &Option<f64>)| RoundRow {
            round,
            sim_end: SimTime::from_nanos(u64::from(round) * seconds * 1_000_000_000),
            cum_bytes: Bytes::new(u64::from(round) * 1000),
            eval_metric: *value,
            ..row.clone()
        };
        (1..).zip(values).map(of).collect()
    }

    #[test]
    fn a_step_is_the_mean_of_the_runs_within_the_lowest_and_the_highest() {
        let (a, b) = (rows(&[Some(0.2), None, Some(0.6)], 10), rows(&[Some(0.4), Some(0.5), Some(0.8)], 20));
        let both = Learners { name: "both", runs: vec![&a, &b] };
        let steps = both.steps(Over::Time);
        // Round 2 was evaluated in one of them only. Round 1 ended after 10 s and 20 s, round 3 after 30 s and 60 s.
        let expected = [(15e9, 0.3, 0.2, 0.4), (45e9, 0.7, 0.6, 0.8)];
        assert_eq!(steps.len(), 2);
        for (step, (x, mean, low, high)) in steps.iter().zip(expected) {
            assert!((step.mean - mean).abs() < 1e-12, "{step:?}");
            assert_eq!((step.x, step.low, step.high), (x, low, high));
        }
        assert_eq!(both.steps(Over::Rounds)[1].x, 3.0);
        assert_eq!(both.steps(Over::Bytes)[1].x, 3000.0);
    }

    #[test]
    fn groups_are_drawn_six_to_a_chart_with_a_band_where_there_are_seeds() {
        let (a, b) = (rows(&[Some(0.2), Some(0.6)], 10), rows(&[Some(0.4), Some(0.8)], 20));
        let names: Vec<String> = (0..7).map(|n| format!("r={n} <&>")).collect();
        let groups: Vec<Learners<'_>> = names.iter().map(|name| Learners { name, runs: vec![&a, &b] }).collect();
        let charts = learning(Over::Time, "accuracy", &groups);
        assert_eq!(charts.len(), 2);
        assert!(charts[0].contains("<title>Accuracy over simulated time, 1 of 2</title>"), "{}", charts[0]);
        assert_eq!((charts[0].matches("<polygon").count(), charts[1].matches("<polygon").count()), (6, 1));
        assert!(charts[0].contains("r=5 &lt;&amp;&gt;") && !charts[0].contains("NaN"));
        let alone = [Learners { name: "alone", runs: vec![&a] }];
        let chart = learning(Over::Bytes, "accuracy", &alone).remove(0);
        assert!(!chart.contains("<polygon") && chart.contains("<title>Accuracy over traffic</title>"), "{chart}");
        let untrained = rows(&[None, None], 10);
        assert_eq!(learning(Over::Time, "accuracy", &[Learners { name: "x", runs: vec![&untrained] }]).len(), 0);
    }
}
