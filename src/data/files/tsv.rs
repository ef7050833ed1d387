//! Columns between tabs, without quoting or escaping.

use std::path::Path;

use super::table::Header;
use super::{Columns, Problems, RawRow, bytes};

/// The rows; bad ones are reported.
pub(super) fn rows(path: &Path, content: &[u8], columns: &Columns<'_>, problems: &mut Problems) -> Vec<RawRow> {
    let fields = |line: &str| line.split('\t').map(String::from).collect::<Vec<_>>();
    let mut lines = bytes::lines(content);
    let header = match lines.next() {
        Some((_, Ok(header))) => Header::new(fields(header), columns),
        Some((_, Err(what))) => Err(vec![what]),
        None => return Vec::new(),
    };
    let header = match header {
        Ok(header) => header,
        Err(all) => {
            all.into_iter().for_each(|what| problems.of_line(path, 1, what));
            return Vec::new();
        }
    };
    let mut rows = Vec::new();
    for (number, line) in lines {
        let row = line.and_then(|line| match line.trim().is_empty() {
            true => Err("the line is blank".into()),
            false => header.row(number, fields(line)),
        });
        match row {
            Ok(row) => rows.push(row),
            Err(what) => problems.of_line(path, number, what),
        }
    }
    rows
}
