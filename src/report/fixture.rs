//! A small made-up run for the tests of this room: its rows agree with each other.

use std::collections::BTreeMap;

use rand::RngExt;

use super::record::Unused;
use super::{
    ClientRow, EventKind, Reason, Record, RoundRow, SCHEMA_VERSION, Status, Summary, Target, TaskPhase, Test,
    TimelineRow, Traffic, Updates, Validation,
};
use crate::seed::{Purpose, Seeds, Stream};
use crate::units::{Bytes, SimDuration, SimTime};

pub(super) struct Run {
    pub(super) timeline: Vec<TimelineRow>,
    pub(super) rounds: Vec<RoundRow>,
    pub(super) clients: Vec<ClientRow>,
    pub(super) summary: Summary,
}

const PAYLOAD: Bytes = Bytes::new(3_500_000);
const N_CLIENTS: u32 = 12;
const N_ROUNDS: u32 = 8;
const PER_ROUND: u32 = 5;

/// How a made-up task ends, and why if it is not used.
fn outcome(stream: &mut Stream) -> (u32, Option<Reason>) {
    match stream.random_range(0..10) {
        0 => (0, Some(Reason::Network)),
        1 => (1, Some(Reason::Random)),
        2 => (2, Some(Reason::Deadline)),
        _ => (2, None),
    }
}

/// A run of 8 rounds with 12 clients, 5 per round.
pub(super) fn run() -> Run {
    let mut stream = Seeds::new(1).global(Purpose::Selection);
    let mut clients: Vec<ClientRow> = (0..N_CLIENTS).map(client).collect();
    let (mut records, mut rounds) = (vec![Record::new(SimTime::ZERO, EventKind::RunStart)], Vec::new());
    let mut dropped: BTreeMap<Reason, u64> = BTreeMap::new();
    let (mut start, mut cum_bytes, mut task_id) = (SimTime::ZERO, Bytes::ZERO, 0);
    for round in 1..=N_ROUNDS {
        let mut row = round_row(round, start);
        records.push(Record::new(start, EventKind::RoundStart).round(round).model_version(round - 1));
        let mut of_round = Vec::new();
        for slot in 0..PER_ROUND {
            task_id += 1;
            let client_id = (round * PER_ROUND + slot * 7) % N_CLIENTS;
            let base = move |time, event| Record::new(time, event).client(client_id).round(round).task(task_id);
            of_round.push(base(start, EventKind::Selected));
            let (n_whole, reason) = outcome(&mut stream);
            let client = &mut clients[client_id as usize];
            let (mut now, mut charged) = (start, Bytes::ZERO);
            let phases = [
                (EventKind::DownloadStart, EventKind::DownloadEnd, 4.0, Some(PAYLOAD)),
                (EventKind::TrainStart, EventKind::TrainEnd, 30.0, None),
                (EventKind::UploadStart, EventKind::UploadEnd, 9.0, Some(PAYLOAD)),
            ];
            for (phase, (begin, end, mean_s, bytes)) in (0u32..).zip(phases) {
                let duration = SimDuration::from_secs_f64(mean_s * stream.random_range(0.5..1.5)).unwrap();
                let with = |record: Record| Record { bytes, ..record };
                of_round.push(with(base(now, begin)));
                let broken = phase == n_whole && reason.is_some();
                let took = if broken { SimDuration::from_nanos(duration.as_nanos() / 2) } else { duration };
                now = now + took;
                let moved = bytes.map(|bytes| if broken { Bytes::new(bytes.get() / 2) } else { bytes });
                charged += moved.unwrap_or_default();
                match phase {
                    0 => {
                        (client.download += took, row.bytes_down += moved.unwrap(), client.bytes_down += moved.unwrap())
                    }
                    1 => (client.train += took, (), ()),
                    _ => (client.upload += took, row.bytes_up += moved.unwrap(), client.bytes_up += moved.unwrap()),
                };
                if broken {
                    let reason = reason.unwrap();
                    let event = if reason == Reason::Deadline { EventKind::Rejected } else { EventKind::Dropout };
                    of_round.push(Record { bytes: moved, ..base(now, event).reason(reason) });
                    break;
                }
                of_round.push(with(base(now, end).duration(took)));
            }
            client.selected += 1;
            row.selected += 1;
            match reason.map(|reason| (reason, reason.counts_as())) {
                None => {
                    of_round.push(base(now, EventKind::Accepted));
                    client.completed += 1;
                    row.completed += 1;
                    row.aggregated += 1;
                }
                Some((reason, kind)) => {
                    row.bytes_wasted += charged;
                    if kind == Unused::Late {
                        client.late += 1;
                        row.late += 1;
                    } else {
                        client.dropped += 1;
                        row.dropped += 1;
                        *dropped.entry(reason).or_default() += 1;
                    }
                }
            }
        }
        of_round.sort_by_key(|record| record.time);
        let end = of_round.last().map_or(start, |record| record.time);
        records.extend(of_round);
        records.push(Record::new(end, EventKind::RoundEnd).round(round).duration(end.since(start)));
        cum_bytes += row.bytes_down + row.bytes_up;
        rounds.push(RoundRow { sim_end: end, cum_bytes, ..row });
        start = end;
    }
    records.push(Record::new(start, EventKind::RunEnd).duration(start.since(SimTime::ZERO)));
    let summary = summary(&rounds, dropped);
    let timeline = records.into_iter().zip(0..).map(|(record, seq)| TimelineRow { seq, record }).collect();
    Run { timeline, rounds, clients, summary }
}

