//! Recorded capacities of clients' links.

use std::collections::BTreeMap;

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::transport::Path;
use super::{Direction, LinkState};
use crate::registry::Problem;
use crate::seed::{Purpose, Seeds};
use crate::sim::rows::{Column, Faults, read};
use crate::sim::{Assign, BuildContext, NEVER, SimError, TraceEnd};
use crate::units::{Bandwidth, SimTime};

/// Capacities over time from a file: `clients.networks.<name>.trace`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkTraceConfig {
    /// CSV with the columns `client_id` (or `device_id` or `trace`), `time_s` (or `t_s`), `down_kbps` and `up_kbps`; may be
    /// compressed (`.gz`). The rows of one id are a series: by rising time, each row holding until the next one, the last as
    /// long as the one before it (1 s if it is the only one). The first row of a series is the start of the run.
    pub file: String,
    /// By id, the id is the client's number, and every client needs a series. At random, each client draws one, and with
    /// `end: loop` the moment in it at which the run starts.
    #[serde(default)]
    pub assign: Assign,
    /// What follows the end of a series.
    pub end: TraceEnd,
}

const COLUMNS: [Column; 4] = [
    Column { names: &["client_id", "device_id", "trace"], is_required: true },
    Column { names: &["time_s", "t_s"], is_required: true },
    Column { names: &["down_kbps"], is_required: true },
    Column { names: &["up_kbps"], is_required: true },
];

/// The rows of one id, as they are read.
#[derive(Debug)]
struct Rows {
    first_line: u64,
    last_line: u64,
    /// Nanoseconds, and the rates in both directions in the order of [`Direction`], kbps.
    rows: Vec<(u64, [f64; 2])>,
}

/// A client's capacities.
#[derive(Debug, Clone)]
struct Series {
    length_ns: u64,
    last_line: u64,
    /// When each rate begins, in nanoseconds since the first row, by [`Direction`].
    steps: [Vec<(u64, Bandwidth)>; 2],
    /// What the link carries of the payload on average.
    means: [Bandwidth; 2],
}

/// The series of a file.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    file: String,
    end: TraceEnd,
    series: Vec<Series>,
    /// Which series each client follows; none when they are drawn.
    by_client: Option<Vec<u32>>,
    seeds: Seeds,
}

impl LinkTraceConfig {
    pub(super) fn file_problems(&self, context: &BuildContext) -> Vec<Problem> {
        self.read(context).2.problems("trace.file")
    }

    /// The trace; its means are what links with such a path carry of it.
    pub(super) fn build(&self, path: &Path, context: &BuildContext) -> Result<Trace, SimError> {
        let (found, by_client, faults) = self.read(context);
        faults.into_error()?;
        let series = found.values().map(|rows| rows.series(path)).collect();
        Ok(Trace { file: self.file.clone(), end: self.end, series, by_client, seeds: context.seeds })
    }

    /// The rows by id, the number of each client's among them, and what is wrong.
    fn read(&self, context: &BuildContext) -> (BTreeMap<String, Rows>, Option<Vec<u32>>, Faults) {
        let mut faults = Faults::new(&self.file);
        let mut found: BTreeMap<String, Rows> = BTreeMap::new();
        read(&context.base_dir, &self.file, &COLUMNS, &mut faults, |row, faults| {
            let (time, down, up) = (row.number(1, "time_s"), row.number(2, "down_kbps"), row.number(3, "up_kbps"));
            let (time, rates) = match time.and_then(|time| Ok((time, [down?, up?]))) {
                Ok(numbers) => numbers,
                Err(message) => return faults.at(row.line, message, "seconds, and rates in kilobits per second"),
            };
            // The cast saturates: 584 years are the longest that can be told.
            let time = (time * 1e9).round() as u64;
            if !found.contains_key(row.fields[0]) {
                let rows = Rows { first_line: row.line, last_line: row.line, rows: vec![(time, rates)] };
                found.insert(row.fields[0].to_string(), rows);
            } else if let Some(rows) = found.get_mut(row.fields[0]) {
                if rows.rows.last().is_some_and(|(before, _)| time <= *before) {
                    let (id, field, line) = (row.fields[0], row.fields[1], rows.last_line);
                    let message = format!("time_s {field} of `{id}` is not after that in line {line}");
                    faults.at(row.line, message, "sort the rows of a series by time, and give each time once");
                } else {
                    rows.rows.push((time, rates));
                }
                rows.last_line = row.line;
            }
        });
        for (id, rows) in &found {
            rows.check(id, self.end, &mut faults);
        }
        let by_client = match self.assign {
            Assign::Random => None,
            Assign::ById => Some(by_id(&found, context.n_clients, &mut faults)),
        };
        (found, by_client, faults)
    }
}

