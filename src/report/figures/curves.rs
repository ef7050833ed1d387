//! What changes from round to round: metric, loss and bytes.

use super::axis::{Axis, size_unit, time_unit};
use super::chart::{Curve, curves};
use super::svg::Point;
use crate::report::{RoundRow, RoundsFile};
use crate::units::{Bytes, SimTime};

/// The metric over simulated time; `None` if it was never evaluated.
pub(super) fn metric_over_time(rounds: &RoundsFile) -> Option<String> {
    let end = rounds.rows.last()?.sim_end;
    let (unit, nanos) = time_unit(end.since(SimTime::ZERO));
    let points = points(rounds, |row| row.sim_end.as_nanos() as f64 / nanos, |row| row.eval_metric);
    let end = end.as_nanos() as f64 / nanos;
    let x = Axis::new(format!("simulated time [{unit}]"), 0.0, end).cut(0.0, end);
    metric(rounds, "time", "simulated time", x, points)
}

/// The metric over rounds; `None` if it was never evaluated.
pub(super) fn metric_over_rounds(rounds: &RoundsFile) -> Option<String> {
    let points = points(rounds, number, |row| row.eval_metric);
    metric(rounds, "rounds", "rounds", rounds_axis(rounds), points)
}

/// The metric over the bytes moved; `None` if it was never evaluated.
pub(super) fn metric_over_bytes(rounds: &RoundsFile) -> Option<String> {
    let total = rounds.rows.last()?.cum_bytes;
    let (unit, bytes) = size_unit(total);
    let points = points(rounds, |row| row.cum_bytes.get() as f64 / bytes, |row| row.eval_metric);
    let end = total.get() as f64 / bytes;
    let x = Axis::new(format!("bytes moved, both ways [{unit}]"), 0.0, end).cut(0.0, end);
    metric(rounds, "bytes", "traffic", x, points)
}

fn metric(rounds: &RoundsFile, id: &str, over: &str, x: Axis, points: Vec<Point>) -> Option<String> {
    let name = rounds.metric.replace('_', " ");
    let heading = format!("{}{} over {over}", name.get(..1)?.to_uppercase(), name.get(1..)?);
    let y = values_axis(&name, &points)?;
    Some(curves(&format!("metric-over-{id}"), &heading, x, y, &[Curve::new("", points)]))
}

/// Training and evaluation loss over rounds; `None` without either.
pub(super) fn loss_over_rounds(rounds: &RoundsFile) -> Option<String> {
    let drawn: Vec<_> = [
        Curve::new("training, on the clients", points(rounds, number, |row| row.train_loss)),
        Curve::new("evaluation", points(rounds, number, |row| row.eval_loss)),
    ]
    .into_iter()
    .filter(|curve| !curve.points().is_empty())
    .collect();
    let all: Vec<_> = drawn.iter().flat_map(|curve| curve.points().iter().copied()).collect();
    let y = values_axis("cross-entropy [nats]", &all)?;
    Some(curves("loss-over-rounds", "Loss over rounds", rounds_axis(rounds), y, &drawn))
}

/// Bytes moved so far over rounds; `None` without rounds.
pub(super) fn bytes_over_rounds(rounds: &RoundsFile) -> Option<String> {
    let total = rounds.rows.last()?.cum_bytes;
    let (unit, bytes) = size_unit(total);
    let cumulated = |value: fn(&RoundRow) -> Bytes| {
        let mut sum = Bytes::ZERO;
        let mut so_far = |row: &RoundRow| {
            sum += value(row);
            (number(row), sum.get() as f64 / bytes)
        };
        rounds.rows.iter().map(&mut so_far).collect::<Vec<_>>()
    };
    let drawn = [
        Curve::new("all", cumulated(|row| row.bytes_down + row.bytes_up)),
        Curve::new("to the clients", cumulated(|row| row.bytes_down)),
        Curve::new("to the server", cumulated(|row| row.bytes_up)),
        Curve::new("wasted, of all", cumulated(|row| row.bytes_wasted)),
    ];
    let y = Axis::new(format!("bytes moved so far [{unit}]"), 0.0, total.get() as f64 / bytes);
    Some(curves("bytes-over-rounds", "Traffic over rounds", rounds_axis(rounds), y, &drawn))
}

/// The points of the rows that have a finite value.
fn points(rounds: &RoundsFile, x: impl Fn(&RoundRow) -> f64, y: fn(&RoundRow) -> Option<f64>) -> Vec<Point> {
    let point = |row: &RoundRow| y(row).filter(|y| y.is_finite()).map(|y| (x(row), y));
    rounds.rows.iter().filter_map(point).collect()
}

fn number(row: &RoundRow) -> f64 {
    f64::from(row.round)
}

fn rounds_axis(rounds: &RoundsFile) -> Axis {
    let last = rounds.rows.last().map_or(0.0, number);
    Axis::whole("round", 0.0, last).cut(0.0, last)
}

/// An axis for the values of the points; `None` without any.
fn values_axis(label: &str, points: &[Point]) -> Option<Axis> {
    let values = || points.iter().map(|(_, y)| *y);
    let (min, max) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    Some(Axis::new(label, min, max))
}
