use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::report::read_timeline;
use crate::units::Bytes;

fn at(seconds: u64) -> SimTime {
    SimTime::from_nanos(seconds * 1_000_000_000)
}

fn round(time: u64, event: EventKind, round: u32) -> Record {
    Record::new(at(time), event).round(round)
}

/// The rows of a task that is asked at `selected` and whose three stages last so long; without its end.
fn task(id: u64, selected: u64, stages: [u64; 3]) -> Vec<Record> {
    let row = |time, event| Record::new(at(time), event).client(id as u32 + 100).task(id);
    let [down, train, up] = stages;
    let (trained, sent) = (selected + down + train, selected + down + train + up);
    vec![
        row(selected, EventKind::Selected),
        row(selected, EventKind::DownloadStart).bytes(Bytes::new(5)),
        row(selected + down, EventKind::DownloadEnd).bytes(Bytes::new(5)),
        row(selected + down, EventKind::TrainStart),
        row(trained, EventKind::TrainEnd),
        row(trained, EventKind::UploadStart).bytes(Bytes::new(5)),
        row(sent, EventKind::UploadEnd).bytes(Bytes::new(5)),
    ]
}

fn paths(rows: impl IntoIterator<Item = Record>) -> Vec<RoundPath> {
    let mut paths = CriticalPaths::default();
    rows.into_iter().filter_map(|row| paths.on(&row)).collect()
}

/// Rows in the order of time; rows at equal times stay in the order given.
fn sorted(mut rows: Vec<Record>) -> Vec<Record> {
    rows.sort_by_key(|row| row.time);
    rows
}

fn legs(path: &RoundPath) -> Vec<(Leg, Option<u32>, u64, u64)> {
    let seconds = |time: SimTime| time.as_nanos() / 1_000_000_000;
    path.legs.iter().map(|leg| (leg.leg, leg.client_id, seconds(leg.from), seconds(leg.to))).collect()
}

/// What always holds: the legs follow each other from start to end, and their durations sum to the round's.
fn check(path: &RoundPath) {
    let mut now = path.start;
    for leg in &path.legs {
        assert_eq!(leg.from, now, "{path:?}");
        assert!(leg.to > leg.from, "{path:?}");
        now = leg.to;
    }
    assert_eq!(now, path.end, "{path:?}");
    let sum = Leg::ALL.iter().fold(SimDuration::ZERO, |sum, leg| sum + path.spent_on(*leg));
    assert_eq!(sum, path.duration());
}

#[test]
fn a_round_waits_for_the_last_update_it_needs() {
    // Two are wanted of three: the second to arrive is task 1, at 2 + 10 + 3 = 15 s; task 3 would take until 40 s.
    let mut rows = vec![round(0, EventKind::RoundStart, 1)];
    rows.extend([task(1, 0, [2, 10, 3]), task(2, 0, [1, 4, 1]), task(3, 0, [5, 30, 5])[..4].to_vec()].concat());
    rows.push(Record::new(at(15), EventKind::Rejected).client(103).task(3).reason(Reason::OverSelected));
    rows.push(round(15, EventKind::RoundEnd, 1));
    let [path] = &paths(sorted(rows))[..] else { panic!("one round ends") };
    check(path);
    assert_eq!(path.closing, Closing::Arrival(101));
    let client = Some(101);
    assert_eq!(legs(path), [(Leg::Download, client, 0, 2), (Leg::Train, client, 2, 12), (Leg::Upload, client, 12, 15)]);
    assert_eq!(path.longest().map(|leg| leg.leg), Some(Leg::Train));
}

#[test]
fn a_round_that_its_deadline_ends_has_waited_since_the_last_arrival() {
    // Task 1 arrives at 6 s, task 2 fails at 8 s, which helps nobody, task 3 is still training at 20 s.
    let mut rows = vec![round(0, EventKind::RoundStart, 1)];
    rows.extend(
        [task(1, 0, [1, 4, 1]), task(2, 0, [5, 30, 5])[..4].to_vec(), task(3, 0, [5, 30, 5])[..4].to_vec()].concat(),
    );
    rows.push(Record::new(at(8), EventKind::Dropout).client(102).task(2).reason(Reason::Random));
    rows.push(round(20, EventKind::Deadline, 1));
    rows.push(Record::new(at(20), EventKind::Rejected).client(103).task(3).reason(Reason::Deadline));
    rows.push(round(20, EventKind::RoundEnd, 1));
    let [path] = &paths(sorted(rows))[..] else { panic!("one round ends") };
    check(path);
    assert_eq!(path.closing, Closing::Deadline);
    assert_eq!(path.at_work, AtWork { train: 1, ..AtWork::default() });
    assert_eq!(path.spent_on(Leg::ForDeadline), at(14).since(at(0)));
    assert_eq!(path.spent_on(Leg::Train), at(4).since(at(0)));
}