/// For each client the number of its series.
fn by_id(found: &BTreeMap<String, Rows>, n_clients: u32, faults: &mut Faults) -> Vec<u32> {
    let help = "with `assign: random` each client draws one of the series";
    if !faults.is_empty() {
        return Vec::new();
    }
    let mut series: Vec<Option<u32>> = vec![None; n_clients as usize];
    for ((id, rows), number) in found.iter().zip(0u32..) {
        match id.parse::<u32>() {
            Ok(client) if client < n_clients && series[client as usize].is_none() => {
                series[client as usize] = Some(number);
            }
            Ok(client) if client < n_clients => {
                faults.at(rows.first_line, format!("client {client} is already there under another spelling"), help);
            }
            Ok(client) => {
                let message = format!("there is no client {client}: `clients.total` is {n_clients}");
                faults.at(rows.first_line, message, format!("remove its rows, or raise clients.total; {help}"));
            }
            Err(_) => faults.at(rows.first_line, format!("`{id}` is not the number of a client"), help),
        }
    }
    let mut missing = (0..n_clients).filter(|client| series[*client as usize].is_none());
    if let Some(first) = missing.next() {
        let others = missing.count();
        let rest = if others > 0 { format!(", nor have {others} more") } else { String::new() };
        faults.whole(format!("client {first} has no series{rest}"), format!("give every client rows; {help}"));
    }
    series.into_iter().flatten().collect()
}

impl Rows {
    /// Rates that would let nothing arrive, ever.
    fn check(&self, id: &str, end: TraceEnd, faults: &mut Faults) {
        for (direction, column) in [(Direction::Down, "down_kbps"), (Direction::Up, "up_kbps")] {
            let mut rates = self.rows.iter().map(|(_, rates)| rates[direction as usize]);
            let last = self.rows.last().map(|(_, rates)| rates[direction as usize]);
            if rates.all(|rate| rate == 0.0) {
                let message = format!("{column} of `{id}` is 0 in all its rows; nothing would ever arrive");
                faults.at(self.first_line, message, "remove the series, or give it a rate above 0");
            } else if end == TraceEnd::Hold && last == Some(0.0) {
                let message =
                    format!("the last {column} of `{id}` is 0, and would be held; nothing would arrive any more");
                faults.at(self.last_line, message, "write `end: loop`, or end the series with a rate above 0");
            }
        }
    }

    fn series(&self, path: &Path) -> Series {
        let first = self.rows.first().map_or(0, |(time, _)| *time);
        let times: Vec<u64> = self.rows.iter().map(|(time, _)| time - first).collect();
        let (last, step) = match times[..] {
            [.., before, last] => (last, last - before),
            _ => (0, 1_000_000_000),
        };
        let length_ns = last + step;
        let steps = [Direction::Down, Direction::Up].map(|direction| {
            let mut steps: Vec<(u64, Bandwidth)> = Vec::new();
            for ((_, rates), start) in self.rows.iter().zip(&times) {
                let rate = Bandwidth::from_bits_per_s(rates[direction as usize] * 1e3);
                if steps.last().is_none_or(|(_, before)| *before != rate) {
                    steps.push((*start, rate));
                }
            }
            steps
        });
        let means = [Direction::Down, Direction::Up].map(|direction| {
            let steps = &steps[direction as usize];
            let ends = steps.iter().skip(1).map(|(start, _)| *start).chain([length_ns]);
            let goodput = |rate: &Bandwidth| path.goodput(*rate).bits_per_s();
            let bits = steps.iter().zip(ends).map(|((start, rate), end)| goodput(rate) * (end - start) as f64);
            Bandwidth::from_bits_per_s(bits.sum::<f64>() / length_ns as f64)
        });
        Series { length_ns, last_line: self.last_line, steps, means }
    }
}

impl Trace {
    /// A client's series, and at which of its nanoseconds the run starts.
    fn of(&self, client_id: u32) -> (&Series, u64) {
        if let Some(by_client) = &self.by_client {
            return (&self.series[by_client[client_id as usize] as usize], 0);
        }
        let mut stream = self.seeds.client(Purpose::LinkTrace, client_id);
        let series = &self.series[stream.random_range(0..self.series.len() as u64) as usize];
        let start = if self.end == TraceEnd::Loop { stream.random_range(0..series.length_ns) } else { 0 };
        (series, start)
    }

    /// The state of a client's link at `time`, before loss and transport.
    pub(super) fn link(&self, client_id: u32, direction: Direction, time: SimTime) -> Result<LinkState, SimError> {
        let (series, start) = self.of(client_id);
        let (steps, length) = (&series.steps[direction as usize], series.length_ns);
        let now = match self.end {
            TraceEnd::Loop => (time.as_nanos() % length + start) % length,
            TraceEnd::Error if time.as_nanos() >= length => return Err(self.is_over(client_id, series)),
            TraceEnd::Hold | TraceEnd::Error => time.as_nanos(),
        };
        let index = steps.partition_point(|(start, _)| *start <= now) - 1;
        let until = match (steps.get(index + 1), self.end) {
            (Some((next, _)), _) => Some(*next),
            (None, TraceEnd::Loop) if steps.len() > 1 => Some(length),
            (None, TraceEnd::Error) => Some(length),
            (None, _) => None,
        };
        let until = until.map_or(NEVER, |until| SimTime::from_nanos(time.as_nanos().saturating_add(until - now)));
        Ok(LinkState { rate: steps[index].1, until })
    }

    /// Mean of a client's series.
    pub(super) fn mean(&self, client_id: u32, direction: Direction) -> Bandwidth {
        self.of(client_id).0.means[direction as usize]
    }

    fn is_over(&self, client_id: u32, series: &Series) -> SimError {
        let seconds = series.length_ns as f64 / 1e9;
        SimError::File {
            place: format!("{}:{}", self.file, series.last_line),
            message: format!(
                "the trace of client {client_id} is over after {seconds} s and the run is not; \
                 write `end: loop` or `end: hold`, or record for longer"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
