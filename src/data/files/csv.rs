//! Columns between commas, quoted where needed (RFC 4180). Blank lines hold no row.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use super::table::Header;
use super::{Columns, Problems, RawRow, bytes};

/// The rows; bad ones are reported.
pub(super) fn rows(path: &Path, content: &[u8], columns: &Columns<'_>, problems: &mut Problems) -> Vec<RawRow> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(content);
    let mut header: Option<Header<'_>> = None;
    let mut rows = Vec::new();
    let mut record = ByteRecord::new();
    let mut lines = LineCount::default();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return rows,
            Err(error) => {
                problems.of_file(path, error);
                return rows;
            }
        }
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let end = reader.position().byte() as usize;
        let line = lines.of_record(content, start);
        let fields = match misquoted(&content[start..end]) {
            Some(what) => Err(what.into()),
            None => fields(&record),
        };
        let row = match (fields, &header) {
            (Err(what), _) => Err(vec![what]),
            (Ok(names), None) => match Header::new(names, columns) {
                Ok(found) => {
                    header = Some(found);
                    continue;
                }
                Err(missing) => Err(missing),
            },
            (Ok(fields), Some(header)) => header.row(line, fields).map_err(|what| vec![what]),
        };
        match row {
            Ok(row) => rows.push(row),
            Err(all) => all.into_iter().for_each(|what| problems.of_line(path, line, what)),
        }
        if header.is_none() {
            return rows;
        }
    }
}

fn fields(record: &ByteRecord) -> Result<Vec<String>, String> {
    let text = |field: &[u8]| String::from_utf8(field.to_vec());
    record.iter().map(text).collect::<Result<_, _>>().map_err(|error| bytes::not_utf8(error.utf8_error().valid_up_to()))
}

/// How many lines there are before a place that only moves on.
#[derive(Default)]
struct LineCount {
    n_lines: u64,
    place: usize,
}

impl LineCount {
    /// The number of the line that a record starts in, from 1. The reader's own position is before the blank lines that it
    /// skips.
    fn of_record(&mut self, content: &[u8], start: usize) -> u64 {
        let blank = content[start..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let here = start + blank;
        self.n_lines += content[self.place..here].iter().filter(|byte| **byte == b'\n').count() as u64;
        self.place = here;
        self.n_lines + 1
    }
}

/// What is wrong with the quotes of a record. A field that begins with a quote reaches to the next quote that is not
/// doubled; quotes inside other fields are as good as any character.
fn misquoted(record: &[u8]) -> Option<&'static str> {
    enum At {
        FieldStart,
        Plain,
        Quoted,
        Closed,
    }
    let (mut at, mut spans_lines, mut goes_on) = (At::FieldStart, false, false);
    let first = record.iter().position(|byte| !matches!(byte, b'\n' | b'\r')).unwrap_or(0);
    for byte in &record[first..] {
        at = match (at, byte) {
            (At::FieldStart, b'"') | (At::Closed, b'"') => At::Quoted,
            (At::Quoted, b'"') => At::Closed,
            (At::Quoted, byte) => {
                spans_lines |= *byte == b'\n';
                At::Quoted
            }
            (_, b',' | b'\n' | b'\r') => At::FieldStart,
            (At::Closed, _) => {
                goes_on = true;
                At::Plain
            }
            (At::FieldStart | At::Plain, _) => At::Plain,
        };
    }
    match at {
        At::Quoted => Some("a quote that opens in this row is never closed"),
        // The quote was meant for a single character, and the one that seems to close it for another.
        _ if spans_lines && goes_on => Some(
            "a quoted field of this row reaches over lines, and text stands behind its end: close the quote, or double it",
        ),
        At::FieldStart | At::Plain | At::Closed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_told_apart_by_where_they_stand() {
        // Two open quotes would make one row of two.
        assert!(misquoted(b"yes,\"good\nno,\"bad\n").is_some_and(|what| what.contains("reaches over lines")));
        assert!(misquoted(b"yes,\"good\n").is_some_and(|what| what.contains("never closed")));
        assert!(misquoted(b"yes,\"good").is_some_and(|what| what.contains("never closed")));
        for sound in [
            &b"\"two\nlines\",5\" wide\n"[..],
            b"5\" wide,\"two\nlines\"\r\n",
            b"\"a \"\"word\"\"\nmore\",b\n",
            b"\"\",\"\"\n",
            b"\n\r\n\"a\nb\"",
            b"5\",6\n",
            b"\"said\" she,x\n",
        ] {
            assert_eq!(misquoted(sound), None, "{}", String::from_utf8_lossy(sound));
        }
    }

    #[test]
    fn lines_are_counted_once() {
        let content = b"a\n\n\"b\nc\"\nd\n";
        let mut lines = LineCount::default();
        // The records begin at bytes 0, 2 (before a blank line) and 9.
        assert_eq!([0, 2, 9].map(|start| lines.of_record(content, start)), [1, 3, 5]);
        assert_eq!(lines.place, 9);
    }
}
