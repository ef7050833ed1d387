//! The binary form of CIFAR-10: records of one label byte and 32 x 32 red, green and blue bytes, row by row.

use std::path::Path;

use super::Picture;
use super::gather::Gatherer;
use crate::data::files::{Problems, read_bytes};

/// Height and width of a picture, in pixels.
const SIZE: usize = 32;

/// Bytes of one channel.
const PLANE: usize = SIZE * SIZE;

/// Bytes of a record.
const RECORD: usize = 1 + 3 * PLANE;

/// Labels of CIFAR-10.
const N_LABELS: u8 = 10;

/// Reads the pictures of one file; what is wrong goes to `problems`.
pub(super) fn read(path: &Path, gatherer: &mut Gatherer<'_>, problems: &mut Problems) {
    let Some(content) = read_bytes(path, problems) else { return };
    if content.len() % RECORD != 0 {
        let message = format!(
            "has {} bytes, which is no multiple of {RECORD}, the length of a CIFAR-10 record (a label byte and 3 x 32 x \
             32 bytes)",
            content.len()
        );
        problems.of_file(path, message);
        return;
    }
    for (i, record) in content.chunks_exact(RECORD).enumerate() {
        if record[0] >= N_LABELS {
            problems
                .of_file(path, format!("picture {i} has label {}, but CIFAR-10 has 0 to {}", record[0], N_LABELS - 1));
            continue;
        }
        let planes = &record[1..];
        let bytes = (0..PLANE).flat_map(|at| [planes[at], planes[PLANE + at], planes[2 * PLANE + at]]).collect();
        let picture = Picture { width: SIZE, height: SIZE, channels: 3, bytes };
        if let Err(what) = gatherer.add(picture, u32::from(record[0])) {
            problems.of_file(path, format!("picture {i} {what}"));
        }
    }
}
