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
        let line = line_of_record(content, start);
        let row = match (fields(&record), &header) {
            _ if is_unclosed(&content[start..end]) => {
                Err(vec!["a quote that opens in this row is never closed".into()])
            }
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

/// The number of the line that a record starts in, from 1. The reader's own position is before the blank lines that it
/// skips.
fn line_of_record(content: &[u8], start: usize) -> u64 {
    let blank = content[start..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    1 + content[..start + blank].iter().filter(|byte| **byte == b'\n').count() as u64
}

/// True when an odd quote made the reader take the following lines into this record.
fn is_unclosed(record: &[u8]) -> bool {
    let record = record.trim_ascii();
    record.contains(&b'\n') && record.iter().filter(|byte| **byte == b'"').count() % 2 == 1
}