#[test]
fn what_needs_the_server_makes_no_way_while_it_is_down() {
    // Down from 1 to 3 s, within the download of 0 to 5 s, and from 8 to 20 s: training from 5 to 10 s goes on, the upload
    // waits until 20 s and arrives at 23 s.
    let down = |from, to| [Record::new(at(from), EventKind::ServerDown), Record::new(at(to), EventKind::ServerUp)];
    let mut rows = vec![round(0, EventKind::RoundStart, 1)];
    rows.extend(task(1, 0, [5, 5, 13]));
    rows.extend([down(1, 3), down(8, 20)].concat());
    rows.push(round(23, EventKind::RoundEnd, 1));
    let [path] = &paths(sorted(rows))[..] else { panic!("one round ends") };
    check(path);
    let client = Some(101);
    let expected = [
        (Leg::Download, client, 0, 1),
        (Leg::ServerDown, None, 1, 3),
        (Leg::Download, client, 3, 5),
        (Leg::Train, client, 5, 10),
        (Leg::ServerDown, None, 10, 20),
        (Leg::Upload, client, 20, 23),
    ];
    assert_eq!(legs(path), expected);
}

#[test]
fn a_server_that_is_down_at_the_end_of_a_round_is_down_in_the_next() {
    // It goes down at 4 s and loses the round; the next one begins when it is up, at 7 s, and has no time without it.
    let mut rows = vec![round(0, EventKind::RoundStart, 1)];
    rows.extend(task(1, 0, [2, 5, 3])[..4].to_vec());
    rows.push(Record::new(at(4), EventKind::ServerDown));
    rows.push(Record::new(at(4), EventKind::Dropout).client(101).task(1).reason(Reason::ServerRestart));
    rows.push(round(4, EventKind::RoundEnd, 1));
    rows.push(Record::new(at(7), EventKind::ServerUp));
    rows.push(round(7, EventKind::RoundStart, 2));
    rows.extend(task(2, 7, [2, 1, 1]));
    rows.push(round(11, EventKind::RoundEnd, 2));
    let found = paths(sorted(rows));
    found.iter().for_each(check);
    assert_eq!(found[0].closing, Closing::Restart);
    assert_eq!((found[1].gap, found[1].gap_down), (SimDuration::ZERO, at(3).since(at(0))));
    assert_eq!(found[1].spent_on(Leg::ServerDown), SimDuration::ZERO);
}

#[test]
fn a_round_in_which_nobody_arrives_is_one_wait_and_a_gap_is_told_apart() {
    let mut rows = vec![round(0, EventKind::RoundStart, 1)];
    rows.extend(task(1, 0, [2, 50, 1])[..4].to_vec());
    rows.push(round(20, EventKind::Deadline, 1));
    rows.push(Record::new(at(20), EventKind::Rejected).client(101).task(1).reason(Reason::Deadline));
    rows.push(round(20, EventKind::RoundEnd, 1));
    // Nobody is online until 50 s.
    rows.push(round(50, EventKind::RoundStart, 2));
    rows.extend(task(2, 50, [1, 1, 1])[..4].to_vec());
    rows.push(Record::new(at(52), EventKind::Dropout).client(102).task(2).reason(Reason::Battery));
    rows.push(round(52, EventKind::RoundEnd, 2));
    let found = paths(sorted(rows));
    found.iter().for_each(check);
    assert_eq!(legs(&found[0]), [(Leg::ForDeadline, None, 0, 20)]);
    assert_eq!(found[1].gap, at(30).since(at(0)));
    assert_eq!(found[1].closing, Closing::Failure(102, Reason::Battery));
    assert_eq!(legs(&found[1]), [(Leg::Download, Some(102), 50, 51), (Leg::Train, Some(102), 51, 52)]);
}

#[test]
fn an_asynchronous_round_holds_what_lies_between_two_models() {
    // One client at a time, a model of two updates. Task 1: 0..15; task 2: 15..25, which makes the first model; task 3
    // was asked at 25, begins the second round, arrives at 35; nobody is available until 38; task 4: 38..45.
    let mut rows = vec![round(0, EventKind::RoundStart, 1)];
    rows.extend(task(1, 0, [2, 10, 3]));
    rows.extend(task(2, 15, [1, 8, 1]));
    rows.push(round(25, EventKind::RoundEnd, 1));
    rows.push(round(25, EventKind::RoundStart, 2));
    rows.extend(task(3, 25, [1, 8, 1]));
    rows.extend(task(4, 38, [1, 5, 1]));
    rows.push(round(45, EventKind::RoundEnd, 2));
    let found = paths(rows);
    found.iter().for_each(check);
    assert_eq!(
        legs(&found[0]),
        [
            (Leg::Download, Some(101), 0, 2),
            (Leg::Train, Some(101), 2, 12),
            (Leg::Upload, Some(101), 12, 15),
            (Leg::Download, Some(102), 15, 16),
            (Leg::Train, Some(102), 16, 24),
            (Leg::Upload, Some(102), 24, 25),
        ]
    );
    assert_eq!(found[1].spent_on(Leg::ForClients), at(3).since(at(0)));
    assert_eq!(found[1].closing, Closing::Arrival(104));
}