fn client(client_id: u32) -> ClientRow {
    ClientRow {
        client_id,
        device_class: ["phone, high", "phone_low"][client_id as usize % 2].into(),
        network_class: "wifi".into(),
        num_examples: 100,
        selected: 0,
        completed: 0,
        dropped: 0,
        late: 0,
        download: SimDuration::ZERO,
        train: SimDuration::ZERO,
        upload: SimDuration::ZERO,
        bytes_down: Bytes::ZERO,
        bytes_up: Bytes::ZERO,
        energy_j: None,
        availability: Some(0.75),
        region: None,
    }
}

fn round_row(round: u32, start: SimTime) -> RoundRow {
    let progress = 1.0 - (-f64::from(round) / 3.0).exp();
    RoundRow {
        round,
        model_version: round,
        sim_start: start,
        sim_end: start,
        selected: 0,
        completed: 0,
        dropped: 0,
        late: 0,
        stale: 0,
        rejected: 0,
        aggregated: 0,
        staleness_mean: Some(0.0),
        bytes_down: Bytes::ZERO,
        bytes_up: Bytes::ZERO,
        bytes_wasted: Bytes::ZERO,
        cum_bytes: Bytes::ZERO,
        energy_j: None,
        train_loss: Some(1.4 - progress),
        eval_loss: Some(1.5 - progress),
        // Evaluated in each second round.
        eval_metric: round.is_multiple_of(2).then_some(0.3 + 0.6 * progress),
    }
}

fn summary(rounds: &[RoundRow], dropped: BTreeMap<Reason, u64>) -> Summary {
    let sum = |value: fn(&RoundRow) -> u64| rounds.iter().map(value).sum::<u64>();
    let last = rounds.last().unwrap();
    let best = last.eval_metric.unwrap();
    Summary {
        schema_version: SCHEMA_VERSION,
        name: "made-up".into(),
        seed: 1,
        status: Status::Completed,
        rounds: N_ROUNDS,
        sim_time: last.sim_end,
        metric: Some("accuracy".into()),
        validation: Some(Validation { best_round: N_ROUNDS, best, last: best }),
        test: Some(Test { round: N_ROUNDS, value: 0.8 }),
        target: Some(Target { value: 0.99, reached_round: None, sim_time: None, bytes: None }),
        updates: Updates {
            selected: sum(|row| row.selected.into()),
            aggregated: sum(|row| row.aggregated.into()),
            late: sum(|row| row.late.into()),
            // As `outcome` has it.
            dropped_by_phase: [(TaskPhase::Download, Reason::Network), (TaskPhase::Train, Reason::Random)]
                .map(|(phase, reason)| (phase, BTreeMap::from([(reason, dropped[&reason])])))
                .into(),
            dropped,
            rejected: BTreeMap::new(),
        },
        bytes: Traffic {
            up: Bytes::new(sum(|row| row.bytes_up.get())),
            down: Bytes::new(sum(|row| row.bytes_down.get())),
            wasted: Bytes::new(sum(|row| row.bytes_wasted.get())),
        },
        energy: None,
    }
}
