//! From a file to its bytes and lines.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::Problems;

/// The text in the file, unpacked if it is named `.gz`, without a byte-order mark. `None` with a problem reported when
/// there is none to be had.
pub(super) fn read(path: &Path, problems: &mut Problems) -> Option<Vec<u8>> {
    let mut content = read_bytes(path, problems)?;
    if content.starts_with(b"\xef\xbb\xbf") {
        content.drain(..3);
    }
    if content.iter().all(u8::is_ascii_whitespace) {
        problems.of_file(path, "is empty");
        return None;
    }
    Some(content)
}

/// The content of the file, unpacked if it is named `.gz`. `None` with a problem reported when it cannot be read.
pub(in crate::data) fn read_bytes(path: &Path, problems: &mut Problems) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => {
            problems.of_file(path, format!("cannot be read: {error}"));
            return None;
        }
    };
    let is_packed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let outcome =
        if is_packed { MultiGzDecoder::new(file).read_to_end(&mut content) } else { (&file).read_to_end(&mut content) };
    if let Err(error) = outcome {
        let what = if is_packed {
            format!("cannot be unpacked, the gzip data is broken or cut off after {} bytes: {error}", content.len())
        } else {
            format!("cannot be read: {error}")
        };
        problems.of_file(path, what);
        return None;
    }
    Some(content)
}

/// The lines of `content` with their numbers from 1, without line ends and without blank lines at the end; for a line that
/// is not UTF-8, what to say of it.
pub(super) fn lines(content: &[u8]) -> impl Iterator<Item = (u64, Result<&str, String>)> {
    let end = content.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    (1..).zip(content[..end].split(|byte| *byte == b'\n')).map(|(number, line)| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (number, std::str::from_utf8(line).map_err(|error| not_utf8(error.valid_up_to())))
    })
}

/// What is said of bytes that are no text.
pub(super) fn not_utf8(n_valid: usize) -> String {
    format!("not valid UTF-8 from byte {} on; save the file as UTF-8", n_valid + 1)
}

/// The lines of a text file such as `labels_file`, with their numbers.
pub(in crate::data) fn read_lines(path: &Path, problems: &mut Problems) -> Vec<(u64, String)> {
    let Some(content) = read(path, problems) else { return Vec::new() };
    let mut sound = Vec::new();
    for (number, line) in lines(&content) {
        match line {
            Ok(line) => sound.push((number, line.to_string())),
            Err(what) => problems.of_line(path, number, what),
        }
    }
    sound
}
