//! TensorBoard event files: a scalar for each column of `rounds.csv` and for each cause of lost tasks, by round, with
//! simulated seconds as wall time, so that *Relative* and *Wall* in TensorBoard show the simulated clock.
//!
//! The records are written by hand: each is its length, a checksum of that, a protobuf message `tensorflow.Event` and a
//! checksum of it. The checksums are CRC-32C, masked as TFRecord files want it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{GrowingFile, tail_of};
use crate::report::read::{rounds_file, timeline_rows};
use crate::report::{EventKind, Reason, ReportError, RoundRow};
use crate::units::SimTime;

/// The name of the file; TensorBoard looks for `tfevents`. The number, elsewhere the time on the host, is always 0.
pub const FILE_NAME: &str = "events.out.tfevents.0000000000.straggler";

/// Writes the event file of the run in `directory` into the folder `to`, and returns its path.
///
/// # Errors
/// When the files of the run cannot be read or the file cannot be written.
pub fn write(directory: &Path, to: &Path) -> Result<PathBuf, ReportError> {
    let rounds = rounds_file(&directory.join("rounds.csv"), tail_of(directory))?;
    let timeline = directory.join("timeline.csv");
    let lost = if timeline.exists() { lost_by_round(directory, &timeline)? } else { BTreeMap::new() };
    let mut file = GrowingFile::create(&to.join(FILE_NAME))?;
    file.write(&record(&version_event()))?;
    for row in &rounds.rows {
        let scalars = scalars(row, &rounds.metric, lost.get(&row.round));
        file.write(&record(&scalars_event(row.sim_end, row.round, &scalars)))?;
    }
    file.finish()
}

/// How many tasks ended unused in each round, by reason: those between the end of the round before and its own.
fn lost_by_round(directory: &Path, timeline: &Path) -> Result<BTreeMap<u32, BTreeMap<Reason, u32>>, ReportError> {
    let mut rounds = BTreeMap::new();
    let mut counts: BTreeMap<Reason, u32> = BTreeMap::new();
    for row in timeline_rows(timeline, tail_of(directory))? {
        let record = row?.record;
        match (record.event, record.reason, record.round) {
            (EventKind::Dropout | EventKind::Rejected, Some(reason), _) => *counts.entry(reason).or_default() += 1,
            (EventKind::RoundEnd, _, Some(round)) => {
                rounds.insert(round, std::mem::take(&mut counts));
            }
            _ => {}
        }
    }
    Ok(rounds)
}

/// The values of a round by their names; what does not apply is left out.
fn scalars(row: &RoundRow, metric: &str, lost: Option<&BTreeMap<Reason, u32>>) -> Vec<(String, f64)> {
    let metric_name = format!("eval/{metric}");
    let optional = [
        (metric_name.as_str(), row.eval_metric),
        ("loss/eval", row.eval_loss),
        ("loss/train", row.train_loss),
        ("staleness/mean", row.staleness_mean),
        ("energy/joules", row.energy_j),
    ];
    let always = [
        ("round/duration_s", row.sim_end.since(row.sim_start).as_secs_f64()),
        ("round/model_version", row.model_version.into()),
        ("bytes/down", row.bytes_down.get() as f64),
        ("bytes/up", row.bytes_up.get() as f64),
        ("bytes/wasted", row.bytes_wasted.get() as f64),
        ("bytes/cumulative", row.cum_bytes.get() as f64),
        ("tasks/selected", row.selected.into()),
        ("tasks/completed", row.completed.into()),
        ("tasks/aggregated", row.aggregated.into()),
        ("tasks/dropped", row.dropped.into()),
        ("tasks/late", row.late.into()),
        ("tasks/rejected", row.rejected.into()),
    ];
    let mut scalars: Vec<(String, f64)> =
        optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    scalars.extend(always.map(|(name, value)| (name.to_owned(), value)));
    let lost = lost.into_iter().flatten();
    scalars.extend(lost.map(|(reason, n)| (format!("unused/{}", reason.as_str()), f64::from(*n))));
    scalars
}

