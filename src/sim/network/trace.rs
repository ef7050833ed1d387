//! Recorded capacities of clients' links.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::transport::Path;
use super::{Direction, LinkState};
use crate::registry::Problem;
use crate::seed::{Purpose, Seeds};
use crate::sim::rows::{ClientIds, Column, Faults, nanos, read};
use crate::sim::{Assign, BuildContext, NEVER, SimError, TraceEnd};
use crate::units::{Bandwidth, SimDuration, SimTime};

/// Capacities over time from a file: `clients.networks.<name>.trace`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkTraceConfig {
    /// CSV with the columns `client_id` (or `device_id` or `trace`), `time_s` (or `t_s`), `down_kbps` and `up_kbps`; may be
    /// compressed (`.gz`). The rows of one id are a series: by rising time, each row holding until the next one, the last as
    /// long as the one before it (1 s if it is the only one).
    pub file: String,
    /// By id, the id is the client's number, and every client needs a series. At random, each client draws one.
    #[serde(default)]
    pub assign: Assign,
    /// What follows the end of a series.
    pub end: TraceEnd,
    /// Where in the recording the run starts: a moment of `time_s`, the same for all series, as the `start` of
    /// `clients.availability.trace` is. Recordings of links and of availability that count their seconds from the same instant
    /// go together when both start at the same moment, 0 s included. What comes before the first row of a series is, with
    /// `end: loop`, its repetition (of its own length), with `hold` its first rates; with `error` the run must start within
    /// each series. Absent: the run starts at the first row of each series, whenever that was, and with `assign: random` and
    /// `end: loop` at a moment in it that each client draws.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<SimDuration>,
}

const COLUMNS: [Column; 4] = [
    Column { names: &["client_id", "device_id", "trace"], is_required: true },
    Column { names: &["time_s", "t_s"], is_required: true },
    Column { names: &["down_kbps"], is_required: true },
    Column { names: &["up_kbps"], is_required: true },
];

/// A bit in some eleven days, and as much as a rate in a scenario can be.
const KBPS_MIN: f64 = 1e-9;
const KBPS_MAX: f64 = 1.8e16;

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
    /// When the first row was recorded.
    first_ns: u64,
    length_ns: u64,
    last_line: u64,
    /// When each rate begins, in nanoseconds since the first row, by [`Direction`].
    steps: [Vec<(u64, Bandwidth)>; 2],
}

/// The series of a file.
#[derive(Debug)]
pub(super) struct Trace {
    file: String,
    end: TraceEnd,
    /// Where in the recording the run starts; none where that is told for each series.
    start_ns: Option<u64>,
    series: Vec<Series>,
    /// Which series each client follows; none when they are drawn.
    by_client: Option<Vec<u32>>,
    seeds: Seeds,
    /// Means that were asked for, by the series' number and the latency in nanoseconds. They save time and change no answer.
    means: Mutex<BTreeMap<(usize, u64), [Bandwidth; 2]>>,
}

impl LinkTraceConfig {
    pub(super) fn file_problems(&self, context: &BuildContext) -> Vec<Problem> {
        self.read(context).2.problems("trace.file")
    }

    pub(super) fn build(&self, context: &BuildContext) -> Result<Trace, SimError> {
        let (found, by_client, faults) = self.read(context);
        faults.into_error()?;
        let (file, series) = (self.file.clone(), found.values().map(Rows::series).collect());
        let start_ns = self.start.map(SimDuration::as_nanos);
        Ok(Trace { file, end: self.end, start_ns, series, by_client, seeds: context.seeds, means: Mutex::default() })
    }