#[test]
fn a_task_that_began_before_the_interval_counts_within_it() {
    let mut rows = vec![round(0, EventKind::RoundStart, 1)];
    rows.extend(task(1, 0, [1, 3, 1]));
    rows.extend(task(2, 0, [2, 20, 3]));
    rows.push(round(5, EventKind::RoundEnd, 1));
    rows.push(round(5, EventKind::RoundStart, 2));
    rows.push(round(25, EventKind::RoundEnd, 2));
    let rows = sorted(rows);
    // Sorting keeps the arrival at 25 s before the end of the round only if it comes first.
    let (ends, mut others): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.time == at(25) && row.event == EventKind::RoundEnd);
    others.extend(ends);
    let found = paths(others);
    found.iter().for_each(check);
    assert_eq!(legs(&found[1]), [(Leg::Train, Some(102), 5, 22), (Leg::Upload, Some(102), 22, 25)]);
    assert_eq!(found[1].carried, at(5).since(at(0)));
}

#[test]
fn a_period_is_waited_for_since_the_last_arrival() {
    let mut rows = vec![round(0, EventKind::RoundStart, 1)];
    rows.extend(task(1, 0, [1, 3, 1]));
    rows.push(round(30, EventKind::RoundEnd, 1));
    let found = paths(rows);
    check(&found[0]);
    assert_eq!((found[0].closing, found[0].spent_on(Leg::ForServer)), (Closing::Period, at(25).since(at(0))));
}

#[test]
fn the_paths_of_the_quickstart_sum_to_its_rounds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/quickstart");
    let timeline = read_timeline(&path.join("timeline.csv")).unwrap();
    let rounds = crate::report::read_rounds(&path.join("rounds.csv")).unwrap().rows;
    let found = paths(timeline.iter().map(|row| row.record));
    assert_eq!(found.len(), rounds.len());
    for (found, row) in found.iter().zip(&rounds) {
        check(found);
        assert_eq!((found.round, found.start, found.end), (row.round, row.sim_start, row.sim_end));
        let last_to_arrive = timeline
            .iter()
            .rev()
            .find(|timeline| timeline.record.event == EventKind::UploadEnd && timeline.record.round == Some(row.round));
        if let (Closing::Arrival(client_id), Some(last)) = (found.closing, last_to_arrive) {
            assert_eq!(Some(client_id), last.record.client_id);
        }
    }
}

/// A made-up stream: `concurrency` clients at work, a model every `buffer` updates, failures and pauses between.
fn stream(concurrency: u64, buffer: usize, lengths: &[(u64, u64, u64, bool)]) -> Vec<Record> {
    let mut rows = vec![round(0, EventKind::RoundStart, 1)];
    // (time of the end, task) of what is at work.
    let mut at_work: Vec<(u64, u64, bool)> = Vec::new();
    let (mut number, mut in_buffer) = (1, 0);
    let mut lengths = lengths.iter().zip(1u64..);
    let mut pending: Vec<Record> = Vec::new();
    let mut ask = |now: u64, at_work: &mut Vec<(u64, u64, bool)>, pending: &mut Vec<Record>| {
        if let Some(((down, train, up, fails), id)) = lengths.next() {
            // Now and then nobody is available for a while.
            let now = now + if train % 5 == 0 { 3 } else { 0 };
            at_work.push((now + down + train + up, id, *fails));
            pending.extend(task(id, now, [*down, *train, *up]));
        }
    };
    for _ in 0..concurrency {
        ask(0, &mut at_work, &mut pending);
    }
    while let Some(position) = (0..at_work.len()).min_by_key(|index| (at_work[*index].0, at_work[*index].1)) {
        let (now, id, fails) = at_work.swap_remove(position);
        let is_due = |row: &Record| row.time < at(now) || (row.time == at(now) && row.task_id == Some(id));
        let mut due: Vec<_> = pending.extract_if(.., |row| is_due(row)).collect();
        due.sort_by_key(|row| row.time);
        if fails {
            due.retain(|row| !(row.task_id == Some(id) && row.event == EventKind::UploadEnd));
            due.push(Record::new(at(now), EventKind::Dropout).client(id as u32 + 100).task(id).reason(Reason::Network));
        }
        rows.extend(due);
        in_buffer += usize::from(!fails);
        if in_buffer == buffer {
            rows.push(round(now, EventKind::RoundEnd, number));
            number += 1;
            in_buffer = 0;
            rows.push(round(now, EventKind::RoundStart, number));
        }
        ask(now, &mut at_work, &mut pending);
    }
    rows
}

proptest! {
    #[test]
    fn the_legs_of_any_stream_tile_its_rounds(
        concurrency in 1u64..6,
        buffer in 1usize..4,
        lengths in prop::collection::vec((0u64..4, 0u64..30, 0u64..5, prop::bool::weighted(0.2)), 1..60),
    ) {
        let found = paths(stream(concurrency, buffer, &lengths));
        let n_whole = lengths.iter().filter(|(_, _, _, fails)| !fails).count();
        prop_assert_eq!(found.len(), n_whole / buffer);
        for path in &found {
            check(path);
            prop_assert!(matches!(path.closing, Closing::Arrival(_)));
        }
    }
}