/// `Event { wall_time, file_version }`, the first of a file.
fn version_event() -> Vec<u8> {
    let mut event = Vec::new();
    push_double(&mut event, 1, 0.0);
    push_bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// `Event { wall_time, step, summary }` with a `Summary.Value { tag, simple_value }` for each scalar.
fn scalars_event(time: SimTime, round: u32, scalars: &[(String, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in scalars {
        let mut message = Vec::new();
        push_bytes(&mut message, 1, tag.as_bytes());
        push_key(&mut message, 2, FIXED_32);
        message.extend_from_slice(&(*value as f32).to_le_bytes());
        push_bytes(&mut summary, 1, &message);
    }
    let mut event = Vec::new();
    push_double(&mut event, 1, time.as_secs_f64());
    push_key(&mut event, 2, VARINT);
    push_varint(&mut event, round.into());
    push_bytes(&mut event, 5, &summary);
    event
}

/// A message with its length and the checksums.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(message.len() + 16);
    record.extend_from_slice(&length);
    record.extend_from_slice(&masked_crc(&length).to_le_bytes());
    record.extend_from_slice(message);
    record.extend_from_slice(&masked_crc(message).to_le_bytes());
    record
}

/// CRC-32C, turned by 15 bits, plus a constant.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

// The kinds of fields of protobuf.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED_32: u64 = 5;

fn push_key(message: &mut Vec<u8>, field: u64, kind: u64) {
    push_varint(message, field << 3 | kind);
}

fn push_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn push_double(message: &mut Vec<u8>, field: u64, value: f64) {
    push_key(message, field, FIXED_64);
    message.extend_from_slice(&value.to_le_bytes());
}

fn push_bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    push_key(message, field, LENGTH);
    push_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ResultsWriter;
    use crate::report::fixture::run;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_first_record_is_that_of_every_event_file() {
        // 24 bytes: key 09 and eight bytes of 0.0, key 1a, length 13 and the text. Field by field by hand; the checksums are
        // those that Python's tensorboard 2.21 computes (tensorboard.compat.tensorflow_stub.pywrap_tensorflow.masked_crc32c).
        assert_eq!(
            hex(&record(&version_event())),
            "1800000000000000a37f4b2209000000000000000\
             01a0d627261696e2e4576656e743a32eedf28a3"
        );
    }

    #[test]
    fn a_scalar_is_written_field_by_field() {
        let event = scalars_event(SimTime::from_nanos(1_500_000_000), 300, &[("a/b".into(), 0.25)]);
        // 09 1.5 as a double; 10 and 300 as varint ac 02; 2a and 12 bytes of summary: 0a and 10 bytes of value: 0a 03 "a/b",
        // 15 0.25 as a float.
        assert_eq!(hex(&event), "09000000000000f83f10ac022a0c0a0a0a03612f62150000803e");
    }

    #[test]
    fn every_round_has_its_scalars_and_causes() {
        let out = tempfile::tempdir().unwrap();
        let mut writer = ResultsWriter::create(out.path(), "demo", "abcd", "accuracy").unwrap();
        let run = run();
        run.timeline.iter().for_each(|row| writer.record(&row.record).unwrap());
        run.rounds.iter().for_each(|row| writer.round(row).unwrap());
        writer.flush().unwrap();
        let path = write(writer.directory(), out.path()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (mut rest, mut records) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked_crc(&rest[..8]).to_le_bytes());
            let message = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked_crc(message).to_le_bytes());
            records.push(message.to_vec());
            rest = &rest[16 + length..];
        }
        assert_eq!(records.len(), 1 + run.rounds.len());
        let holds = |record: &[u8], tag: &str| record.windows(tag.len()).any(|window| window == tag.as_bytes());
        // Evaluated in each second round.
        assert!(!holds(&records[1], "eval/accuracy") && holds(&records[2], "eval/accuracy"));
        let lost = lost_by_round(writer.directory(), &writer.directory().join("timeline.csv")).unwrap();
        let n: u32 = lost.values().flat_map(BTreeMap::values).sum();
        let updates = &run.summary.updates;
        assert_eq!(u64::from(n), updates.late + updates.n_dropped());
        assert_eq!(std::fs::read(write(writer.directory(), out.path()).unwrap()).unwrap(), bytes);
    }
}