    /// The rows by id, the number of each client's among them, and what is wrong.
    fn read(&self, context: &BuildContext) -> (BTreeMap<String, Rows>, Option<Vec<u32>>, Faults) {
        let mut faults = Faults::new(&self.file);
        let mut found: BTreeMap<String, Rows> = BTreeMap::new();
        let mut ids = ClientIds::new(context.n_clients, "with `assign: random` each client draws one of the series");
        read(&context.base_dir, &self.file, &COLUMNS, &mut faults, |row, faults| {
            if self.assign == Assign::ById {
                ids.see(row.fields[0], row.line, faults);
            }
            let rate = |column, name| row.number_within(column, name, KBPS_MIN, KBPS_MAX);
            let (time, down, up) = (row.number(1, "time_s"), rate(2, "down_kbps"), rate(3, "up_kbps"));
            let (time, rates) = match time.and_then(|time| Ok((nanos(time)?, [down?, up?]))) {
                Ok(numbers) => numbers,
                Err(message) => return faults.at(row.line, message, "seconds, and rates in kilobits per second"),
            };
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
            if let Some(start) = self.start.filter(|_| self.end == TraceEnd::Error) {
                rows.refuse_what_is_not_recorded(id, start.as_nanos(), &mut faults);
            }
        }
        if self.assign == Assign::Random {
            return (found, None, faults);
        }
        ids.refuse_missing("series", &mut faults);
        let places = ids.places(found.keys().map(String::as_str));
        (found, Some(places.into_iter().flatten().collect()), faults)
    }
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

    /// Where nothing follows the series, the run must start within it.
    fn refuse_what_is_not_recorded(&self, id: &str, start_ns: u64, faults: &mut Faults) {
        let (first_ns, length_ns) = self.span();
        let end_ns = first_ns + length_ns;
        if !(first_ns..end_ns).contains(&start_ns) {
            let [start, first, end] = [start_ns, first_ns, end_ns].map(|nanos| nanos as f64 / 1e9);
            let message = format!("the run starts at {start} s, but `{id}` is recorded from {first} s to {end} s");
            let help = "choose `end: loop` or `end: hold`, or a `start` within each series";
            faults.at(self.last_line, message, help);
        }
    }

    /// When the series begins, and how long it is.
    fn span(&self) -> (u64, u64) {
        match self.rows[..] {
            [(first, _), .., (before, _), (last, _)] => (first, last - first + (last - before)),
            [(first, _), (last, _)] => (first, 2 * (last - first)),
            [(first, _)] => (first, 1_000_000_000),
            [] => (0, 0),
        }
    }

    fn series(&self) -> Series {
        let (first_ns, length_ns) = self.span();
        let steps = [Direction::Down, Direction::Up].map(|direction| {
            let mut steps: Vec<(u64, Bandwidth)> = Vec::new();
            for (time, rates) in &self.rows {
                let rate = Bandwidth::from_bits_per_s(rates[direction as usize] * 1e3);
                if steps.last().is_none_or(|(_, before)| *before != rate) {
                    steps.push((time - first_ns, rate));
                }
            }
            steps
        });
        Series { first_ns, length_ns, last_line: self.last_line, steps }
    }
}

impl Series {
    /// What links with such a path carry of the payload on average, by [`Direction`].
    fn means(&self, path: &Path) -> [Bandwidth; 2] {
        [Direction::Down, Direction::Up].map(|direction| {
            let steps = &self.steps[direction as usize];
            let ends = steps.iter().skip(1).map(|(start, _)| *start).chain([self.length_ns]);
            let goodput = |rate: &Bandwidth| path.goodput(*rate).bits_per_s();
            let bits = steps.iter().zip(ends).map(|((start, rate), end)| goodput(rate) * (end - start) as f64);
            Bandwidth::from_bits_per_s(bits.sum::<f64>() / self.length_ns as f64)
        })
    }
}

impl Trace {
    /// The number of a client's series, and how many nanoseconds after its first row the run starts; before it if negative.
    fn of(&self, client_id: u32) -> (usize, i128) {
        let since_first = |start: u64, number: usize| i128::from(start) - i128::from(self.series[number].first_ns);
        if let Some(by_client) = &self.by_client {
            let number = by_client[client_id as usize] as usize;
            return (number, self.start_ns.map_or(0, |start| since_first(start, number)));
        }
        let mut stream = self.seeds.client(Purpose::LinkTrace, client_id);
        let number = stream.random_range(0..self.series.len() as u64) as usize;
        let start = match (self.start_ns, self.end) {
            (Some(start), _) => since_first(start, number),
            (None, TraceEnd::Loop) => stream.random_range(0..self.series[number].length_ns).into(),
            (None, TraceEnd::Hold | TraceEnd::Error) => 0,
        };
        (number, start)
    }

    /// The state of a client's link at `time`, before loss and transport.
    pub(super) fn link(&self, client_id: u32, direction: Direction, time: SimTime) -> Result<LinkState, SimError> {
        let (number, start) = self.of(client_id);
        let series = &self.series[number];
        let (steps, length) = (&series.steps[direction as usize], series.length_ns);
        // In 128 bits: a series can be longer than half of the clock's range.
        let since_first = start + i128::from(time.as_nanos());
        let now = match self.end {
            TraceEnd::Loop => since_first.rem_euclid(length.into()),
            TraceEnd::Error if since_first >= length.into() => return Err(self.is_over(client_id, series, start)),
            TraceEnd::Hold | TraceEnd::Error => since_first,
        };
        // Before its first row a series has the rates of that row.
        let index = steps.partition_point(|(start, _)| i128::from(*start) <= now).saturating_sub(1);
        let until = match (steps.get(index + 1), self.end) {
            (Some((next, _)), _) => Some(*next),
            (None, TraceEnd::Loop) if steps.len() > 1 => Some(length),
            (None, TraceEnd::Error) => Some(length),
            (None, _) => None,
        };
        let until = until.map_or(NEVER, |until| {
            let wait = u64::try_from(i128::from(until) - now).unwrap_or(u64::MAX);
            time + SimDuration::from_nanos(wait)
        });
        Ok(LinkState { rate: steps[index].1, until })
    }

    /// What a client's link carries of the payload over such a path, on average. All paths of a trace's links are alike but
    /// for their latency.
    pub(super) fn mean(&self, client_id: u32, direction: Direction, path: &Path) -> Bandwidth {
        let number = self.of(client_id).0;
        // A panic elsewhere cannot leave half an entry behind.
        let mut means = self.means.lock().unwrap_or_else(PoisonError::into_inner);
        let of_series =
            means.entry((number, path.latency.as_nanos())).or_insert_with(|| self.series[number].means(path));
        of_series[direction as usize]
    }

    fn is_over(&self, client_id: u32, series: &Series, start: i128) -> SimError {
        let seconds = (i128::from(series.length_ns) - start) as f64 / 1e9;
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
